use super::{require_temperature, same_shape, unit_rows};
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::InBatch;
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [hard contrastive loss](HardContrastiveLoss).
#[derive(Config, Debug)]
pub struct HardContrastiveLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Share of an anchor's negatives that count, the hardest, in `(0, 1]`.
    #[config(default = 0.1)]
    pub fraction: f64,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl HardContrastiveLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)?;
        require(self.fraction > 0.0 && self.fraction <= 1.0, "fraction", self.fraction, "in (0, 1]")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> HardContrastiveLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        HardContrastiveLoss { temperature: self.temperature, fraction: self.fraction, normalize: self.normalize }
    }
}

/// InfoNCE over the hardest negatives only.
///
/// ```text
/// l_i = log( exp(s_ii) + sum_{j: s_ij >= t_i} exp(s_ij) ) - s_ii,     s_ij = x_i . y_j / T
/// ```
///
/// with `t_i` the K-th largest of the anchor's `M` negative scores, `K = max(1, ceil(fraction M))`; negatives equal to
/// `t_i` stay. The choice carries no gradient. From a random start with a small batch and fraction every embedding may
/// collapse into one: warm up with [InfoNCE](super::InfoNceLoss).
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, equation 9.
#[derive(Module, Debug)]
pub struct HardContrastiveLoss {
    /// Temperature.
    pub temperature: f64,
    /// Share of negatives that count.
    pub fraction: f64,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl HardContrastiveLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ or are empty, or memory does not suffice (with the sizes).
    pub fn forward(&self, anchors: Tensor<2>, positives: Tensor<2>) -> Tensor<1> {
        self.compute(anchors, positives, None, true)
    }

    /// The mean over the batch, with extra negatives.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_negatives(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        self.compute(anchors, positives, Some(negatives), true)
    }

    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(
        &self,
        anchors: Tensor<2>,
        positives: Tensor<2>,
        negatives: Option<Tensor<2>>,
    ) -> Tensor<1> {
        self.compute(anchors, positives, negatives, false)
    }

    fn compute(&self, anchors: Tensor<2>, positives: Tensor<2>, negatives: Option<Tensor<2>>, mean: bool) -> Tensor<1> {
        let [n, dim] = same_shape(&anchors, &positives);
        let (x, y) = (unit_rows(anchors, self.normalize), unit_rows(positives, self.normalize));
        let candidates = match negatives {
            Some(negatives) => Tensor::cat(vec![y, unit_rows(negatives, self.normalize)], 0),
            None => y,
        };
        let kernel = InBatch {
            dim,
            temperature: self.temperature,
            positives: (0..n).collect(),
            own: None,
            coupled: true,
            negatives_only: false,
            hardest: Some(self.fraction),
            mean,
        };
        kernel.forward(x, candidates)
    }
}

pair_objective!(HardContrastiveLoss);
