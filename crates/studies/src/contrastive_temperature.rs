//! The temperature of InfoNCE: uniformity against tolerance, and what hard negatives change about it.

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, best_by, mean};
use crate::views::{self, DIGITS, NEIGHBOURS, NO_DIGITS, ViewTask, digits, directions, numbers};
use burn::tensor::{Device, Tensor};
use contrarian::contrastive::{
    HardContrastiveLossConfig, InfoNceLossConfig, SimpleContrastiveLossConfig, penalty_distribution,
};
use contrarian_lab::embedding::{mean_penalty_entropy, temperature_sweep};
use contrarian_lab::fit::FitConfig;
use contrarian_lab::stats::Sides;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "generated glyphs and a small encoder instead of photographs and a ResNet; accuracy of 5 nearest neighbours \
                       instead of a linear probe; negatives are those of the batch";
const TABLE: &str = "linear accuracy on CIFAR-10 of 79.75, 83.27, 82.69 and 82.21 at temperature .07, .3, .7 and 1, 74.83 with the \
                     simple loss; 79.2, 83.63, 84.19 and 84.19 with the hard one (table 1, from memory)";
const FIGURES: &str = "uniformity falls and tolerance rises with the temperature (figures)";

const fn gain(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64) -> Claim {
    let test = Test::Gain { smallest, alpha: 0.05, sides: Sides::Two };
    Claim { id, statement, reported, differs: DIFFERS, test }
}

const CLAIMS: &[Claim] = &[
    gain("uniformity", "-uniformity at temperature .1 exceeds that at 1 by more than .2", FIGURES, 0.2),
    gain("tolerance", "tolerance at temperature 1 exceeds that at .1 by more than .05", FIGURES, 0.05),
    gain(
        "low-over-high",
        "5-NN accuracy at temperature .1 or .3, whichever is better in the mean, exceeds that at 1 by more than .03",
        TABLE,
        0.03,
    ),
    gain("simple-is-worst", "5-NN accuracy of the worst other arm exceeds that of the simple loss", TABLE, 0.0),
    gain(
        "hard-is-flat",
        "-uniformity of the hard loss differs less than half as much between temperature .3 and 1 as that of InfoNCE",
        "hard negatives keep uniformity at high temperatures (figure)",
        0.0,
    ),
    gain("hard-over-plain", "5-NN accuracy of the hard loss at temperature 1 exceeds that of InfoNCE at 1", TABLE, 0.0),
    Claim {
        id: "exact",
        statement: "the positive gradient is the sum of the negative ones (to 1e-12), and the entropy of the penalty rises along \
                    temperatures .05 to 5, for random rows",
        reported: "equations 3 to 5",
        differs: "",
        test: Test::Always,
    },
    gain(
        "interior-optimum",
        "5-NN accuracy at temperature .3 or .7, whichever is better in the mean, exceeds both that at .1 and that at 1",
        "a good choice of temperature compromises: the best is inside the range (abstract, table 1)",
        0.0,
    ),
];

pub const STUDY: Study = Study {
    id: "contrastive-temperature",
    title: "Understanding the Behaviour of Contrastive Loss",
    authors: "Wang, Liu 2020",
    arxiv: "2012.09740",
    summary: "An encoder learns from augmented views of generated glyphs with InfoNCE at four temperatures, with its limit at \
              high ones (the simple loss), and with the hardest quarter of the negatives only. Uniformity and tolerance of the \
              space and the neighbours of held-out images tell what the temperature does. Real digits where the data folder \
              has them (descriptive).",
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
    steps: usize,
    warm_up_steps: usize,
    batch_size: usize,
    learning_rate: f64,
    real_seeds: usize,
    all_arms: bool,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            classes: 40,
            images_per_class: 40,
            steps: 250,
            warm_up_steps: 80,
            batch_size: 128,
            learning_rate: 1e-3,
            real_seeds: 5,
            all_arms: true,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 1, classes: 10, images_per_class: 30, steps: 30, real_seeds: 0, all_arms: false, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, real_seeds: 20, ..base },
        }
    }

    fn fit(&self) -> FitConfig {
        FitConfig::new()
            .with_learning_rate(self.learning_rate)
            .with_weight_decay(1e-5)
            .with_batch_size(self.batch_size)
            .with_epochs(self.steps)
    }
}

