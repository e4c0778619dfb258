//! DCL: does the positive in the denominator silence its negatives in small batches, and does taking it out help?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use crate::views::{self, DIGITS, NO_DIGITS, ViewTask, digits, directions};
use burn::tensor::{Device, Tensor};
use contrarian::contrastive::{DclLossConfig, DclwLossConfig, Direction, NtXentLossConfig, negative_positive_coupling};
use contrarian_lab::augment::ImageAugmentation;
use contrarian_lab::fit::{FitConfig, OptimizerKind};
use contrarian_lab::stats::Sides;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const fn gain(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: "generated glyphs and a small encoder with plain SGD instead of photographs and a ResNet; accuracy of 5 \
                  nearest neighbours instead of a linear probe",
        test: Test::Gain { smallest, alpha: 0.05, sides: Sides::Two },
    }
}

const COUPLING: &str = "the coupling moves towards 1 as the batch grows (figure)";
const ACCURACY: &str = "68.2 on ImageNet-1k with batch 256, 6.4 points over SimCLR (abstract); on CIFAR-10 84.6 against 78.3 at \
                        batch 32, 85.63 against 83.09 at batch 128 (README of a public implementation)";

const CLAIMS: &[Claim] = &[
    gain(
        "coupling-8-32",
        "the mean coupling of NT-Xent in training is more than .05 higher at batch 32 than at batch 8",
        COUPLING,
        0.05,
    ),
    gain(
        "coupling-32-128",
        "the mean coupling of NT-Xent in training is more than .05 higher at batch 128 than at batch 32",
        COUPLING,
        0.05,
    ),
    Claim {
        id: "coupling-in-range",
        statement: "the mean coupling of every training step lies above 0 and below 1",
        reported: "the definition of the coupling",
        differs: "",
        test: Test::Always,
    },
    Claim {
        id: "identity",
        statement: "the gradient of an NT-Xent row is the coupling times that of the decoupled row, to 1e-9 (100 random rows)",
        reported: "proposition 1",
        differs: "",
        test: Test::Always,
    },
    gain("gain-32", "5-NN accuracy with DCL exceeds that with NT-Xent at batch 32", ACCURACY, 0.0),
    gain("gain-128", "5-NN accuracy with DCL exceeds that with NT-Xent at batch 128", ACCURACY, 0.0),
    gain(
        "larger-for-smaller-batches",
        "the gain of DCL over NT-Xent in 5-NN accuracy is larger at batch 8 than at batch 128",
        "the gain is the larger the smaller the batch: 6.3, 4.1, 2.5 and 2.1 points on CIFAR-10 at batch 32, 64, 128 and 256",
        0.0,
    ),
];

pub const STUDY: Study = Study {
    id: "dcl",
    title: "Decoupled Contrastive Learning",
    authors: "Yeh, Hong, Hsu et al. 2021",
    arxiv: "2110.06848",
    summary: "An encoder learns from weakly augmented views of generated glyphs with NT-Xent, DCL and DCLW, in batches of 8, 32 \
              and 128, by plain SGD: Adam would cancel the factor under study. The coupling is measured while it learns, the \
              neighbours of held-out images after it. Real digits where the data folder has them (descriptive).",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    classes: usize,
    images_per_class: usize,
    batch_sizes: Vec<usize>,
    steps: Vec<usize>,
    learning_rate: f64,
    temperature: f64,
    sigma: f64,
    real_seeds: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            classes: 40,
            images_per_class: 40,
            batch_sizes: vec![8, 32, 128],
            steps: vec![400, 200, 100],
            learning_rate: 0.02,
            temperature: 0.1,
            sigma: 0.5,
            real_seeds: 5,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 2,
                classes: 10,
                images_per_class: 30,
                batch_sizes: vec![32],
                steps: vec![40],
                real_seeds: 0,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, real_seeds: 20, ..base },
        }
    }

    fn check(&self) -> Result<(), StudyError> {
        if self.batch_sizes.is_empty() || self.batch_sizes.len() != self.steps.len() {
            let reason = "batch_sizes and steps must be lists of one length, at least 1".into();
            return Err(StudyError::Settings { study: STUDY.id, reason });
        }
        let fits: Vec<FitConfig> = self.batch_sizes.iter().zip(&self.steps).map(|(b, s)| self.fit(*b, *s)).collect();
        views::check(STUDY.id, [self.classes, self.images_per_class], &fits.iter().collect::<Vec<_>>())?;
        let loss = DclwLossConfig::new().with_temperature(self.temperature).with_sigma(self.sigma);
        loss.validate().map_err(|error| views::invalid(STUDY.id, &error))
    }

    fn fit(&self, batch_size: usize, steps: usize) -> FitConfig {
        FitConfig::new()
            .with_optimizer(OptimizerKind::Sgd { momentum: 0.9, nesterov: false })
            .with_learning_rate(self.learning_rate)
            .with_batch_size(batch_size)
            .with_epochs(steps)
    }
}

