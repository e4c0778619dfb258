//! Activations as modules for any Burn model, and the search for better ones by the entropy of their output.
//!
//! [`CrRelu`] is what that search gives from ReLU. [`ActivationKind`] treats it and Burn's own activations alike.

mod crrelu;
mod density;
mod eafo;
mod increasing;
mod kind;
mod wafbc;

pub use crrelu::{CrRelu, CrReluConfig};
pub use density::InputDensity;
pub use eafo::eafo_correction;
pub use increasing::{IncreasingActivation, Inverse};
pub use kind::{Activation, ActivationKind};
pub use wafbc::Wafbc;
