//! The Poincare ball for any Burn model: its operations, the way from features onto it, and logistic regression on it.
//!
//! Points are rows of tensors `[.., d]`, in f32 or f64. Every operation is differentiable and has finite values and
//! gradients at the origin and up to the boundary; points on or outside the ball are handled as [`PoincareBall`] says.

mod ball;
mod clip;
mod logistic;
mod norms;
mod to_poincare;

pub use ball::{OutsideBall, PoincareBall, PoincareBallConfig};
pub use clip::{FeatureClip, FeatureClipConfig};
pub use logistic::{HyperbolicMlr, HyperbolicMlrConfig};
pub use to_poincare::{ToPoincare, ToPoincareConfig};
