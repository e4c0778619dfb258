//! AnyLoss: does training for a metric raise that metric on rare positives?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::Findings;
use crate::real::{NUMBERS, on_real_tables};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, fit_objective, mean, metric, predictions};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::AnyLossConfig;
use contrarian_lab::data::generate::rare_positives;
use contrarian_lab::fit::FitConfig;
use contrarian_lab::metrics::{Decision, Metric, best_threshold};
use contrarian_lab::model::{Activation, MlpConfig, Mode};
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};

const fn gain(id: &'static str, statement: &'static str, smallest: f64, reported: &'static str) -> Claim {
    let test = Test::Gain { smallest, alpha: 0.05, sides: Sides::Two };
    let differs = "generated data with 8% positives instead of the paper's 102 tables; a paired t-test over seeds";
    Claim { id, statement, reported, differs, test }
}

const REPORTED: &str =
    "\"Huge Titanic\", single layer: F1 .734 (BCE) and .739 (AnyLoss), balanced accuracy .786 and .788";
const ACCURACY: &str = "\"Huge Titanic\", single layer: accuracy .806 (BCE) and .814 (AnyLoss)";

const CLAIMS: &[Claim] = &[
    gain("f1-linear", "single layer: F1 of AnyLoss-F1 exceeds that of BCE by more than .03", 0.03, REPORTED),
    gain("f1-mlp", "MLP 12-8-1: F1 of AnyLoss-F1 exceeds that of BCE by more than .03", 0.03, REPORTED),
    gain(
        "balanced-linear",
        "single layer: balanced accuracy of AnyLoss-BA exceeds BCE's by more than .05",
        0.05,
        REPORTED,
    ),
    gain("balanced-mlp", "MLP 12-8-1: balanced accuracy of AnyLoss-BA exceeds BCE's by more than .05", 0.05, REPORTED),
    gain("g-mean-linear", "single layer: G-mean of AnyLoss-GM exceeds BCE's by more than .05", 0.05, REPORTED),
    gain("g-mean-mlp", "MLP 12-8-1: G-mean of AnyLoss-GM exceeds BCE's by more than .05", 0.05, REPORTED),
    gain("accuracy-linear", "single layer: accuracy of AnyLoss-accuracy exceeds BCE's", 0.0, ACCURACY),
    gain("accuracy-mlp", "MLP 12-8-1: accuracy of AnyLoss-accuracy exceeds BCE's", 0.0, ACCURACY),
];

pub const STUDY: Study = Study {
    id: "any-loss",
    title: "AnyLoss: Transforming Classification Metrics into Loss Functions",
    authors: "Han, Moniz, Chawla 2024",
    arxiv: "2405.14745",
    summary: "A single layer and a small MLP learn rare positives (8%) with squared error, cross-entropy and AnyLoss for four \
              metrics; each is judged by each metric at one half, and cross-entropy also at a threshold chosen on \
              validation. Descriptive: F1 and the size of the first gradient over the scale of the amplifier.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_rows: usize,
    test_rows: usize,
    epochs: usize,
    batch_size: usize,
    learning_rate: f64,
    mlp: bool,
    all_metrics: bool,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            train_rows: 2000,
            test_rows: 10_000,
            epochs: 60,
            batch_size: 256,
            learning_rate: 0.01,
            mlp: true,
            all_metrics: true,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 1, train_rows: 400, test_rows: 1000, epochs: 5, mlp: false, all_metrics: false, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn fit(&self) -> FitConfig {
        FitConfig::new()
            .with_learning_rate(self.learning_rate)
            .with_batch_size(self.batch_size)
            .with_epochs(self.epochs)
    }
}

/// What an arm trains: a model and an objective.
struct Arm {
    hidden: bool,
    objective: String,
}

