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

mod error;
mod factored;
mod matmul;
mod real;
pub mod simd;
mod spherical;

pub use error::KernelError;
pub use factored::{Consistency, FactoredOutputLayer, FactoredStep, Stabilised, Upkeep};
pub use real::Real;
pub use spherical::{Partials, SphericalLoss, SphericalSoftmaxLoss, SphericalSquaredError, TaylorSoftmaxLoss, ZLoss};
