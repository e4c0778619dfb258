use crate::fused::{self, RowLoss, softmax_rows};
use crate::numerics::{check_logits, float_labels, sigmoid, target_mask};
use crate::objective::{mean_of_binary_examples, mean_of_examples};
use crate::registry::plain_config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

plain_config! {
    /// Configuration of the [Brier loss](BrierLoss); it has no parameters.
    BrierLossConfig => BrierLoss
}

/// The Brier score as a loss: squared error of the class probabilities. Bounded, proper, robust to a wrong label.
///
/// ```text
/// loss_i = sum_k (1[k == y] - p_k)^2,        p = softmax(h)
/// ```
///
/// Source: Brier 1950, "Verification of forecasts expressed in terms of probability"; the "MSE" of the LDR paper's
/// baselines.
#[derive(Module, Debug)]
pub struct BrierLoss {}

impl BrierLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        if fused::available(&logits) {
            check_logits([batch, classes], &labels);
            return softmax_rows(logits, labels, RowLoss::Brier);
        }
        let p = activation::softmax(logits, 1);
        let target = p.zeros_like().mask_fill(target_mask(labels, classes), 1.0);
        (target - p).square().sum_dim(1).reshape([batch])
    }
}

mean_of_examples!(BrierLoss);

plain_config! {
    /// Configuration of the [squared error of probabilities](MseOnProbabilities); it has no parameters.
    MseOnProbabilitiesConfig => MseOnProbabilities
}

/// Squared error of the probability of the positive class: half the [Brier loss](BrierLoss) of two classes.
///
/// ```text
/// loss_i = (sigmoid(x_i) - y_i)^2
/// ```
///
/// Source: the "MSE" baseline of the `AnyLoss` paper, <https://arxiv.org/abs/2405.14745>.
#[derive(Module, Debug)]
pub struct MseOnProbabilities {}

impl MseOnProbabilities {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        let y = float_labels(labels, &logits);
        (sigmoid(logits) - y).square()
    }
}

mean_of_binary_examples!(MseOnProbabilities);
