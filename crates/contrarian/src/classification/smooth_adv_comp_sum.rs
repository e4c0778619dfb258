use super::comp_sum::{phi, require_tau};
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{gather_target, log_p_target, target_mask};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [smooth adversarial comp-sum loss](SmoothAdvCompSumLoss). The paper tunes all three parameters;
/// the defaults of 1 are ours.
#[derive(Config, Debug)]
pub struct SmoothAdvCompSumLossConfig {
    /// Shape of the comp-sum term, at least 0.
    #[config(default = 1.0)]
    pub tau: f64,
    /// Margin scale, above 0.
    #[config(default = 1.0)]
    pub rho: f64,
    /// Weight of the shift term, at least 0.
    #[config(default = 1.0)]
    pub nu: f64,
}

impl SmoothAdvCompSumLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_tau(self.tau)?;
        require_rho(self.rho)?;
        require(self.nu >= 0.0 && self.nu.is_finite(), "nu", self.nu, "finite and at least 0")
    }

    /// Builds the loss.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> SmoothAdvCompSumLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        SmoothAdvCompSumLoss { tau: self.tau, rho: self.rho, nu: self.nu }
    }
}

fn require_rho(rho: f64) -> Result<(), InvalidParameter> {
    require(rho > 0.0 && rho.is_finite(), "rho", rho, "finite and above 0")
}

/// The smooth adversarial comp-sum loss: a comp-sum of the clean scores plus the distance the attack moves the margins.
///
/// ```text
/// loss_i = Phi_tau( sum_{j != y} exp(-D_ij(x)/rho) ) + nu || Dbar_i(x') - Dbar_i(x) ||_2
/// ```
///
/// with margins `D_j = h_y - h_j`, `Dbar` the vector of them over `j != y`, and `x'` the attacked input (see
/// [`margin_shift`](crate::adversarial::margin_shift) for the inner maximum). The first term is the comp-sum loss of
/// `h / rho`. For `nu >= sqrt(k - 1) / rho` the loss bounds the [adversarial rho-margin loss](RhoMarginCompSumLoss) from
/// above. Gradient flows to both inputs; at zero shift the norm has gradient 0.
///
/// Source: Mao, Mohri, Zhong 2023, <https://arxiv.org/abs/2304.07288>, section 5.
#[derive(Module, Debug)]
pub struct SmoothAdvCompSumLoss {
    /// Shape of the comp-sum term.
    pub tau: f64,
    /// Margin scale.
    pub rho: f64,
    /// Weight of the shift term.
    pub nu: f64,
}

impl SmoothAdvCompSumLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - clean: logits at the inputs, `[batch, classes]`
    /// - adversarial: logits at the attacked inputs, `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, clean: Tensor<2>, adversarial: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let shift = margin_shift_norm(clean.clone(), adversarial, labels.clone());
        let a = log_p_target(clean.mul_scalar(1.0 / self.rho), labels).neg();
        phi(a, self.tau) + shift.mul_scalar(self.nu)
    }

    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch, `[1]`.
    pub fn forward(&self, clean: Tensor<2>, adversarial: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(clean, adversarial, labels).mean()
    }
}

/// `|| Dbar(x') - Dbar(x) ||_2` of every example, with gradient 0 where it is 0.
pub(crate) fn margin_shift_norm(clean: Tensor<2>, moved: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = clean.dims();
    let d = moved - clean;
    let shift = gather_target(d.clone(), labels).reshape([batch, 1]) - d;
    // The entry j = y is 0 and adds nothing. The square root of 0 has an infinite slope: 1 stands in, and is masked out.
    let squared = shift.square().sum_dim(1).reshape([batch]);
    let zero = squared.clone().equal_scalar(0.0);
    squared.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

/// Configuration of the [rho-margin comp-sum loss](RhoMarginCompSumLoss).
#[derive(Config, Debug)]
pub struct RhoMarginCompSumLossConfig {
    /// Shape of the loss, at least 0.
    #[config(default = 1.0)]
    pub tau: f64,
    /// Margin scale, above 0.
    #[config(default = 1.0)]
    pub rho: f64,
}

impl RhoMarginCompSumLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_tau(self.tau)?;
        require_rho(self.rho)
    }

    /// Builds the loss.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> RhoMarginCompSumLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        RhoMarginCompSumLoss { tau: self.tau, rho: self.rho }
    }
}

/// The rho-margin comp-sum loss, for evaluation: its gradient vanishes wherever a margin is beyond `[0, rho]`.
///
/// ```text
/// loss_i = Phi_tau( sum_{j != y} m_rho(h_y - h_j) ),     m_rho(u) = min(max(0, 1 - u/rho), 1)
/// ```
///
/// At attacked inputs this is the adversarial rho-margin loss.
///
/// Source: Mao, Mohri, Zhong 2023, <https://arxiv.org/abs/2304.07288>, section 5.
#[derive(Module, Debug)]
pub struct RhoMarginCompSumLoss {
    /// Shape of the loss.
    pub tau: f64,
    /// Margin scale.
    pub rho: f64,
}

impl RhoMarginCompSumLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        let margins = gather_target(logits.clone(), labels.clone()).reshape([batch, 1]) - logits;
        let m = margins.mul_scalar(-1.0 / self.rho).add_scalar(1.0).clamp(0.0, 1.0);
        let total = m.mask_fill(target_mask(labels, classes), 0.0).sum_dim(1).reshape([batch]);
        phi(total.log1p(), self.tau)
    }

    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch, `[1]`.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels).mean()
    }
}
