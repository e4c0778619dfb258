use super::class_pairs::{ClassPairs, check, mean_where};
use super::distances::{distances, rounding};
use super::unit_rows;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{PairDistanceKernel, apply, available};
use crate::objective::{embedding_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [contrastive loss of pairs](PairContrastiveLoss).
#[derive(Config, Debug)]
pub struct PairContrastiveLossConfig {
    /// Positive pairs nearer than this are left alone, at least 0.
    #[config(default = 0.0)]
    pub positive_margin: f64,
    /// Negative pairs farther than this are left alone, at least 0.
    #[config(default = 1.0)]
    pub negative_margin: f64,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl PairContrastiveLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let (p, n) = (self.positive_margin, self.negative_margin);
        require(p >= 0.0 && p.is_finite(), "positive_margin", p, "finite and at least 0")?;
        require(n >= 0.0 && n.is_finite(), "negative_margin", n, "finite and at least 0")
    }

    fn build(&self) -> PairContrastiveLoss {
        let Self { positive_margin, negative_margin, normalize } = *self;
        PairContrastiveLoss { positive_margin, negative_margin, normalize }
    }
}

init!(PairContrastiveLossConfig => PairContrastiveLoss);
embedding_objective!(PairContrastiveLoss);

/// Contrastive loss of pairs: positives together, negatives apart up to a margin.
///
/// ```text
/// loss = mean of max(D_ij - m_p, 0) over the positive pairs where it is above 0
///      + mean of max(m_n - D_ij, 0) over the negative pairs where it is above 0,      D_ij = |x_i - x_j|
/// ```
///
/// A mean over nothing is 0. Equal rows have distance and gradient 0. Time `O(n^2 dim)`, memory `O(n^2)`.
///
/// Source: Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant Mapping", with distances instead of their
/// squares and the means over active pairs as in pytorch-metric-learning, from which the margins' defaults are.
#[derive(Module, Debug)]
pub struct PairContrastiveLoss {
    /// Positive pairs nearer than this are left alone.
    pub positive_margin: f64,
    /// Negative pairs farther than this are left alone.
    pub negative_margin: f64,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl PairContrastiveLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - embeddings: `[n, dim]`
    /// - labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, or there are not as many labels as embeddings.
    pub fn forward(&self, embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        check(embeddings.dims()[0], &labels);
        let x = unit_rows(embeddings, self.normalize);
        if available(&x) {
            let kernel = PairDistanceKernel {
                labels: labels.into_data().iter::<i64>().collect(),
                margins: (self.positive_margin, self.negative_margin),
                tolerance: rounding(&x),
            };
            return apply([x.clone().matmul(x.transpose()).into_dispatch()], kernel);
        }
        let pairs = ClassPairs::new(&x, labels);
        let distances = distances(x.clone(), x);
        let active = |values: Tensor<2>, pairs| {
            let above = values.clone().detach().greater_scalar(0.0);
            mean_where(values, above.bool_and(pairs))
        };
        let pull = distances.clone().sub_scalar(self.positive_margin);
        let push = distances.neg().add_scalar(self.negative_margin);
        active(pull, pairs.positive) + active(push, pairs.negative)
    }
}
