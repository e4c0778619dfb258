use super::dice::require_smooth;
use super::level::Level;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{float_labels, sigmoid};
use crate::objective::binary_objective;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [Tversky loss](TverskyLoss).
#[derive(Config, Debug)]
pub struct TverskyLossConfig {
    /// Weight of false positives, at least 0.
    #[config(default = 0.5)]
    pub alpha: f64,
    /// Weight of false negatives, at least 0.
    #[config(default = 0.5)]
    pub beta: f64,
    /// Added to numerator and denominator, at least 0 (above 0 at example level).
    #[config(default = 1.0)]
    pub smooth: f64,
    /// One ratio for the batch or one an example.
    #[config(default = "Level::Batch")]
    pub level: Level,
}

impl TverskyLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.alpha >= 0.0 && self.alpha.is_finite(), "alpha", self.alpha, "finite and at least 0")?;
        require(self.beta >= 0.0 && self.beta.is_finite(), "beta", self.beta, "finite and at least 0")?;
        require_smooth(self.smooth, self.level)
    }

    fn build(&self) -> TverskyLoss {
        TverskyLoss { alpha: self.alpha, beta: self.beta, smooth: self.smooth, level: self.level }
    }
}

objective_config!(TverskyLossConfig => TverskyLoss);

/// Tversky loss: soft overlap with false positives and false negatives priced apart; 1/2 and 1/2 is dice.
///
/// ```text
/// loss = 1 - (TP + s) / (TP + alpha FP + beta FN + s)
/// TP = sum p y,  FP = sum p (1 - y),  FN = sum (1 - p) y,        p = sigmoid(x)
/// ```
///
/// Source: Li et al. 2019, <https://arxiv.org/abs/1911.02855>, equation 9, after Salehi et al. 2017,
/// <https://arxiv.org/abs/1706.05721>.
#[derive(Module, Debug)]
pub struct TverskyLoss {
    /// Weight of false positives.
    pub alpha: f64,
    /// Weight of false negatives.
    pub beta: f64,
    /// Added to numerator and denominator.
    pub smooth: f64,
    /// One ratio for the batch or one an example.
    #[module(skip)]
    pub level: Level,
}

impl TverskyLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        let column = |x: Tensor<1>| x.unsqueeze_dim::<2>(1);
        let y = column(float_labels(labels, &logits));
        let (p, rest) = (column(sigmoid(logits.clone())), column(sigmoid(logits.neg())));
        let tp = p.clone() * y.clone();
        let fp = p * y.clone().neg().add_scalar(1.0);
        let bottom = tp.clone() + fp.mul_scalar(self.alpha) + (rest * y.clone()).mul_scalar(self.beta);
        self.level.overlap_loss(tp, bottom, y.ones_like(), self.smooth).reshape([1])
    }
}

binary_objective!(TverskyLoss);
