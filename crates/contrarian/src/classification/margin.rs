//! Margin losses for two classes: functions of `z = t x` with the score `x` and the signed label `t = 2 y - 1`.

use super::focal::require_gamma;
use crate::InvalidParameter;
use crate::numerics::{float_labels, log_sigmoid, softplus};
use crate::objective::mean_of_binary_examples;
use crate::registry::{objective_config, plain_config};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// `z = (2 y - 1) x`.
pub(super) fn margins(logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
    let t = float_labels(labels, &logits).mul_scalar(2.0).sub_scalar(1.0);
    logits * t
}

plain_config! {
    /// Configuration of the [hinge loss](HingeLoss); it has no parameters.
    HingeLossConfig => HingeLoss
}

/// Hinge loss `max(0, 1 - z)` with `z = (2 y - 1) x`.
///
/// Source: Cortes, Vapnik 1995, "Support-Vector Networks"; baseline of EnsLoss.
#[derive(Module, Debug)]
pub struct HingeLoss {}

impl HingeLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        margins(logits, labels).neg().add_scalar(1.0).clamp_min(0.0)
    }
}

mean_of_binary_examples!(HingeLoss);

plain_config! {
    /// Configuration of the [logistic loss](LogisticLoss); it has no parameters.
    LogisticLossConfig => LogisticLoss
}

/// Logistic loss `log(1 + exp(-z))` with `z = (2 y - 1) x`: binary cross-entropy on logits.
///
/// Source: baseline of EnsLoss and (as BCE) of AnyLoss.
#[derive(Module, Debug)]
pub struct LogisticLoss {}

impl LogisticLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        softplus(margins(logits, labels).neg())
    }
}

mean_of_binary_examples!(LogisticLoss);

plain_config! {
    /// Configuration of the [exponential loss](ExponentialLoss); it has no parameters.
    ExponentialLossConfig => ExponentialLoss
}

/// Exponential loss `exp(-z)` with `z = (2 y - 1) x`. It overflows honestly to infinity for a badly wrong score: train it
/// with gradient clipping (EnsLoss's code clips the norm at 10).
///
/// Source: Freund, Schapire 1997 (AdaBoost); baseline of EnsLoss.
#[derive(Module, Debug)]
pub struct ExponentialLoss {}

impl ExponentialLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        margins(logits, labels).neg().exp()
    }
}

mean_of_binary_examples!(ExponentialLoss);

/// Configuration of the [sigmoid focal loss](SigmoidFocalLoss).
#[derive(Config, Debug)]
pub struct SigmoidFocalLossConfig {
    /// Focus on hard examples, at least 0; 0 is the logistic loss.
    #[config(default = 2.0)]
    pub gamma: f64,
}

impl SigmoidFocalLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `gamma` is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_gamma(self.gamma)
    }

    fn build(&self) -> SigmoidFocalLoss {
        SigmoidFocalLoss { gamma: self.gamma }
    }
}

objective_config!(SigmoidFocalLossConfig => SigmoidFocalLoss);

/// Focal loss of one score, `-sigmoid(-z)^gamma log sigmoid(z)` with `z = (2 y - 1) x`.
///
/// Source: Lin et al. 2017, <https://arxiv.org/abs/1708.02002>, equation 4; baseline of EnsLoss.
#[derive(Module, Debug)]
pub struct SigmoidFocalLoss {
    /// Focus on hard examples.
    pub gamma: f64,
}

impl SigmoidFocalLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        let z = margins(logits, labels);
        log_sigmoid(z.clone().neg()).mul_scalar(self.gamma).exp() * softplus(z.neg())
    }
}

mean_of_binary_examples!(SigmoidFocalLoss);
