use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{OneSetKernel, apply, available};
use crate::numerics::log_sum_exp;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Tensor};

/// Configuration of [uniformity](UniformityLoss).
#[derive(Config, Debug)]
pub struct UniformityLossConfig {
    /// Inverse width of the Gaussian kernel, above 0.
    #[config(default = 2.0)]
    pub t: f64,
}

impl UniformityLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `t` is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.t > 0.0 && self.t.is_finite(), "t", self.t, "finite and above 0")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> UniformityLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        UniformityLoss { t: self.t }
    }
}

/// How unevenly embeddings are spread: a loss, and a metric (lower is more uniform).
///
/// ```text
/// loss = log mean_{i < j} exp(-t |x_i - x_j|^2)
/// ```
///
/// Embeddings are used as they are; the metric is meant for rows of length 1.
///
/// Source: Wang, Isola 2020, <https://arxiv.org/abs/2005.10242>, section 4.1.2; Wang, Liu 2021,
/// <https://arxiv.org/abs/2012.09740>, equation 12.
#[derive(Module, Debug)]
pub struct UniformityLoss {
    /// Inverse width of the Gaussian kernel.
    pub t: f64,
}

impl UniformityLoss {
    /// The uniformity of the batch.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`, `n >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer than two embeddings, or memory does not suffice (with the sizes).
    pub fn forward(&self, embeddings: Tensor<2>) -> Tensor<1> {
        let [n, dim] = embeddings.dims();
        assert!(n >= 2, "uniformity is a property of pairs: it needs at least two embeddings, got {n}");
        if available(&embeddings) {
            return apply([embeddings.into_dispatch()], OneSetKernel::Uniformity { dim, t: self.t });
        }
        let scores = squared_distances(embeddings.clone(), embeddings).mul_scalar(-self.t);
        let scores = scores.clone().mask_fill(diagonal(n, &scores), f32::MIN / 4.0);
        log_sum_exp(scores.reshape([1, n * n])).reshape([1]).sub_scalar((n as f64).ln() + ((n - 1) as f64).ln())
    }
}

/// `|x_i - y_j|^2`, `[n, m]`, by products; slightly below 0 at times.
pub(super) fn squared_distances(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let (n, m) = (x.dims()[0], y.dims()[0]);
    let left = x.clone().square().sum_dim(1);
    let right = y.clone().square().sum_dim(1).reshape([1, m]);
    left.expand([n, m]) + right.expand([n, m]) - x.matmul(y.transpose()).mul_scalar(2.0)
}

/// The square matrix that is true on the diagonal, on the device of `like`.
pub(super) fn diagonal(n: usize, like: &Tensor<2>) -> Tensor<2, Bool> {
    Tensor::<2>::eye(n, &like.device()).greater_scalar(0.5)
}
