//! Where negative examples come from: samplers, whose state goes in and comes out, and miners.

mod judged;
mod pseudo;

pub use judged::{JudgedHardNegatives, JudgedHardNegativesConfig, JudgedNegatives, judge_score};
pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
