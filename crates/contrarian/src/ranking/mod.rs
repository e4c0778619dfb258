//! Objectives that order scores: positives above negatives over all pairs, and lists by a ranking.
//!
//! Those with a fused kernel use it on the CPU, and elsewhere a composed form of Burn's tensor operations, against which the
//! kernel is tested.

mod mann_whitney;
mod pairs;
mod plackett_luce;
mod score_contrastive;
#[cfg(test)]
mod tests;

pub use mann_whitney::{MwLoss, MwLossConfig};
pub use pairs::{
    PairReduction, PairwiseHingeLoss, PairwiseHingeLossConfig, PairwiseSquaredHingeLoss, PairwiseSquaredHingeLossConfig,
};
pub use plackett_luce::{
    PlackettLuceLoss, PlackettLuceLossConfig, RankWeights, plackett_luce_log_prob, teacher_optimal_permutation,
};
pub use score_contrastive::{ScoreContrastiveLoss, ScoreContrastiveLossConfig};

use crate::objective::init;
