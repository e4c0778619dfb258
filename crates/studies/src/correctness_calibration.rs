//! Correctness-aware calibration: confidences that tell right from wrong, in and out of distribution.

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Chart, Findings, Series};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, fit_objective};
use contrarian::calibration::{TemperatureObjective, reliability_bins};
use contrarian_lab::calibration::{Calibrator, Method, Outputs, PostHocCalibrator, PostHocConfig, score};
use contrarian_lab::data::generate::gaussian_classes;
use contrarian_lab::data::{Dataset, Matrix, Transform};
use contrarian_lab::fit::{FitConfig, logits, softmax};
use contrarian_lab::metrics::Predictions;
use contrarian_lab::model::{Mlp, MlpConfig};
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

const DIFFERS: &str = "a generated problem of 20 classes, an MLP and vector transforms instead of ImageNet, deep networks and \
                       rotation, grey and colour jitter";
const REPORTED: &str =
    "competitive calibration on in-distribution and out-of-distribution test sets (abstract; no figure verified)";

const fn claim(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64) -> Claim {
    Claim { id, statement, reported, differs: DIFFERS, test: Test::Gain { smallest, alpha: 0.05, sides: Sides::Two } }
}

const CLAIMS: &[Claim] = &[
    claim(
        "ece-shift-1",
        "shift 1: ECE of temperature scaling exceeds that of balanced CA by more than .05",
        REPORTED,
        0.05,
    ),
    claim(
        "ece-shift-2",
        "shift 2: ECE of temperature scaling exceeds that of balanced CA by more than .05",
        REPORTED,
        0.05,
    ),
    claim("auroc-shift-1", "shift 1: AUROC of balanced CA exceeds that of temperature scaling", REPORTED, 0.0),
    claim("auroc-shift-2", "shift 2: AUROC of balanced CA exceeds that of temperature scaling", REPORTED, 0.0),
    claim(
        "narrowly-wrong",
        "wrong predictions whose true class has more than .3 (all test sets): the cross-entropy network's mean confidence \
         exceeds that of balanced CA",
        "narrowly wrong predictions stay confident under cross-entropy; CA lowers them (abstract)",
        0.0,
    ),
    claim(
        "in-distribution",
        "in distribution: ECE of balanced CA is at most that of temperature scaling plus .02 (registered as expected to fail)",
        REPORTED,
        0.0,
    ),
];

pub const STUDY: Study = Study {
    id: "correctness-calibration",
    title: "Optimizing Calibration by Gaining Aware of Prediction Correctness",
    authors: "Liu, Wang, Zou et al. 2024",
    arxiv: "2404.13016",
    summary: "An MLP grows over-confident on 20 Gaussian classes. Temperature networks that see noised, thinned and rescaled \
              copies of each input are trained on a calibration set with the correctness-aware loss (balanced and plain) and \
              with cross-entropy, against temperature, ensemble and vector scaling, histogram and isotonic calibration, in \
              distribution and under two shifts. An ablation learns one temperature with the balanced loss.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_rows: usize,
    calibration_rows: usize,
    test_rows: usize,
    epochs: usize,
    calibrator_epochs: usize,
    all_arms: bool,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            train_rows: 1500,
            calibration_rows: 5000,
            test_rows: 5000,
            epochs: 40,
            calibrator_epochs: 30,
            all_arms: true,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                train_rows: 300,
                calibration_rows: 300,
                test_rows: 300,
                epochs: 5,
                calibrator_epochs: 5,
                all_arms: false,
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }
}

#[derive(Clone, Copy)]
enum Arm {
    Uncalibrated,
    Fitted(Method),
    Network(TemperatureObjective, usize),
}

const TEMPERATURE: &str = "temperature scaling";
const CROSS_ENTROPY: &str = "cross-entropy network";
const BALANCED: &str = "CA network, balanced";
/// The arms the claims need come first; the smoke preset runs no others.
const CORE: usize = 5;
const FOLLOWED: usize = 4;
const ARMS: [(&str, Arm); 10] = [
    ("uncalibrated", Arm::Uncalibrated),
    (TEMPERATURE, Arm::Fitted(Method::Temperature)),
    (CROSS_ENTROPY, Arm::Network(TemperatureObjective::CrossEntropy, FOLLOWED)),
    ("CA network, plain", Arm::Network(TemperatureObjective::CorrectnessAwareUnweighted, FOLLOWED)),
    (BALANCED, Arm::Network(TemperatureObjective::CorrectnessAware, FOLLOWED)),
    ("CA balanced, one temperature", Arm::Network(TemperatureObjective::CorrectnessAware, 0)),
    ("ensemble scaling", Arm::Fitted(Method::Ensemble)),
    ("vector scaling", Arm::Fitted(Method::Vector)),
    ("histogram binning", Arm::Fitted(Method::Histogram)),
    ("isotonic", Arm::Fitted(Method::Isotonic)),
];

