use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// What [`PseudoNegativeSampler`] remembers of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeanState {
    /// The plain mean of the batch: everything older is forgotten. The authors' code, which also starts every epoch
    /// from 0.
    PreviousBatch,
    /// The centre that was sampled around: a running mean, as the paper's text has it.
    Running,
}

/// Configuration of the [pseudo-negative sampler](PseudoNegativeSampler).
#[derive(Config, Debug)]
pub struct PseudoNegativeSamplerConfig {
    /// Weight of the remembered mean, in `[0, 1]`.
    #[config(default = 0.8)]
    pub alpha: f64,
    /// Variance of the noise, at least 0 (the authors' code calls the factor of the covariance so).
    #[config(default = 1.0)]
    pub std_dev: f64,
    /// What is remembered.
    #[config(default = "MeanState::PreviousBatch")]
    pub mean_state: MeanState,
    /// Seed of the noise.
    #[config(default = 0)]
    pub seed: u64,
}

impl PseudoNegativeSamplerConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..=1.0).contains(&self.alpha), "alpha", self.alpha, "in [0, 1]")?;
        require(self.std_dev >= 0.0 && self.std_dev.is_finite(), "std_dev", self.std_dev, "finite and at least 0")
    }

    /// Builds the sampler.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> PseudoNegativeSampler {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        PseudoNegativeSampler { alpha: self.alpha, std_dev: self.std_dev, mean_state: self.mean_state, seed: self.seed }
    }
}

/// What the sampler carries from batch to batch. The caller owns it.
#[derive(Debug, Clone)]
pub struct PseudoNegativeState {
    /// The remembered mean, `[dim]`; `None`, which counts as 0, before the first batch. Set it to `None` at the start of
    /// every epoch to follow the authors' code.
    pub mean: Option<Tensor<1>>,
    /// Generator of the noise.
    pub rng: Xoshiro256PlusPlus,
}

/// Negatives where there are none: Gaussian noise around a weighted mean of the features seen so far.
///
/// ```text
/// m       = mean of the features of the batch
/// centre  = alpha previous + (1 - alpha) m
/// samples = centre + sqrt(s) N(0, I),        s = std_dev
/// ```
///
/// as many as there are features. `previous` is `m` or `centre` of the last batch ([`MeanState`]) and 0 at the first. No
/// gradient goes through the samples.
///
/// Source: Narayan, Patel 2024, "Hyp-OC", <https://arxiv.org/abs/2404.14406>, section 3; after Oza, Patel 2019,
/// "One-Class Convolutional Neural Network", <https://arxiv.org/abs/1901.08688>, whose noise is around 0.
#[derive(Module, Debug)]
pub struct PseudoNegativeSampler {
    /// Weight of the remembered mean.
    pub alpha: f64,
    /// Variance of the noise.
    pub std_dev: f64,
    /// What is remembered.
    #[module(skip)]
    pub mean_state: MeanState,
    /// Seed of the noise.
    pub seed: u64,
}

impl PseudoNegativeSampler {
    /// The state before the first batch.
    pub fn initial_state(&self) -> PseudoNegativeState {
        PseudoNegativeState { mean: None, rng: Xoshiro256PlusPlus::seed_from_u64(self.seed) }
    }

    /// Samples for a batch of features, and the state after it.
    ///
    /// # Shapes
    /// - features: `[batch, dim]`
    /// - output: samples `[batch, dim]`, without a gradient
    ///
    /// # Panics
    /// When the batch is empty.
    pub fn forward(&self, features: Tensor<2>, state: PseudoNegativeState) -> (Tensor<2>, PseudoNegativeState) {
        let [batch, dim] = features.dims();
        let PseudoNegativeState { mean, mut rng } = state;
        let options = (&features.device(), features.dtype());
        let noise: Vec<f64> = (0..batch * dim).map(|_| StandardNormal.sample(&mut rng)).collect();
        let noise = TensorData::new(noise, [batch, dim]).convert_dtype(features.dtype());
        let noise = Tensor::from_data(noise, options);
        let mean = mean.unwrap_or_else(|| Tensor::zeros([dim], options));
        let (samples, mean) = self.forward_with_noise(features, mean, noise);
        (samples, PseudoNegativeState { mean: Some(mean), rng })
    }

    /// The same with the noise given: samples, and what is remembered of the batch.
    ///
    /// # Shapes
    /// - features: `[batch, dim]`
    /// - previous: `[dim]`
    /// - noise: `[batch, dim]`
    /// - output: samples `[batch, dim]` and mean `[dim]`, both without a gradient
    ///
    /// # Panics
    /// When the batch is empty.
    pub fn forward_with_noise(
        &self,
        features: Tensor<2>,
        previous: Tensor<1>,
        noise: Tensor<2>,
    ) -> (Tensor<2>, Tensor<1>) {
        let [batch, dim] = features.dims();
        assert!(batch > 0, "a mean needs at least one example");
        let mean = features.detach().mean_dim(0).reshape([dim]);
        let centre = previous.detach().mul_scalar(self.alpha) + mean.clone().mul_scalar(1.0 - self.alpha);
        let samples = noise.detach().mul_scalar(self.std_dev.sqrt()) + centre.clone().unsqueeze::<2>();
        let next = match self.mean_state {
            MeanState::PreviousBatch => mean,
            MeanState::Running => centre,
        };
        (samples, next)
    }
}
