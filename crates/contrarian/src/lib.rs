//! Training objectives that learn from the negative, for [Burn](https://burn.dev).
//!
//! Every objective is a `XConfig` (validated parameters, the paper's defaults) and an `X` with `forward`, as Burn's own
//! losses are. Rooms are named for what a piece does, never for a paper.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use contrarian::classification::CompSumLossConfig;
//!
//! let device = Device::flex();
//! let logits = Tensor::<2>::from_floats([[2.0, 0.0], [0.5, 1.5]], &device);
//! let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
//! let loss = CompSumLossConfig::new().with_tau(1.5).init().forward(logits, labels);
//! assert!(loss.into_scalar::<f32>() > 0.0);
//! ```
//!
//! Tools that treat objectives alike (the `contrarian` command, the goldens) build them by name with [`registry`].

pub mod activation;
pub mod adversarial;
pub mod calibration;
pub mod classification;
pub mod compression;
pub mod contrastive;
pub mod diagnostics;
mod error;
mod fused;
pub mod hyperbolic;
pub mod multiple_instance;
pub mod negatives;
mod numerics;
mod objective;
pub mod ranking;
pub mod registry;
pub mod regularization;

pub use error::InvalidParameter;
pub use objective::{EmbeddingBatch, EmbeddingObjective, LogitBatch, LogitObjective, ObjectiveState, PairObjective};
