use super::in_batch::hardest_threshold;
use super::{same_shape, unit_rows};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [simple contrastive loss](SimpleContrastiveLoss).
#[derive(Config, Debug)]
pub struct SimpleContrastiveLossConfig {
    /// Share of an anchor's negatives that count, the hardest, in `(0, 1]`.
    #[config(default = 1.0)]
    pub fraction: f64,
    /// Weight of every negative, above 0; `None` is one over their number.
    pub weight: Option<f64>,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl SimpleContrastiveLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.fraction > 0.0 && self.fraction <= 1.0, "fraction", self.fraction, "in (0, 1]")?;
        let weight = self.weight.unwrap_or(1.0);
        require(weight > 0.0 && weight.is_finite(), "weight", weight, "finite and above 0")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> SimpleContrastiveLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        SimpleContrastiveLoss { fraction: self.fraction, weight: self.weight, normalize: self.normalize }
    }
}

/// The limit of InfoNCE at a high temperature: all negatives count alike.
///
/// ```text
/// l_i = -s_ii + lambda sum_{j kept} s_ij,        s_ij = x_i . y_j
/// ```
///
/// over all negatives, or the hardest (as in the [hard contrastive loss](super::HardContrastiveLoss)). One pair without extra
/// negatives has the loss `-s_ii`.
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, equation 6.
#[derive(Module, Debug)]
pub struct SimpleContrastiveLoss {
    /// Share of negatives that count.
    pub fraction: f64,
    /// Weight of every negative.
    #[module(skip)]
    pub weight: Option<f64>,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl SimpleContrastiveLoss {
    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// When the shapes differ or are empty.
    pub fn forward_no_reduction(
        &self,
        anchors: Tensor<2>,
        positives: Tensor<2>,
        negatives: Option<Tensor<2>>,
    ) -> Tensor<1> {
        let [n, _] = same_shape(&anchors, &positives);
        let (x, y) = (unit_rows(anchors, self.normalize), unit_rows(positives, self.normalize));
        let own: Tensor<1> = (x.clone() * y.clone()).sum_dim(1).reshape([n]);
        let candidates = match negatives {
            Some(negatives) => Tensor::cat(vec![y, unit_rows(negatives, self.normalize)], 0),
            None => y,
        };
        let m = candidates.dims()[0];
        if m == 1 {
            return own.neg();
        }
        let scores = x.matmul(candidates.transpose());
        let diagonal = Tensor::<2>::eye(m, &scores.device()).slice([0..n, 0..m]).greater_scalar(0.5);
        let plain = scores.clone().without_autodiff().mask_fill(diagonal.clone(), f32::MIN / 4.0);
        let left_out = match hardest_threshold(plain.clone(), self.fraction, m - 1) {
            Some(threshold) => diagonal.bool_or(plain.lower(threshold)),
            None => diagonal,
        };
        let kept = scores.ones_like().mask_fill(left_out.clone(), 0.0).sum_dim(1);
        let sum = scores.mask_fill(left_out, 0.0).sum_dim(1);
        let push = match self.weight {
            Some(weight) => sum.mul_scalar(weight),
            None => sum / kept,
        };
        push.reshape([n]) - own
    }

    /// The mean over the batch.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn forward(&self, anchors: Tensor<2>, positives: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(anchors, positives, None).mean()
    }
}

pair_objective!(SimpleContrastiveLoss);
