//! Losses that see the outputs through their sum, their sum of squares and the label's own output only.
//!
//! Over logits they are objectives like any other. As [`SphericalLoss`]es they train a
//! [`FactoredOutput`](super::FactoredOutput), whose step does not depend on the number of classes.

use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{check_logits, gather_target, softplus, target_mask};
use crate::objective::mean_of_examples;
use crate::registry::{objective_config, plain_config};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use contrarian_kernels::{self as kernels, Partials, SphericalLoss};

/// Gives an objective the form over statistics, from the kernel of the same formula.
macro_rules! spherical {
    ($name:ident, |$loss:ident| $kernel:expr) => {
        mean_of_examples!($name);

        impl SphericalLoss for $name {
            fn value_and_partials(&self, q: f64, s: f64, target: f64, n_classes: usize) -> Partials {
                let $loss = self;
                $kernel.value_and_partials(q, s, target, n_classes)
            }
        }
    };
}

/// Configuration of the [Z-loss](ZLoss).
#[derive(Config, Debug)]
pub struct ZLossConfig {
    /// Sharpness, above 0.
    #[config(default = 1.0)]
    pub a: f64,
    /// Location: larger cares about the very top of the ranking.
    #[config(default = 0.0)]
    pub b: f64,
    /// Added to the variance, at least 0.
    #[config(default = 0.0)]
    pub eps: f64,
}

impl ZLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.a > 0.0 && self.a.is_finite(), "a", self.a, "finite and above 0")?;
        require(self.b.is_finite(), "b", self.b, "finite")?;
        require(self.eps >= 0.0 && self.eps.is_finite(), "eps", self.eps, "finite and at least 0")
    }

    fn build(&self) -> ZLoss {
        ZLoss { a: self.a, b: self.b, eps: self.eps }
    }
}

objective_config!(ZLossConfig => ZLoss);

/// Softplus of the standardised logit of the label: invariant to shift and scale of the logits.
///
/// ```text
/// loss_i = log(1 + exp(a (b - z_y))) / a,   z_k = (o_k - mu)/sigma,   mu = mean_k o_k,   sigma^2 = mean_k (o_k - mu)^2 + eps
/// ```
///
/// A row of equal logits has no scale: where the variance with `eps` is below the smallest normal f32, `sigma` is the
/// constant 1, so that `z_y` is 0 and its gradient that of `o_y - mu`. Of two classes `z_y` is only the sign of
/// `o_y - mu` while `eps` is 0, and the gradient 0: use it with three classes or more.
///
/// Source: de Brebisson, Vincent 2016, <https://arxiv.org/abs/1604.08859>; the place of `a` and `b` as in our notes on the
/// paper, with `a = 1`, `b = 0` the authors' code.
#[derive(Module, Debug)]
pub struct ZLoss {
    /// Sharpness.
    pub a: f64,
    /// Location.
    pub b: f64,
    /// Added to the variance.
    pub eps: f64,
}

impl ZLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        check_logits([batch, classes], &labels);
        let share = 1.0 / classes as f64;
        // A shift changes neither z nor its gradient; after this one equal logits are 0 without rounding, and so is their
        // variance.
        let shifted = logits.clone() - logits.max_dim(1).detach();
        let centred = shifted.clone() - shifted.sum_dim(1).mul_scalar(share);
        let variance = centred.clone().square().sum_dim(1).mul_scalar(share).add_scalar(self.eps).reshape([batch]);
        let constant = variance.clone().lower_elem(f32::MIN_POSITIVE);
        let sigma = variance.mask_fill(constant, 1.0).sqrt();
        let z = gather_target(centred, labels) / sigma;
        softplus(z.neg().add_scalar(self.b).mul_scalar(self.a)).mul_scalar(1.0 / self.a)
    }
}

spherical!(ZLoss, |loss| kernels::ZLoss { a: loss.a, b: loss.b, eps: loss.eps });

plain_config! {
    /// Configuration of the [Taylor softmax loss](TaylorSoftmaxLoss); it has no parameters.
    TaylorSoftmaxLossConfig => TaylorSoftmaxLoss
}

/// Minus the logarithm of the Taylor softmax, which has `1 + o + o^2/2` in place of `exp(o)`.
///
/// ```text
/// loss_i = log(D + s + q/2) - log(1 + o_y + o_y^2/2),        s = sum_k o_k,   q = sum_k o_k^2,   D classes
/// ```
///
/// Source: de Brebisson, Vincent 2016, <https://arxiv.org/abs/1604.08859>.
#[derive(Module, Debug)]
pub struct TaylorSoftmaxLoss {}

impl TaylorSoftmaxLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        // 2 (1 + o + o^2/2) = (1 + o)^2 + 1, a sum of two terms that do not cancel.
        let term = logits.add_scalar(1.0).square().add_scalar(1.0);
        minus_log_share(term, labels)
    }
}

spherical!(TaylorSoftmaxLoss, |_loss| kernels::TaylorSoftmaxLoss);

/// Configuration of the [spherical softmax loss](SphericalSoftmaxLoss).
#[derive(Config, Debug)]
pub struct SphericalSoftmaxLossConfig {
    /// Keeps the logarithms finite, above 0.
    #[config(default = 0.01)]
    pub epsilon: f64,
}

impl SphericalSoftmaxLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `epsilon` is not above 0, or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.epsilon > 0.0 && self.epsilon.is_finite(), "epsilon", self.epsilon, "finite and above 0")
    }

    fn build(&self) -> SphericalSoftmaxLoss {
        SphericalSoftmaxLoss { epsilon: self.epsilon }
    }
}

objective_config!(SphericalSoftmaxLossConfig => SphericalSoftmaxLoss);

/// Minus the logarithm of the spherical softmax, which has `o^2 + epsilon` in place of `exp(o)` and so forgets signs.
///
/// ```text
/// loss_i = log(q + D epsilon) - log(o_y^2 + epsilon),        q = sum_k o_k^2,   D classes
/// ```
///
/// Source: de Brebisson, Vincent 2016, <https://arxiv.org/abs/1604.08859>.
#[derive(Module, Debug)]
pub struct SphericalSoftmaxLoss {
    /// Keeps the logarithms finite.
    pub epsilon: f64,
}

impl SphericalSoftmaxLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        minus_log_share(logits.square().add_scalar(self.epsilon), labels)
    }
}

spherical!(SphericalSoftmaxLoss, |loss| kernels::SphericalSoftmaxLoss { epsilon: loss.epsilon });

/// `log sum_k t_k - log t_y` of positive terms.
fn minus_log_share(term: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let own = gather_target(term.clone(), labels);
    let [batch, _] = term.dims();
    term.sum_dim(1).reshape([batch]).log() - own.log()
}

plain_config! {
    /// Configuration of the [squared error of logits](SphericalSquaredError); it has no parameters.
    SphericalSquaredErrorConfig => SphericalSquaredError
}

/// Squared distance of the logits themselves from the one-hot label.
///
/// ```text
/// loss_i = sum_k (o_k - 1[k == y])^2 = q - 2 o_y + 1,        q = sum_k o_k^2
/// ```
///
/// Source: Vincent, de Brebisson, Bouthillier 2015, <https://arxiv.org/abs/1412.7091>.
#[derive(Module, Debug)]
pub struct SphericalSquaredError {}

impl SphericalSquaredError {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        check_logits([batch, classes], &labels);
        let target = logits.zeros_like().mask_fill(target_mask(labels, classes), 1.0);
        (logits - target).square().sum_dim(1).reshape([batch])
    }
}

spherical!(SphericalSquaredError, |_loss| kernels::SphericalSquaredError);
