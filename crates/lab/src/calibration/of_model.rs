use super::result::{Calibration, MethodResult, UNCALIBRATED};
use super::{CalibrateError, CalibrationScore, Calibrator, Method, Outputs, score, top_label};
use crate::compare::PairedComparison;
use crate::data::{Matrix, Table, Transform, halves};
use crate::fit::{FitError, softmax};
use crate::metrics::Predictions;
use crate::parallel;
use crate::saved::{SavedModel, SavedModelError};
use crate::stats::{corrected_resampled_t, holm};
use contrarian::calibration::{CalibrationError, CalibrationMetrics, reliability_bins};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// A calibrator as a model folder keeps it, with the transforms of the copies it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedCalibrator {
    /// The fitted map.
    pub calibrator: Calibrator,
    /// Transforms of the copies.
    pub transforms: Vec<Transform>,
    /// Seed of the copies.
    pub seed: u64,
    /// Data it was fitted on.
    pub data: String,
    /// Rows it was fitted on.
    pub rows: usize,
}

/// How to calibrate a saved model.
#[derive(Debug, Clone)]
pub struct CalibrateConfig {
    /// The method to save; without one the best of all, if it beats the model as it is.
    pub method: Option<Method>,
    /// Splits into halves, one to fit and one to score, at least 1.
    pub splits: usize,
    /// Seed of splits, copies and networks.
    pub seed: u64,
}

/// Fewest labelled rows: ten to fit on and ten to score.
pub const MIN_CALIBRATION_ROWS: usize = 20;
const BINS: usize = 15;
/// Simulated outcomes a split, behind the error that right confidences would show.
const SIMULATIONS: usize = 20;

/// Fits every method on halves of the labelled rows and scores it on the other halves, then fits the chosen one on all rows
/// and puts it into the model (which is not saved yet).
///
/// The rows must not be those the model was trained on. Of the very table it was trained on, which is known again, the
/// validation part alone is used.
///
/// # Errors
/// When columns or labels do not fit the model, there are fewer than [`MIN_CALIBRATION_ROWS`] rows, the named method cannot be
/// fitted, or the work is stopped.
pub fn calibrate(
    model: &mut SavedModel,
    table: &Table,
    config: &CalibrateConfig,
    stop: &AtomicBool,
) -> Result<Calibration, SavedModelError> {
    let mut labelled = model.labelled(table)?;
    let mut notes = std::mem::take(&mut labelled.notes);
    let held_out = match &model.manifest.training_table {
        Some(training) => training.held_out(&labelled.x, &labelled.labels)?,
        None => None,
    };
    if let Some(held_out) = &held_out {
        labelled.x = labelled.x.gather(held_out);
        labelled.labels = held_out.iter().map(|&row| labelled.labels[row]).collect();
    }
    let rows = labelled.labels.len();
    if rows < MIN_CALIBRATION_ROWS {
        let error = CalibrationError::TooFewRows { rows, needed: MIN_CALIBRATION_ROWS };
        return Err(CalibrateError::from(error).into());
    }
    let classes = &model.manifest.classes;
    for (class, name) in classes.iter().enumerate() {
        if !labelled.labels.contains(&class) {
            notes.push(format!("no row is of class `{name}`: what is measured and fitted here does not cover it"));
        }
    }
    let outputs = model.outputs(&labelled.x, &Transform::TABULAR, config.seed);
    let all_right = outputs.check().is_ok() && all_right(&outputs, &labelled.labels);
    let splits: Vec<u64> = (0..config.splits.max(1) as u64).collect();
    let methods: Vec<Option<Method>> = match config.method {
        Some(method) => vec![None, Some(method)],
        None => std::iter::once(None).chain(Method::ALL.map(Some)).collect(),
    };
    let mut tested: Vec<(String, Vec<Predictions>)> = Vec::new();
    for method in methods {
        let name = method.map_or_else(|| UNCALIBRATED.to_string(), |method| method.to_string());
        let predictions = parallel::map(&splits, parallel::available_threads(), stop, |&split| {
            let [train, test] = halves(&labelled.labels, config.seed.wrapping_mul(1_000_003).wrapping_add(split));
            held_out_half(&outputs, &labelled.labels, method, &train, &test, split, stop)
        });
        if stop.load(Ordering::Relaxed) {
            return Err(CalibrateError::Fit(FitError::Stopped).into());
        }
        match predictions.into_iter().flatten().collect::<Result<Vec<_>, _>>() {
            Ok(predictions) => tested.push((name, predictions)),
            Err(error) => match error.with_class_names(classes) {
                // Of all methods, one that cannot be fitted is left out; one that was asked for is an error.
                error if config.method.is_none() && method.is_some() => {
                    notes.push(format!("{name} is left out: {error}"));
                }
                error => return Err(error.into()),
            },
        }
    }
    let results = results(&tested, rows, config.seed)?;
    let before = results[0].mean_log_loss();
    let best = results[1..].iter().min_by(|a, b| a.mean_log_loss().total_cmp(&b.mean_log_loss()));
    // Where nothing is wrong, the log-loss falls until every probability is 0 or 1: no reason to believe in it.
    let better = |best: &&MethodResult| !all_right && best.mean_log_loss() < before;
    let chosen = best.filter(|best| config.method.is_some() || better(best)).map(|best| best.name.clone());
    model.manifest.calibrator = None;
    if let Some(method) = chosen.as_deref().and_then(|name| name.parse::<Method>().ok()) {
        let calibrator = Calibrator::fit(method, &outputs, &labelled.labels, config.seed, Some(stop))?;
        let (seed, data) = (config.seed, table.name.clone());
        let transforms = Transform::TABULAR.to_vec();
        model.manifest.calibrator = Some(SavedCalibrator { calibrator, transforms, seed, data, rows });
    }
    Ok(Calibration {
        data: table.name.clone(),
        rows,
        of_training: held_out.is_some(),
        splits: splits.len(),
        all_right,
        results,
        chosen,
        named: config.method.is_some(),
        notes,
    })
}

