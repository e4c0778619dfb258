//! Measurements of trained models that no training needs.

mod binary_detection;

pub use binary_detection::{BinaryDetection, BinaryDetectionMetrics};
