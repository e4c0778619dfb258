use super::nt_xent::stacked;
use super::{require_temperature, same_shape, unit_rows};
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::InBatch;
use crate::numerics::sigmoid;
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

/// Which views are anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Both views; the loss is the sum of the two means.
    Both,
    /// The first view only.
    OneWay,
}

/// Configuration of the [decoupled contrastive loss](DclLoss).
#[derive(Config, Debug)]
pub struct DclLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Which views are anchors.
    #[config(default = "Direction::Both")]
    pub direction: Direction,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl DclLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the temperature is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> DclLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        DclLoss { temperature: self.temperature, direction: self.direction, normalize: self.normalize }
    }
}

/// Decoupled contrastive loss (DCL): NT-Xent without the positive in the denominator, so that an easy positive does not
/// shrink the gradient of all negatives.
///
/// ```text
/// U_i = sum_{j != i} [ exp(x_i . x_j / T) + exp(x_i . y_j / T) ]        both views of all other items
/// l_i = log U_i - x_i . y_i / T
/// loss = mean_i l_i, plus the same with x and y exchanged (direction `both`)
/// ```
///
/// Values may be negative. For unit rows at one temperature, the gradient of InfoNCE is this one times
/// [`negative_positive_coupling`].
///
/// Source: Yeh et al. 2022, "Decoupled Contrastive Learning", <https://arxiv.org/abs/2110.06848>, equation 6; the sum of
/// both directions as in the public implementation.
#[derive(Module, Debug)]
pub struct DclLoss {
    /// Temperature.
    pub temperature: f64,
    /// Which views are anchors.
    #[module(skip)]
    pub direction: Direction,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl DclLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`, the two views of `n` items, `n >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ, an anchor has no negative, or memory does not suffice (with the sizes).
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        let mean = self.compute(first, second, None, true);
        if self.direction == Direction::Both { mean.mul_scalar(2.0) } else { mean }
    }

    /// The loss of the batch, with extra negatives in every denominator.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_negatives(&self, first: Tensor<2>, second: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        let mean = self.compute(first, second, Some(negatives), true);
        if self.direction == Direction::Both { mean.mul_scalar(2.0) } else { mean }
    }

    /// The loss of every anchor, first views before second views.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[n]`, or `[2 n]` for both directions
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>) -> Tensor<1> {
        self.compute(first, second, negatives, false)
    }

    fn compute(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>, mean: bool) -> Tensor<1> {
        let (x, y) = (unit_rows(first, self.normalize), unit_rows(second, self.normalize));
        let negatives = negatives.map(|negatives| unit_rows(negatives, self.normalize));
        let (kernel, anchors, candidates) = views(x, y, negatives, self.temperature, self.direction);
        InBatch { mean, ..kernel }.forward(anchors, candidates)
    }
}

/// The decoupled contrast of one view or both.
fn views(
    x: Tensor<2>,
    y: Tensor<2>,
    negatives: Option<Tensor<2>>,
    temperature: f64,
    direction: Direction,
) -> (InBatch, Tensor<2>, Tensor<2>) {
    let n = x.dims()[0];
    assert!(n >= 2 || negatives.is_some(), "the decoupled loss needs at least two items, got {n}");
    let (mut kernel, views, candidates) = stacked(x, y, negatives, temperature);
    kernel.coupled = false;
    if direction == Direction::Both {
        return (kernel, views, candidates);
    }
    kernel.positives.truncate(n);
    kernel.own = kernel.own.map(|own| own[..n].to_vec());
    let dim = kernel.dim;
    (kernel, views.slice([0..n, 0..dim]), candidates)
}

/// Configuration of the [weighted decoupled contrastive loss](DclwLoss).
#[derive(Config, Debug)]
pub struct DclwLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// How sharply the weight prefers items whose views disagree, above 0.
    #[config(default = 0.5)]
    pub sigma: f64,
    /// Whether weights count as constants in the gradient.
    #[config(default = false)]
    pub detach_weight: bool,
    /// Which views are anchors.
    #[config(default = "Direction::Both")]
    pub direction: Direction,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl DclwLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When temperature or sigma is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)?;
        require(self.sigma > 0.0 && self.sigma.is_finite(), "sigma", self.sigma, "finite and above 0")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> DclwLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        DclwLoss {
            temperature: self.temperature,
            sigma: self.sigma,
            detach_weight: self.detach_weight,
            direction: self.direction,
            normalize: self.normalize,
        }
    }
}

