//! Models a table can be trained with.

mod classifier;
mod mlp;
mod one_class;

pub use classifier::Classifier;
pub use mlp::{Activation, Mlp, MlpConfig, Mode, linear};
pub use one_class::{OneClassDetector, OneClassDetectorConfig, Separation};
