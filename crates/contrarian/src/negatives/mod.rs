//! Where negative examples come from, which pairs are not worth their trust, and learning from what an example is not.
//! The state of samplers and memories goes in and comes out.

mod bad_pairs;
mod balanced_tree;
mod bank;
mod items;
mod judged;
mod memory;
mod negative_learning;
mod ngame_sampler;
mod pair_losses;
mod personal_loss;
mod pseudo;
mod queue;

pub use bad_pairs::{BadPairMiner, BadPairMinerConfig, BadPairs};
pub use balanced_tree::{Bisection, balanced_bisect, balanced_clusters};
pub use bank::{MemoryBank, MemoryBankConfig};
pub use items::NegativeItemSampler;
pub use judged::{JudgedHardNegatives, JudgedHardNegativesConfig, JudgedNegatives, judge_score};
pub use memory::MemoryError;
pub use negative_learning::{NegativeLearning, NegativeLearningConfig, Reduction};
pub(crate) use negative_learning::{check_classes, require_distinct};
pub use ngame_sampler::NgameSampler;
pub use pair_losses::{HistoryWeighting, PairLossError, PairLossMemory};
pub use personal_loss::{PldSampler, PldSamplerConfig, pld_probabilities, pld_probabilities_from_losses};
pub use pseudo::{MeanState, PseudoNegativeSampler, PseudoNegativeSamplerConfig, PseudoNegativeState};
pub use queue::MemoryQueue;
