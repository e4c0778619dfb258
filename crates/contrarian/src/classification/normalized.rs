//! Active-passive combinations: the normalised cross-entropy (active) with a passive loss of `p_y`.

use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{expm1, gather_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

/// Normalised cross-entropy `log p_y / sum_k log p_k`, and `log p_y` for the passive part.
fn normalized_ce(logits: Tensor<2>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<1>) {
    let [batch, _] = logits.dims();
    let log_p = activation::log_softmax(logits, 1);
    let target = gather_target(log_p.clone(), labels);
    (target.clone() / log_p.sum_dim(1).reshape([batch]), target)
}

fn require_weights(alpha: f64, beta: f64) -> Result<(), InvalidParameter> {
    require(alpha >= 0.0 && alpha.is_finite(), "alpha", alpha, "finite and at least 0")?;
    require(beta >= 0.0 && beta.is_finite(), "beta", beta, "finite and at least 0")
}

/// Configuration of the [NCE + RCE loss](NceRceLoss).
#[derive(Config, Debug)]
pub struct NceRceLossConfig {
    /// Weight of the normalised cross-entropy, at least 0. The LDR paper tries .1, 5 and 9.9, with `beta = 10 - alpha`.
    #[config(default = 5.0)]
    pub alpha: f64,
    /// Weight of the reverse cross-entropy, at least 0.
    #[config(default = 5.0)]
    pub beta: f64,
    /// The logarithm that stands for `log 0`, at most 0.
    #[config(default = "(1e-4f64).ln()")]
    pub log_zero: f64,
}

impl NceRceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_weights(self.alpha, self.beta)?;
        require(self.log_zero <= 0.0 && self.log_zero.is_finite(), "log_zero", self.log_zero, "finite and at most 0")
    }

    fn build(&self) -> NceRceLoss {
        NceRceLoss { alpha: self.alpha, beta: self.beta, log_zero: self.log_zero }
    }
}

objective_config!(NceRceLossConfig => NceRceLoss);

/// Normalised plus reverse cross-entropy, for noisy labels.
///
/// ```text
/// loss_i = alpha log p_y / sum_k log p_k + beta (1 - p_y) (-log_zero),        p = softmax(h)
/// ```
///
/// Source: Ma et al. 2020, <https://arxiv.org/abs/2006.13554>, section 3.3; weights of the LDR paper.
#[derive(Module, Debug)]
pub struct NceRceLoss {
    /// Weight of the normalised cross-entropy.
    pub alpha: f64,
    /// Weight of the reverse cross-entropy.
    pub beta: f64,
    /// The logarithm that stands for `log 0`.
    pub log_zero: f64,
}

impl NceRceLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (nce, log_p) = normalized_ce(logits, labels);
        nce.mul_scalar(self.alpha) + expm1(log_p).mul_scalar(self.beta * self.log_zero)
    }
}

mean_of_examples!(NceRceLoss);

/// Configuration of the [NCE + AUL loss](NceAulLoss).
#[derive(Config, Debug)]
pub struct NceAulLossConfig {
    /// Weight of the normalised cross-entropy, at least 0.
    #[config(default = 5.0)]
    pub alpha: f64,
    /// Weight of the asymmetric loss, at least 0.
    #[config(default = 5.0)]
    pub beta: f64,
    /// Offset of the asymmetric loss, above 1.
    #[config(default = 6.0)]
    pub a: f64,
    /// Power of the asymmetric loss, above 0.
    #[config(default = 1.5)]
    pub q: f64,
}

impl NceAulLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_weights(self.alpha, self.beta)?;
        require(self.a > 1.0 && self.a.is_finite(), "a", self.a, "finite and above 1")?;
        require(self.q > 0.0 && self.q.is_finite(), "q", self.q, "finite and above 0")
    }

    fn build(&self) -> NceAulLoss {
        NceAulLoss { alpha: self.alpha, beta: self.beta, a: self.a, q: self.q }
    }
}

