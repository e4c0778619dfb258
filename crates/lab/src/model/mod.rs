//! Models a table, a set of images or of series can be trained with.

mod classifier;
mod cnn;
mod domain;
mod encoder;
mod mlp;
mod network;
mod one_class;
mod series_encoder;
mod series_network;
mod shallow_net;
mod tcn;
mod two_tower;

pub use classifier::Classifier;
pub use cnn::{Cnn, CnnConfig};
pub use domain::{DomainNetwork, DomainNetworkConfig};
pub use encoder::{Encoder, EncoderConfig};
pub use mlp::{Activation, Mlp, MlpConfig, Mode, linear};
pub use network::{Architecture, Network, NetworkConfig};
pub use one_class::{OneClassDetector, OneClassDetectorConfig, Separation};
pub use series_encoder::{SeriesEncoder, SeriesEncoderConfig};
pub use series_network::SeriesNetwork;
pub use shallow_net::{ShallowNet, ShallowNetConfig};
pub use tcn::{CausalConvolution, Tcn, TcnConfig, TemporalBlock, weight_norm};
pub use two_tower::{TwoTower, TwoTowerConfig};
