use super::evidence;
use super::search::{CleanError, Work};
use super::{CleanPlan, cross_fit, random_elimination};
use crate::compare::PairedComparison;
use crate::data::{Dataset, Preprocessor, hold_out};
use crate::fit::{FitError, predict};
use crate::metrics::{Decision, Metric, Predictions, evaluate, relation_micro_f1};
use crate::stats::{corrected_resampled_t, holm};
use serde::Serialize;

/// Part of the rows that models are judged on.
const TEST_PART: f64 = 0.3;

/// Scores of one split, on held-out rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SplitScores {
    /// Trained on all training rows.
    pub all: f64,
    /// Trained without the suspects among them.
    pub cleaned: f64,
    /// Trained without as many random rows of the same labels.
    pub random: f64,
    /// Part of the training rows that is suspect.
    pub suspects: f64,
}

/// Whether training without the suspects helps here.
#[derive(Debug, Clone, Serialize)]
pub struct Effect {
    /// Scores by split.
    pub splits: Vec<SplitScores>,
    /// Cleaned minus random: what the choice of the rows is worth. `None` with fewer than two splits.
    pub against_random: Option<PairedComparison>,
    /// Cleaned minus all, which also has what a change of the classes' shares is worth.
    pub against_all: Option<PairedComparison>,
}

impl Effect {
    pub(super) fn new(splits: Vec<SplitScores>, rows: usize) -> Self {
        let test_rows = (rows as f64 * TEST_PART).round() as usize;
        let differences = [|s: &SplitScores| s.cleaned - s.random, |s: &SplitScores| s.cleaned - s.all]
            .map(|difference| splits.iter().map(difference).collect::<Vec<f64>>());
        let tests = differences.map(|values| corrected_resampled_t(&values, rows - test_rows, test_rows));
        let p: Vec<f64> = tests.iter().flatten().map(|test| test.p).collect();
        let mut corrected = holm(&p).into_iter();
        let [against_random, against_all] = tests.map(|test| {
            let (test, p_holm) = (test?, corrected.next()?);
            Some(PairedComparison { difference: test.mean, low: test.low, high: test.high, p: test.p, p_holm })
        });
        Self { splits, against_random, against_all }
    }

    /// Mean of a score over the splits.
    pub fn mean(&self, score: impl Fn(&SplitScores) -> f64) -> f64 {
        self.splits.iter().map(score).sum::<f64>() / self.splits.len() as f64
    }
}

/// One split: suspects are sought among the training rows alone, so that the rows that judge have no part in it.
pub(super) fn of_split(work: &Work, split: usize) -> Result<SplitScores, CleanError> {
    let (problem, config) = (work.problem, work.config);
    let seed = config.seed.wrapping_mul(1_000_003).wrapping_add(1 + split as u64);
    let [train, test] = hold_out(&problem.labels, TEST_PART, seed)?;
    let labels: Vec<usize> = train.iter().map(|&row| problem.labels[row]).collect();
    let found = cross_fit(&labels, config.folds, seed, |fold, inner, held_out| {
        let of = |rows: &[usize]| rows.iter().map(|&at| train[at]).collect::<Vec<usize>>();
        let seed = seed.wrapping_add(1000 * (1 + fold as u64));
        Ok::<_, CleanError>(evidence::of_fold(work, &of(inner), &of(held_out), seed)?.0)
    })?;
    let suspects: Vec<usize> = (0..train.len()).filter(|&at| found[at].suspect).collect();
    if suspects.len() == train.len() {
        return Err(CleanError::NothingLeft);
    }
    let changes: Vec<(usize, usize)> = suspects.iter().map(|&at| (at, found[at].suggested)).collect();
    let encoder = Preprocessor::fit(&problem.features, &train);
    let data = |rows: &[usize]| Dataset {
        x: encoder.transform(&problem.features, rows),
        y: rows.iter().map(|&row| problem.labels[row]).collect(),
        classes: problem.classes.len(),
    };
    let (learn, judge) = (data(&train), data(&test));
    let score = |learn: &Dataset| -> Result<f64, FitError> {
        let model = work.train(learn, seed)?;
        let probabilities = predict(&model, &judge.x);
        let predictions = Predictions { probabilities, classes: judge.classes, labels: judge.y.clone() };
        Ok(match config.negative_class {
            Some(negative) => relation_micro_f1(&predictions.decide(Decision::Argmax), &judge.y, negative).f1,
            None => evaluate(Metric::BalancedAccuracy, &predictions, Decision::Argmax).unwrap_or(0.0),
        })
    };
    Ok(SplitScores {
        all: score(&learn)?,
        cleaned: score(&CleanPlan::new(&labels, &changes).eliminate(&learn))?,
        random: score(&random_elimination(&labels, &suspects, seed).eliminate(&learn))?,
        suspects: suspects.len() as f64 / train.len() as f64,
    })
}