objective_config!(NceAulLossConfig => NceAulLoss);

/// Normalised cross-entropy plus the asymmetric unhinged loss, for noisy labels.
///
/// ```text
/// loss_i = alpha log p_y / sum_k log p_k + beta ((a - p_y)^q - (a - 1)^q) / q,        p = softmax(h)
/// ```
///
/// Source: Zhou et al. 2021, <https://arxiv.org/abs/2106.03110>; constants of the LDR paper's code.
#[derive(Module, Debug)]
pub struct NceAulLoss {
    /// Weight of the normalised cross-entropy.
    pub alpha: f64,
    /// Weight of the asymmetric loss.
    pub beta: f64,
    /// Offset of the asymmetric loss.
    pub a: f64,
    /// Power of the asymmetric loss.
    pub q: f64,
}

impl NceAulLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (nce, log_p) = normalized_ce(logits, labels);
        // With b = a - 1 and r = 1 - p_y: ((b + r)^q - b^q) / q = b^q expm1(q log1p(r / b)) / q, exact for small r.
        let b = self.a - 1.0;
        let r = expm1(log_p).neg();
        let aul = expm1(r.mul_scalar(1.0 / b).log1p().mul_scalar(self.q)).mul_scalar(b.powf(self.q) / self.q);
        nce.mul_scalar(self.alpha) + aul.mul_scalar(self.beta)
    }
}

mean_of_examples!(NceAulLoss);

/// Configuration of the [NCE + AGCE loss](NceAgceLoss).
#[derive(Config, Debug)]
pub struct NceAgceLossConfig {
    /// Weight of the normalised cross-entropy, at least 0.
    #[config(default = 5.0)]
    pub alpha: f64,
    /// Weight of the asymmetric loss, at least 0.
    #[config(default = 5.0)]
    pub beta: f64,
    /// Offset of the asymmetric loss, above 0.
    #[config(default = 3.0)]
    pub a: f64,
    /// Power of the asymmetric loss, above 0.
    #[config(default = 1.5)]
    pub q: f64,
}

impl NceAgceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_weights(self.alpha, self.beta)?;
        require(self.a > 0.0 && self.a.is_finite(), "a", self.a, "finite and above 0")?;
        require(self.q > 0.0 && self.q.is_finite(), "q", self.q, "finite and above 0")
    }

    fn build(&self) -> NceAgceLoss {
        NceAgceLoss { alpha: self.alpha, beta: self.beta, a: self.a, q: self.q }
    }
}

objective_config!(NceAgceLossConfig => NceAgceLoss);

/// Normalised cross-entropy plus the asymmetric generalised cross-entropy, for noisy labels.
///
/// ```text
/// loss_i = alpha log p_y / sum_k log p_k + beta ((a + 1)^q - (a + p_y)^q) / q,        p = softmax(h)
/// ```
///
/// Source: Zhou et al. 2021, <https://arxiv.org/abs/2106.03110>; constants of the LDR paper's code.
#[derive(Module, Debug)]
pub struct NceAgceLoss {
    /// Weight of the normalised cross-entropy.
    pub alpha: f64,
    /// Weight of the asymmetric loss.
    pub beta: f64,
    /// Offset of the asymmetric loss.
    pub a: f64,
    /// Power of the asymmetric loss.
    pub q: f64,
}

impl NceAgceLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (nce, log_p) = normalized_ce(logits, labels);
        // With c = a + 1 and r = 1 - p_y: (c^q - (c - r)^q) / q = -c^q expm1(q log1p(-r / c)) / q.
        let c = self.a + 1.0;
        let minus_r = expm1(log_p);
        let agce = expm1(minus_r.mul_scalar(1.0 / c).log1p().mul_scalar(self.q)).mul_scalar(-c.powf(self.q) / self.q);
        nce.mul_scalar(self.alpha) + agce.mul_scalar(self.beta)
    }
}

mean_of_examples!(NceAgceLoss);