/// Decoupled contrastive loss with a von-Mises-Fisher weight on the positives (DCLW): items whose views disagree pull more.
///
/// ```text
/// w_i = 2 - n softmax_i(x_i . y_i / sigma)              over the batch; the mean of w is 1
/// l_i = log U_i - w_i x_i . y_i / T                     U_i as in the decoupled loss
/// ```
///
/// For a small `sigma` the weight of the most agreeing item goes to `2 - n`: its views are then pushed apart. That is the
/// formula; nothing is clamped.
///
/// Source: Yeh et al. 2022, <https://arxiv.org/abs/2110.06848>, section 3.3.
#[derive(Module, Debug)]
pub struct DclwLoss {
    /// Temperature.
    pub temperature: f64,
    /// Sharpness of the weights.
    pub sigma: f64,
    /// Whether weights count as constants in the gradient.
    pub detach_weight: bool,
    /// Which views are anchors.
    #[module(skip)]
    pub direction: Direction,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl DclwLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`, the two views of `n` items, `n >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ, an anchor has no negative, or memory does not suffice (with the sizes).
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        self.reduce(first, second, None)
    }

    /// The loss of the batch, with extra negatives in every denominator.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_negatives(&self, first: Tensor<2>, second: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        self.reduce(first, second, Some(negatives))
    }

    fn reduce(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>) -> Tensor<1> {
        let (negatives, positives) = self.parts(first, second, negatives, true);
        let loss = negatives - positives.mean();
        if self.direction == Direction::Both { loss.mul_scalar(2.0) } else { loss }
    }

    /// The loss of every anchor, first views before second views.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[n]`, or `[2 n]` for both directions
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>) -> Tensor<1> {
        let (negatives, positives) = self.parts(first, second, negatives, false);
        let positives = match self.direction {
            Direction::Both => Tensor::cat(vec![positives.clone(), positives], 0),
            Direction::OneWay => positives,
        };
        negatives - positives
    }

    /// `log U` (its mean where `mean`), and the weighted positive scores `[n]`.
    fn parts(
        &self,
        first: Tensor<2>,
        second: Tensor<2>,
        negatives: Option<Tensor<2>>,
        mean: bool,
    ) -> (Tensor<1>, Tensor<1>) {
        let (x, y) = (unit_rows(first, self.normalize), unit_rows(second, self.normalize));
        let negatives = negatives.map(|negatives| unit_rows(negatives, self.normalize));
        let [n, _] = same_shape(&x, &y);
        let agreement: Tensor<1> = (x.clone() * y.clone()).sum_dim(1).reshape([n]);
        let share = activation::softmax(agreement.clone().mul_scalar(1.0 / self.sigma), 0);
        let weight = share.mul_scalar(-(n as f64)).add_scalar(2.0);
        let weight = if self.detach_weight { weight.detach() } else { weight };
        let (kernel, anchors, candidates) = views(x, y, negatives, self.temperature, self.direction);
        let kernel = InBatch { mean, negatives_only: true, ..kernel };
        (kernel.forward(anchors, candidates), weight * agreement.mul_scalar(1.0 / self.temperature))
    }
}

/// How much of the decoupled gradient NT-Xent keeps, for every first view: `q_i = U_i / (exp(x_i . y_i / T) + U_i)`, in
/// (0, 1).
///
/// A diagnostic: small values mean that easy positives silence their negatives. It rises with the batch.
///
/// # Shapes
/// - first, second: `[n, dim]`, used as they are, `n >= 2`
/// - output: `[n]`
///
/// # Panics
/// As [`DclLoss::forward`].
///
/// Source: Yeh et al. 2022, <https://arxiv.org/abs/2110.06848>, equation 4.
pub fn negative_positive_coupling(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let objective = DclLoss { temperature, direction: Direction::OneWay, normalize: false };
    sigmoid(objective.forward_no_reduction(first, second, None))
}

pair_objective!(DclLoss);

pair_objective!(DclwLoss);
