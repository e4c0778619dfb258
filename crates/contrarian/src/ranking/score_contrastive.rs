use super::init;
use super::mann_whitney::check_scores;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_sum_exp;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};

/// Configuration of the [contrastive loss over scores](ScoreContrastiveLoss).
#[derive(Config, Debug)]
pub struct ScoreContrastiveLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.01)]
    pub temperature: f64,
}

impl ScoreContrastiveLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let allowed = "above 0 and finite";
        require(self.temperature > 0.0 && self.temperature.is_finite(), "temperature", self.temperature, allowed)
    }

    fn build(&self) -> ScoreContrastiveLoss {
        ScoreContrastiveLoss { temperature: self.temperature }
    }
}

init!(ScoreContrastiveLossConfig => ScoreContrastiveLoss);

/// Softmax contrastive loss over a matrix of scores: the positive of each query against the other passages of its row.
///
/// ```text
/// loss = -(1/B) sum_i log( e^(s_ii / temperature) / sum_{m not ignored} e^(s_im / temperature) )
/// ```
///
/// Adding a number to all scores of a query changes nothing: scores of different queries are not made comparable, which
/// is what [`MwLoss`](super::MwLoss) is for.
///
/// Source: Oord, Li, Vinyals 2018, <https://arxiv.org/abs/1807.03748>; as in Sheikholeslami et al. 2025,
/// <https://arxiv.org/abs/2510.00137>.
#[derive(Module, Debug)]
pub struct ScoreContrastiveLoss {
    /// Temperature.
    pub temperature: f64,
}

impl ScoreContrastiveLoss {
    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the queries.
    ///
    /// # Panics
    /// When `M < B`, or `ignore` has another shape.
    pub fn forward(&self, scores: Tensor<2>, ignore: Option<Tensor<2, Bool>>) -> Tensor<1> {
        self.forward_no_reduction(scores, ignore).mean()
    }

    /// The loss of every query; `ignore` is true for entries that are no negatives of their row.
    ///
    /// # Shapes
    /// - scores: `[B, M]` with `M >= B`; column `i` is the positive of query `i`
    /// - ignore: `[B, M]`
    /// - output: `[B]`
    ///
    /// # Panics
    /// When `M < B`, or `ignore` has another shape.
    pub fn forward_no_reduction(&self, scores: Tensor<2>, ignore: Option<Tensor<2, Bool>>) -> Tensor<1> {
        check_scores(&scores, ignore.as_ref());
        let [queries, passages] = scores.dims();
        let device = scores.device();
        let diagonal = Tensor::<1, Int>::arange(0..queries as i64, &device).reshape([queries, 1]);
        let scores = scores.mul_scalar(1.0 / self.temperature);
        let positives = scores.clone().gather(1, diagonal.clone());
        let scores = match ignore {
            None => scores,
            Some(ignore) => {
                let columns = Tensor::<1, Int>::arange(0..passages as i64, &device).reshape([1, passages]);
                scores.mask_fill(ignore.bool_and(diagonal.not_equal(columns)), f32::MIN)
            }
        };
        (log_sum_exp(scores) - positives).reshape([queries])
    }
}
