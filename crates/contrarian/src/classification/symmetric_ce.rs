use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{expm1, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [symmetric cross-entropy loss](SymmetricCeLoss).
#[derive(Config, Debug)]
pub struct SymmetricCeLossConfig {
    /// Weight of the reverse term, in `[0, 1]`; the forward term has the rest.
    #[config(default = 0.5)]
    pub balance: f64,
    /// Minus the logarithm that stands for `log 0` in the reverse term, at least 0.
    #[config(default = 4.0)]
    pub a: f64,
}

impl SymmetricCeLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..=1.0).contains(&self.balance), "balance", self.balance, "in [0, 1]")?;
        require(self.a >= 0.0 && self.a.is_finite(), "a", self.a, "finite and at least 0")
    }

    fn build(&self) -> SymmetricCeLoss {
        SymmetricCeLoss { balance: self.balance, a: self.a }
    }
}

objective_config!(SymmetricCeLossConfig => SymmetricCeLoss);

/// Symmetric cross-entropy: cross-entropy plus its reverse, for noisy labels.
///
/// ```text
/// loss_i = (1 - w) (-log p_y) + w A (1 - p_y),        p = softmax(h), w = balance
/// ```
///
/// Source: Wang et al. 2019, <https://arxiv.org/abs/1908.06112>, equation 7, with the weights of the LDR paper's code.
#[derive(Module, Debug)]
pub struct SymmetricCeLoss {
    /// Weight of the reverse term.
    pub balance: f64,
    /// Minus the logarithm that stands for `log 0`.
    pub a: f64,
}

impl SymmetricCeLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let log_p = log_p_target(logits, labels);
        let reverse = expm1(log_p.clone()).mul_scalar(-self.balance * self.a);
        reverse - log_p.mul_scalar(1.0 - self.balance)
    }
}

mean_of_examples!(SymmetricCeLoss);
