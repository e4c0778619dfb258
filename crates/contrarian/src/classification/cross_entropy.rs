use super::focal::require_weights;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{self, RowLoss, softmax_rows};
use crate::numerics::{check_logits, constant, gather_target};
use crate::objective::logit_objective;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

/// Configuration of the [cross-entropy loss](CrossEntropyLoss).
#[derive(Config, Debug)]
pub struct CrossEntropyLossConfig {
    /// A weight above 0 for every class; `None` weighs them alike.
    pub class_weights: Option<Vec<f64>>,
    /// Part of the label's mass that is spread over all classes, in `[0, 1]`.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
}

impl CrossEntropyLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_weights(self.class_weights.as_deref())?;
        let e = self.label_smoothing;
        require((0.0..=1.0).contains(&e), "label_smoothing", e, "in [0, 1]")
    }

    fn build(&self) -> CrossEntropyLoss {
        CrossEntropyLoss { class_weights: self.class_weights.clone(), label_smoothing: self.label_smoothing }
    }
}

objective_config!(CrossEntropyLossConfig => CrossEntropyLoss);

/// Cross-entropy with class weights and label smoothing: the baseline every other objective is measured against.
///
/// ```text
/// l_i  = (1 - e) w_y (-log p_iy) + (e / k) sum_c w_c (-log p_ic),        p = softmax(h)
/// loss = sum_i l_i / sum_i w_yi
/// ```
///
/// with label smoothing `e` and class weights `w` (1 without). The weighted mean is PyTorch's `cross_entropy`.
#[derive(Module, Debug)]
pub struct CrossEntropyLoss {
    /// A weight for every class.
    #[module(skip)]
    pub class_weights: Option<Vec<f64>>,
    /// Part of the label's mass that is spread over all classes.
    pub label_smoothing: f64,
}

impl CrossEntropyLoss {
    /// The weighted loss `l_i` of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// When the number of class weights is not the number of classes.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        if let Some(weights) = &self.class_weights {
            assert_eq!(weights.len(), classes, "{} class weights for {classes} classes", weights.len());
        }
        if fused::available(&logits) {
            check_logits([batch, classes], &labels);
            let loss = RowLoss::CrossEntropy {
                label_smoothing: self.label_smoothing,
                class_weights: self.class_weights.clone(),
            };
            return softmax_rows(logits, labels, loss);
        }
        let cost = activation::log_softmax(logits, 1).neg();
        let cost = match &self.class_weights {
            Some(weights) => {
                let flat = cost.clone().reshape([batch * classes]);
                cost * constant(weights, &flat).reshape([1, classes])
            }
            None => cost,
        };
        let target = gather_target(cost.clone(), labels);
        if self.label_smoothing == 0.0 {
            return target;
        }
        let spread = cost.mean_dim(1).reshape([batch]);
        target.mul_scalar(1.0 - self.label_smoothing) + spread.mul_scalar(self.label_smoothing)
    }

    /// The weighted mean over the batch, `[1]`.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let losses = self.forward_no_reduction(logits, labels.clone());
        match &self.class_weights {
            Some(weights) => losses.clone().sum() / constant(weights, &losses).select(0, labels).sum(),
            None => losses.mean(),
        }
    }
}

logit_objective!(CrossEntropyLoss);
