//! Where negative examples come from: samplers, whose state goes in and comes out.

mod pseudo;

pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
