use super::OwnMargin;
use super::target_scores::{Head, TargetScores, loss_of_scores, require_scale};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::{class_weight_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [CosFace loss](CosFaceLoss).
#[derive(Config, Debug)]
pub struct CosFaceLossConfig {
    /// Scale of the cosines, above 0.
    #[config(default = 64.0)]
    pub scale: f64,
    /// What is taken from the own class's cosine, at least 0.
    #[config(default = 0.35)]
    pub margin: f64,
}

impl CosFaceLossConfig {
    /// The additive margin softmax (AM-softmax): the same loss, published with scale 30.
    ///
    /// Source: Wang et al. 2018, "Additive Margin Softmax for Face Verification", <https://arxiv.org/abs/1801.05599>,
    /// equation 6.
    pub fn am_softmax() -> Self {
        Self::new().with_scale(30.0)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_scale(self.scale)?;
        let m = self.margin;
        require(m >= 0.0 && m.is_finite(), "margin", m, "finite and at least 0")
    }

    fn build(&self) -> CosFaceLoss {
        CosFaceLoss { scale: self.scale, margin: self.margin }
    }
}

init!(CosFaceLossConfig => CosFaceLoss);
class_weight_objective!(CosFaceLoss);

/// CosFace, also known as AM-softmax: a softmax over cosines with class weights, the own class's cosine made smaller by a
/// margin.
///
/// ```text
/// c_ik = x_i . w_k / (|x_i| |w_k|),   z_iy = c_iy - m,   z_ik = c_ik for k != y
/// l_i  = -log softmax(s z_i)_y,                          loss = mean_i l_i
/// ```
///
/// with scale `s` and margin `m`. With margin 0 it is the softmax of a [normalised linear layer](super::NormalizedLinear).
/// A row of zeros has cosine 0 with everything. The class weights are an argument: a model keeps them where it likes. On the
/// CPU, memory grows with `n + classes`: the logits `[n, classes]` are never held.
///
/// Source: Wang et al. 2018, "CosFace", <https://arxiv.org/abs/1801.09414>, equation 4.
#[derive(Module, Debug)]
pub struct CosFaceLoss {
    /// Scale of the cosines.
    pub scale: f64,
    /// What is taken from the own class's cosine.
    pub margin: f64,
}

impl CosFaceLoss {
    /// The own logit of every row and the log-sum-exp of its others.
    ///
    /// # Shapes
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn scores(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> TargetScores {
        TargetScores::of_cosines(features, weights, labels, self.scale, |cosine| {
            OwnMargin::Cosine(self.margin).apply(cosine)
        })
    }
}

impl Head for CosFaceLoss {
    fn own_margin(&self) -> Option<(f64, OwnMargin)> {
        Some((self.scale, OwnMargin::Cosine(self.margin)))
    }
}

loss_of_scores!(CosFaceLoss);
