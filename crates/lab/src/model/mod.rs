//! Models a table or a set of images can be trained with.

mod classifier;
mod cnn;
mod domain;
mod mlp;
mod network;
mod one_class;
mod two_tower;

pub use classifier::Classifier;
pub use cnn::{Cnn, CnnConfig};
pub use domain::{DomainNetwork, DomainNetworkConfig};
pub use mlp::{Activation, Mlp, MlpConfig, Mode, linear};
pub use network::{Architecture, Network, NetworkConfig};
pub use one_class::{OneClassDetector, OneClassDetectorConfig, Separation};
pub use two_tower::{TwoTower, TwoTowerConfig};
