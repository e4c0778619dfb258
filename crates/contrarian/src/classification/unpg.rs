use super::target_scores::{Head, TargetScores, loss_of_scores};
use super::{ArcFaceLossConfig, MarginHead, MarginHeadConfig};
use crate::InvalidParameter;
use crate::contrastive::{negative_pair_log_sum_exp, require_whisker};
use crate::numerics::normalize_rows;
use crate::objective::{class_weight_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [loss with unified negative pairs](UnpgLoss).
#[derive(Config, Debug)]
pub struct UnpgLossConfig {
    /// The head whose negatives are added to.
    #[config(default = "MarginHeadConfig::ArcFace(ArcFaceLossConfig::new())")]
    pub head: MarginHeadConfig,
    /// How far beyond the quartiles, in their distance, pairs are kept, at least 0; `None` keeps all.
    #[config(default = "Some(1.5)")]
    pub whisker: Option<f64>,
}

impl UnpgLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        self.head.validate()?;
        self.whisker.map_or(Ok(()), require_whisker)
    }

    fn build(&self) -> UnpgLoss {
        UnpgLoss { head: self.head.init(), whisker: self.whisker }
    }
}

init!(UnpgLossConfig => UnpgLoss);
class_weight_objective!(UnpgLoss);

/// Unified negative pair generation (UNPG): a margin softmax whose denominator also has the similarities of the batch's own
/// features with different labels, harder negatives than class weights ever are.
///
/// ```text
/// l_i = -log( e^{s z_iy} / ( e^{s z_iy} + sum_{k != y} e^{s c_ik} + sum_{b in B'} e^{s b} ) ) + the head's penalty
/// ```
///
/// with the head's own logit `s z_iy` and other cosines `c_ik`, and `B'` the batch's negative pairs after the box-and-whisker
/// filter, see [`negative_pair_log_sum_exp`]: outliers (one image under two labels, unrelated noise) are kept out. The same
/// `B'` enters every row. A batch of one row or one class has no pairs: the loss is the head's own. MagFace keeps its
/// regulariser, which the published code drops. To add the pairs to a head of your own, give its logits to
/// [`TargetScores::from_logits`] and their log-sum-exp to [`TargetScores::with_negatives`].
///
/// Time `O(n^2 dim + n classes dim)`; on the CPU memory grows with `n + classes`, and by one number a pair for the quartiles.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Int, Tensor};
/// use contrarian::classification::{CosFaceLossConfig, MarginHeadConfig, UnpgLossConfig};
///
/// let device = Device::flex();
/// let random = |rows| Tensor::<2>::random([rows, 8], Distribution::Normal(0.0, 1.0), &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 2], &device);
/// let head = MarginHeadConfig::CosFace(CosFaceLossConfig::new().with_scale(16.0));
/// let loss = UnpgLossConfig::new().with_head(head).init().forward(random(4), random(3), labels);
/// assert!(loss.into_scalar::<f32>() > 0.0);
/// ```
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3.
#[derive(Module, Debug)]
pub struct UnpgLoss {
    /// The head.
    pub head: MarginHead,
    /// How far beyond the quartiles pairs are kept.
    #[module(skip)]
    pub whisker: Option<f64>,
}

impl UnpgLoss {
    /// The own logit of every row and the log-sum-exp of its negatives, the batch's pairs among them.
    ///
    /// # Shapes
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn scores(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> TargetScores {
        let scores = self.head.scores(features.clone(), weights, labels.clone());
        let pairs = negative_pair_log_sum_exp(normalize_rows(features), labels, self.head.scale(), self.whisker);
        scores.with_negatives(pairs)
    }
}

// The batch's pairs are among the negatives.
impl Head for UnpgLoss {}

loss_of_scores!(UnpgLoss);
