//! Where negative examples come from, and which pairs are not worth their trust: samplers and miners, whose state goes in
//! and comes out.

mod bad_pairs;
mod pair_losses;
mod pseudo;

pub use bad_pairs::{BadPairMiner, BadPairMinerConfig, BadPairs};
pub use pair_losses::{HistoryWeighting, PairLossError, PairLossMemory};
//! Where negative examples come from: samplers, whose state goes in and comes out, and miners.

mod judged;
mod pseudo;

pub use judged::{JudgedHardNegatives, JudgedHardNegativesConfig, JudgedNegatives, judge_score};
pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
