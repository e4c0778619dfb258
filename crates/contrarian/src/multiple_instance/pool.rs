use super::init::linear;
use super::{BagMask, Bags};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// What a model says of a batch of bags.
#[derive(Debug, Clone)]
pub struct BagOutput {
    /// Raw scores of the classes, `[bags, classes]`.
    pub logits: Tensor<2>,
    /// Attention scores before the softmax, `[bags, heads, instances]`; `None` where there is no attention. Those of padding
    /// mean nothing: the mask of the bags goes with them.
    pub scores: Option<Tensor<3>>,
}

/// A model over bags.
pub trait BagModel: Module {
    /// Logits and attention scores, without dropout.
    fn forward(&self, bags: &Bags) -> BagOutput;
}

/// Attention-weighted sums: `z_h = sum_j softmax(s_h)_j v_j`, padding left out.
///
/// # Shapes
/// - values: `[bags, instances, features]`
/// - scores: `[bags, heads, instances]`
/// - output: `[bags, heads, features]`
pub fn attention_pool(values: Tensor<3>, scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<3> {
    attention(scores, mask).matmul(values)
}

/// Softmax over the instances, 0 for padding.
pub(super) fn attention(scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<3> {
    let scores = match mask {
        Some(mask) => mask.fill(scores, f64::NEG_INFINITY),
        None => scores,
    };
    activation::softmax(scores, 2)
}

/// Configuration of [`MeanPoolMil`] and [`MaxPoolMil`].
#[derive(Config, Debug)]
pub struct PoolMilConfig {
    /// Features of an instance, at least 1.
    pub input: usize,
    /// Classes, at least 1.
    pub classes: usize,
    /// Features an instance is reduced to, at least 1.
    #[config(default = 256)]
    pub reduced: usize,
}

impl PoolMilConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When a size is 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_sizes(&[("input", self.input), ("classes", self.classes), ("reduced", self.reduced)])
    }

    /// Mean pooling, weights drawn from `seed`.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init_mean(&self, device: &Device, seed: u64) -> MeanPoolMil {
        let (reduce, classifier) = self.layers(device, seed);
        MeanPoolMil { reduce, classifier }
    }

    /// Max pooling, weights drawn from `seed`.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init_max(&self, device: &Device, seed: u64) -> MaxPoolMil {
        let (reduce, classifier) = self.layers(device, seed);
        MaxPoolMil { reduce, classifier }
    }

    fn layers(&self, device: &Device, seed: u64) -> (Linear, Linear) {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let reduce = linear(self.input, self.reduced, false, device, rng);
        (reduce, linear(self.reduced, self.classes, true, device, rng))
    }
}

pub(super) fn require_sizes(sizes: &[(&str, usize)]) -> Result<(), InvalidParameter> {
    sizes.iter().try_for_each(|&(field, size)| require(size > 0, field, size, "at least 1"))
}

/// The mean of the reduced instances, then a linear classifier: attention that is uniform.
///
/// ```text
/// h_j = relu(W_r x_j),   logits = C mean_j h_j + c
/// ```
#[derive(Module, Debug)]
pub struct MeanPoolMil {
    /// Reduces an instance, without bias.
    pub reduce: Linear,
    /// From the pooled features to the classes.
    pub classifier: Linear,
}

impl BagModel for MeanPoolMil {
    fn forward(&self, bags: &Bags) -> BagOutput {
        let h = activation::relu(self.reduce.forward(bags.instances()));
        let [count, places, _] = h.dims();
        let scores = h.clone().detach().slice([0..count, 0..places, 0..1]).zeros_like().swap_dims(1, 2);
        let pooled = attention_pool(h, scores.clone(), bags.mask());
        BagOutput { logits: self.classifier.forward(pooled).squeeze_dim(1), scores: Some(scores) }
    }
}

/// The largest value of each reduced feature, then a linear classifier: every feature attends to one instance only.
///
/// ```text
/// h_j = relu(W_r x_j),   logits = C max_j h_j + c
/// ```
#[derive(Module, Debug)]
pub struct MaxPoolMil {
    /// Reduces an instance, without bias.
    pub reduce: Linear,
    /// From the pooled features to the classes.
    pub classifier: Linear,
}

impl BagModel for MaxPoolMil {
    fn forward(&self, bags: &Bags) -> BagOutput {
        let mut h = activation::relu(self.reduce.forward(bags.instances())).swap_dims(1, 2);
        if let Some(mask) = bags.mask() {
            h = mask.fill(h, f64::NEG_INFINITY);
        }
        BagOutput { logits: self.classifier.forward(h.max_dim(2).squeeze_dim::<2>(2)), scores: None }
    }
}
