use super::{novel_columns, require_novel};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};

/// Configuration of the [variance over novel classes](NovelVariance).
#[derive(Config, Debug)]
pub struct NovelVarianceConfig {
    /// The novel classes, at least one, none twice.
    pub novel: Vec<usize>,
    /// Temperature, above 0; the authors' code has 0.005. Larger ones (0.1 to 1) keep a gradient early in training.
    #[config(default = 0.005)]
    pub temperature: f64,
}

impl NovelVarianceConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_novel(&self.novel)?;
        let t = self.temperature;
        require(t > 0.0 && t.is_finite(), "temperature", t, "finite and above 0")
    }

    fn build(&self) -> NovelVariance {
        NovelVariance { novel: self.novel.clone(), temperature: self.temperature }
    }
}

init!(NovelVarianceConfig => NovelVariance);

/// Shortfall of variance over the batch in the novel classes: added to a loss, "use all novel classes evenly".
///
/// ```text
/// loss = mean_{c in V} max(t - var_c, 0),        t = (k - 1) / k^2,  k = |V|
/// var_c = unbiased variance over the batch of r_ic,    r_i = softmax of the novel logits of i, over T
/// ```
///
/// `t` is the variance of a column in which one in `k` entries is 1 and the others are 0. With one novel class the loss is 0.
/// A small temperature makes `r` one-hot, with a gradient near ties only; where all examples are in one class the gradient is
/// 0 at any temperature.
///
/// Source: Hasan et al. 2023, "NEV-NCD", <https://arxiv.org/abs/2304.07354>, as in the authors' notebook.
#[derive(Module, Debug)]
pub struct NovelVariance {
    /// The novel classes.
    #[module(skip)]
    pub novel: Vec<usize>,
    /// Temperature.
    pub temperature: f64,
}

impl NovelVariance {
    /// The loss of the batch as a whole.
    ///
    /// # Shapes
    /// - logits: `[n, classes]`, `n >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer than two examples, or a novel class is out of range.
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<1> {
        let n = logits.dims()[0];
        assert!(n >= 2, "a variance over the batch needs at least two examples, got {n}");
        let k = self.novel.len() as f64;
        let columns = novel_columns(logits, &self.novel).mul_scalar(1.0 / self.temperature);
        let r = activation::softmax(columns, 1);
        let deviation = r.clone() - r.mean_dim(0);
        let variance = deviation.square().sum_dim(0).mul_scalar(1.0 / (n - 1) as f64);
        variance.neg().add_scalar((k - 1.0) / (k * k)).clamp_min(0.0).mean()
    }
}
