//! NEV-NCD: do negative learning, entropy and variance find classes without labels beside known ones?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements};
use crate::views::{self, DIGITS, NO_DIGITS, digits, invalid};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use contrarian::InvalidParameter;
use contrarian::contrastive::NtXentLossConfig;
use contrarian::regularization::{NevNcdConfig, SinkhornAssignmentConfig};
use contrarian_lab::augment::{Augmentation, ImageAugmentation};
use contrarian_lab::data::{Dataset, Glyphs, ImageSet, Matrix, Sampler, hold_out};
use contrarian_lab::embedding::k_means;
use contrarian_lab::fit::{FitConfig, TrainingLoop, transform};
use contrarian_lab::metrics::{adjusted_rand_index, clustering_accuracy, share_of_classes};
use contrarian_lab::model::{Encoder, EncoderConfig, Mode};
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};

const fn gain(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: "generated glyphs and a small encoder instead of videos of actions and an R(2+1)D network",
        test: Test::Gain { smallest, alpha: 0.05, sides: Sides::Two },
    }
}

const REPORTED: &str =
    "about 70% clustering accuracy on the unlabelled data, about 40% above naive baselines (abstract)";

const CLAIMS: &[Claim] = &[
    gain(
        "negative-learning-routes",
        "the share of novel items given to novel classes is larger with negative learning than without, by more than .4",
        "the purpose of the term",
        0.4,
    ),
    gain(
        "variance-prevents-collapse",
        "clustering accuracy of the head is higher with the variance than without, by more than .1",
        "the purpose of the term",
        0.1,
    ),
    gain(
        "over-supervised",
        "clustering accuracy of the head exceeds that of a supervised head, whose novel logits are untrained",
        REPORTED,
        0.0,
    ),
    gain(
        "known-classes-kept",
        "accuracy on known classes is less than .06 below that of the supervised head (difference + .06 exceeds 0)",
        "about 83% accuracy on test items of labelled classes (abstract)",
        0.0,
    ),
    gain(
        "over-k-means",
        "clustering accuracy of the head exceeds that of k-means on the features of the same encoder",
        REPORTED,
        0.0,
    ),
];

pub const STUDY: Study = Study {
    id: "nev-ncd",
    title: "NEV-NCD: Negative Learning, Entropy, and Variance regularization based novel action categories discovery",
    authors: "Hasan, Ahmed, Faridee et al. 2023",
    arxiv: "2304.07354",
    summary: "One head learns known classes of generated glyphs from labels and novel ones from views without labels: with \
              negative learning, entropy and variance, with each of the three left out, with pseudo-labels, and supervised \
              only. Judged on held-out images. Real digits where the data folder has them (descriptive).",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    classes: usize,
    known_classes: usize,
    images_per_class: usize,
    steps: usize,
    labelled_batch: usize,
    unlabelled_batch: usize,
    learning_rate: f64,
    variance_weight: f64,
    temperature: f64,
    /// Part of the steps over which the weight of the entropy grows to 1.
    entropy_ramp: f64,
    real_seeds: usize,
    all_arms: bool,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            classes: 10,
            known_classes: 7,
            images_per_class: 120,
            steps: 300,
            labelled_batch: 96,
            unlabelled_batch: 64,
            learning_rate: 1e-3,
            variance_weight: 10.0,
            temperature: 1.0,
            entropy_ramp: 0.7,
            real_seeds: 3,
            all_arms: true,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 1, classes: 5, known_classes: 3, steps: 40, real_seeds: 0, all_arms: false, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, real_seeds: 20, ..base },
        }
    }

    fn check(&self) -> Result<(), StudyError> {
        views::check(STUDY.id, [self.classes, self.images_per_class], &[&self.fit()])?;
        let error = if self.known_classes == 0 || self.known_classes >= self.classes {
            InvalidParameter::new("known_classes", self.known_classes, "at least 1 and below classes")
        } else if self.unlabelled_batch < 2 {
            InvalidParameter::new("unlabelled_batch", self.unlabelled_batch, "at least 2")
        } else if !(self.entropy_ramp > 0.0 && self.entropy_ramp <= 1.0) {
            InvalidParameter::new("entropy_ramp", self.entropy_ramp, "in (0, 1]")
        } else if self.real_seeds > 0 && self.known_classes >= REAL_CLASSES {
            InvalidParameter::new("known_classes", self.known_classes, "below the ten digits, or set real_seeds=0")
        } else {
            let objective = self.objective(self.classes, ARMS[0].1);
            return objective.validate().map_err(|error| invalid(STUDY.id, &error));
        };
        Err(invalid(STUDY.id, &error))
    }

    fn fit(&self) -> FitConfig {
        FitConfig::new()
            .with_learning_rate(self.learning_rate)
            .with_weight_decay(0.0)
            .with_batch_size(self.labelled_batch)
            .with_epochs(self.steps)
    }

    fn objective(&self, classes: usize, arm: Arm) -> NevNcdConfig {
        let on = |term: Term, weight: f64| if arm.contains(&term) { weight } else { 0.0 };
        NevNcdConfig::new((0..self.known_classes).collect(), (self.known_classes..classes).collect())
            .with_negative_weight(on(Term::Negative, 1.0))
            .with_entropy_weight(on(Term::Entropy, 1.0))
            .with_variance_weight(on(Term::Variance, self.variance_weight))
            .with_temperature(self.temperature)
    }
}

