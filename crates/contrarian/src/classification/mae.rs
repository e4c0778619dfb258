use crate::numerics::{expm1, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::plain_config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

plain_config! {
    /// Configuration of the [mean absolute error](MaeLoss); it has no parameters.
    MaeLossConfig => MaeLoss
}

/// Mean absolute error of the class probabilities, up to a factor 2: symmetric, so robust to uniform label noise, and
/// slow to train with many classes.
///
/// ```text
/// loss_i = 1 - p_y,        p = softmax(h)
/// ```
///
/// Source: Ghosh, Kumar, Sastry 2017, <https://arxiv.org/abs/1712.09482>. The authors' code of the LDR paper sums
/// `one_hot - p` over the classes instead, which is always 0; this is the formula that is meant.
#[derive(Module, Debug)]
pub struct MaeLoss {}

impl MaeLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        expm1(log_p_target(logits, labels)).neg()
    }
}

mean_of_examples!(MaeLoss);
