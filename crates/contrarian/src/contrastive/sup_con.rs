use super::class_pairs::{ClassPairs, NOTHING, check, count};
use super::uniformity::diagonal;
use super::{require_temperature, unit_rows};
use crate::InvalidParameter;
use crate::fused::{OneSetKernel, apply, available};
use crate::numerics::log_sum_exp;
use crate::objective::embedding_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [supervised contrastive loss](SupConLoss).
#[derive(Config, Debug)]
pub struct SupConLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl SupConLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the temperature is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> SupConLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        SupConLoss { temperature: self.temperature, normalize: self.normalize }
    }
}

/// Supervised contrastive loss: every embedding of an anchor's class is a positive.
///
/// ```text
/// s_ik = x_i . x_k / T,   P_i = the other embeddings with the label of i
/// l_i  = log sum_{k != i} exp(s_ik) - mean_{p in P_i} s_ip          0 where P_i is empty
/// loss = mean of l_i over the anchors with positives                0 where there is none
/// ```
///
/// A class with one example only serves as a negative.
///
/// Source: Khosla et al. 2020, <https://arxiv.org/abs/2004.11362>, equation 2.
#[derive(Module, Debug)]
pub struct SupConLoss {
    /// Temperature.
    pub temperature: f64,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl SupConLoss {
    /// The mean over the anchors that have a positive.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, there are not as many labels as embeddings, or memory does not suffice (with the sizes).
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.compute(embeddings, labels, true)
    }

    /// The loss of every anchor; 0 for those without a positive.
    ///
    /// # Shapes
    /// - embeddings: `[batch, dim]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.compute(embeddings, labels, false)
    }

    fn compute(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, mean: bool) -> Tensor<1> {
        let [n, dim] = embeddings.dims();
        check(n, &labels);
        let x = unit_rows(embeddings, self.normalize);
        let temperature = self.temperature;
        if available(&x) {
            let labels = labels.into_data().iter::<i64>().collect();
            return apply([x.into_dispatch()], OneSetKernel::Supervised { dim, labels, temperature, mean });
        }
        let positive = ClassPairs::new(&x, labels).positive;
        let scores = x.clone().matmul(x.transpose()).mul_scalar(1.0 / temperature);
        let all: Tensor<1> = log_sum_exp(scores.clone().mask_fill(diagonal(n, &scores), NOTHING)).reshape([n]);
        let count = count(positive.clone(), &scores);
        let pull: Tensor<1> = scores.mask_fill(positive.bool_not(), 0.0).sum_dim(1).reshape([n]);
        let alone = count.clone().equal_scalar(0.0);
        let losses = (all - pull / count.clone().clamp_min(1.0)).mask_fill(alone, 0.0);
        if !mean {
            return losses;
        }
        losses.sum() / count.clamp(0.0, 1.0).sum().clamp_min(1.0)
    }
}

embedding_objective!(SupConLoss);
