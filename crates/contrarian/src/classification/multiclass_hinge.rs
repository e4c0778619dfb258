use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{gather_target, target_mask};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [Crammer-Singer loss](CrammerSingerLoss).
#[derive(Config, Debug)]
pub struct CrammerSingerLossConfig {
    /// Margin, at least 0.
    #[config(default = 1.0)]
    pub margin: f64,
}

impl CrammerSingerLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `margin` is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_margin(self.margin)
    }

    fn build(&self) -> CrammerSingerLoss {
        CrammerSingerLoss { margin: self.margin }
    }
}

objective_config!(CrammerSingerLossConfig => CrammerSingerLoss);

/// Multi-class hinge loss of the strongest rival.
///
/// ```text
/// loss_i = max_k ( margin 1[k != y] + h_k - h_y )_+
/// ```
///
/// Source: Crammer, Singer 2001, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines".
#[derive(Module, Debug)]
pub struct CrammerSingerLoss {
    /// Margin.
    pub margin: f64,
}

impl CrammerSingerLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, _] = logits.dims();
        // The label's own entry is 0, so the maximum needs no further clipping.
        margin_differences(logits, labels, self.margin).max_dim(1).reshape([batch])
    }
}

mean_of_examples!(CrammerSingerLoss);

/// Configuration of the [Weston-Watkins loss](WestonWatkinsLoss).
#[derive(Config, Debug)]
pub struct WestonWatkinsLossConfig {
    /// Margin, at least 0.
    #[config(default = 1.0)]
    pub margin: f64,
}

impl WestonWatkinsLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `margin` is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_margin(self.margin)
    }

    fn build(&self) -> WestonWatkinsLoss {
        WestonWatkinsLoss { margin: self.margin }
    }
}

objective_config!(WestonWatkinsLossConfig => WestonWatkinsLoss);

/// Multi-class hinge loss over all rivals.
///
/// ```text
/// loss_i = (1/K) sum_k ( margin 1[k != y] + h_k - h_y )_+
/// ```
///
/// Source: Weston, Watkins 1999, "Support Vector Machines for Multi-Class Pattern Recognition"; the mean over classes as
/// in the LDR paper's code.
#[derive(Module, Debug)]
pub struct WestonWatkinsLoss {
    /// Margin.
    pub margin: f64,
}

impl WestonWatkinsLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, _] = logits.dims();
        margin_differences(logits, labels, self.margin).clamp_min(0.0).mean_dim(1).reshape([batch])
    }
}

mean_of_examples!(WestonWatkinsLoss);

/// `d_k = h_k - h_y + margin 1[k != y]`; exactly 0 in the label's column.
pub(super) fn margin_differences(scores: Tensor<2>, labels: Tensor<1, Int>, margin: f64) -> Tensor<2> {
    let [batch, classes] = scores.dims();
    let own = gather_target(scores.clone(), labels.clone()).reshape([batch, 1]);
    (scores - own).add_scalar(margin).mask_fill(target_mask(labels, classes), 0.0)
}

pub(super) fn require_margin(margin: f64) -> Result<(), InvalidParameter> {
    require(margin >= 0.0 && margin.is_finite(), "margin", margin, "finite and at least 0")
}
