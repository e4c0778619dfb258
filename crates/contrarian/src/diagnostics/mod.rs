//! Measurements of a trained model: its errors by class, what its activations do to entropy, which units are dead, how far
//! its classes have collapsed or are apart, how alike two sets of features are, and the closed forms to compare with.

mod binary_detection;
pub use binary_detection::{BinaryDetection, BinaryDetectionMetrics};
mod dead_units;
mod deep_linear;
mod imbalanced_geometry;
mod linear_algebra;
mod linear_cka;
mod neural_collapse;
mod output_entropy;
mod pair_separation;
mod unconstrained_features;
pub use dead_units::dead_unit_fraction;
pub use deep_linear::{DeepLinearHead, DeepLinearHeadConfig};
pub use imbalanced_geometry::{CollapseGeometry, GeometryDeviations, ImbalancedGeometry};
pub use linear_cka::linear_cka;
pub use neural_collapse::{ClassMeans, ClassScatter, NeuralCollapse, NeuralCollapseError, NeuralCollapseMetrics};
pub use output_entropy::{activation_output_entropy, entropy_change_on_samples};
pub use pair_separation::{PairSeparation, pair_separation};
pub use unconstrained_features::{
    UnconstrainedFeatureObjective, UnconstrainedFeatureObjectiveConfig, UnconstrainedLoss,
};
