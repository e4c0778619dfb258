use super::multiclass_hinge::{margin_differences, require_margin};
use crate::error::require;
use crate::fused::{self, RowLoss, softmax_rows};
use crate::numerics::{check_logits, expm1, log_sum_exp, softplus};
use crate::objective::mean_of_examples;
use crate::registry::objective_config;
use crate::{InvalidParameter, LogitBatch, LogitObjective, ObjectiveState};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, activation};
use contrarian_kernels as kernels;
use serde::{Deserialize, Serialize};

/// How raw logits become the bounded scores that the margin and the temperature are meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// `softplus(g) / mean_k softplus(g_k)`
    SoftplusMean,
    /// `g / mean_k |g_k|`; a row of zeros stays 0. Gradients are of the order `1 / mean |g|`: huge for tiny logits.
    L1Mean,
    /// The logits themselves.
    None,
}

impl Normalization {
    fn apply(self, logits: Tensor<2>) -> Tensor<2> {
        match self {
            Self::None => logits,
            Self::L1Mean => {
                let size = logits.clone().abs().mean_dim(1);
                let zero = size.clone().equal_scalar(0.0);
                let shape = logits.dims();
                (logits / size.mask_fill(zero.clone(), 1.0)).mask_fill(zero.expand(shape), 0.0)
            }
            Self::SoftplusMean => {
                // In logarithms: the mean of softplus underflows when every logit is very negative.
                let classes = logits.dims()[1] as f64;
                let log = log_softplus(logits);
                let log_mean = log_sum_exp(log.clone()).sub_scalar(classes.ln());
                (log - log_mean).exp()
            }
        }
    }
}

/// `log softplus(x)`, also where softplus underflows.
fn log_softplus(x: Tensor<2>) -> Tensor<2> {
    // Below -20, softplus(x) = e^x (1 - e^x/2 + ...), exact here beyond f64.
    const TAIL: f64 = -20.0;
    let low = x.clone().lower_scalar(TAIL);
    let tail = x.clone() - x.clone().clamp_max(TAIL).exp().mul_scalar(0.5);
    softplus(x.clamp_min(TAIL)).log().mask_where(low, tail)
}

/// `lambda log mean_k exp(d_k / lambda)` of every row; `lambda` is `[batch, 1]`.
fn soft_max_of_differences(d: Tensor<2>, lambda: Tensor<2>) -> Tensor<1> {
    let [batch, classes] = d.dims();
    let scaled = d.clone() / lambda.clone();
    let plain = lambda.clone() * log_sum_exp(scaled.clone()).sub_scalar((classes as f64).ln());
    // For a large temperature the plain form subtracts two nearly equal logarithms; around the mean nothing cancels.
    let center = scaled.clone().mean_dim(1);
    let spread = (scaled.clone() - center.clone()).clamp(-1.0, 1.0);
    let near = lambda * (center + expm1(spread).mean_dim(1).log1p());
    let flat = scaled.abs().max_dim(1).lower_scalar(0.5);
    plain.mask_where(flat, near).reshape([batch])
}

/// The loss of every row from the kernel, with one temperature or one a row.
fn fused_ldr(
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    lambda: Vec<f64>,
    margin: f64,
    normalization: Normalization,
) -> Tensor<1> {
    check_logits(logits.dims(), &labels);
    let normalization = match normalization {
        Normalization::SoftplusMean => kernels::Normalization::SoftplusMean,
        Normalization::L1Mean => kernels::Normalization::L1Mean,
        Normalization::None => kernels::Normalization::None,
    };
    softmax_rows(logits, labels, RowLoss::Ldr { lambda, margin, normalization })
}

/// Configuration of the [LDR-KL loss](LdrKlLoss).
#[derive(Config, Debug)]
pub struct LdrKlLossConfig {
    /// Temperature, above 0: towards 0 the Crammer-Singer loss, 1 cross-entropy, towards infinity a symmetric loss.
    #[config(default = 1.0)]
    pub lambda: f64,
    /// Margin, at least 0.
    #[config(default = 0.1)]
    pub margin: f64,
    /// How logits become bounded scores.
    #[config(default = "Normalization::SoftplusMean")]
    pub normalization: Normalization,
}

