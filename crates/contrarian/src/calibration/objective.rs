use super::{CorrectnessAwareLossConfig, Weighting};
use crate::classification::{BrierLossConfig, CrossEntropyLossConfig};
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// What a temperature is learned to minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureObjective {
    /// The [correctness-aware loss](super::CorrectnessAwareLoss), right and wrong balanced.
    #[serde(rename = "ca")]
    CorrectnessAware,
    /// The same with equal weights.
    #[serde(rename = "ca_unweighted")]
    CorrectnessAwareUnweighted,
    /// Cross-entropy of `l / T`.
    CrossEntropy,
    /// Brier score of `softmax(l / T)` over all classes.
    Brier,
}

impl TemperatureObjective {
    /// The scalar to minimise, differentiable in the temperature (and the logits).
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - temperature: `[batch]`, each above 0
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, or shapes differ.
    pub fn loss(self, logits: Tensor<2>, labels: Tensor<1, Int>, temperature: Tensor<1>) -> Tensor<1> {
        let aware = |weighting| CorrectnessAwareLossConfig::new().with_weighting(weighting).init();
        let [batch, classes] = logits.dims();
        match self {
            Self::CorrectnessAware => aware(Weighting::Balanced).forward(logits, labels, temperature),
            Self::CorrectnessAwareUnweighted => aware(Weighting::None).forward(logits, labels, temperature),
            Self::CrossEntropy | Self::Brier => {
                let scaled = logits / temperature.reshape([batch, 1]).expand([batch, classes]);
                match self {
                    Self::Brier => BrierLossConfig::new().init().forward(scaled, labels),
                    _ => CrossEntropyLossConfig::new().init().forward(scaled, labels),
                }
            }
        }
    }
}
