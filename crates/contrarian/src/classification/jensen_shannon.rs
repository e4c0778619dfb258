use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{expm1, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [Jensen-Shannon loss](JensenShannonLoss).
#[derive(Config, Debug)]
pub struct JensenShannonLossConfig {
    /// Weight of the label in the mixture, in `(0, 1)`: towards 0 cross-entropy, towards 1 mean absolute error.
    #[config(default = 0.5)]
    pub pi: f64,
}

impl JensenShannonLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `pi` is outside `(0, 1)`.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.pi > 0.0 && self.pi < 1.0, "pi", self.pi, "in (0, 1)")
    }

    fn build(&self) -> JensenShannonLoss {
        JensenShannonLoss { pi: self.pi }
    }
}

objective_config!(JensenShannonLossConfig => JensenShannonLoss);

/// Scaled Jensen-Shannon divergence between the label and the prediction, for noisy labels.
///
/// ```text
/// m      = w e_y + (1 - w) p,        p = softmax(h), w = pi
/// loss_i = [ w KL(e_y || m) + (1 - w) KL(p || m) ] * (-1 / ((1 - w) log(1 - w)))
/// ```
///
/// Source: Englesson, Azizpour 2021, <https://arxiv.org/abs/2105.04522>, equation 5.
#[derive(Module, Debug)]
pub struct JensenShannonLoss {
    /// Weight of the label in the mixture.
    pub pi: f64,
}

impl JensenShannonLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        // Away from the label m_k = (1 - w) p_k, so both divergences are functions of p_y alone.
        let w = self.pi;
        let log_p = log_p_target(logits, labels);
        let p = log_p.clone().exp();
        let rest = expm1(log_p.clone()).neg();
        let log_m = rest.clone().mul_scalar(w - 1.0).log1p();
        let kl_p = p * (log_p - log_m.clone()) - rest.mul_scalar((-w).ln_1p());
        let scale = -1.0 / ((1.0 - w) * (-w).ln_1p());
        (kl_p.mul_scalar(1.0 - w) - log_m.mul_scalar(w)).mul_scalar(scale)
    }
}

mean_of_examples!(JensenShannonLoss);
