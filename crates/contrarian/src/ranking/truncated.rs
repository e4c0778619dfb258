use super::init;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [truncated loss](TruncatedLoss).
#[derive(Config, Debug)]
pub struct TruncatedLossConfig {
    /// Growth of the dropped share at each step, at least 0.
    #[config(default = 1e-3)]
    pub growth: f64,
    /// Largest dropped share, in `[0, 1)`.
    #[config(default = 0.2)]
    pub max_rate: f64,
}

impl TruncatedLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let growth = self.growth;
        require(growth >= 0.0 && growth.is_finite(), "growth", growth, "finite and at least 0")?;
        require((0.0..1.0).contains(&self.max_rate), "max_rate", self.max_rate, "in [0, 1)")
    }

    fn build(&self) -> TruncatedLoss {
        TruncatedLoss { growth: self.growth, max_rate: self.max_rate }
    }
}

init!(TruncatedLossConfig => TruncatedLoss);

/// The mean of the smaller losses of a batch: the largest are taken for noise and dropped, more of them as training goes on.
///
/// ```text
/// rate(t) = min(growth t, max_rate);   loss = mean of the B - floor(rate(t) B) smallest losses
/// ```
///
/// Losses of all users are compared, so a user of unusual taste loses more than noise.
///
/// Source: after Wang et al. 2021, "Denoising Implicit Feedback for Recommendation", <https://arxiv.org/abs/2006.04153>, as a
/// baseline; its growth is 0.2 over 30,000 steps, ours is for short runs.
#[derive(Module, Debug)]
pub struct TruncatedLoss {
    /// Growth of the dropped share at each step.
    pub growth: f64,
    /// Largest dropped share.
    pub max_rate: f64,
}

impl TruncatedLoss {
    /// The share that is dropped at a step, from 0.
    pub fn rate(&self, step: usize) -> f64 {
        (self.growth * step as f64).min(self.max_rate)
    }

    /// The mean of the losses `[B]` that are kept at a step, `[1]`.
    ///
    /// # Panics
    /// When there is no loss.
    pub fn forward(&self, losses: Tensor<1>, step: usize) -> Tensor<1> {
        let kept = self.kept(losses.dims()[0], step);
        let order = losses.clone().detach().argsort(0);
        losses.select(0, order.narrow(0, 0, kept)).mean()
    }

    /// The weights that make the same loss as a sum: of equal losses the earlier is kept.
    ///
    /// # Panics
    /// When there is no loss.
    pub fn weights(&self, losses: &[f32], step: usize) -> Vec<f32> {
        let kept = self.kept(losses.len(), step);
        let mut order: Vec<usize> = (0..losses.len()).collect();
        order.sort_by(|&a, &b| losses[a].total_cmp(&losses[b]));
        let mut weights = vec![0.0; losses.len()];
        order[..kept].iter().for_each(|&at| weights[at] = 1.0 / kept as f32);
        weights
    }

    fn kept(&self, count: usize, step: usize) -> usize {
        assert!(count > 0, "a loss needs at least one row");
        count - (self.rate(step) * count as f64) as usize
    }
}