fn all_right(outputs: &Outputs, labels: &[usize]) -> bool {
    let own = softmax(&outputs.logits);
    let (_, correct) =
        top_label(&Predictions { probabilities: own, classes: outputs.logits.cols, labels: labels.to_vec() });
    correct.iter().all(|&right| right)
}

fn held_out_half(
    outputs: &Outputs,
    labels: &[usize],
    method: Option<Method>,
    train: &[usize],
    test: &[usize],
    seed: u64,
    stop: &AtomicBool,
) -> Result<Predictions, CalibrateError> {
    let of = |rows: &[usize]| rows.iter().map(|&row| labels[row]).collect::<Vec<_>>();
    let said = outputs.gather(test);
    let probabilities = match method {
        None => softmax(&said.logits),
        Some(method) => Calibrator::fit(method, &outputs.gather(train), &of(train), seed, Some(stop))?.apply(&said)?,
    };
    Ok(Predictions { probabilities, classes: outputs.logits.cols, labels: of(test) })
}

/// Scores of every line, the model as it is first, and the differences of the others to it.
fn results(tested: &[(String, Vec<Predictions>)], rows: usize, seed: u64) -> Result<Vec<MethodResult>, CalibrateError> {
    let mut results = Vec::new();
    for (name, tested) in tested {
        let scores = tested.iter().map(score).collect::<Result<Vec<_>, _>>()?;
        let (confidence, correct): (Vec<Vec<f64>>, Vec<Vec<bool>>) = tested.iter().map(top_label).unzip();
        let reliability = reliability_bins(&confidence.concat(), &correct.concat(), BINS);
        let ece_if_right = ece_if_right(&confidence, seed)?;
        results.push(MethodResult { name: name.clone(), scores, log_loss: None, ece: None, ece_if_right, reliability });
    }
    let log_loss = against_the_first(&results, rows, |score| score.log_loss);
    let ece = against_the_first(&results, rows, |score| score.errors.ece);
    for (result, (log_loss, ece)) in results[1..].iter_mut().zip(log_loss.into_iter().zip(ece)) {
        (result.log_loss, result.ece) = (Some(log_loss), Some(ece));
    }
    Ok(results)
}

/// Differences of all other lines to the first, tested over the splits; empty with a single split.
fn against_the_first(
    results: &[MethodResult],
    rows: usize,
    number: impl Fn(&CalibrationScore) -> f64,
) -> Vec<PairedComparison> {
    let test = |result: &MethodResult| {
        let pairs = result.scores.iter().zip(&results[0].scores);
        let differences: Vec<f64> = pairs.map(|(after, before)| number(after) - number(before)).collect();
        corrected_resampled_t(&differences, rows.div_ceil(2), rows / 2)
    };
    let tests: Vec<_> = results[1..].iter().filter_map(test).collect();
    let corrected = holm(&tests.iter().map(|test| test.p).collect::<Vec<_>>());
    let paired = tests.iter().zip(corrected);
    paired
        .map(|(test, p_holm)| PairedComparison {
            difference: test.mean,
            low: test.low,
            high: test.high,
            p: test.p,
            p_holm,
        })
        .collect()
}

/// The expected calibration error where every prediction is right with exactly its confidence.
fn ece_if_right(confidence: &[Vec<f64>], seed: u64) -> Result<f64, CalibrationError> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut sum = 0.0;
    for confidence in confidence {
        for _ in 0..SIMULATIONS {
            let correct: Vec<bool> = confidence.iter().map(|&p| rng.random::<f64>() < p).collect();
            sum += CalibrationMetrics::default().measure(confidence, &correct)?.ece;
        }
    }
    Ok(sum / (SIMULATIONS * confidence.len()) as f64)
}

impl SavedCalibrator {
    /// Calibrated probabilities for encoded rows.
    pub(crate) fn apply(&self, model: &SavedModel, x: &Matrix) -> Result<Vec<f64>, CalibrateError> {
        let copies: &[Transform] = match self.calibrator.method() {
            Method::CorrectnessAware => &self.transforms,
            _ => &[],
        };
        self.calibrator.apply(&model.outputs(x, copies, self.seed))
    }
}
