//! What training data each arm learns from.

use super::world::{NEGATIVE, Noisy};
use crate::support::Measured;
use contrarian_lab::cleaning::{
    CleanMode, CleanPlan, CleaningBudget, CleaningModel, ExtrinsicCleaner, IntrinsicCleaner, cross_fit, noise_report,
    random_elimination,
};
use contrarian_lab::data::{Dataset, Matrix};
use contrarian_lab::fit::predict;
use contrarian_lab::metrics::{error_profile, relation_micro_f1};
use std::error::Error;
use std::time::Instant;

/// How a plan is made.
#[derive(Clone, Copy, PartialEq)]
pub enum Cleaner {
    /// From the model's own false negatives.
    Intrinsic,
    /// From clean neighbours, negatives only.
    Extrinsic,
    /// From clean neighbours, positives too.
    ExtrinsicBoth,
    /// Negatives with the largest out-of-fold probability of being positive, as many as the intrinsic cleaner flags.
    Confidence,
    /// Random negatives, as many as the intrinsic cleaner flags.
    RandomAsIntrinsic,
    /// Random negatives, as many as the extrinsic cleaner flags.
    RandomAsExtrinsic,
}

/// What a model is trained on.
#[derive(Clone, Copy)]
pub enum Arm {
    Noisy,
    TrueLabels,
    Eliminate(Cleaner),
    Reannotate(Cleaner),
    WithClean,
    CleanAlone,
}

/// Every arm by its name.
pub const ARMS: [(&str, Arm); 13] = [
    ("noisy", Arm::Noisy),
    ("true labels", Arm::TrueLabels),
    ("intrinsic, eliminate", Arm::Eliminate(Cleaner::Intrinsic)),
    ("intrinsic, re-annotate", Arm::Reannotate(Cleaner::Intrinsic)),
    ("random, as many as intrinsic", Arm::Eliminate(Cleaner::RandomAsIntrinsic)),
    ("confidence, as many as intrinsic", Arm::Eliminate(Cleaner::Confidence)),
    ("extrinsic, eliminate", Arm::Eliminate(Cleaner::Extrinsic)),
    ("extrinsic, re-annotate", Arm::Reannotate(Cleaner::Extrinsic)),
    ("random, as many as extrinsic", Arm::Eliminate(Cleaner::RandomAsExtrinsic)),
    ("extrinsic both, eliminate", Arm::Eliminate(Cleaner::ExtrinsicBoth)),
    ("extrinsic both, re-annotate", Arm::Reannotate(Cleaner::ExtrinsicBoth)),
    ("noisy + clean subset", Arm::WithClean),
    ("clean subset alone", Arm::CleanAlone),
];

/// How models are trained and labels cleaned.
pub struct Method {
    pub budget: CleaningBudget,
    pub k: usize,
    pub folds: usize,
}

/// One seed's data with every plan for it.
pub struct Prepared {
    data: Noisy,
    plans: Vec<(Cleaner, CleanPlan)>,
}