#[derive(Clone, Copy)]
enum Arm {
    InfoNce(f64),
    Simple,
    /// The hardest negatives only, after a warm-up: from random weights every embedding would fall into one.
    Hard(f64),
    HardSimple,
}

const PLAIN: [&str; 4] = ["InfoNCE .1", "InfoNCE .3", "InfoNCE .7", "InfoNCE 1"];
const SIMPLE: &str = "simple";
const HARD: [&str; 2] = ["hard .3", "hard 1"];
const HARD_SIMPLE: &str = "hard simple";
/// The arms of the smoke preset come first.
const ARMS: [(&str, Arm); 8] = [
    (PLAIN[0], Arm::InfoNce(0.1)),
    (PLAIN[3], Arm::InfoNce(1.0)),
    (PLAIN[1], Arm::InfoNce(0.3)),
    (PLAIN[2], Arm::InfoNce(0.7)),
    (SIMPLE, Arm::Simple),
    (HARD[0], Arm::Hard(0.3)),
    (HARD[1], Arm::Hard(1.0)),
    (HARD_SIMPLE, Arm::HardSimple),
];
/// Share of the negatives that the hard losses keep.
const FRACTION: f64 = 0.25;
const WARM_UP_TEMPERATURE: f64 = 0.2;
const NUMBERS: [&str; 5] = ["-uniformity", "tolerance", "5-NN", "penalty entropy", "seconds"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    views::check(STUDY.id, [s.classes, s.images_per_class], &[&s.fit()])?;
    let arms: Vec<(String, Arm)> =
        ARMS[..if s.all_arms { ARMS.len() } else { 2 }].iter().map(|&(name, arm)| (name.to_string(), arm)).collect();
    let measured = Measurements::collect(context, "glyphs", &arms, s.seeds, |arm, seed| {
        measure(&s, &ViewTask::glyphs(s.classes, s.images_per_class, seed)?, *arm, seed)
    })?;
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence(&measured)).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Glyphs (mean ± s.d. over seeds)", &NUMBERS));
    findings.notes.push(format!(
        "The penalty entropy is of InfoNCE's shares at the arm's own temperature, meaned over training; {:.2} is the logarithm \
         of the negatives, and the simple loss has no temperature.",
        (s.batch_size as f64 - 1.0).ln()
    ));
    if s.all_arms {
        findings.notes.push(format!(
            "The hard losses keep the hardest quarter of the negatives and start after {} steps of InfoNCE at temperature .2: \
             from random weights, with batches of this size, every embedding falls into one.",
            s.warm_up_steps
        ));
        findings.notes.push(
            "Where no temperature inside the range is the best, the likely reason is that few negatives are wrong here: with 40 \
             classes one of forty is of the anchor's own class, and there is little for tolerance to save."
                .into(),
        );
    }
    if s.real_seeds > 0 {
        match digits(context)? {
            Some(images) => {
                let found = Measurements::collect(context, "digits", &arms, s.real_seeds, |arm, seed| {
                    measure(&s, &ViewTask::new(images.clone(), seed)?, *arm, seed)
                })?;
                findings.tables.push(found.table(DIGITS, &NUMBERS));
                findings.measurements.extend(found.lines());
            }
            None => findings.notes.push(NO_DIGITS.into()),
        }
    }
    Ok(findings)
}