/// A term on unlabelled items.
#[derive(Clone, Copy, PartialEq)]
enum Term {
    Negative,
    Entropy,
    Variance,
    PseudoLabels,
}

type Arm = &'static [Term];

const REAL_CLASSES: usize = 10;
const PROJECTION: usize = 32;
const NEV: &str = "NEV";
const EV: &str = "EV (no negative learning)";
const NE: &str = "NE (no variance)";
const SUPERVISED: &str = "supervised";
/// The arms of the smoke preset come first.
const ARMS: [(&str, Arm); 6] = [
    (NEV, &[Term::Negative, Term::Entropy, Term::Variance]),
    (EV, &[Term::Entropy, Term::Variance]),
    (NE, &[Term::Negative, Term::Entropy]),
    ("NV (no entropy)", &[Term::Negative, Term::Variance]),
    ("N + pseudo-labels", &[Term::Negative, Term::PseudoLabels]),
    (SUPERVISED, &[]),
];

const NUMBERS: [&str; 6] = ["known", "clustering", "adjusted Rand", "routed", "k-means", "seconds"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> =
        ARMS[..if s.all_arms { ARMS.len() } else { 2 }].iter().map(|&(name, arm)| (name.to_string(), arm)).collect();
    let measured = Measurements::collect(context, "glyphs", &arms, s.seeds, |arm, seed| {
        let glyphs = Glyphs { classes: s.classes, per_class: s.images_per_class, noise: 0.3, ..Glyphs::default() };
        measure(&s, glyphs.generate(seed), arm, seed)
    })?;
    let minus = |number: &str, control: &str| measured.evidence(number, [NEV, control], |[nev, control]| nev - control);
    let over_k_means = || {
        let [head, clusters] = ["clustering", "k-means"].map(|number| measured.values(NEV, number));
        Evidence::paired(&head, &clusters)
    };
    let evidence = [
        minus("routed", EV),
        minus("clustering", NE),
        minus("clustering", SUPERVISED),
        measured.evidence("known", [NEV, SUPERVISED], |[nev, supervised]| nev + 0.06 - supervised),
        over_k_means(),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Glyphs (mean ± s.d. over seeds)", &NUMBERS));
    findings.notes.push(
        "Known: accuracy on known classes over all logits. Clustering and adjusted Rand: of the largest novel logit on novel \
         items. Routed: share of novel items whose largest logit is novel. k-means: clustering accuracy on the features of \
         novel items."
            .into(),
    );
    if s.all_arms {
        findings.notes.push(
            "Where known accuracy falls, the likely reason is routing: negative learning pushes unlabelled items off the known \
             logits, and known items that look alike follow. Where k-means is ahead, the likely reason is that the features \
             hold the classes and the terms reward certain and even guesses, whichever classes they mix."
                .into(),
        );
    }
    if s.real_seeds > 0 {
        match digits(context)? {
            Some(images) => {
                let found = Measurements::collect(context, "digits", &arms, s.real_seeds, |arm, seed| {
                    measure(&s, images.clone(), arm, seed)
                })?;
                findings.tables.push(found.table(DIGITS, &NUMBERS));
                findings.measurements.extend(found.lines());
            }
            None => findings.notes.push(NO_DIGITS.into()),
        }
    }
    Ok(findings)
}

fn measure(s: &Settings, images: ImageSet, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let augmentation = ImageAugmentation { brightness: 0.3, ..ImageAugmentation::new(images.images.shape) };
    let data = images.into_dataset();
    let parts = hold_out(&data.y, 1.0 / 3.0, seed).map_err(|error| error.to_string())?;
    let [train, test] = parts.map(|rows| data.select(&rows));
    let model = fit(s, &train, &augmentation, arm, seed)?;
    let [known, novel] = [true, false].map(|known| part(&test, s.known_classes, known));
    let head = |x: &Matrix| transform(x, |x| model.project(x).narrow(1, 0, test.classes));
    let guesses = |x: &Matrix, first: usize| -> Vec<usize> {
        let logits = head(x);
        let largest = |row: usize| {
            let row = &logits.row(row)[first..];
            (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
        };
        (0..x.rows).map(largest).collect()
    };
    let right = guesses(&known.x, 0).iter().zip(&known.y).filter(|(guess, label)| guess == label).count();
    let clusters = guesses(&novel.x, s.known_classes);
    let logits: Vec<f64> = head(&novel.x).data.into_iter().map(f64::from).collect();
    let novel_classes: Vec<usize> = (s.known_classes..test.classes).collect();
    let features = transform(&novel.x, |x| activation::relu(model.features(x)));
    let by_distance = k_means(&features, novel_classes.len(), 5, seed).clusters;
    Ok(Measured::from([
        ("known", right as f64 / known.y.len() as f64),
        ("clustering", clustering_accuracy(&novel.y, &clusters)),
        ("adjusted Rand", adjusted_rand_index(&novel.y, &clusters)),
        ("routed", share_of_classes(&logits, test.classes, &novel_classes)),
        ("k-means", clustering_accuracy(&novel.y, &by_distance)),
        ("seconds", started.elapsed().as_secs_f64()),
    ]))
}

fn part(data: &Dataset, known_classes: usize, known: bool) -> Dataset {
    let rows: Vec<usize> = (0..data.y.len()).filter(|&row| (data.y[row] < known_classes) == known).collect();
    data.select(&rows)
}

/// An encoder whose projection is the head's logits, followed by what the contrastive loss sees: two linear layers side by side.
fn fit(
    s: &Settings,
    train: &Dataset,
    augmentation: &ImageAugmentation,
    arm: Arm,
    seed: u64,
) -> Result<Encoder, String> {
    let classes = train.classes;
    let [known, novel] = [true, false].map(|known| part(train, s.known_classes, known));
    let device = Device::flex().autodiff();
    let encoder = EncoderConfig::new(train.x.cols).with_projection(classes + PROJECTION);
    let mut objective = s.objective(classes, arm).init();
    let contrastive = NtXentLossConfig::new().with_temperature(0.2).init();
    let config = s.fit();
    let sampler = Sampler::Drawn { rows: known.x.rows, count: s.labelled_batch };
    let mut step = 0;
    let fitted =
        TrainingLoop::new(&config, sampler, seed).run(encoder.init(&device, seed), |model: &Encoder, rows, mode| {
            let Mode::Training(rng) = mode else { unreachable!("a training loop trains") };
            let unlabelled = Sampler::Drawn { rows: novel.x.rows, count: s.unlabelled_batch }.epoch(rng);
            // Labelled rows are changed like the others: else the noise of a view alone would tell novel from known.
            let mut data = augmentation.view(&known.x, rows, rng).data;
            for _ in 0..2 {
                data.extend(augmentation.view(&novel.x, &unlabelled, rng).data);
            }
            let (labelled, each) = (rows.len(), unlabelled.len());
            let all = labelled + 2 * each;
            let output = model.project(Tensor::from_data(TensorData::new(data, [all, train.x.cols]), &device));
            let logits = output.clone().narrow(1, 0, classes);
            let view =
                |index: usize| output.clone().narrow(0, labelled + index * each, each).narrow(1, classes, PROJECTION);
            let labels: Vec<i64> = rows.iter().map(|&row| known.y[row] as i64).collect();
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [labelled]), &device.clone().inner());
            let of_novel = logits.clone().narrow(0, labelled, 2 * each);
            if arm.contains(&Term::Entropy) {
                objective.entropy_weight = (f64::from(step) / (s.entropy_ramp * s.steps as f64)).min(1.0);
            }
            step += 1;
            let mut loss = objective.forward(logits.narrow(0, 0, labelled), labels, of_novel.clone())
                + contrastive.forward(view(0), view(1));
            if arm.contains(&Term::PseudoLabels) {
                loss = loss + pseudo_labels(of_novel.narrow(1, s.known_classes, classes - s.known_classes));
            }
            loss
        });
    fitted.map(|fitted| fitted.model).map_err(|error| error.to_string())
}

/// Cross-entropy of novel logits against their own balanced assignment, sharpened.
fn pseudo_labels(logits: Tensor<2>) -> Tensor<1> {
    let assignment = SinkhornAssignmentConfig::new().init().forward(logits.clone());
    let targets = activation::softmax(assignment.mul_scalar(10.0), 1);
    (targets * activation::log_softmax(logits, 1)).sum_dim(1).mean().neg()
}