const CLASSES: usize = 20;
const INPUTS: usize = 16;
/// Name, noise and constant offset of each test set; the first is the training distribution.
const SETS: [(&str, f64, f32); 3] = [("in distribution", 1.1, 0.0), ("shift 1", 1.6, 0.0), ("shift 2", 2.2, 0.5)];
/// Numbers measured on each test set.
const NUMBERS: [[&str; 8]; 3] = [
    ["ECE", "adaptive ECE", "SKCE", "KS", "Brier", "AUROC", "log-loss", "accuracy"],
    [
        "ECE, shift 1",
        "adaptive ECE, shift 1",
        "SKCE, shift 1",
        "KS, shift 1",
        "Brier, shift 1",
        "AUROC, shift 1",
        "log-loss, shift 1",
        "accuracy, shift 1",
    ],
    [
        "ECE, shift 2",
        "adaptive ECE, shift 2",
        "SKCE, shift 2",
        "KS, shift 2",
        "Brier, shift 2",
        "AUROC, shift 2",
        "log-loss, shift 2",
        "accuracy, shift 2",
    ],
];
const NARROW: &str = "confidence, narrowly wrong";
const NARROW_ROWS: &str = "narrowly wrong rows";
const CLAMPED: &str = "clamped temperatures";
/// True-class probability from which a wrong prediction is narrowly wrong.
const NARROW_ABOVE: f64 = 0.3;
const REPORT_BINS: usize = 15;

/// What a classifier says about labelled rows.
struct Said {
    outputs: Outputs,
    labels: Vec<usize>,
}

/// A trained classifier's words on the calibration set and the three test sets.
struct Prepared {
    calibration: Said,
    tests: [Said; 3],
}

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let prepared: Vec<Mutex<Option<Prepared>>> = (0..s.seeds).map(|_| Mutex::new(None)).collect();
    let classifier = [("MLP 16-128-128-20".to_string(), ())];
    let classifiers = Measurements::collect(context, "classifier", &classifier, s.seeds, |(), seed| {
        let words = prepare(&s, seed)?;
        let measured = SETS.iter().zip(&words.tests).map(|((name, ..), said)| (*name, said.accuracy())).collect();
        *prepared[seed as usize].lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
        Ok(measured)
    })?;
    let prepared: Vec<Prepared> = prepared
        .into_iter()
        .map(|cell| cell.into_inner().unwrap_or_else(PoisonError::into_inner).expect("every seed was prepared"))
        .collect();

    let count = if s.all_arms { ARMS.len() } else { CORE };
    let arms: Vec<(String, Arm)> = ARMS[..count].iter().map(|&(name, arm)| (name.to_string(), arm)).collect();
    let measured = Measurements::collect(context, "calibration", &arms, s.seeds, |&arm, seed| {
        measure(&s, &prepared[seed as usize], arm, seed)
    })?;
    let mut findings = Findings::default();
    let paired = |more: &str, less: &str, number: &str| {
        Evidence::paired(&measured.values(more, number), &measured.values(less, number))
    };
    let within: Vec<f64> = measured
        .values(TEMPERATURE, "ECE")
        .iter()
        .zip(measured.values(BALANCED, "ECE"))
        .map(|(t, c)| t + 0.02 - c)
        .collect();
    let evidence = [
        paired(TEMPERATURE, BALANCED, "ECE, shift 1"),
        paired(TEMPERATURE, BALANCED, "ECE, shift 2"),
        paired(BALANCED, TEMPERATURE, "AUROC, shift 1"),
        paired(BALANCED, TEMPERATURE, "AUROC, shift 2"),
        paired(CROSS_ENTROPY, BALANCED, NARROW),
        Evidence::Differences(within),
    ];
    findings.claims = CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect();
    findings
        .tables
        .push(classifiers.table("Accuracy of the classifiers (mean ± s.d. over seeds)", &SETS.map(|set| set.0)));
    for ((name, ..), numbers) in SETS.iter().zip(&NUMBERS) {
        findings.tables.push(measured.table(&format!("Calibrators, {name} (mean ± s.d. over seeds)"), numbers));
    }
    findings.tables.push(measured.table("Narrowly wrong predictions, all test sets", &[NARROW, NARROW_ROWS, CLAMPED]));
    if let Some(first) = prepared.first() {
        for set in 0..SETS.len() {
            findings.charts.push(reliability(&s, first, set, &arms)?);
        }
    }
    if s.all_arms {
        findings.notes.push(reading(&measured));
    }
    findings.measurements = classifiers.lines().into_iter().chain(measured.lines()).collect();
    Ok(findings)
}

