//! How good predictions are: classification metrics, curves and decision thresholds; and how good embeddings are:
//! neighbours, retrieval, clusters.

mod assignment;
mod clustering;
mod confusion;
mod curves;
mod drift;
mod extreme;
mod gain;
mod metric;
mod neighbours;
mod operating_point;
pub mod pools;
mod ranking;
mod recordings;
mod relations;
mod relevance;
mod retrieval;
mod threshold;
mod transfer;
mod verification;

pub use assignment::assign;
pub use clustering::{adjusted_rand_index, clustering_accuracy, normalized_mutual_information, share_of_classes};
pub use confusion::ConfusionMatrix;
pub use contrarian::calibration::roc_auc;
pub use curves::{calibration_bins, precision_recall_curve, roc_curve};
pub use drift::{DriftReport, drift_report};
pub use extreme::{ExtremeMetrics, extreme_metrics, inverse_propensity};
pub use gain::ndcg;
pub use metric::{Metric, UnknownMetric, evaluate, mean_reciprocal_rank, top_k_accuracy};
pub use neighbours::{Distance, Neighbour, nearest, nearest_in, nearest_neighbours};
pub use operating_point::{ErrorRates, equal_error, error_rates, tpr_at_fpr};
pub use ranking::average_precision;
pub use recordings::{RecordingAverage, recording_average};
pub use relations::{ErrorProfile, RelationF1, error_profile, model_agreement, relation_micro_f1};
pub use relevance::{Gain, Relevance};
pub use retrieval::{Retrieval, retrieval};
pub use threshold::best_threshold;
pub use transfer::{TransferEffect, TransferReport};
pub use verification::{Verification, verification};

/// Class probabilities of labelled rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Probability of each class, row by row.
    pub probabilities: Vec<f64>,
    /// Number of classes.
    pub classes: usize,
    /// True class of each row.
    pub labels: Vec<usize>,
}

impl Predictions {
    /// Probability of a class, by row.
    pub(crate) fn scores(&self, class: usize) -> Vec<f64> {
        self.probabilities.chunks(self.classes).map(|row| row[class]).collect()
    }

    /// Which rows are of a class.
    pub(crate) fn is(&self, class: usize) -> Vec<bool> {
        self.labels.iter().map(|&label| label == class).collect()
    }

    /// The decided class of each row.
    pub(crate) fn decide(&self, decision: Decision) -> Vec<usize> {
        let decide = |row: &[f64]| match decision {
            Decision::Threshold(threshold) => usize::from(row[1] >= threshold),
            // The first of equals, so that a tie is decided the same way everywhere.
            Decision::Argmax => (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best }),
        };
        self.probabilities.chunks(self.classes).map(decide).collect()
    }
}

/// How a probability becomes a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The most probable class: one half for two classes.
    Argmax,
    /// With two classes: the second from this probability on.
    Threshold(f64),
}
