//! Confidences that can be trusted: maps learned after training, on held-out logits, and the measures of how far off
//! confidences are.
//!
//! A map is fitted on logits `[rows, classes]` and labels the classifier was not trained on, and applied to new logits; it
//! gives probabilities. [`TemperatureScaling`], [`EnsembleTemperatureScaling`], [`HistogramBinning`] and
//! [`IsotonicCalibration`] fit themselves. [`VectorScaling`] and [`TemperatureNet`] are modules for a training loop, the
//! latter with a [`TemperatureObjective`].

mod binning;
mod correctness_aware;
mod ensemble;
mod error;
mod isotonic;
mod measures;
mod objective;
mod one_vs_rest;
mod set;
mod temperature;
mod temperature_net;
mod transform_consistency;
mod vector;

pub use binning::{HistogramBinning, HistogramBinningConfig};
pub use correctness_aware::{
    CorrectnessAwareLoss, CorrectnessAwareLossConfig, Weighting, confidence, correctness, predicted_class,
};
pub use ensemble::EnsembleTemperatureScaling;
pub use error::CalibrationError;
pub use isotonic::{IsotonicCalibration, pool_adjacent_violators};
pub use measures::{
    CalibrationErrors, CalibrationMetrics, ReliabilityBin, negative_log_likelihood, reliability_bins, roc_auc,
};
pub use objective::TemperatureObjective;
pub use temperature::TemperatureScaling;
pub use temperature_net::{TemperatureNet, TemperatureNetConfig};
pub use transform_consistency::{TransformConsistencyFeatures, TransformConsistencyFeaturesConfig};
pub use vector::{VectorScaling, VectorScalingConfig};
