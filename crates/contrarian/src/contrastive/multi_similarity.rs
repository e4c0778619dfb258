use super::class_pairs::{ClassPairs, NOTHING, check};
use super::unit_rows;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{MultiSimilarityKernel, apply, available};
use crate::numerics::{log_sum_exp, softplus};
use crate::objective::{embedding_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};

/// Configuration of the [multi-similarity loss](MultiSimilarityLoss).
#[derive(Config, Debug)]
pub struct MultiSimilarityLossConfig {
    /// Scale of the positive similarities, above 0.
    #[config(default = 2.0)]
    pub alpha: f64,
    /// Scale of the negative similarities, above 0.
    #[config(default = 50.0)]
    pub beta: f64,
    /// The similarity that both are measured from.
    #[config(default = 0.5)]
    pub base: f64,
}

impl MultiSimilarityLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.alpha > 0.0 && self.alpha.is_finite(), "alpha", self.alpha, "finite and above 0")?;
        require(self.beta > 0.0 && self.beta.is_finite(), "beta", self.beta, "finite and above 0")?;
        require(self.base.is_finite(), "base", self.base, "finite")
    }

    fn build(&self) -> MultiSimilarityLoss {
        MultiSimilarityLoss { alpha: self.alpha, beta: self.beta, base: self.base }
    }
}

init!(MultiSimilarityLossConfig => MultiSimilarityLoss);
embedding_objective!(MultiSimilarityLoss);

/// Multi-similarity loss: a soft maximum over the positives of an anchor and one over its negatives.
///
/// ```text
/// l_i  = (1/a) log(1 + sum_p exp(-a (s_ip - b))) + (1/c) log(1 + sum_n exp(c (s_in - b))),     loss = mean_i l_i
/// ```
///
/// with cosines `s`, scales `a` (`alpha`) and `c` (`beta`) and base `b`; positives are the other rows with the anchor's
/// label, negatives those of other labels, all of them (no mining); rows are scaled to length 1 first. A sum over nothing
/// is 0. Time `O(n^2 dim)`, memory `O(n^2)`.
///
/// Source: Wang et al. 2019, <https://arxiv.org/abs/1904.06627>, equation 15; defaults of pytorch-metric-learning (the paper
/// has base 1).
#[derive(Module, Debug)]
pub struct MultiSimilarityLoss {
    /// Scale of the positive similarities.
    pub alpha: f64,
    /// Scale of the negative similarities.
    pub beta: f64,
    /// The similarity that both are measured from.
    pub base: f64,
}

impl MultiSimilarityLoss {
    /// The mean over the batch.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, or there are not as many labels as embeddings.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.values(embeddings, labels, true)
    }

    /// The loss of every anchor.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.values(embeddings, labels, false)
    }

    /// The mean, `[1]`, or every anchor's, `[n]`.
    fn values(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>, mean: bool) -> Tensor<1> {
        let [n, _] = embeddings.dims();
        check(n, &labels);
        let x = unit_rows(embeddings, true);
        let products = x.clone().matmul(x.clone().transpose());
        if available(&x) {
            let kernel = MultiSimilarityKernel {
                labels: labels.into_data().iter::<i64>().collect(),
                scales: (self.alpha, self.beta),
                base: self.base,
                mean,
            };
            return apply([products.into_dispatch()], kernel);
        }
        let ClassPairs { positive, negative } = ClassPairs::new(&x, labels);
        let s = products.sub_scalar(self.base);
        // log(1 + sum exp) is the softplus of log-sum-exp, which is far below 0 for an empty sum.
        let side = |scale: f64, mask: Tensor<2, Bool>| -> Tensor<1> {
            let scores = s.clone().mul_scalar(scale).mask_fill(mask.bool_not(), NOTHING);
            softplus(log_sum_exp(scores).reshape([n])).mul_scalar(1.0 / scale.abs())
        };
        let values = side(-self.alpha, positive) + side(self.beta, negative);
        if mean { values.mean() } else { values }
    }
}
