//! Where negative examples come from, which pairs are not worth their trust, and learning from what an example is not.
//! The state of samplers and memories goes in and comes out.

mod bad_pairs;
mod judged;
mod negative_learning;
mod pair_losses;
mod pseudo;

pub use bad_pairs::{BadPairMiner, BadPairMinerConfig, BadPairs};
pub use judged::{JudgedHardNegatives, JudgedHardNegativesConfig, JudgedNegatives, judge_score};
pub use negative_learning::{NegativeLearning, NegativeLearningConfig, Reduction};
pub(crate) use negative_learning::{check_classes, require_distinct};
pub use pair_losses::{HistoryWeighting, PairLossError, PairLossMemory};
pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
