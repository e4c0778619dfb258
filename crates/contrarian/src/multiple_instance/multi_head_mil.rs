use super::init::linear;
use super::pool::{attention, require_sizes};
use super::{BagModel, BagOutput, Bags};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};

/// Configuration of [multi-head attention pooling](MultiHeadAttentionMil).
#[derive(Config, Debug)]
pub struct MultiHeadAttentionMilConfig {
    /// Features of an instance, at least 1.
    pub input: usize,
    /// Classes, at least 1.
    pub classes: usize,
    /// Features an instance is reduced to, a multiple of `heads`.
    #[config(default = 256)]
    pub reduced: usize,
    /// Heads, at least 1.
    #[config(default = 8)]
    pub heads: usize,
    /// Probability that a pooled feature is dropped in training, in `[0, 1)`.
    #[config(default = 0.1)]
    pub dropout: f64,
}

impl MultiHeadAttentionMilConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let Self { input, classes, reduced, heads, dropout } = *self;
        require_sizes(&[("input", input), ("classes", classes), ("reduced", reduced), ("heads", heads)])?;
        require(reduced.is_multiple_of(heads), "reduced", reduced, &format!("a multiple of the {heads} heads"))?;
        require((0.0..1.0).contains(&dropout), "dropout", dropout, "in [0, 1)")
    }

    /// Builds the model, weights drawn from `seed`: the query normal with standard deviation 1e-6, so that attention starts
    /// uniform, the layers uniform in `+-1/sqrt(fan-in)`.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> MultiHeadAttentionMil {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let size = self.reduced;
        let normal = Normal::new(0.0f32, 1e-6).expect("the deviation is above 0");
        let query: Vec<f32> = (0..size).map(|_| normal.sample(rng)).collect();
        let mut square = || linear(size, size, true, device, rng);
        let (key, value, output) = (square(), square(), square());
        MultiHeadAttentionMil {
            query: Param::from_data(TensorData::new(query, [1, size]), device),
            reduce: linear(self.input, size, false, device, rng),
            key,
            value,
            output,
            norm: LayerNormConfig::new(size).init(device),
            classifier: linear(size, self.classes, true, device, rng),
            heads: self.heads,
            dropout: self.dropout,
        }
    }
}

/// Multi-head attention pooling with one learned query.
///
/// ```text
/// h_j = relu(W_r x_j),  k_j = K h_j + b_k,  v_j = V h_j + b_v,   s_hj = q_h . k_hj / sqrt(D / heads)
/// z   = concat_h sum_j softmax(s_h)_j v_hj,     logits = C LayerNorm(dropout(O z + b_o)) + c
/// ```
///
/// with `D = reduced` features cut into heads.
///
/// Source: Zhang et al. 2024, <https://arxiv.org/abs/2406.15303>, section 3 (one of its three attention mechanisms).
#[derive(Module, Debug)]
pub struct MultiHeadAttentionMil {
    /// `q`, `[1, D]`.
    pub query: Param<Tensor<2>>,
    /// `W_r`, without bias.
    pub reduce: Linear,
    /// `K`.
    pub key: Linear,
    /// `V`.
    pub value: Linear,
    /// `O`.
    pub output: Linear,
    /// Normalises the pooled features.
    pub norm: LayerNorm,
    /// `C`.
    pub classifier: Linear,
    /// Heads.
    pub heads: usize,
    /// Probability that a pooled feature is dropped in training.
    pub dropout: f64,
}

impl MultiHeadAttentionMil {
    /// Logits and scores with dropout, whose mask is drawn from `rng`.
    pub fn forward_training(&self, bags: &Bags, rng: &mut Xoshiro256PlusPlus) -> BagOutput {
        let (pooled, scores) = self.pool(bags);
        let [count, size] = pooled.dims();
        let keep = (1.0 / (1.0 - self.dropout)) as f32;
        let kept: Vec<f32> =
            (0..count * size).map(|_| if rng.random_bool(self.dropout) { 0.0 } else { keep }).collect();
        let kept = TensorData::new(kept, [count, size]).convert_dtype(pooled.dtype());
        let kept = Tensor::from_data(kept, (&pooled.device(), pooled.dtype()));
        self.classify(pooled * kept, scores)
    }

    fn pool(&self, bags: &Bags) -> (Tensor<2>, Tensor<3>) {
        let h = activation::relu(self.reduce.forward(bags.instances()));
        let [count, places, size] = h.dims();
        let width = size / self.heads;
        let by_head = |x: Tensor<3>| x.reshape([count, places, self.heads, width]).swap_dims(1, 2);
        let keys = by_head(self.key.forward(h.clone()));
        let query = self.query.val().reshape([1, self.heads, width, 1]).expand([count, self.heads, width, 1]);
        let scores = keys.matmul(query).reshape([count, self.heads, places]).mul_scalar(1.0 / (width as f64).sqrt());
        let weights = attention(scores.clone(), bags.mask()).unsqueeze_dim::<4>(2);
        let pooled = weights.matmul(by_head(self.value.forward(h))).reshape([count, size]);
        (self.output.forward(pooled), scores)
    }

    fn classify(&self, pooled: Tensor<2>, scores: Tensor<3>) -> BagOutput {
        BagOutput { logits: self.classifier.forward(self.norm.forward(pooled)), scores: Some(scores) }
    }
}

impl BagModel for MultiHeadAttentionMil {
    fn forward(&self, bags: &Bags) -> BagOutput {
        let (pooled, scores) = self.pool(bags);
        self.classify(pooled, scores)
    }
}
