use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::float_labels;
use crate::objective::binary_objective;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [pairwise squared hinge loss](PairwiseSquaredHinge).
#[derive(Config, Debug)]
pub struct PairwiseSquaredHingeConfig {
    /// How far a positive should score above a negative, above 0.
    #[config(default = 1.0)]
    pub margin: f64,
}

impl PairwiseSquaredHingeConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `margin` is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_margin(self.margin)
    }

    fn build(&self) -> PairwiseSquaredHinge {
        PairwiseSquaredHinge { margin: self.margin }
    }
}

objective_config!(PairwiseSquaredHingeConfig => PairwiseSquaredHinge);

pub(super) fn require_margin(margin: f64) -> Result<(), InvalidParameter> {
    require(margin > 0.0 && margin.is_finite(), "margin", margin, "finite and above 0")
}

/// Squared hinge over all pairs of a positive and a negative: a smooth stand-in for one minus the area under the ROC curve.
///
/// ```text
/// loss = 1/(n+ n-) sum_{i in +, j in -} max(0, m - (s_i - s_j))^2
/// ```
///
/// with scores `s`, margin `m`, and `n+` positives and `n-` negatives in the batch. For `m = 1` it bounds `1 - AUC` from above.
/// A batch without one of the classes has loss and gradient 0. All pairs are formed at once: memory is the square of the batch.
///
/// Source: Entezari, Saukh 2019, <https://arxiv.org/abs/1909.10364>, section 3 (the ranking term, made precise).
#[derive(Module, Debug)]
pub struct PairwiseSquaredHinge {
    /// How far a positive should score above a negative.
    pub margin: f64,
}

impl PairwiseSquaredHinge {
    /// The mean over the pairs of the batch.
    ///
    /// # Shapes
    /// - scores: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward(&self, scores: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        let positive = float_labels(labels, &scores);
        let negative = positive.clone().neg().add_scalar(1.0);
        let pairs = (positive.clone().sum() * negative.clone().sum()).clamp_min(1.0);
        let ahead = scores.clone().unsqueeze_dim::<2>(1) - scores.unsqueeze_dim(0);
        let short = ahead.neg().add_scalar(self.margin).clamp_min(0.0).square();
        let counted = positive.unsqueeze_dim::<2>(1) * negative.unsqueeze_dim(0);
        (short * counted).sum() / pairs
    }
}

binary_objective!(PairwiseSquaredHinge);
