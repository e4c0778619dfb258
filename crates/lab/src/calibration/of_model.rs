use super::{CalibrateError, CalibrationScore, Calibrator, Method, Outputs, score, top_label};
use crate::data::{Matrix, Table, Transform, halves};
use crate::fit::softmax;
use crate::metrics::Predictions;
use crate::parallel;
use crate::saved::{SavedModel, SavedModelError};
use crate::stats::{TTest, corrected_resampled_t};
use contrarian::calibration::{CalibrationError, ReliabilityBin, reliability_bins};
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

/// One line of the table: the model as it is, or a method.
#[derive(Debug, Clone, Serialize)]
pub struct MethodResult {
    /// `uncalibrated`, or the method's name.
    pub name: String,
    /// Scores on the held-out half of each split.
    pub scores: Vec<CalibrationScore>,
    /// How much lower the log-loss is than the uncalibrated one: mean, 95% interval and p of the corrected resampled t-test.
    /// `None` for the model as it is, and with a single split.
    pub gain: Option<(f64, f64, f64, f64)>,
    /// Reliability over the held-out halves of all splits.
    pub reliability: Vec<ReliabilityBin>,
}

impl MethodResult {
    /// Mean of a number over the splits; `None` where a split has none.
    pub fn mean(&self, number: impl Fn(&CalibrationScore) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.scores.iter().map(number).collect();
        values.filter(|values| !values.is_empty()).map(|values| values.iter().sum::<f64>() / values.len() as f64)
    }

    fn log_loss(&self) -> f64 {
        self.mean(|score| Some(score.log_loss)).unwrap_or(f64::INFINITY)
    }
}

/// What calibrating a model found.
#[derive(Debug, Clone, Serialize)]
pub struct Calibration {
    /// Data it was done on.
    pub data: String,
    /// Labelled rows used.
    pub rows: usize,
    /// Splits into halves.
    pub splits: usize,
    /// The model as it is first, then the methods that could be fitted.
    pub results: Vec<MethodResult>,
    /// The method that was chosen; `None` when none has a lower log-loss than the model as it is.
    pub chosen: Option<String>,
    /// What a person should know: rows and methods left out, columns ignored.
    pub notes: Vec<String>,
}

/// The model as it is, in the table.
pub const UNCALIBRATED: &str = "uncalibrated";

/// Fits every method on halves of the labelled rows and scores it on the other halves, then fits the chosen one on all rows
/// and puts it into the model (which is not saved yet). The rows must not be those the model was trained on.
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
    let labelled = model.labelled(table)?;
    let (rows, mut notes) = (labelled.labels.len(), labelled.notes);
    if rows < MIN_CALIBRATION_ROWS {
        let error = CalibrationError::TooFewRows { rows, needed: MIN_CALIBRATION_ROWS };
        return Err(CalibrateError::from(error).into());
    }
    let outputs = model.outputs(&labelled.x, &Transform::TABULAR, config.seed);
    let classes = outputs.logits.cols;
    let splits: Vec<u64> = (0..config.splits.max(1) as u64).collect();
    let methods: Vec<Option<Method>> = match config.method {
        Some(method) => vec![None, Some(method)],
        None => std::iter::once(None).chain(Method::ALL.map(Some)).collect(),
    };
    let mut results: Vec<MethodResult> = Vec::new();
    for method in methods {
        let name = method.map_or_else(|| UNCALIBRATED.to_string(), |method| method.to_string());
        let tested = parallel::map(&splits, parallel::available_threads(), stop, |&split| {
            let [train, test] = halves(&labelled.labels, config.seed.wrapping_mul(1_000_003).wrapping_add(split));
            held_out(&outputs, &labelled.labels, method, &train, &test, split, stop)
        });
        if stop.load(Ordering::Relaxed) {
            return Err(CalibrateError::Fit(crate::fit::FitError::Stopped).into());
        }
        match tested.into_iter().flatten().collect::<Result<Vec<Predictions>, _>>() {
            Ok(tested) => results.push(result(name, &tested, results.first(), rows)?),
            // Of all methods, one that cannot be fitted is left out; one that was asked for is an error.
            Err(error) if config.method.is_none() && method.is_some() => {
                notes.push(format!("{name} is left out: {}", named(&error, &model.manifest.classes)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let before = results[0].log_loss();
    let best = results[1..].iter().min_by(|a, b| a.log_loss().total_cmp(&b.log_loss()));
    let chosen = best.filter(|best| config.method.is_some() || best.log_loss() < before).map(|best| best.name.clone());
    model.manifest.calibrator = None;
    if let Some(method) = chosen.as_deref().and_then(|name| name.parse::<Method>().ok()) {
        let calibrator = Calibrator::fit(method, &outputs, &labelled.labels, config.seed, Some(stop))?;
        let (seed, data) = (config.seed, table.name.clone());
        let transforms = Transform::TABULAR.to_vec();
        model.manifest.calibrator = Some(SavedCalibrator { calibrator, transforms, seed, data, rows });
    }
    debug_assert_eq!(classes, model.manifest.classes.len());
    Ok(Calibration { data: table.name.clone(), rows, splits: splits.len(), results, chosen, notes })
}

/// The error with the class's own name.
fn named(error: &CalibrateError, classes: &[String]) -> String {
    match error {
        CalibrateError::Rows(CalibrationError::MissingClass { class, .. }) => {
            format!("no row (or none in one half of a split) is of class `{}`", classes[*class])
        }
        other => other.to_string(),
    }
}

fn held_out(
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

fn result(
    name: String,
    tested: &[Predictions],
    before: Option<&MethodResult>,
    rows: usize,
) -> Result<MethodResult, CalibrateError> {
    let scores = tested.iter().map(score).collect::<Result<Vec<_>, _>>()?;
    let gain = before.and_then(|before| {
        let pairs = before.scores.iter().zip(&scores);
        let lower: Vec<f64> = pairs.map(|(before, after)| before.log_loss - after.log_loss).collect();
        corrected_resampled_t(&lower, rows.div_ceil(2), rows / 2)
    });
    let (confidence, correct): (Vec<Vec<f64>>, Vec<Vec<bool>>) = tested.iter().map(top_label).unzip();
    let reliability = reliability_bins(&confidence.concat(), &correct.concat(), BINS);
    let gain = gain.map(|TTest { mean, low, high, p }| (mean, low, high, p));
    Ok(MethodResult { name, scores, gain, reliability })
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
