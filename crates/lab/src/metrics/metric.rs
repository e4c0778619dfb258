use super::ranking::average_precision;
use super::{ConfusionMatrix, Decision, Predictions, roc_auc};
use crate::calibration::top_label;
use contrarian::calibration::reliability_bins;
use contrarian::registry::{did_you_mean, suggest};
use std::fmt;
use std::str::FromStr;

/// A measure of classification.
///
/// With two classes, precision, recall and F-beta are those of the positive class (label 1), and AUROC, AUPRC and Brier
/// are about its probability. With more, they are means over the classes, each against the rest, and Brier sums over
/// the classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// Part decided rightly.
    Accuracy,
    /// Mean recall of the classes.
    BalancedAccuracy,
    /// `(1 + b^2) P R / (b^2 P + R)`; 1 weighs precision and recall alike.
    FBeta(f64),
    /// Geometric mean of the classes' recalls.
    GMean,
    /// Matthews correlation coefficient.
    Mcc,
    /// Decided positives that are.
    Precision,
    /// Positives that are found.
    Recall,
    /// Area under the ROC curve.
    Auroc,
    /// Area under the precision-recall curve, as average precision.
    Auprc,
    /// Mean negative logarithm of the true class's probability (clipped at 1e-15).
    LogLoss,
    /// Mean squared error of the probability.
    Brier,
    /// Expected calibration error: distance of confidence and accuracy, over 15 bins of equal width.
    Ece,
}

impl Metric {
    /// F1.
    pub const F1: Self = Self::FBeta(1.0);

    /// The metrics that are reported.
    pub const REPORTED: [Self; 12] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::F1,
        Self::GMean,
        Self::Mcc,
        Self::Precision,
        Self::Recall,
        Self::Auroc,
        Self::Auprc,
        Self::LogLoss,
        Self::Brier,
        Self::Ece,
    ];

    /// Whether larger values are better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::Brier | Self::Ece)
    }

    /// Whether the value depends on how probabilities become decisions.
    pub fn uses_decision(self) -> bool {
        !matches!(self, Self::Auroc | Self::Auprc | Self::LogLoss | Self::Brier | Self::Ece)
    }

    /// The value of a confusion matrix; `None` for metrics of probabilities, and where undefined.
    pub(super) fn of_counts(self, counts: &ConfusionMatrix) -> Option<f64> {
        match self {
            Self::Accuracy => counts.accuracy(),
            Self::BalancedAccuracy => counts.balanced_accuracy(),
            Self::FBeta(beta) => counts.f_beta(beta),
            Self::GMean => counts.g_mean(),
            Self::Mcc => counts.mcc(),
            Self::Precision => counts.precision(),
            Self::Recall => counts.recall(),
            Self::Auroc | Self::Auprc | Self::LogLoss | Self::Brier | Self::Ece => None,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced-accuracy",
            Self::FBeta(beta) => return write!(f, "f{beta}"),
            Self::GMean => "g-mean",
            Self::Mcc => "mcc",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Auroc => "auroc",
            Self::Auprc => "auprc",
            Self::LogLoss => "log-loss",
            Self::Brier => "brier",
            Self::Ece => "ece",
        };
        f.write_str(name)
    }
}

/// A name that is no metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("unknown metric `{name}`{}; there are {}, and f0.5, f2, ... for other weights of recall",
    did_you_mean(nearest.as_deref()),
    Metric::REPORTED.map(|m| m.to_string()).join(", "))]
pub struct UnknownMetric {
    name: String,
    nearest: Option<String>,
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        let name = text.trim().to_lowercase().replace('_', "-");
        if let Some(metric) = Self::REPORTED.into_iter().find(|metric| metric.to_string() == name) {
            return Ok(metric);
        }
        if let Some(beta) = name.strip_prefix('f').and_then(|beta| beta.parse::<f64>().ok())
            && beta > 0.0
            && beta.is_finite()
        {
            return Ok(Self::FBeta(beta));
        }
        let names = Self::REPORTED.map(|metric| metric.to_string());
        Err(UnknownMetric { nearest: suggest(&name, names.iter().map(String::as_str)), name: text.into() })
    }
}

/// Smallest probability whose logarithm is taken.
const LOG_CLIP: f64 = 1e-15;
/// Bins of the calibration error and of the reliability diagram.
pub(super) const CALIBRATION_BINS: usize = 15;

/// The value of a metric; `None` where it is undefined (a class that does not occur, no rows).
pub fn evaluate(metric: Metric, predictions: &Predictions, decision: Decision) -> Option<f64> {
    if predictions.labels.is_empty() {
        return None;
    }
    let rows = || predictions.probabilities.chunks(predictions.classes).zip(&predictions.labels);
    let mean = |values: &mut dyn Iterator<Item = f64>| Some(values.sum::<f64>() / predictions.labels.len() as f64);
    match metric {
        Metric::Auroc => ranked(predictions, roc_auc),
        Metric::Auprc => ranked(predictions, average_precision),
        Metric::LogLoss => mean(&mut rows().map(|(p, &y)| -p[y].max(LOG_CLIP).ln())),
        Metric::Brier if predictions.classes == 2 => mean(&mut rows().map(|(p, &y)| (p[1] - y as f64).powi(2))),
        Metric::Brier => {
            mean(&mut rows().map(|(p, &y)| {
                p.iter().enumerate().map(|(class, p)| (p - f64::from(u8::from(class == y))).powi(2)).sum()
            }))
        }
        Metric::Ece => Some(calibration_error(predictions)),
        _ => {
            let decided = predictions.decide(decision);
            metric.of_counts(&ConfusionMatrix::new(&predictions.labels, &decided, predictions.classes))
        }
    }
}