const METRICS: [(&str, &str, Metric); 4] = [
    ("any-acc", "accuracy", Metric::Accuracy),
    ("any-F1", "f_beta", Metric::F1),
    ("any-BA", "balanced_accuracy", Metric::BalancedAccuracy),
    ("any-GM", "g_mean", Metric::GMean),
];
const SCALES: [f64; 4] = [10.0, 30.0, 73.0, 110.0];
const INPUTS: usize = 12;

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let models: &[(&str, bool)] =
        if s.mlp { &[("single layer", false), ("MLP-8", true)] } else { &[("single layer", false)] };
    let mut arms = Vec::new();
    for &(model, hidden) in models {
        let mut arm =
            |name: &str, objective: String| arms.push((format!("{model}, {name}"), Arm { hidden, objective }));
        arm("BCE", "logistic".into());
        if s.all_metrics {
            arm("MSE", "mse".into());
        }
        for (name, metric, _) in METRICS.iter().filter(|m| s.all_metrics || m.0 == "any-F1") {
            arm(name, format!("any-loss(metric={metric})"));
        }
        for scale in SCALES.iter().filter(|_| s.all_metrics) {
            arm(&format!("any-F1 at scale {scale}"), format!("any-loss(metric=f_beta, scale={scale})"));
        }
    }
    let measured = Measurements::collect(context, "metrics", &arms, s.seeds, |arm, seed| measure(&s, arm, seed))?;
    let mut findings = Findings::default();
    for claim in CLAIMS {
        findings.claims.push(judge(claim, &evidence(claim.id, &measured)));
    }
    let columns = ["accuracy", "F1", "balanced", "G-mean", "F1, tuned", "balanced, tuned", "seconds", "first gradient"];
    findings.tables.push(
        measured.table("Test metrics at one half, and at a threshold chosen on validation (mean ± s.d.)", &columns),
    );
    findings.measurements = measured.lines();
    if s.all_metrics {
        let objectives = [
            ("BCE", "logistic"),
            ("any-F1", "any-loss(metric=f_beta)"),
            ("any-BA", "any-loss(metric=balanced_accuracy)"),
            ("any-GM", "any-loss(metric=g_mean)"),
        ];
        let linear = |inputs: usize| MlpConfig::new(inputs, 1).with_depth(0);
        if let Some(real) = on_real_tables(context, s.seeds, &objectives, linear, &s.fit())? {
            findings.tables.push(real.table("Real tables, single layer (mean ± s.d.; descriptive)", &NUMBERS));
            findings.measurements.extend(real.lines());
        }
    }
    let arm = models.last().map_or("single layer", |model| model.0);
    let tuned = mean(&measured.values(&format!("{arm}, BCE"), "F1, tuned"));
    let trained = mean(&measured.values(&format!("{arm}, any-F1"), "F1"));
    findings.notes.push(format!(
        "The honest control ({arm}): cross-entropy with its threshold tuned on validation reaches an F1 of {tuned:.3}; AnyLoss \
         trained for F1 reaches {trained:.3} at one half."
    ));
    findings.notes.push(
        "Rare positives make accuracy a poor teacher: deciding for nobody is already 92% right, so a loss for accuracy has \
         little to gain over cross-entropy."
            .into(),
    );
    Ok(findings)
}

/// A claim's id names its metric and its model.
fn evidence(id: &str, measured: &Measurements) -> Evidence {
    let model = if id.ends_with("-mlp") { "MLP-8" } else { "single layer" };
    let (arm, number) = match id.trim_end_matches("-mlp").trim_end_matches("-linear") {
        "f1" => ("any-F1", "F1"),
        "balanced" => ("any-BA", "balanced"),
        "g-mean" => ("any-GM", "G-mean"),
        _ => ("any-acc", "accuracy"),
    };
    let (arm, control) = (format!("{model}, {arm}"), format!("{model}, BCE"));
    if !measured.arms().any(|name| name == arm) {
        return Evidence::Untested(format!("this preset does not train {arm}"));
    }
    Evidence::paired(&measured.values(&arm, number), &measured.values(&control, number))
}

fn measure(s: &Settings, arm: &Arm, seed: u64) -> Result<Measured, String> {
    let data = rare_positives(2 * s.train_rows + s.test_rows, INPUTS, 0.08, 4, 0.9, seed);
    let [train, validation, test] = data.parts([s.train_rows, s.train_rows, s.test_rows]);
    let model = match arm.hidden {
        true => MlpConfig::new(INPUTS, 1).with_depth(1).with_width(8).with_activation(Activation::Sigmoid),
        false => MlpConfig::new(INPUTS, 1).with_depth(0),
    };
    let started = std::time::Instant::now();
    let (fitted, _) = fit_objective(&train, &arm.objective, &model, &s.fit(), seed)?;
    let seconds = started.elapsed().as_secs_f64();
    let (held_out, test) = (predictions(&fitted, &validation), predictions(&fitted, &test));
    let tuned = |m: Metric| metric(m, &test, Decision::Threshold(best_threshold(m, &held_out)));
    let mut measured = Measured::from([
        ("accuracy", metric(Metric::Accuracy, &test, Decision::Argmax)),
        ("F1", metric(Metric::F1, &test, Decision::Argmax)),
        ("balanced", metric(Metric::BalancedAccuracy, &test, Decision::Argmax)),
        ("G-mean", metric(Metric::GMean, &test, Decision::Argmax)),
        ("F1, tuned", tuned(Metric::F1)),
        ("balanced, tuned", tuned(Metric::BalancedAccuracy)),
        ("seconds", seconds),
    ]);
    if let Some(scale) =
        arm.objective.split_once("scale=").and_then(|(_, rest)| rest.trim_end_matches(')').parse().ok())
    {
        measured.insert("first gradient", first_gradient(&model, &train, scale, seed));
    }
    Ok(measured)
}

/// Mean size of the gradient of the scores at initialisation, over the training set.
fn first_gradient(model: &MlpConfig, train: &contrarian_lab::data::Dataset, scale: f64, seed: u64) -> f64 {
    let device = Device::flex();
    let rows = train.y.len();
    let x = Tensor::<2>::from_data(TensorData::new(train.x.data.clone(), [rows, INPUTS]), &device);
    let logits = model.init(&device, seed).logits(x, &mut Mode::Inference);
    let scores = logits.slice([0..rows, 1..2]).reshape([rows]).autodiff().require_grad();
    let labels: Vec<i64> = train.y.iter().map(|&y| y as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [rows]), &device);
    let loss = AnyLossConfig::new().with_scale(scale).init().forward(scores.clone(), labels);
    let gradient = scores.grad(&loss.backward()).expect("the loss depends on the scores");
    f64::from(gradient.abs().mean().into_scalar::<f32>())
}
