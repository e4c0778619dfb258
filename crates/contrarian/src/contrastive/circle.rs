use super::class_pairs::{ClassPairs, NOTHING, count};
use super::unit_rows;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{log_sum_exp, softplus};
use crate::objective::{embedding_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};

/// Configuration of the [circle loss](CircleLoss).
#[derive(Config, Debug)]
pub struct CircleLossConfig {
    /// Radius of the decision boundary, in `[0, 1]`.
    #[config(default = 0.4)]
    pub margin: f64,
    /// Scale of the similarities, above 0.
    #[config(default = 80.0)]
    pub gamma: f64,
}

impl CircleLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..=1.0).contains(&self.margin), "margin", self.margin, "in [0, 1]")?;
        require(self.gamma > 0.0 && self.gamma.is_finite(), "gamma", self.gamma, "finite and above 0")
    }

    fn build(&self) -> CircleLoss {
        CircleLoss { margin: self.margin, gamma: self.gamma }
    }
}

init!(CircleLossConfig => CircleLoss);
embedding_objective!(CircleLoss);

/// Circle loss: every similarity pulled or pushed by its own distance from where it should be.
///
/// ```text
/// a_p = max(1 + m - s_p, 0),   a_n = max(s_n + m, 0)                              both without gradient
/// l_i = log( 1 + sum_n exp(g a_n (s_n - m)) sum_p exp(-g a_p (s_p - (1 - m))) )    0 without a positive or a negative
/// loss = mean of l_i over the anchors with both, 0 where there is none
/// ```
///
/// over the cosines `s_p` of anchor `i` with the other rows of its label and `s_n` with the rows of other labels; rows are
/// scaled to length 1 first. Defaults are the paper's for retrieval; for faces it has `m = 0.25`, `g = 256`. Time
/// `O(n^2 dim)`, memory `O(n^2)`.
///
/// Source: Sun et al. 2020, <https://arxiv.org/abs/2002.10857>, equations 6 and 8.
#[derive(Module, Debug)]
pub struct CircleLoss {
    /// Radius of the decision boundary.
    pub margin: f64,
    /// Scale of the similarities.
    pub gamma: f64,
}

impl CircleLoss {
    /// The mean over the anchors with a positive and a negative.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, or there are not as many labels as embeddings.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (losses, anchors) = self.compute(embeddings, labels);
        losses.sum() / anchors.sum().clamp_min(1.0)
    }

    /// The loss of every anchor; 0 for those without a positive or a negative.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.compute(embeddings, labels).0
    }

    /// The losses, and 1 for every anchor that has one.
    fn compute(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<1>) {
        let [n, _] = embeddings.dims();
        let ClassPairs { positive, negative } = ClassPairs::new(&embeddings, labels);
        let x = unit_rows(embeddings, true);
        let s = x.clone().matmul(x.transpose());
        let (m, plain) = (self.margin, s.clone().detach());
        let push = plain.clone().add_scalar(m).clamp_min(0.0) * s.clone().sub_scalar(m);
        let pull = plain.neg().add_scalar(1.0 + m).clamp_min(0.0) * s.neg().add_scalar(1.0 - m);
        let both = count(positive.clone(), &push).clamp(0.0, 1.0) * count(negative.clone(), &push).clamp(0.0, 1.0);
        let over = |scores: Tensor<2>, mask: Tensor<2, Bool>| -> Tensor<1> {
            log_sum_exp(scores.mul_scalar(self.gamma).mask_fill(mask.bool_not(), NOTHING)).reshape([n])
        };
        // Where a side is empty the sum is far below 0, and loss and slope are 0.
        (softplus(over(push, negative) + over(pull, positive)), both)
    }
}
