use super::linear;
use crate::federated::DomainModel;
use burn::config::Config;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor, activation};
use contrarian::InvalidParameter;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Configuration of a [network with a domain head](DomainNetwork).
#[derive(Config, Debug)]
pub struct DomainNetworkConfig {
    /// Inputs, at least 1.
    pub inputs: usize,
    /// Classes, at least 2.
    pub classes: usize,
    /// Units of the first layer, at least 1.
    #[config(default = 96)]
    pub width: usize,
    /// Features, at least 1.
    #[config(default = 48)]
    pub features: usize,
    /// Units of the domain head, at least 1.
    #[config(default = 32)]
    pub domain_width: usize,
    /// Batch normalisation in front of each non-linearity of the features.
    #[config(default = false)]
    pub batch_norm: bool,
}

impl DomainNetworkConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let sizes = [
            ("inputs", self.inputs, 1),
            ("classes", self.classes, 2),
            ("width", self.width, 1),
            ("features", self.features, 1),
            ("domain_width", self.domain_width, 1),
        ];
        match sizes.into_iter().find(|(_, size, least)| size < least) {
            None => Ok(()),
            Some((field, size, least)) => Err(InvalidParameter::new(field, size, format!("at least {least}"))),
        }
    }

    /// Builds the network, its weights drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> DomainNetwork {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut layer = |inputs, outputs| linear(inputs, outputs, device, &mut rng);
        let norm = |size: usize| self.batch_norm.then(|| BatchNormConfig::new(size).init(device));
        DomainNetwork {
            first: layer(self.inputs, self.width),
            second: layer(self.width, self.features),
            norms: [norm(self.width), norm(self.features)].into_iter().flatten().collect(),
            classes: layer(self.features, self.classes),
            domain_hidden: layer(self.features, self.domain_width),
            domains: layer(self.domain_width, 2),
        }
    }
}

/// Two layers of features, a linear head for classes, a head of one hidden layer for source and target.
#[derive(Module, Debug)]
pub struct DomainNetwork {
    first: Linear,
    second: Linear,
    norms: Vec<BatchNorm>,
    classes: Linear,
    domain_hidden: Linear,
    domains: Linear,
}

impl DomainModel for DomainNetwork {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let normed = |x: Tensor<2>, at: usize| self.norms.get(at).map_or(x.clone(), |norm| norm.forward(x));
        let x = activation::relu(normed(self.first.forward(x), 0));
        activation::relu(normed(self.second.forward(x), 1))
    }

    fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.classes.forward(features)
    }

    fn discriminate(&self, features: Tensor<2>) -> Tensor<2> {
        self.domains.forward(activation::relu(self.domain_hidden.forward(features)))
    }
}
