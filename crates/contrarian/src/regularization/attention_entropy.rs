use crate::InvalidParameter;
use crate::error::require;
use crate::multiple_instance::BagMask;
use crate::numerics::constant;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// How the heads of an attention become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadReduction {
    /// Their mean.
    MeanHeads,
    /// Their sum.
    SumHeads,
}

/// Configuration of the [attention entropy regulariser](AttentionEntropyRegularizer).
#[derive(Config, Debug)]
pub struct AttentionEntropyRegularizerConfig {
    /// Weight of the term in a loss, at least 0.
    #[config(default = 0.1)]
    pub weight: f64,
    /// How the heads become one number.
    #[config(default = "HeadReduction::MeanHeads")]
    pub reduction: HeadReduction,
    /// Divide by the largest entropy, the logarithm of the bag's length, so that long bags do not weigh more.
    #[config(default = false)]
    pub normalise: bool,
}

impl AttentionEntropyRegularizerConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `weight` is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.weight >= 0.0 && self.weight.is_finite(), "weight", self.weight, "finite and at least 0")
    }

    /// Builds the regulariser.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> AttentionEntropyRegularizer {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        AttentionEntropyRegularizer { weight: self.weight, reduction: self.reduction, normalise: self.normalise }
    }
}

/// Negative entropy of an attention: added to a loss, it keeps attention from settling on a few places.
///
/// ```text
/// L = mean_b mean_h sum_j a_bhj log a_bhj,        a_bh = softmax(s_bh)
/// ```
///
/// over bags `b`, heads `h` and instances `j`, with `0 log 0 = 0`. It is between `-log n` (uniform) and 0 (one place only,
/// and a bag of one instance). `normalise` divides a bag by `log n`; a bag of one instance then counts 0. Padding is left out.
///
/// Any attention will do: of a bag, of a sequence, of a mixture.
///
/// Source: Zhang et al. 2024, "AEM", <https://arxiv.org/abs/2406.15303>, equations 4 and 5.
#[derive(Module, Debug)]
pub struct AttentionEntropyRegularizer {
    /// Weight of the term in a loss.
    pub weight: f64,
    /// How the heads become one number.
    #[module(skip)]
    pub reduction: HeadReduction,
    /// Divide by the logarithm of the bag's length.
    pub normalise: bool,
}

impl AttentionEntropyRegularizer {
    /// The negative entropy, before its weight.
    ///
    /// # Shapes
    /// - scores: `[bags, heads, instances]`, before the softmax
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there is no bag, head or instance, or the mask has other sizes.
    pub fn forward(&self, scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<1> {
        let places = scores.dims()[2];
        self.reduce(self.entropy(scores, mask), places, mask)
    }

    /// The term of a loss: [`forward`](Self::forward) times the weight.
    ///
    /// # Shapes
    /// - scores: `[bags, heads, instances]`, before the softmax
    /// - output: `[1]`
    ///
    /// # Panics
    /// See [`forward`](Self::forward).
    pub fn weighted(&self, scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<1> {
        self.forward(scores, mask).mul_scalar(self.weight)
    }

    /// The same for an attention that is normalised already; `is_log` when its logarithms are given.
    ///
    /// # Shapes
    /// - attention: `[bags, heads, instances]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// See [`forward`](Self::forward).
    pub fn of_attention(&self, attention: Tensor<3>, is_log: bool, mask: Option<&BagMask>) -> Tensor<1> {
        let places = attention.dims()[2];
        let entropy = if is_log {
            entropy_of_log(masked(attention, mask, f64::NEG_INFINITY))
        } else {
            let attention = masked(attention, mask, 0.0);
            // Where the attention is 0 the summand is 0, and 1 log 1 is too, with a finite slope.
            let nowhere = attention.clone().equal_scalar(0.0);
            let attention = attention.mask_fill(nowhere, 1.0);
            sum_instances(attention.clone() * attention.log()).neg()
        };
        self.reduce(entropy, places, mask)
    }

    /// Entropy of every head in nats, `[bags, heads]`, never normalised: a diagnostic, differentiable all the same.
    ///
    /// # Shapes
    /// - scores: `[bags, heads, instances]`, before the softmax
    /// - output: `[bags, heads]`
    ///
    /// # Panics
    /// See [`forward`](Self::forward).
    pub fn entropy(&self, scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<2> {
        entropy_of_log(activation::log_softmax(masked(scores, mask, f64::NEG_INFINITY), 2))
    }

    fn reduce(&self, entropy: Tensor<2>, places: usize, mask: Option<&BagMask>) -> Tensor<1> {
        let [bags, heads] = entropy.dims();
        let per_bag = match self.reduction {
            HeadReduction::MeanHeads => entropy.sum_dim(1).mul_scalar(1.0 / heads as f64),
            HeadReduction::SumHeads => entropy.sum_dim(1),
        };
        let mut per_bag = per_bag.reshape([bags]);
        if self.normalise {
            let of_length = |n: usize| if n > 1 { 1.0 / (n as f64).ln() } else { 0.0 };
            let factors: Vec<f64> = match mask {
                Some(mask) => mask.lengths().iter().map(|&n| of_length(n)).collect(),
                None => vec![of_length(places); bags],
            };
            let factors = constant(&factors, &per_bag);
            per_bag = per_bag * factors;
        }
        per_bag.mean().neg()
    }
}

/// `x` with the padding filled.
fn masked(x: Tensor<3>, mask: Option<&BagMask>, value: f64) -> Tensor<3> {
    let [bags, heads, places] = x.dims();
    assert!(bags > 0 && heads > 0 && places > 0, "an attention needs a place, got [{bags}, {heads}, {places}]");
    let Some(mask) = mask else { return x };
    assert_eq!(mask.dims(), [bags, places], "the mask belongs to other scores than [{bags}, {heads}, {places}]");
    mask.fill(x, value)
}

fn sum_instances(x: Tensor<3>) -> Tensor<2> {
    x.sum_dim(2).squeeze_dim(2)
}

/// `-sum_j a_j log a_j`, from `log a`. Where that is minus infinity (padding, instances dropped) the summand is 0: the
/// logarithm is replaced before it is multiplied, since 0 times infinity is NaN in value and gradient.
fn entropy_of_log(log_a: Tensor<3>) -> Tensor<2> {
    let a = log_a.clone().exp();
    let nowhere = log_a.clone().is_inf();
    sum_instances(a * log_a.mask_fill(nowhere, 0.0)).neg()
}

/// Share of the attention on the `k` places attended to most, a diagnostic, `[bags, heads]`.
///
/// # Shapes
/// - scores: `[bags, heads, instances]`, before the softmax
/// - output: `[bags, heads]`
///
/// # Panics
/// When there is no bag, head or instance, or the mask has other sizes.
pub fn top_attention_share(scores: Tensor<3>, mask: Option<&BagMask>, k: usize) -> Tensor<2> {
    let attention = activation::softmax(masked(scores, mask, f64::NEG_INFINITY), 2);
    let k = k.min(attention.dims()[2]);
    sum_instances(attention.sort_descending(2).narrow(2, 0, k))
}