/// Where the gain comes from: the ablation beside the full method.
fn reading(measured: &Measurements) -> String {
    let ece = |arm: &str, number: &str| measured.mean(arm, number);
    format!(
        "With one temperature for all rows, balanced weights alone reach an ECE of {:.3}, {:.3} and {:.3} (in distribution, \
         shift 1, shift 2); the network with the transformed copies reaches {:.3}, {:.3} and {:.3}. Balancing counts half of \
         the rows as wrong, which lowers every confidence: right where the shift makes half of them wrong, and too low in \
         distribution. Where a claim fails in distribution, that is the likely reason.",
        ece("CA balanced, one temperature", "ECE"),
        ece("CA balanced, one temperature", "ECE, shift 1"),
        ece("CA balanced, one temperature", "ECE, shift 2"),
        ece(BALANCED, "ECE"),
        ece(BALANCED, "ECE, shift 1"),
        ece(BALANCED, "ECE, shift 2"),
    )
}

/// Trains the classifier and asks it about every set. The generator draws centres and rows from the seed whatever the noise,
/// so sets of other noise are later rows of the same draw: the same centres, other rows.
fn prepare(s: &Settings, seed: u64) -> Result<Prepared, String> {
    let rows = s.train_rows + s.calibration_rows + SETS.len() * s.test_rows;
    let draw = |noise: f64| gaussian_classes(rows, CLASSES, INPUTS, 1.0, noise, seed);
    let parts = |data: Dataset| data.parts([s.train_rows, s.calibration_rows, s.test_rows, s.test_rows, s.test_rows]);
    let [train, calibration, in_distribution, ..] = parts(draw(SETS[0].1));
    let [_, _, _, first, _] = parts(draw(SETS[1].1));
    let [.., second] = parts(draw(SETS[2].1));
    let model = MlpConfig::new(INPUTS, CLASSES).with_width(128);
    let config = FitConfig::new().with_learning_rate(2e-3).with_epochs(s.epochs);
    let (mlp, _) = fit_objective(&train, "cross-entropy", &model, &config, seed)?;
    let mut tests = [in_distribution, first, second];
    for (test, (_, _, offset)) in tests.iter_mut().zip(SETS) {
        test.x.data.iter_mut().for_each(|value| *value += offset);
    }
    Ok(Prepared {
        calibration: Said::new(&mlp, calibration, seed),
        tests: tests.map(|data| Said::new(&mlp, data, seed)),
    })
}

impl Said {
    fn new(model: &Mlp, data: Dataset, seed: u64) -> Self {
        let copy = |(index, transform): (usize, &Transform)| -> Matrix {
            logits(model, &transform.apply(&data.x, seed * Transform::TABULAR.len() as u64 + index as u64))
        };
        let copies = Transform::TABULAR.iter().enumerate().map(copy).collect();
        Self { outputs: Outputs { logits: logits(model, &data.x), copies }, labels: data.y }
    }

    fn with(&self, probabilities: Vec<f64>) -> Predictions {
        Predictions { probabilities, classes: CLASSES, labels: self.labels.clone() }
    }

    fn accuracy(&self) -> f64 {
        let uncalibrated = self.with(softmax(&self.outputs.logits));
        contrarian_lab::metrics::evaluate(
            contrarian_lab::metrics::Metric::Accuracy,
            &uncalibrated,
            contrarian_lab::metrics::Decision::Argmax,
        )
        .unwrap_or(0.0)
    }
}

