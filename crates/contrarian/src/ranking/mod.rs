//! Objectives that order scores: positives above negatives over all pairs, lists by a ranking, candidates as a
//! judge scores them.
//!
//! Those with a fused kernel use it on the CPU, and elsewhere a composed form of Burn's tensor operations, against which the
//! kernel is tested.

mod adore;
mod ar2;
mod bpr;
mod cet;
mod feedback;
mod lol;
mod mann_whitney;
mod multiple_negatives;
mod pairs;
mod plackett_luce;
mod query_triplet;
mod reformulation;
mod rerank;
mod reweighted;
mod score_contrastive;
mod soft_score_alignment;
mod star;
#[cfg(test)]
mod tests;
mod triplet_ohnm;
mod truncated;
mod weighted_pair;

pub use adore::{AdoreList, AdoreLoss, AdoreLossConfig};
pub use ar2::{AdversarialCandidates, Ar2Parts, Ar2RetrieverLoss, Ar2RetrieverLossConfig};
pub use bpr::{BprLoss, BprLossConfig};
pub use cet::{Cet, CetConfig, CetStep, PoolingPosterior, pooling_posterior};
pub use feedback::{FeedbackSampler, vector_rocchio};
pub use lol::{LolRegulariser, LolRegulariserConfig};
pub use mann_whitney::{MwLoss, MwLossConfig};
pub use multiple_negatives::{MnrLoss, MnrLossConfig, Similarity};
pub use pairs::{
    PairReduction, PairwiseHingeLoss, PairwiseHingeLossConfig, PairwiseSquaredHingeLoss, PairwiseSquaredHingeLossConfig,
};
pub use plackett_luce::{
    PlackettLuceLoss, PlackettLuceLossConfig, RankWeights, plackett_luce_log_prob, teacher_optimal_permutation,
};
pub use query_triplet::{QueryTripletLoss, QueryTripletLossConfig};
pub use reformulation::{ReformulationLoss, ReformulationLossConfig};
pub use rerank::{
    RerankJointLoss, RerankJointLossConfig, RerankListwiseLoss, RerankListwiseLossConfig, RerankPairwiseLoss,
    RerankPairwiseLossConfig,
};
pub use reweighted::{ReweightedLoss, ReweightedLossConfig};
pub use score_contrastive::{ScoreContrastiveLoss, ScoreContrastiveLossConfig};
pub use soft_score_alignment::{Divergence, SoftScoreAlignment, SoftScoreAlignmentConfig, check_scores};
pub use star::{StarLoss, StarLossConfig};
pub use triplet_ohnm::{
    HingeContrastiveLoss, HingeContrastiveLossConfig, TripletOhnmLoss, TripletOhnmLossConfig, TripletOhnmMultiLoss,
    TripletOhnmMultiLossConfig,
};
pub use truncated::{TruncatedLoss, TruncatedLossConfig};
pub use weighted_pair::{WeightedPairLoss, WeightedPairLossConfig, WeightedReduction};

use crate::objective::init;
