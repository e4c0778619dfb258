//! Objectives that order scores: positives above negatives over all pairs, and lists by a ranking.
//!
//! Those with a fused kernel have a `forward` that uses it on the CPU and a `..._composed` of Burn's tensor operations, which
//! `forward` uses elsewhere and against which the kernel is tested.

mod mann_whitney;
mod pairs;
mod plackett_luce;
mod score_contrastive;

pub use mann_whitney::{MwLoss, MwLossConfig};
pub use pairs::{
    PairReduction, PairwiseHingeLoss, PairwiseHingeLossConfig, PairwiseSquaredHingeLoss, PairwiseSquaredHingeLossConfig,
};
pub use plackett_luce::{
    PlackettLuceLoss, PlackettLuceLossConfig, RankWeights, plackett_luce_log_prob, plackett_luce_log_prob_composed,
    teacher_optimal_permutation,
};
pub use score_contrastive::{ScoreContrastiveLoss, ScoreContrastiveLossConfig};

/// Gives a configuration without a place in the registry its `init`, from its `validate` and a private `build`.
macro_rules! init {
    ($config:ident => $objective:ident) => {
        impl $config {
            /// Builds the objective.
            ///
            /// # Panics
            /// When [`validate`](Self::validate) fails, with its message.
            pub fn init(&self) -> $objective {
                self.validate().unwrap_or_else(|error| panic!("{error}"));
                self.build()
            }
        }
    };
}

use init;
