use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{expm1, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [generalised cross-entropy loss](GceLoss).
#[derive(Config, Debug)]
pub struct GceLossConfig {
    /// Robustness, in `(0, 1]`: towards 0 cross-entropy, at 1 mean absolute error.
    #[config(default = 0.7)]
    pub q: f64,
    /// Truncation, in `[0, 1]`: examples with `p_y` below it stop contributing; 0 truncates nothing.
    #[config(default = 0.0)]
    pub k: f64,
}

impl GceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.q > 0.0 && self.q <= 1.0, "q", self.q, "in (0, 1]")?;
        require((0.0..=1.0).contains(&self.k), "k", self.k, "in [0, 1]")
    }

    fn build(&self) -> GceLoss {
        GceLoss { q: self.q, k: self.k }
    }
}

objective_config!(GceLossConfig => GceLoss);

/// Generalised cross-entropy, optionally truncated: between cross-entropy and mean absolute error, for noisy labels.
///
/// ```text
/// loss_i = min( (1 - p_y^q) / q, (1 - k^q) / q ),        p = softmax(h)
/// ```
///
/// Untruncated it is the [comp-sum loss](super::CompSumLoss) with `tau = 1 + q`.
///
/// Source: Zhang, Sabuncu 2018, <https://arxiv.org/abs/1805.07836>, equations 6 and 9.
#[derive(Module, Debug)]
pub struct GceLoss {
    /// Robustness.
    pub q: f64,
    /// Truncation.
    pub k: f64,
}

impl GceLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let losses = expm1(log_p_target(logits, labels).mul_scalar(self.q)).mul_scalar(-1.0 / self.q);
        if self.k == 0.0 { losses } else { losses.clamp_max((1.0 - self.k.powf(self.q)) / self.q) }
    }
}

mean_of_examples!(GceLoss);
