use crate::InvalidParameter;
use crate::error::require;
use crate::fused;
use crate::numerics::{constant, expm1, gather_target, log_one_minus_softmax, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [focal loss](FocalLoss).
#[derive(Config, Debug)]
pub struct FocalLossConfig {
    /// Focus on hard examples, at least 0; 0 is cross-entropy.
    #[config(default = 2.0)]
    pub gamma: f64,
    /// A weight above 0 for every class; `None` weighs them alike.
    pub class_weights: Option<Vec<f64>>,
}

impl FocalLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_gamma(self.gamma)?;
        require_weights(self.class_weights.as_deref())
    }

    fn build(&self) -> FocalLoss {
        FocalLoss { gamma: self.gamma, class_weights: self.class_weights.clone() }
    }
}

objective_config!(FocalLossConfig => FocalLoss);

/// Focal loss over a softmax: cross-entropy, weighed down where the model is already right.
///
/// ```text
/// loss_i = -(1 - p_y)^gamma a_y log p_y,        p = softmax(h), a = class weights (1 without)
/// ```
///
/// Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", <https://arxiv.org/abs/1708.02002>, in the softmax
/// form of the dice paper's baselines.
#[derive(Module, Debug)]
pub struct FocalLoss {
    /// Focus on hard examples.
    pub gamma: f64,
    /// A weight for every class.
    #[module(skip)]
    pub class_weights: Option<Vec<f64>>,
}

impl FocalLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// When the number of class weights is not the number of classes.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let classes = logits.dims()[1];
        let (cost, log_rest) = if fused::available(&logits) {
            // The kernel's cost keeps its digits however close to 0, so 1 - p_y follows from it; the floor keeps its
            // logarithm finite.
            let cost = log_p_target(logits, labels.clone()).neg().clamp_min(1e-30);
            (cost.clone(), expm1(cost.neg()).neg().log())
        } else {
            let log_rest = gather_target(log_one_minus_softmax(logits.clone()), labels.clone());
            (log_p_target(logits, labels.clone()).neg(), log_rest)
        };
        let losses = log_rest.mul_scalar(self.gamma).exp() * cost;
        match &self.class_weights {
            Some(weights) => {
                assert_eq!(weights.len(), classes, "{} class weights for {classes} classes", weights.len());
                losses.clone() * constant(weights, &losses).select(0, labels)
            }
            None => losses,
        }
    }
}

mean_of_examples!(FocalLoss);

pub(super) fn require_gamma(gamma: f64) -> Result<(), InvalidParameter> {
    require(gamma >= 0.0 && gamma.is_finite(), "gamma", gamma, "finite and at least 0")
}

pub(super) fn require_weights(weights: Option<&[f64]>) -> Result<(), InvalidParameter> {
    let weights = weights.unwrap_or(&[]);
    let legal = weights.iter().all(|w| *w > 0.0 && w.is_finite());
    require(legal, "class_weights", format!("{weights:?}"), "a finite number above 0 for every class")
}
