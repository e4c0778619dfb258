//! The door to the fused CPU kernels of `contrarian-kernels`.
//!
//! An objective with a fused form goes through one function: where [`available`] says so (the tensor is on Burn's CPU
//! backend, in f32 or f64), [`apply`] runs the kernel on the tensors' memory and enters one node into the autodiff graph;
//! elsewhere the objective composes Burn's tensor operations.

mod class_scores;
mod in_batch;
mod linear;
mod margin_softmax;
mod multi_similarity;
mod one_set;
mod op;
mod pair_distances;
mod repulsion;
mod softmax;
mod two_way;
mod unit_rows;

pub(crate) use class_scores::ClassScoresKernel;
pub(crate) use in_batch::InBatch;
pub(crate) use linear::LinearSoftmaxKernel;
pub(crate) use margin_softmax::MarginSoftmaxKernel;
pub(crate) use multi_similarity::MultiSimilarityKernel;
pub(crate) use one_set::OneSetKernel;
pub(crate) use op::{Evaluation, Kernel, apply, available, indices};
pub(crate) use pair_distances::PairDistanceKernel;
pub(crate) use repulsion::RepulsionKernel;
pub(crate) use softmax::{RowLoss, softmax_rows};
pub(crate) use two_way::TwoWayKernel;
pub(crate) use unit_rows::UnitRowsKernel;
