//! Objectives over embeddings: anchors, their positives, and everything else in the batch.
//!
//! Rows are scaled to length 1 first where `normalize` says so (the default). On Burn's CPU backend most losses run as
//! fused kernels: no matrix of all pairs is held, and memory grows with the batch, not with its square. Those that do hold it
//! (triplets, pairs, circle, multi-similarity) say so.

mod cacr;
mod cacr_momentum;
mod circle;
mod class_pairs;
mod dcl;
mod distances;
mod dynamic_bad_pairs;
mod hard_contrastive;
mod icnn;
mod in_batch;
mod info_nce;
mod multi_similarity;
mod negative_pairs;
mod nt_xent;
mod pair_contrastive;
mod penalty;
mod penalty_summary;
mod proto_triplet;
mod prototypical;
mod repulsion;
mod selected;
mod simple;
mod sup_con;
mod triplet;
mod uniformity;

pub use crate::numerics::normalize_rows;
pub use cacr::{
    CacrLoss, CacrLossConfig, ContrastiveAttractionLoss, ContrastiveAttractionLossConfig, RepulsionCost, Weighting,
};
pub use cacr_momentum::{CacrMomentumLoss, CacrMomentumLossConfig};
pub use circle::{CircleLoss, CircleLossConfig};
pub use dcl::{DclLoss, DclLossConfig, DclwLoss, DclwLossConfig, Direction, negative_positive_coupling};
pub(crate) use distances::safe_squared_distances;
pub use dynamic_bad_pairs::{DynamicBadPairMining, DynamicBadPairMiningConfig};
pub use hard_contrastive::{HardContrastiveLoss, HardContrastiveLossConfig};
pub use icnn::{IcnnLoss, IcnnLossConfig};
pub use info_nce::{InfoNceLoss, InfoNceLossConfig};
pub use multi_similarity::{MultiSimilarityLoss, MultiSimilarityLossConfig};
pub(crate) use negative_pairs::require_whisker;
pub use negative_pairs::{negative_pair_log_sum_exp, negative_pair_similarities, whisker_filter};
pub use nt_xent::{NtXentLoss, NtXentLossConfig};
pub use pair_contrastive::{PairContrastiveLoss, PairContrastiveLossConfig};
pub use penalty::{PenaltyDistribution, alignment, penalty_distribution, tolerance};
pub use penalty_summary::{PenaltySummary, penalty_summary};
pub use proto_triplet::{ProtoTriplet, ProtoTripletConfig};
pub use prototypical::{Prototypical, PrototypicalConfig, prototypes};
pub use repulsion::{ContrastiveRepulsionLoss, ContrastiveRepulsionLossConfig};
pub use simple::{SimpleContrastiveLoss, SimpleContrastiveLossConfig};
pub use sup_con::{SupConLoss, SupConLossConfig};
pub use triplet::{TripletLoss, TripletLossConfig, TripletMining};
pub use uniformity::{UniformityLoss, UniformityLossConfig};

use crate::InvalidParameter;
use crate::error::require;
use crate::numerics;
use burn::tensor::Tensor;

fn require_temperature(temperature: f64) -> Result<(), InvalidParameter> {
    require(temperature > 0.0 && temperature.is_finite(), "temperature", temperature, "finite and above 0")
}

/// Rows of length 1 where `normalize`, else as they are.
fn unit_rows(x: Tensor<2>, normalize: bool) -> Tensor<2> {
    if normalize { numerics::normalize_rows(x) } else { x }
}

/// Checks that two sets of vectors have one shape; gives it.
///
/// # Panics
/// When they have not, or are empty.
fn same_shape(first: &Tensor<2>, second: &Tensor<2>) -> [usize; 2] {
    let [n, dim] = first.dims();
    assert_eq!(first.dims(), second.dims(), "pairs need two sets of one shape");
    assert!(n > 0 && dim > 0, "a loss needs at least one pair of vectors, got [{n}, {dim}]");
    [n, dim]
}
