use super::margin::margins;
use crate::error::require;
use crate::numerics::{binary_score, constant};
use crate::registry::objective_config;
use crate::{InvalidParameter, LogitBatch, LogitObjective, ObjectiveState};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Int, Tensor};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Configuration of [`EnsLoss`].
#[derive(Config, Debug)]
pub struct EnsLossConfig {
    /// Parameter of the inverse Box-Cox transform that shapes the draws, finite; 0 is the exponential.
    #[config(default = 0.0)]
    pub box_cox_lambda: f64,
    /// Largest size of a derivative, above 0.
    #[config(default = 1.0)]
    pub cap: f64,
    /// Divide derivatives beyond margin 1 by the margin, so that the loss is bounded below.
    #[config(default = true)]
    pub tail: bool,
    /// Subtracted from every derivative, at least 0: keeps all of them negative.
    #[config(default = 1e-6)]
    pub floor: f64,
}

impl EnsLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.box_cox_lambda.is_finite(), "box_cox_lambda", self.box_cox_lambda, "finite")?;
        require(self.cap > 0.0 && self.cap.is_finite(), "cap", self.cap, "finite and above 0")?;
        require(self.floor >= 0.0 && self.floor.is_finite(), "floor", self.floor, "finite and at least 0")
    }

    fn build(&self) -> EnsLoss {
        EnsLoss { box_cox_lambda: self.box_cox_lambda, cap: self.cap, tail: self.tail, floor: self.floor }
    }
}

objective_config!(EnsLossConfig => EnsLoss);

/// A fresh random convex, classification-calibrated loss at every step: to losses what dropout is to units.
///
/// ```text
/// r_i = -min(BC(e_i), cap),  e_i ~ N(0, 1),   BC(e) = exp(e) at lambda 0, else (1 + lambda e)_+^(1/lambda)
/// g   = r sorted, given to the margins z in ascending order          (the derivative of a convex loss)
/// g_i = g_i / z_i where z_i > 1                                      (tail)
/// surrogate = mean_i (g_i - floor) z_i,   g constant,   z = (2 y - 1) x
/// ```
///
/// Only the gradient means anything; the surrogate's value is not a loss value, so do not stop or report by it.
///
/// Source: Dai 2024, "EnsLoss", <https://arxiv.org/abs/2409.00908>, algorithm 1, with the draws of the authors' code.
#[derive(Module, Debug)]
pub struct EnsLoss {
    /// Parameter of the inverse Box-Cox transform.
    pub box_cox_lambda: f64,
    /// Largest size of a derivative.
    pub cap: f64,
    /// Divide derivatives beyond margin 1 by the margin.
    pub tail: bool,
    /// Subtracted from every derivative.
    pub floor: f64,
}

impl EnsLoss {
    /// The surrogate whose gradient is the drawn one; the draws come from `rng`.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<1>, labels: Tensor<1, Int>, rng: &mut Xoshiro256PlusPlus) -> Tensor<1> {
        let [batch] = logits.dims();
        let noise: Vec<f64> = (0..batch).map(|_| StandardNormal.sample(rng)).collect();
        self.forward_with_noise(logits, labels, &noise)
    }

    /// The surrogate for given standard normal draws, one an example in drawing order.
    ///
    /// # Panics
    /// When there are not as many draws as examples.
    pub fn forward_with_noise(&self, logits: Tensor<1>, labels: Tensor<1, Int>, noise: &[f64]) -> Tensor<1> {
        let z = margins(logits.clone(), labels.clone());
        let g = self.derivatives(logits, labels, noise);
        (constant(&g, &z) * z).mean()
    }

    /// The derivative `g` of the drawn loss at every example's margin, in example order: the deterministic core.
    ///
    /// # Panics
    /// When there are not as many draws as examples.
    pub fn derivatives(&self, logits: Tensor<1>, labels: Tensor<1, Int>, noise: &[f64]) -> Vec<f64> {
        // Read back on purpose: the sort must be stable for a run to repeat, and the backends' sorts are not.
        let z = margins(logits, labels)
            .without_autodiff()
            .into_data()
            .try_cast(DType::F64)
            .and_then(|d| d.try_to_vec::<f64>());
        let z = z.expect("float tensors convert to f64");
        assert_eq!(z.len(), noise.len(), "{} draws for {} examples", noise.len(), z.len());
        let mut r: Vec<f64> = noise.iter().map(|&e| -self.inverse_box_cox(e)).collect();
        r.sort_by(f64::total_cmp);
        let mut order: Vec<usize> = (0..z.len()).collect();
        order.sort_by(|&a, &b| z[a].total_cmp(&z[b]));
        let mut g = vec![0.0; z.len()];
        for (&example, drawn) in order.iter().zip(r) {
            let tail = if self.tail && z[example] > 1.0 { z[example] } else { 1.0 };
            g[example] = drawn / tail - self.floor;
        }
        g
    }

    /// `min(BC(e), cap)`, without ever forming a number above the cap.
    fn inverse_box_cox(&self, e: f64) -> f64 {
        let lambda = self.box_cox_lambda;
        if lambda.abs() < 1e-6 {
            return e.min(self.cap.ln()).exp();
        }
        let base = 1.0 + lambda * e;
        let value = match (base > 0.0, lambda > 0.0) {
            (true, _) => base.powf(1.0 / lambda),
            (false, true) => 0.0,
            (false, false) => f64::INFINITY,
        };
        value.min(self.cap)
    }
}

impl LogitObjective for EnsLoss {
    fn loss(&self, batch: LogitBatch, state: &mut ObjectiveState) -> Tensor<1> {
        let ObjectiveState::Random(rng) = state else { panic!("EnsLoss needs the state its initial_state gives") };
        self.forward(binary_score(batch.logits), batch.labels, rng)
    }

    fn initial_state(&self, _n_examples: usize, seed: u64) -> ObjectiveState {
        ObjectiveState::Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
}

/// Redraws the Box-Cox parameter of [`EnsLoss`] as training goes on (the authors' option, off by default).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnsLossSchedule {
    /// Epochs between draws; `None` never draws.
    pub period: Option<usize>,
    /// Smallest parameter.
    pub low: f64,
    /// Largest parameter.
    pub high: f64,
}

impl Default for EnsLossSchedule {
    fn default() -> Self {
        Self { period: None, low: -1.0, high: 1.0 }
    }
}

impl EnsLossSchedule {
    /// To call at the end of every epoch, counted from 1: sets a new parameter, uniform in `[low, high]`, when the period
    /// is full.
    pub fn end_of_epoch(&self, objective: &mut EnsLoss, epoch: usize, rng: &mut Xoshiro256PlusPlus) {
        if self.period.is_some_and(|period| period > 0 && epoch.is_multiple_of(period)) {
            objective.box_cox_lambda = rng.random_range(self.low..=self.high);
        }
    }
}
