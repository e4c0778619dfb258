//! Invented results, named DEMO wherever a person could see them.

use contrarian_lab::compare::{
    CalibrationBin, ClassCount, Comparison, ComparisonKind, Curves, DataSummary, EpochPoint, Failure, ObjectiveResult,
    PairedComparison, Settings, Summary,
};
use std::collections::BTreeMap;

/// The names of the rows, best first; baseline and control are among them.
pub const NAMES: [&str; 12] = [
    "soft-f1",
    "cross-entropy, tuned threshold",
    "dice",
    "focal(gamma=2)",
    "tversky(alpha=0.3,beta=0.7)",
    "logit-adjusted",
    "class-balanced(beta=0.999)",
    "cross-entropy",
    "ldam(max_margin=0.5,scale=30)",
    "hinge",
    "brier",
    "mean-false-error",
];
pub const BASELINE: &str = "cross-entropy";
pub const CONTROL: &str = "cross-entropy, tuned threshold";

/// A comparison with two classes and the first `rows` names.
pub fn binary(rows: usize) -> Comparison {
    let names = &NAMES[..rows.min(NAMES.len())];
    let class = |name: &str, rows| ClassCount { name: name.into(), rows };
    Comparison {
        spaces: Vec::new(),
        version: "0.0.0-DEMO".into(),
        data: DataSummary {
            name: "DEMO, invented numbers".into(),
            target: "churned".into(),
            rows: 48842,
            columns: 14,
            images: None,
            inputs: 104,
            classes: vec![class("stayed", 43961), class("left", 4881)],
            positive: Some("left".into()),
            notes: vec![
                "Filled 431 empty cells of `income` with the training median.".into(),
                "Dropped `customer_id`: every value is different.".into(),
            ],
        },
        settings: Settings {
            kind: ComparisonKind::Classification,
            model: "MLP 104-64-64-2".into(),
            training: "Adam 0.001, batch 32, at most 60 epochs, patience 8".into(),
            splits: 10,
            seed: 7,
            metric: "f1".into(),
            higher_is_better: true,
            baseline: BASELINE.into(),
            control: Some(CONTROL.into()),
            tune: 0,
        },
        results: names.iter().enumerate().map(|(index, name)| row(index, name)).collect(),
        failures: Vec::new(),
        interrupted: false,
        seconds: 754.0,
        threads: 2,
        peak_memory: Some(431 << 20),
    }
}

/// A failure of a row on a split.
pub fn failure(objective: &str, split: usize) -> Failure {
    Failure { objective: objective.into(), split, reason: "the loss became NaN in epoch 3".into() }
}

/// A row at a place in the ranking.
pub fn row(index: usize, name: &str) -> ObjectiveResult {
    let back = index as f64;
    let mean = 0.634 - 0.011 * back;
    let tuned = name == CONTROL;
    let metrics = |lift: f64| -> BTreeMap<String, Summary> {
        [
            ("f1", mean + lift),
            ("accuracy", 0.931 - 0.002 * back),
            ("balanced accuracy", 0.78 - 0.009 * back),
            ("mcc", 0.58 - 0.01 * back),
            ("roc auc", 0.901 - 0.001 * back),
            ("log loss", 0.21 + 0.04 * back),
            ("brier", 0.06 + 0.004 * back),
        ]
        .into_iter()
        .map(|(metric, mean)| (metric.to_owned(), summary(mean)))
        .collect()
    };
    let paired = |other: f64, p: f64| PairedComparison {
        difference: mean - other,
        low: mean - other - 0.015,
        high: mean - other + 0.015,
        p: p / 5.0,
        p_holm: p,
    };
    ObjectiveResult {
        name: name.into(),
        objective: if tuned { BASELINE.into() } else { name.into() },
        tuned_threshold: tuned,
        metrics: metrics(0.0),
        metrics_at_tuned_threshold: if tuned { BTreeMap::new() } else { metrics(0.006) },
        against_baseline: (name != BASELINE).then(|| paired(0.557, [0.0004, 0.003, 0.01, 0.04, 0.21][index.min(4)])),
        against_control: (!tuned).then(|| paired(0.623, [0.34, 1.0, 0.8, 0.4, 0.06, 0.03][index.min(5)])),
        mean_rank: 2.1 + 0.8 * back,
        seconds_per_fit: 3.2 + 0.9 * (back * 2.3).sin(),
        steps_per_second: 2150.0 - 60.0 * back,
        epochs: 21.4 + back,
        chosen: Vec::new(),
        curves: curves(back),
    }
}

fn summary(mean: f64) -> Summary {
    let values = (0..10).map(|split| mean + 0.018 * (f64::from(split) * 2.1 + mean * 40.0).sin()).collect();
    Summary { mean, low: mean - 0.0142, high: mean + 0.0142, values }
}

fn curves(back: f64) -> Curves {
    let share = |step: u32| f64::from(step) / 60.0;
    Curves {
        learning: (1..=40)
            .map(|epoch| EpochPoint {
                epoch,
                train_loss: 0.2 + (2.0 + back) * (-(epoch as f64) / (5.0 + back)).exp(),
                validation: 0.64 - 0.011 * back - 0.4 * (-(epoch as f64) / (4.0 + back)).exp(),
            })
            .collect(),
        roc: (0..=60).map(|step| (share(step), share(step).powf(0.2 + 0.02 * back))).collect(),
        precision_recall: (0..=60).map(|step| (share(step), 1.0 - 0.9 * share(step).powf(2.5 - 0.12 * back))).collect(),
        calibration: (0..10)
            .map(|bin| {
                let predicted = (f64::from(bin) + 0.5) / 10.0;
                CalibrationBin { predicted, observed: predicted.powf(0.7 + 0.1 * back), count: 100 }
            })
            .collect(),
    }
}
