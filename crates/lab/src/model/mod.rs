//! Models a table can be trained with.

mod classifier;
mod mlp;

pub use classifier::Classifier;
pub use mlp::{Activation, Mlp, MlpConfig, Mode};