#[derive(Clone, Copy)]
enum Loss {
    NtXent,
    Dcl,
    Dclw,
}

#[derive(Clone, Copy)]
struct Arm {
    loss: Loss,
    batch_size: usize,
    steps: usize,
}

const LOSSES: [(&str, Loss); 3] = [("NT-Xent", Loss::NtXent), ("DCL", Loss::Dcl), ("DCLW", Loss::Dclw)];
const NUMBERS: [&str; 5] = ["coupling", "5-NN", "-uniformity", "tolerance", "seconds"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = s
        .batch_sizes
        .iter()
        .zip(&s.steps)
        .flat_map(|(&batch_size, &steps)| {
            LOSSES.map(|(name, loss)| (format!("batch {batch_size}: {name}"), Arm { loss, batch_size, steps }))
        })
        .collect();
    let measured = Measurements::collect(context, "glyphs", &arms, s.seeds, |arm, seed| {
        measure(&s, ViewTask::glyphs(s.classes, s.images_per_class, seed)?, *arm, seed)
    })?;
    let arm = |batch: usize, loss: &str| format!("batch {batch}: {loss}");
    let rise = |from: usize, to: usize| {
        measured.evidence("coupling", [&arm(to, "NT-Xent"), &arm(from, "NT-Xent")], |[to, from]| to - from)
    };
    let gain = |batch: usize| measured.evidence("5-NN", [&arm(batch, "DCL"), &arm(batch, "NT-Xent")], |[d, n]| d - n);
    let four = [&arm(8, "DCL"), &arm(8, "NT-Xent"), &arm(128, "DCL"), &arm(128, "NT-Xent")];
    let within = measured.arms().flat_map(|arm| {
        let [low, high] = ["lowest coupling", "highest coupling"].map(|number| measured.values(arm, number));
        low.into_iter().chain(high.into_iter().map(|high| 1.0 - high)).collect::<Vec<f64>>()
    });
    let evidence = [
        rise(8, 32),
        rise(32, 128),
        Evidence::margins(&within.collect::<Vec<f64>>()),
        identity(s.temperature),
        gain(32),
        gain(128),
        measured.evidence("5-NN", four.map(String::as_str), |[d8, n8, d128, n128]| (d8 - n8) - (d128 - n128)),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Glyphs (mean ± s.d. over seeds)", &NUMBERS));
    findings.notes.push(
        "DCL and DCLW are halved, so that all losses are means over the anchors. At one learning rate a decoupled loss takes the \
         larger steps, by one over the coupling; in small batches, where the coupling is small, the comparison is also one of \
         step sizes. In large ones the coupling is near 1, and there is little left to gain."
            .into(),
    );
    if s.real_seeds > 0 {
        match digits(context)? {
            Some(images) => {
                let found = Measurements::collect(context, "digits", &arms, s.real_seeds, |arm, seed| {
                    measure(&s, ViewTask::new(images.clone(), seed)?, *arm, seed)
                })?;
                findings.tables.push(found.table(DIGITS, &NUMBERS));
                findings.measurements.extend(found.lines());
            }
            None => findings.notes.push(NO_DIGITS.into()),
        }
    }
    Ok(findings)
}

fn measure(s: &Settings, mut task: ViewTask, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    // Weak views: positives are easy, and the coupling matters.
    task.augmentation = ImageAugmentation { dropout: 0.05, brightness: 0.1, noise: 0.05, ..task.augmentation };
    let config = s.fit(arm.batch_size, arm.steps);
    let t = s.temperature;
    let nt_xent = NtXentLossConfig::new().with_temperature(t).with_normalize(false).init();
    let dcl = DclLossConfig::new().with_temperature(t).with_normalize(false).init();
    let dclw = DclwLossConfig::new().with_temperature(t).with_sigma(s.sigma).with_normalize(false).init();
    let mut coupling = Vec::new();
    let encoder = task.fit_pairs(&config, seed, |views| {
        let (first, second) = views.pair();
        let [x, y] = [first.clone(), second.clone()].map(Tensor::without_autodiff);
        coupling.push(f64::from(negative_positive_coupling(x, y, t).mean().into_scalar::<f32>()));
        match arm.loss {
            Loss::NtXent => nt_xent.forward(first, second),
            Loss::Dcl => dcl.forward(first, second).mul_scalar(0.5),
            Loss::Dclw => dclw.forward(first, second).mul_scalar(0.5),
        }
    })?;
    let mut measured = task.measure(&encoder)?;
    measured.insert("coupling", mean(&coupling[coupling.len() / 2..]));
    measured.insert("lowest coupling", coupling.iter().copied().fold(f64::INFINITY, f64::min));
    measured.insert("highest coupling", coupling.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// `gradient of NT-Xent_i = q_i x gradient of DCL_i` with respect to both views of all items, row by row in f64.
fn identity(temperature: f64) -> Evidence {
    const BATCHES: usize = 10;
    const ITEMS: usize = 10;
    const DIM: usize = 8;
    const BOUND: f64 = 1e-9;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
    let device = Device::flex().autodiff();
    let mut rows = || directions(ITEMS, DIM, &device, rng).detach().require_grad();
    let nt_xent = NtXentLossConfig::new().with_temperature(temperature).with_normalize(false).init();
    let dcl =
        DclLossConfig::new().with_temperature(temperature).with_direction(Direction::OneWay).with_normalize(false);
    let dcl = dcl.init();
    let mut margins = Vec::new();
    for _ in 0..BATCHES {
        let (x, y) = (rows(), rows());
        let gradient = |loss: Tensor<1>| -> Vec<f64> {
            let gradients = loss.backward();
            let each = [&x, &y].map(|rows| rows.grad(&gradients).expect("the loss depends on both views"));
            each.into_iter().flat_map(|gradient| gradient.into_data().iter::<f64>().collect::<Vec<f64>>()).collect()
        };
        let coupling = negative_positive_coupling(x.clone(), y.clone(), temperature).into_data();
        for (i, q) in coupling.iter::<f64>().enumerate() {
            let of_row = |losses: Tensor<1>| gradient(losses.narrow(0, i, 1));
            let coupled = of_row(nt_xent.forward_no_reduction(x.clone(), y.clone(), None));
            let decoupled = of_row(dcl.forward_no_reduction(x.clone(), y.clone(), None));
            let largest = coupled.iter().fold(0.0f64, |largest, g| largest.max(g.abs()));
            let error = coupled.iter().zip(&decoupled).fold(0.0f64, |worst, (c, d)| worst.max((c - q * d).abs()));
            margins.push(BOUND - error / largest);
        }
    }
    Evidence::margins(&margins)
}
