use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{expm1, log_p_target};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [comp-sum loss](CompSumLoss).
#[derive(Config, Debug)]
pub struct CompSumLossConfig {
    /// Shape of the loss, at least 0: 0 is the sum-exponential loss, 1 cross-entropy, between 1 and 2 generalised
    /// cross-entropy, 2 mean absolute error.
    #[config(default = 1.0)]
    pub tau: f64,
}

impl CompSumLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `tau` is negative or not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_tau(self.tau)
    }

    fn build(&self) -> CompSumLoss {
        CompSumLoss { tau: self.tau }
    }
}

objective_config!(CompSumLossConfig => CompSumLoss);

/// The comp-sum family: one parameter from the sum-exponential loss through cross-entropy to mean absolute error.
///
/// ```text
/// A_i    = logsumexp_j(h_ij) - h_iy = -log softmax(h_i)_y
/// loss_i = Phi_tau(e^A_i - 1) = expm1((1 - tau) A_i) / (1 - tau)        (tau = 1: A_i)
/// ```
///
/// with scores `h`, label `y`. In terms of `p = softmax(h)_y`: `1/p - 1` at tau 0, `-log p` at 1, `(1 - p^q)/q` with
/// `q = tau - 1` above 1, `1 - p` at 2. Below 1 the value grows like `exp((1 - tau) A)` and overflows honestly to
/// infinity; at 2 with many classes the gradient carries the factor `p`, so training starts slowly.
///
/// ```
/// # use burn::tensor::{Device, Int, Tensor};
/// use contrarian::classification::CompSumLossConfig;
///
/// let logits = Tensor::<2>::from_floats([[1.0, 1.0]], &Device::flex());
/// let labels = Tensor::<1, Int>::from_ints([0], &Device::flex());
/// let mae = CompSumLossConfig::new().with_tau(2.0).init().forward(logits, labels);
/// assert!((mae.into_scalar::<f32>() - 0.5).abs() < 1e-6);
/// ```
///
/// Source: Mao, Mohri, Zhong 2023, "Cross-Entropy Loss Functions", <https://arxiv.org/abs/2304.07288>, section 2.
#[derive(Module, Debug)]
pub struct CompSumLoss {
    /// Shape of the loss.
    pub tau: f64,
}

impl CompSumLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        phi(log_p_target(logits, labels).neg(), self.tau)
    }
}

mean_of_examples!(CompSumLoss);

/// `Phi_tau(e^A - 1)`.
pub(super) fn phi(a: Tensor<1>, tau: f64) -> Tensor<1> {
    // At tau = 1 the limit; next to it expm1 keeps every digit, where a difference of powers would lose them.
    if tau == 1.0 { a } else { expm1(a.mul_scalar(1.0 - tau)).mul_scalar(1.0 / (1.0 - tau)) }
}

pub(super) fn require_tau(tau: f64) -> Result<(), InvalidParameter> {
    require(tau >= 0.0 && tau.is_finite(), "tau", tau, "finite and at least 0")
}
