use crate::InvalidParameter;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};
use serde::{Deserialize, Serialize};

/// How right and wrong examples are weighed against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// All right examples together weigh as much as all wrong ones.
    Balanced,
    /// Every example weighs the same.
    None,
}

/// Configuration of the [correctness-aware loss](CorrectnessAwareLoss).
#[derive(Config, Debug)]
pub struct CorrectnessAwareLossConfig {
    /// Weights of right and wrong examples; the authors' code balances them.
    #[config(default = "Weighting::Balanced")]
    pub weighting: Weighting,
}

impl CorrectnessAwareLossConfig {
    /// Checks the parameters: every weighting is legal.
    ///
    /// # Errors
    /// Never.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        Ok(())
    }

    /// Builds the loss.
    pub fn init(&self) -> CorrectnessAwareLoss {
        CorrectnessAwareLoss { weighting: self.weighting }
    }
}

/// Asks a confidence to be 1 where the prediction is right and 0 where it is wrong. For learning temperatures, not
/// classifiers: nothing here moves the prediction.
///
/// ```text
/// loss = sum_i w_i (conf_i - c_i)^2 / sum_i w_i
/// conf_i = max_k softmax(l_i / T_i)_k,   c_i = 1[argmax_k l_ik == y_i]  (the lowest index of equals)
/// balanced: w_i = 1 - a if c_i = 1, a if c_i = 0,  a = mean c;  if every c is the same, w_i = 1
/// none:     w_i = 1
/// ```
///
/// `l` are logits, `y` labels, `T > 0` a temperature for every example. The weights and `c` are constants for the gradient.
/// With nearly all predictions right the few wrong ones weigh much, so gradients of small batches vary a lot: use 500 rows
/// or more.
///
/// Source: Liu et al. 2024, <https://arxiv.org/abs/2404.13016>; the squared form and the weights are those of the authors'
/// code.
#[derive(Module, Debug)]
pub struct CorrectnessAwareLoss {
    /// Weights of right and wrong examples.
    #[module(skip)]
    pub weighting: Weighting,
}

impl CorrectnessAwareLoss {
    /// The share of every example: weighted squared errors whose mean is the loss.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - temperature: `[batch]`, each above 0 (NaN comes out where it is not)
    /// - output: `[batch]`
    ///
    /// # Panics
    /// When the batch is empty, or shapes differ.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>, temperature: Tensor<1>) -> Tensor<1> {
        let right = correctness(logits.clone(), labels);
        let confidence = confidence(logits, temperature);
        let correct = confidence.zeros_like().mask_fill(right, 1.0);
        let errors = (confidence - correct.clone()).square();
        match self.weighting {
            Weighting::None => errors,
            Weighting::Balanced => {
                let [batch] = errors.dims();
                let accuracy = correct.clone().mean().expand([batch]);
                // c (1 - a) + (1 - c) a
                let weights = correct.clone() + accuracy.clone() - correct.mul_scalar(2.0) * accuracy;
                let total = weights.clone().mean();
                let one_kind = total.clone().equal_scalar(0.0).expand([batch]);
                errors * (weights / total.expand([batch]).mask_fill(one_kind.clone(), 1.0)).mask_fill(one_kind, 1.0)
            }
        }
    }

    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - temperature: `[batch]`, each above 0
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>, temperature: Tensor<1>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels, temperature).mean()
    }
}

/// The class with the largest logit, the lowest index of equals, on every device.
///
/// # Shapes
/// - logits: `[batch, classes]`
/// - output: `[batch]`
pub fn predicted_class(logits: Tensor<2>) -> Tensor<1, Int> {
    let [batch, classes] = logits.dims();
    let largest = logits.clone().equal(logits.clone().max_dim(1).expand([batch, classes]));
    let columns = Tensor::<1, Int>::arange(0..classes as i64, &logits.device()).reshape([1, classes]);
    // Where nothing equals the largest (NaN), the last class keeps the index legal; the confidence is NaN there.
    columns.expand([batch, classes]).mask_fill(largest.bool_not(), classes as i64 - 1).min_dim(1).reshape([batch])
}

/// Whether the [predicted class](predicted_class) is the label: logits `[batch, classes]`, labels `[batch]` to `[batch]`.
///
/// # Panics
/// When the batch is empty, or there are not as many labels as rows.
pub fn correctness(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1, Bool> {
    let [batch, _] = logits.dims();
    assert!(batch > 0, "a loss needs at least one example");
    assert_eq!(labels.dims()[0], batch, "{} labels for {batch} examples", labels.dims()[0]);
    predicted_class(logits).equal(labels)
}

/// The top confidence at a temperature for every example.
///
/// ```text
/// conf_i = max_k softmax(l_i / T_i)_k = 1 / sum_k exp((l_ik - max_k l_ik) / T_i)
/// ```
///
/// NaN where `T_i` is not above 0 or a logit is NaN.
///
/// # Shapes
/// - logits: `[batch, classes]`
/// - temperature: `[batch]`
/// - output: `[batch]`
///
/// # Panics
/// When there are not as many temperatures as rows.
pub fn confidence(logits: Tensor<2>, temperature: Tensor<1>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    let temperatures = temperature.dims()[0];
    assert_eq!(temperatures, batch, "{temperatures} temperatures for {batch} examples");
    let predicted = predicted_class(logits.clone()).reshape([batch, 1]);
    let largest = logits.clone().gather(1, predicted).expand([batch, classes]);
    let legal = temperature.clone().greater_scalar(0.0);
    let temperature = temperature.mask_fill(legal.bool_not(), f64::NAN);
    let scaled = (logits - largest) / temperature.reshape([batch, 1]).expand([batch, classes]);
    scaled.exp().sum_dim(1).reshape([batch]).recip()
}
