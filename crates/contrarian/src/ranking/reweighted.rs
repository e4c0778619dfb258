use super::init;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [reweighted loss](ReweightedLoss).
#[derive(Config, Debug)]
pub struct ReweightedLossConfig {
    /// Power of the predicted probability, at least 0; at 0 all weigh the same.
    #[config(default = 0.2)]
    pub beta: f64,
}

impl ReweightedLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.beta >= 0.0 && self.beta.is_finite(), "beta", self.beta, "finite and at least 0")
    }

    fn build(&self) -> ReweightedLoss {
        ReweightedLoss { beta: self.beta }
    }
}

init!(ReweightedLossConfig => ReweightedLoss);

/// The mean of losses weighted by how probable the model finds their examples: surprising ones, likely noise, weigh less.
///
/// ```text
/// loss = (1/B) sum_b p_b^beta l_b,   p_b = e^(-l_b)
/// ```
///
/// with logarithmic losses `l`, whose probability is `e^-l`; no gradient goes through the weights.
///
/// Source: after Wang et al. 2021, "Denoising Implicit Feedback for Recommendation", <https://arxiv.org/abs/2006.04153>, as a
/// baseline.
#[derive(Module, Debug)]
pub struct ReweightedLoss {
    /// Power of the predicted probability.
    pub beta: f64,
}

impl ReweightedLoss {
    /// The weighted mean of the losses `[B]`, `[1]`.
    pub fn forward(&self, losses: Tensor<1>) -> Tensor<1> {
        let weights = losses.clone().detach().mul_scalar(-self.beta).exp();
        (losses * weights).mean()
    }

    /// The weights that make the same loss as a sum.
    pub fn weights(&self, losses: &[f32]) -> Vec<f32> {
        let count = losses.len() as f32;
        losses.iter().map(|loss| (-self.beta as f32 * loss).exp() / count).collect()
    }
}