/// A ranking metric of the positive class, or its mean over the classes it is defined for.
fn ranked(predictions: &Predictions, value: fn(&[f64], &[bool]) -> Option<f64>) -> Option<f64> {
    let of = |class: usize| value(&predictions.scores(class), &predictions.is(class));
    if predictions.classes == 2 {
        return of(1);
    }
    let values: Vec<f64> = (0..predictions.classes).filter_map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn calibration_error(predictions: &Predictions) -> f64 {
    let (confidence, correct) = top_label(predictions);
    let bins = reliability_bins(&confidence, &correct, CALIBRATION_BINS);
    let gaps = bins.iter().map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs());
    gaps.sum::<f64>() / predictions.labels.len() as f64
}

/// Part of the rows whose true class is among the `k` most probable (a tie counts as within).
pub fn top_k_accuracy(predictions: &Predictions, k: usize) -> f64 {
    let within = |(p, &y): (&[f64], &usize)| p.iter().filter(|&&other| other > p[y]).count() < k;
    let hits =
        predictions.probabilities.chunks(predictions.classes).zip(&predictions.labels).filter(|&row| within(row));
    hits.count() as f64 / predictions.labels.len() as f64
}

/// Mean over the rows of one over the rank of the true class; equal numbers share their mean rank.
pub fn mean_reciprocal_rank(predictions: &Predictions) -> f64 {
    let reciprocal = |(p, &y): (&[f64], &usize)| {
        let above = p.iter().filter(|&&other| other > p[y]).count();
        let equal = p.iter().filter(|&&other| other == p[y]).count();
        1.0 / (above as f64 + (equal + 1) as f64 / 2.0)
    };
    let rows = predictions.probabilities.chunks(predictions.classes).zip(&predictions.labels);
    rows.map(reciprocal).sum::<f64>() / predictions.labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for metric in Metric::REPORTED.into_iter().chain([Metric::FBeta(0.5), Metric::FBeta(2.0)]) {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        assert_eq!("balanced_accuracy".parse::<Metric>().unwrap(), Metric::BalancedAccuracy);
        let error = "auc-roc".parse::<Metric>().unwrap_err().to_string();
        assert!(error.contains("auroc"), "{error}");
        assert!("f-1".parse::<Metric>().is_err() && "f0".parse::<Metric>().is_err());
    }

    /// Expected values: scikit-learn 1.9, see `crates/lab/tests/reference/metrics.py`.
    #[test]
    fn two_classes_agree_with_scikit_learn() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.8, 0.2, 0.65, 0.9, 0.5, 0.05];
        let labels = vec![0, 0, 1, 1, 0, 0, 1, 1, 0, 1];
        let probabilities = scores.iter().flat_map(|&p| [1.0 - p, p]).collect();
        let predictions = Predictions { probabilities, classes: 2, labels };
        for (metric, expected) in TWO_CLASSES {
            let value = evaluate(metric, &predictions, Decision::Threshold(0.6)).unwrap();
            assert!((value - expected).abs() < 1e-12, "{metric}: {value} against {expected}");
        }
    }

    #[test]
    fn three_classes_agree_with_scikit_learn() {
        let probabilities = vec![
            0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.2, 0.3, 0.5, 0.4, 0.35, 0.25, 0.3, 0.3, 0.4, 0.05, 0.15, 0.8, 0.6, 0.3,
            0.1, 0.25, 0.45, 0.3,
        ];
        let predictions = Predictions { probabilities, classes: 3, labels: vec![0, 1, 2, 1, 0, 2, 0, 2] };
        for (metric, expected) in THREE_CLASSES {
            let value = evaluate(metric, &predictions, Decision::Argmax).unwrap();
            assert!((value - expected).abs() < 1e-12, "{metric}: {value} against {expected}");
        }
        assert_eq!(top_k_accuracy(&predictions, 1), 0.625);
        assert_eq!(top_k_accuracy(&predictions, 3), 1.0);
        // Ranks 1, 2 and 2.5 (a tie for the second and third place).
        let probabilities = vec![0.5, 0.3, 0.2, 0.5, 0.3, 0.2, 0.6, 0.2, 0.2];
        let predictions = Predictions { probabilities, classes: 3, labels: vec![0, 1, 2] };
        assert!((mean_reciprocal_rank(&predictions) - (1.0 + 0.5 + 0.4) / 3.0).abs() < 1e-15);
    }

    include!("../../tests/reference/metrics.in");
}
