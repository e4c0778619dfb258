use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{log_p_target, target_mask};
use burn::config::Config;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// What an [`UnconstrainedFeatureObjective`] asks of the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnconstrainedLoss {
    /// Half the squared distance from the label's unit vector.
    Mse,
    /// Cross-entropy.
    Ce,
}

/// Configuration of the [objective over free features](UnconstrainedFeatureObjective).
#[derive(Config, Debug)]
pub struct UnconstrainedFeatureObjectiveConfig {
    /// What is asked of the logits.
    #[config(default = "UnconstrainedLoss::Mse")]
    pub loss: UnconstrainedLoss,
    /// L2 decay of each layer, at least 0.
    #[config(default = 5e-4)]
    pub weight_decay: f64,
    /// L2 decay of the features, at least 0.
    #[config(default = 5e-4)]
    pub feature_decay: f64,
    /// L2 decay of the bias, at least 0.
    #[config(default = 0.0)]
    pub bias_decay: f64,
    /// Layers of the head, at least 1.
    #[config(default = 1)]
    pub depth: usize,
}

impl UnconstrainedFeatureObjectiveConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (name, decay) in [
            ("weight_decay", self.weight_decay),
            ("feature_decay", self.feature_decay),
            ("bias_decay", self.bias_decay),
        ] {
            require(decay.is_finite() && decay >= 0.0, name, decay, "finite and at least 0")?;
        }
        require(self.depth >= 1, "depth", self.depth, "at least 1")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> UnconstrainedFeatureObjective {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        UnconstrainedFeatureObjective { config: self.clone() }
    }
}

/// The model of neural collapse: the last features are free parameters, trained together with a deep linear head.
///
/// ```text
/// f = 1/(2N) sum_i |P h_i + b - e_{y_i}|^2   or   mean cross-entropy of softmax(P h_i + b)
///     + lw/2 sum_m |W_m|^2 + lh/2 |H|^2 + lb/2 |b|^2,                              P = W_M ... W_1
/// ```
///
/// with features `H` of `N` examples. Its minima have closed forms: a simplex frame with a bias or cross-entropy, and
/// [`ImbalancedGeometry`](super::ImbalancedGeometry) for squared error without bias.
///
/// Source: Dang, Tran, Osher et al. 2023, <https://arxiv.org/abs/2301.00437>, the unconstrained feature model.
#[derive(Debug, Clone)]
pub struct UnconstrainedFeatureObjective {
    config: UnconstrainedFeatureObjectiveConfig,
}

impl UnconstrainedFeatureObjective {
    /// The objective, differentiable in features, weights and bias.
    ///
    /// # Shapes
    /// - features: `[n, d]`
    /// - labels: `[n]`
    /// - weights: from `[d_1, d]`, nearest the features, to `[classes, d_{M-1}]`; each `W` acts as `h W^T`
    /// - bias: `[classes]`, `None` for 0
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are not `depth` weights, or shapes do not fit.
    pub fn forward(
        &self,
        features: Tensor<2>,
        labels: Tensor<1, Int>,
        weights: &[Tensor<2>],
        bias: Option<Tensor<1>>,
    ) -> Tensor<1> {
        let UnconstrainedFeatureObjectiveConfig { loss, weight_decay, feature_decay, bias_decay, depth } = self.config;
        assert_eq!(weights.len(), depth, "a head of depth {depth} has as many weights, got {}", weights.len());
        let half_square = |decay: f64| 0.5 * decay;
        let mut penalty = features.clone().square().sum().mul_scalar(half_square(feature_decay));
        let mut logits = features;
        for weight in weights {
            logits = logits.matmul(weight.clone().transpose());
            penalty = penalty + weight.clone().square().sum().mul_scalar(half_square(weight_decay));
        }
        if let Some(bias) = bias {
            logits = logits + bias.clone().unsqueeze();
            penalty = penalty + bias.square().sum().mul_scalar(half_square(bias_decay));
        }
        let fit = match loss {
            UnconstrainedLoss::Ce => log_p_target(logits, labels).mean().neg(),
            UnconstrainedLoss::Mse => {
                let [rows, classes] = logits.dims();
                let target = logits.zeros_like().mask_fill(target_mask(labels, classes), 1.0);
                (logits - target).square().sum().mul_scalar(0.5 / rows as f64)
            }
        };
        fit + penalty
    }
}