impl LdrKlLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.lambda > 0.0 && self.lambda.is_finite(), "lambda", self.lambda, "finite and above 0")?;
        require_margin(self.margin)
    }

    fn build(&self) -> LdrKlLoss {
        LdrKlLoss { lambda: self.lambda, margin: self.margin, normalization: self.normalization }
    }
}

objective_config!(LdrKlLossConfig => LdrKlLoss);

/// Label-distributionally robust loss: the worst case over class distributions, held near uniform by a KL term.
///
/// ```text
/// d_k    = f_k - f_y + margin 1[k != y],        f = normalised logits
/// loss_i = max_p  sum_k p_k d_k - lambda KL(p || uniform)  =  lambda log( (1/K) sum_k exp(d_k / lambda) )
/// ```
///
/// Without normalisation and margin, `lambda = 1` is cross-entropy minus `log K`.
///
/// Source: Zhu, Ying, Yang 2023, "Label Distributionally Robust Losses", <https://arxiv.org/abs/2112.14869>, equation 4.
#[derive(Module, Debug)]
pub struct LdrKlLoss {
    /// Temperature.
    pub lambda: f64,
    /// Margin.
    pub margin: f64,
    /// How logits become bounded scores.
    #[module(skip)]
    pub normalization: Normalization,
}

impl LdrKlLoss {
    /// The loss of every example.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    pub fn forward_no_reduction(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        if fused::available(&logits) {
            return fused_ldr(logits, labels, vec![self.lambda], self.margin, self.normalization);
        }
        let f = self.normalization.apply(logits);
        let lambda = f.clone().without_autodiff().slice([0..f.dims()[0], 0..1]).full_like(self.lambda);
        soft_max_of_differences(margin_differences(f, labels, self.margin), lambda)
    }
}

mean_of_examples!(LdrKlLoss);

/// Configuration of the [ALDR-KL loss](AldrKlLoss).
#[derive(Config, Debug)]
pub struct AldrKlLossConfig {
    /// Temperature of an undecided example, above 0.
    #[config(default = 1.0)]
    pub lambda0: f64,
    /// How little a confident example lowers its temperature, above 1: temperatures stay above `lambda0 (1 - 1/alpha)`.
    #[config(default = 2.0)]
    pub alpha: f64,
    /// Margin, at least 0.
    #[config(default = 0.1)]
    pub margin: f64,
    /// How logits become bounded scores.
    #[config(default = "Normalization::L1Mean")]
    pub normalization: Normalization,
}

impl AldrKlLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.lambda0 > 0.0 && self.lambda0.is_finite(), "lambda0", self.lambda0, "finite and above 0")?;
        require(self.alpha > 1.0 && self.alpha.is_finite(), "alpha", self.alpha, "finite and above 1")?;
        require_margin(self.margin)
    }

    fn build(&self) -> AldrKlLoss {
        AldrKlLoss { lambda0: self.lambda0, alpha: self.alpha, margin: self.margin, normalization: self.normalization }
    }
}

objective_config!(AldrKlLossConfig => AldrKlLoss);

/// Adaptive [LDR-KL](LdrKlLoss): every training example has its own temperature, lowered when the model is confident.
///
/// ```text
/// p          = softmax(f / lambda_i),  floored by 1e-5 and renormalised
/// lambda_i' = lambda0 - lambda0 KL(p || uniform) / (alpha log K)
/// loss_i     = lambda_i' log mean_k exp(d_k / lambda_i') - alpha log K / (2 lambda0) (lambda_i' - lambda0)^2
/// ```
///
/// with the temperature constant for the gradient. The second term makes reported values negative at times.
///
/// Source: Zhu, Ying, Yang 2023, <https://arxiv.org/abs/2112.14869>, section 5; one update a visit as in the authors' code
/// (without the margin in `p`).
#[derive(Module, Debug)]
pub struct AldrKlLoss {
    /// Temperature of an undecided example.
    pub lambda0: f64,
    /// How little a confident example lowers its temperature.
    pub alpha: f64,
    /// Margin.
    pub margin: f64,
    /// How logits become bounded scores.
    #[module(skip)]
    pub normalization: Normalization,
}

