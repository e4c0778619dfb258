//! Objectives that order scores: positives above negatives over all pairs, lists by a ranking, candidates as a
//! judge scores them.
//!
//! Those with a fused kernel use it on the CPU, and elsewhere a composed form of Burn's tensor operations, against which the
//! kernel is tested.

mod adore;
mod mann_whitney;
mod pairs;
mod plackett_luce;
mod rerank;
mod score_contrastive;
mod soft_score_alignment;
mod star;
#[cfg(test)]
mod tests;

pub use adore::{AdoreList, AdoreLoss, AdoreLossConfig};
pub use mann_whitney::{MwLoss, MwLossConfig};
pub use pairs::{
    PairReduction, PairwiseHingeLoss, PairwiseHingeLossConfig, PairwiseSquaredHingeLoss, PairwiseSquaredHingeLossConfig,
};
pub use plackett_luce::{
    PlackettLuceLoss, PlackettLuceLossConfig, RankWeights, plackett_luce_log_prob, teacher_optimal_permutation,
};
pub use rerank::{
    RerankJointLoss, RerankJointLossConfig, RerankListwiseLoss, RerankListwiseLossConfig, RerankPairwiseLoss,
    RerankPairwiseLossConfig,
};
pub use score_contrastive::{ScoreContrastiveLoss, ScoreContrastiveLossConfig};
pub use soft_score_alignment::{Divergence, SoftScoreAlignment, SoftScoreAlignmentConfig, check_scores};
pub use star::{StarLoss, StarLossConfig};

use crate::objective::init;
