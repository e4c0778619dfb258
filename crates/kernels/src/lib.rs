//! Fused forward-and-gradient CPU kernels for training objectives: plain slices in, values and gradients out, no tensors.
//!
//! Every kernel is a function over row-major slices of `f32` or `f64` (the [`Real`] types). None of them holds a matrix
//! whose size is the product of two batch sizes, or of batch and classes.
//!
//! Threads are rayon's: `RAYON_NUM_THREADS` and thread pools are respected. Sums are taken over blocks of a fixed size and
//! in a fixed order, so results are the same for any number of threads.
//!
//! Vector instructions are chosen when the program runs (AVX-512, AVX2 with FMA, or what the target always has); see
//! [`simd`].

mod contrastive;
mod discrepancy;
mod error;
mod factored;
mod ldr;
mod linear_softmax;
mod margin_softmax;
mod matmul;
mod multi_similarity;
mod pair_distances;
mod pair_softmax;
pub mod pairwise;
pub mod plackett_luce;
mod quantized;
mod real;
mod repulsion;
pub mod simd;
mod similarity;
mod softmax_rows;
mod spherical;
mod supervised;
mod top_products;
mod transformer;
mod two_way;
mod uniformity;
mod unit_rows;

pub use contrastive::{Contrast, Contrasted};
pub use discrepancy::mean_discrepancy;
pub use error::KernelError;
pub use factored::{Consistency, FactoredOutputLayer, FactoredStep, Stabilised, Upkeep};
pub use ldr::{Ldr, Normalization};
pub use linear_softmax::{IGNORED, LinearSoftmax, LinearSoftmaxed};
pub use margin_softmax::{MarginSoftmaxed, margin_softmax};
pub use multi_similarity::multi_similarity;
pub use pair_distances::pair_contrastive;
pub use pair_softmax::{PairSoftmax, pair_log_sum_exp};
pub use quantized::QuantizedRows;
pub use real::Real;
pub use repulsion::{Repulsion, RepulsionCost, repulsion};
pub use softmax_rows::{SoftmaxLoss, SoftmaxRows};
pub use spherical::{Partials, SphericalLoss, SphericalSoftmaxLoss, SphericalSquaredError, TaylorSoftmaxLoss, ZLoss};
pub use supervised::{OneSet, supervised_contrastive};
pub use top_products::top_products;
pub use transformer::{Affine, LayerNorm, Transformer, TransformerLayer};
pub use two_way::{TwoWay, two_way_info_nce};
pub use uniformity::uniformity;
pub use unit_rows::{unit_rows, unit_rows_gradient};