/// A fitted arm; nothing for the classifier as it is.
fn fit(s: &Settings, calibration: &Said, arm: Arm, seed: u64) -> Result<Option<Calibrator>, String> {
    let said = &calibration.outputs;
    match arm {
        Arm::Uncalibrated => Ok(None),
        Arm::Fitted(method) => Calibrator::fit(method, said, &calibration.labels, seed, None).map(Some),
        Arm::Network(objective, top_k) => {
            let base = PostHocConfig::default();
            let config = PostHocConfig { objective, top_k, fit: base.fit.with_epochs(s.calibrator_epochs) };
            PostHocCalibrator::fit(said, &calibration.labels, &config, seed, None)
                .map(|net| Some(Calibrator::CorrectnessAware(net)))
        }
    }
    .map_err(|error| error.to_string())
}

fn apply(calibrator: Option<&Calibrator>, said: &Said) -> Result<Predictions, String> {
    let probabilities = match calibrator {
        None => softmax(&said.outputs.logits),
        Some(calibrator) => calibrator.apply(&said.outputs).map_err(|error| error.to_string())?,
    };
    Ok(said.with(probabilities))
}

fn measure(s: &Settings, prepared: &Prepared, arm: Arm, seed: u64) -> Result<Measured, String> {
    let calibrator = fit(s, &prepared.calibration, arm, seed)?;
    let mut measured = Measured::new();
    let (mut confidence, mut rows) = (0.0, 0.0);
    for (said, names) in prepared.tests.iter().zip(&NUMBERS) {
        let predictions = apply(calibrator.as_ref(), said)?;
        let found = score(&predictions).map_err(|error| error.to_string())?;
        let e = found.errors;
        let values = [
            e.ece,
            e.adaptive_ece,
            e.kernel,
            e.ks,
            e.top1_brier,
            e.auroc.unwrap_or(0.5),
            found.log_loss,
            found.accuracy,
        ];
        measured.extend(names.iter().copied().zip(values));
        // Which predictions are narrowly wrong is the classifier's own matter, the same for every arm.
        let own = softmax(&said.outputs.logits);
        for ((own, p), &y) in own.chunks(CLASSES).zip(predictions.probabilities.chunks(CLASSES)).zip(&said.labels) {
            if own[y] > NARROW_ABOVE && own.iter().any(|&other| other > own[y]) {
                confidence += p.iter().copied().fold(0.0, f64::max);
                rows += 1.0;
            }
        }
    }
    measured.insert(NARROW, if rows > 0.0 { confidence / rows } else { 0.0 });
    measured.insert(NARROW_ROWS, rows);
    if let Some(Calibrator::CorrectnessAware(net)) = &calibrator {
        measured.insert(CLAMPED, net.clamped);
    }
    Ok(measured)
}

/// Reliability of the first seed's arms on one test set.
fn reliability(s: &Settings, first: &Prepared, set: usize, arms: &[(String, Arm)]) -> Result<Chart, StudyError> {
    let failed = |arm: &str, reason: String| StudyError::Fit { arm: arm.into(), seed: 0, reason };
    let mut series = Vec::new();
    for (name, arm) in &arms[..CORE] {
        let calibrator = fit(s, &first.calibration, *arm, 0).map_err(|reason| failed(name, reason))?;
        let predictions = apply(calibrator.as_ref(), &first.tests[set]).map_err(|reason| failed(name, reason))?;
        let rows = predictions.probabilities.chunks(CLASSES);
        let (confidence, correct): (Vec<f64>, Vec<bool>) = rows
            .zip(&predictions.labels)
            .map(|(p, &y)| {
                let top = (1..CLASSES).fold(0, |best, class| if p[class] > p[best] { class } else { best });
                (p[top], top == y)
            })
            .unzip();
        let bins = reliability_bins(&confidence, &correct, REPORT_BINS).into_iter().filter(|bin| bin.count > 0);
        series.push(Series { name: name.clone(), points: bins.map(|bin| (bin.confidence, bin.accuracy)).collect() });
    }
    series.push(Series { name: "perfect calibration".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] });
    Ok(Chart {
        title: format!("Reliability, {} (first seed)", SETS[set].0),
        x_label: "confidence".into(),
        y_label: "part that is right".into(),
        series,
    })
}