/// In the order of the claims.
fn evidence(measured: &Measurements) -> [Evidence; 8] {
    let [tenth, third, seventh, one] = PLAIN;
    let minus = |number: &str, treatment: &str, control: &str| {
        measured.evidence(number, [treatment, control], |[treatment, control]| treatment - control)
    };
    let trained = |arm: &str| measured.arms().any(|name| name == arm);
    // One choice for all seeds. An arm that was not trained stays in, and leaves the claim untested.
    let better = |arms: [&'static str; 2]| {
        let of = |arm: &&str| if trained(arm) { measured.mean(arm, "5-NN") } else { f64::INFINITY };
        best_by(arms, of).expect("there are two")
    };
    let lowest = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let [hard_third, hard_one] = HARD;
    [
        minus("-uniformity", tenth, one),
        minus("tolerance", one, tenth),
        minus("5-NN", better([tenth, third]), one),
        measured.evidence(
            "5-NN",
            [SIMPLE, tenth, third, seventh, one, hard_third, hard_one, HARD_SIMPLE],
            |[simple, others @ ..]| lowest(&others) - simple,
        ),
        measured.evidence("-uniformity", [third, one, hard_third, hard_one], |[low, high, hard_low, hard_high]| {
            0.5 * (low - high).abs() - (hard_low - hard_high).abs()
        }),
        minus("5-NN", hard_one, one),
        exact(),
        measured.evidence("5-NN", [better([third, seventh]), tenth, one], |[inside, low, high]| inside - low.max(high)),
    ]
}

fn measure(s: &Settings, task: &ViewTask, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let config = s.fit();
    let info_nce = |t: f64| InfoNceLossConfig::new().with_temperature(t).with_normalize(false).init();
    let warm = info_nce(WARM_UP_TEMPERATURE);
    let mut measured = match arm {
        Arm::InfoNce(temperature) => {
            let [train, test] = task.examples();
            let training = task.training(&task.train.x, 2, &config, seed);
            let rows = temperature_sweep(&training, train, test, &[temperature], NEIGHBOURS);
            let row = rows.map_err(|error| error.to_string())?.remove(0);
            let mut measured = numbers(row.space)?;
            measured.insert("penalty entropy", mean(&row.penalty_entropy));
            measured
        }
        Arm::Hard(temperature) => {
            let hard = HardContrastiveLossConfig::new()
                .with_temperature(temperature)
                .with_fraction(FRACTION)
                .with_normalize(false)
                .init();
            let mut entropy = Vec::new();
            let encoder = task.fit_pairs(&config, seed, |views| {
                let (first, second) = views.pair();
                entropy.push(mean_penalty_entropy(first.clone(), second.clone(), temperature));
                if views.step < s.warm_up_steps { warm.forward(first, second) } else { hard.forward(first, second) }
            })?;
            let mut measured = task.measure(&encoder)?;
            measured.insert("penalty entropy", mean(&entropy));
            measured
        }
        Arm::Simple | Arm::HardSimple => {
            let (fraction, warm_up) = if matches!(arm, Arm::Simple) { (1.0, 0) } else { (FRACTION, s.warm_up_steps) };
            let simple = SimpleContrastiveLossConfig::new().with_fraction(fraction).with_normalize(false).init();
            let encoder = task.fit_pairs(&config, seed, |views| {
                let (first, second) = views.pair();
                if views.step < warm_up { warm.forward(first, second) } else { simple.forward(first, second) }
            })?;
            task.measure(&encoder)?
        }
    };
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// The gradient's balance and the entropy along the temperature, on random rows in f64.
fn exact() -> Evidence {
    const TEMPERATURES: [f64; 8] = [0.05, 0.1, 0.2, 0.3, 0.7, 1.0, 2.0, 5.0];
    const ITEMS: usize = 64;
    const DIM: usize = 16;
    const BOUND: f64 = 1e-12;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
    let mut rows = || directions(ITEMS, DIM, &Device::flex(), rng);
    let (anchors, positives) = (rows(), rows());
    let of = |values: Tensor<1>| values.into_data().iter::<f64>().collect::<Vec<f64>>();
    let mut margins = Vec::new();
    let mut last: Option<Vec<f64>> = None;
    for temperature in TEMPERATURES {
        let found = penalty_distribution(anchors.clone(), positives.clone(), None, temperature);
        let found = found.expect("the temperatures are above 0");
        let pull = of(found.positive_gradient).into_iter().map(f64::abs);
        let push = of(found.negative_gradient.sum_dim(1).reshape([ITEMS]));
        margins.extend(pull.zip(push).map(|(pull, push)| BOUND - (pull - push).abs() / pull));
        let entropy = of(found.entropy);
        if let Some(last) = last {
            margins.extend(entropy.iter().zip(last).map(|(entropy, last)| entropy - last));
        }
        last = Some(entropy);
    }
    Evidence::margins(&margins)
}