impl Prepared {
    /// Trains on the noisy data, once for the embeddings and once a fold for the predictions, and makes the plans.
    pub fn new(data: Noisy, method: &Method, seed: u64) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (train, labels) = (&data.train, &data.train.y);
        let model = method.budget.train(train, seed, None)?;
        let [embeddings, clean] = [&train.x, &data.clean.x].map(|x| model.embeddings(x));
        let out_of_fold = cross_fit(labels, method.folds, seed, |fold, rows, held_out| {
            let model = method.budget.train(&train.select(rows), seed + 1000 * (1 + fold as u64), None)?;
            Ok::<_, Box<dyn Error + Send + Sync>>(predictions(&model, &train.x.gather(held_out)))
        })?;
        let decided: Vec<usize> = out_of_fold.iter().map(|(class, _)| *class).collect();
        let intrinsic = IntrinsicCleaner::new().with_k(method.k).plan(&embeddings, labels, &decided);
        let extrinsic = ExtrinsicCleaner::new().with_k(method.k);
        let votes = extrinsic.votes(&embeddings, &clean, &data.clean.y)?;
        let both = extrinsic.clone().with_mode(CleanMode::Both).plan_from(labels, &votes);
        let extrinsic = extrinsic.plan_from(labels, &votes);
        let mut negatives: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] == NEGATIVE).collect();
        // Least probably negative first; stable, so that equals keep their order.
        negatives.sort_by(|a, b| out_of_fold[*a].1.total_cmp(&out_of_fold[*b].1));
        let doubted: Vec<(usize, usize)> =
            negatives.iter().take(intrinsic.flagged.len()).map(|&row| (row, out_of_fold[row].0)).collect();
        let plans = vec![
            (Cleaner::RandomAsIntrinsic, random_elimination(labels, &intrinsic.flagged, seed)),
            (Cleaner::RandomAsExtrinsic, random_elimination(labels, &extrinsic.flagged, seed)),
            (Cleaner::Confidence, CleanPlan::new(labels, &doubted)),
            (Cleaner::Intrinsic, intrinsic),
            (Cleaner::Extrinsic, extrinsic),
            (Cleaner::ExtrinsicBoth, both),
        ];
        Ok(Self { data, plans })
    }

    fn plan(&self, arm: Arm) -> Option<&CleanPlan> {
        let (Arm::Eliminate(cleaner) | Arm::Reannotate(cleaner)) = arm else { return None };
        let (_, plan) = self.plans.iter().find(|(of, _)| *of == cleaner).expect("there is a plan of every cleaner");
        Some(plan)
    }

    /// Trains from scratch on what the arm learns from, and judges the model on the clean test rows.
    pub fn measure(&self, arm: Arm, method: &Method, seed: u64) -> Result<Measured, String> {
        let started = Instant::now();
        let (train, plan) = (&self.data.train, self.plan(arm));
        let learned = match (arm, plan) {
            (Arm::Eliminate(_), Some(plan)) => plan.eliminate(train),
            (Arm::Reannotate(_), Some(plan)) => plan.reannotate(train),
            (Arm::TrueLabels, _) => Dataset { y: self.data.truth.clone(), ..train.clone() },
            (Arm::WithClean, _) => joined(train, &self.data.clean),
            (Arm::CleanAlone, _) => self.data.clean.clone(),
            _ => train.clone(),
        };
        if learned.y.is_empty() {
            return Err("no row is left to learn from".into());
        }
        let model = method.budget.train(&learned, seed, None).map_err(|error| error.to_string())?;
        let test = &self.data.test;
        let decided: Vec<usize> = predictions(&model, &test.x).into_iter().map(|(class, _)| class).collect();
        let score = relation_micro_f1(&decided, &test.y, NEGATIVE);
        let errors = error_profile(&decided, &test.y, NEGATIVE);
        let [missed, invented, confused] = errors.shares().unwrap_or_default();
        let mut measured = Measured::from([
            ("F1", score.f1),
            ("precision", score.precision),
            ("recall", score.recall),
            ("rows", learned.y.len() as f64),
            ("false negatives", missed),
            ("false positives", invented),
            ("wrong positives", confused),
        ]);
        if let Some(plan) = plan {
            let report = noise_report(plan, &self.data.mislabelled());
            measured.insert("flagged", report.flagged as f64);
            measured.insert("flags right", report.precision.unwrap_or(0.0));
            measured.insert("noise found", report.recall.unwrap_or(0.0));
        }
        measured.insert("seconds", started.elapsed().as_secs_f64());
        Ok(measured)
    }
}

/// The most probable class of each row, the first of equals, and the probability of the negative one.
fn predictions(model: &CleaningModel, x: &Matrix) -> Vec<(usize, f64)> {
    let probabilities = predict(model, x);
    let decide = |row: &[f64]| {
        let best = (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        (best, row[NEGATIVE])
    };
    probabilities.chunks(probabilities.len() / x.rows.max(1)).map(decide).collect()
}

fn joined(a: &Dataset, b: &Dataset) -> Dataset {
    let x =
        Matrix { rows: a.x.rows + b.x.rows, cols: a.x.cols, data: [a.x.data.as_slice(), b.x.data.as_slice()].concat() };
    Dataset { x, y: [a.y.as_slice(), b.y.as_slice()].concat(), classes: a.classes }
}
