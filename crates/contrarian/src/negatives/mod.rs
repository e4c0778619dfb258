//! Where negative examples come from: samplers, whose state goes in and comes out; and learning from what an example is not.

mod negative_learning;
mod pseudo;

pub use negative_learning::{NegativeLearning, NegativeLearningConfig, Reduction};
pub(crate) use negative_learning::{check_classes, require_distinct};
pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
