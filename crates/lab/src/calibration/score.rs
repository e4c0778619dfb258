use crate::metrics::{Decision, Metric, Predictions, evaluate};
use contrarian::calibration::{CalibrationError, CalibrationErrors, CalibrationMetrics};
use serde::{Deserialize, Serialize};

/// How good and how calibrated probabilities are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationScore {
    /// Part decided rightly, at the most probable class.
    pub accuracy: f64,
    /// Mean negative logarithm of the true class's probability (clipped at 1e-15).
    pub log_loss: f64,
    /// Errors of the confidence in the most probable class.
    pub errors: CalibrationErrors,
}

/// Scores predictions, with 25 bins.
///
/// # Errors
/// Without rows, or when a probability is not finite.
pub fn score(predictions: &Predictions) -> Result<CalibrationScore, CalibrationError> {
    let (confidence, correct) = top_label(predictions);
    let errors = CalibrationMetrics::default().measure(&confidence, &correct)?;
    let value = |metric| evaluate(metric, predictions, Decision::Argmax).unwrap_or(f64::NAN);
    Ok(CalibrationScore { accuracy: value(Metric::Accuracy), log_loss: value(Metric::LogLoss), errors })
}

/// Confidence of every prediction, and whether it is right.
pub(crate) fn top_label(predictions: &Predictions) -> (Vec<f64>, Vec<bool>) {
    let decided = predictions.decide(Decision::Argmax);
    let rows = predictions.probabilities.chunks(predictions.classes);
    let confidence = rows.zip(&decided).map(|(p, &class)| p[class]).collect();
    (confidence, decided.iter().zip(&predictions.labels).map(|(decided, label)| decided == label).collect())
}