/// Floor of the class probabilities in the temperature's update, as in the authors' code.
const FLOOR: f64 = 1e-5;

impl AldrKlLoss {
    /// The temperatures before the first step, `[n_examples]`.
    pub fn initial_lambdas(&self, n_examples: usize, device: &Device) -> Tensor<1> {
        Tensor::full([n_examples], self.lambda0, device)
    }

    /// The mean loss, and the temperatures with those of the batch updated.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - ids: which examples these are, `[batch]`, each below `n_examples`, none twice
    /// - lambdas: `[n_examples]`
    /// - output: `[1]` and `[n_examples]`
    ///
    /// # Panics
    /// When an id is out of range or occurs twice: two updates of one temperature have no order.
    pub fn forward(
        &self,
        logits: Tensor<2>,
        labels: Tensor<1, Int>,
        ids: Tensor<1, Int>,
        lambdas: Tensor<1>,
    ) -> (Tensor<1>, Tensor<1>) {
        check_ids(&ids, lambdas.dims()[0]);
        let [batch, classes] = logits.dims();
        let log_k = (classes as f64).ln();
        let fused_logits = fused::available(&logits).then(|| logits.clone());
        // No gradient flows through the temperatures; where the kernel has the loss, none is recorded here at all.
        let f = self.normalization.apply(if fused_logits.is_some() { logits.without_autodiff() } else { logits });
        let old = lambdas.clone().select(0, ids.clone()).reshape([batch, 1]);
        let p = activation::softmax(f.clone().without_autodiff() / old, 1).add_scalar(FLOOR);
        let p = p.clone() / p.sum_dim(1);
        let kl = (p.clone() * p.log().add_scalar(log_k)).sum_dim(1);
        let new = kl.mul_scalar(-self.lambda0 / (self.alpha * log_k)).add_scalar(self.lambda0);
        let penalty =
            new.clone().sub_scalar(self.lambda0).square().mul_scalar(self.alpha * log_k / (2.0 * self.lambda0));
        let lambdas = lambdas.select_assign(0, ids, new.clone().reshape([batch]), IndexingUpdateOp::Assign);
        let losses = match fused_logits {
            Some(logits) => {
                let lambda = new.into_data().iter::<f64>().collect();
                fused_ldr(logits, labels, lambda, self.margin, self.normalization)
            }
            None => soft_max_of_differences(margin_differences(f, labels, self.margin), new),
        };
        ((losses - penalty.reshape([batch])).mean(), lambdas)
    }
}

fn check_ids(ids: &Tensor<1, Int>, n_examples: usize) {
    let mut seen: Vec<i64> = ids.clone().into_data().iter::<i64>().collect();
    seen.sort_unstable();
    assert!(
        seen.first().is_none_or(|&id| id >= 0) && seen.last().is_none_or(|&id| (id as usize) < n_examples),
        "example ids must be in 0..{n_examples}"
    );
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "an example id occurs twice in a batch");
}

impl LogitObjective for AldrKlLoss {
    fn loss(&self, batch: LogitBatch, state: &mut ObjectiveState) -> Tensor<1> {
        let ObjectiveState::PerExample(lambdas) = state else {
            panic!("AldrKlLoss needs the state its initial_state gives")
        };
        let ids = batch.ids.expect("AldrKlLoss needs the ids of the examples");
        let (loss, updated) = self.forward(batch.logits, batch.labels, ids, lambdas.clone());
        *lambdas = updated;
        loss
    }

    fn initial_state(&self, n_examples: usize, _seed: u64) -> ObjectiveState {
        ObjectiveState::PerExample(self.initial_lambdas(n_examples, &Device::flex()))
    }

    fn needs_distinct_examples(&self) -> bool {
        true
    }
}
