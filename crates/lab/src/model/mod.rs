//! Models a table can be trained with.

mod mlp;

pub use mlp::{Activation, Mlp, MlpConfig, Mode};
