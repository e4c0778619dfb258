use super::CalibrationError;
use super::set::{CalibrationSet, softmax};
use burn::tensor::{Int, Tensor, activation};
use serde::{Deserialize, Serialize};

/// One temperature for all logits.
///
/// ```text
/// p = softmax(l / T),   T = argmin mean_i -log softmax(l_i / T)_{y_i}
/// ```
///
/// The cross-entropy is convex in `1/T`, so its slope is bisected; `T` is held in `[0.01, 100]`, where it ends up when every
/// prediction is right (the lower bound) or the logits say nothing about the labels (the upper one).
///
/// Source: Guo et al. 2017, <https://arxiv.org/abs/1706.04599>, section 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TemperatureScaling {
    /// The temperature, above 0.
    pub temperature: f64,
}

const RANGE: (f64, f64) = (0.01, 100.0);
/// Halvings of the range of log T: to 1e-14 of it.
const HALVINGS: usize = 50;

impl TemperatureScaling {
    /// Fits the temperature on logits `[rows, classes]` and labels `[rows]`.
    ///
    /// # Errors
    /// With fewer than two rows, logits that are not finite, or labels that are no class.
    pub fn fit(logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<Self, CalibrationError> {
        Ok(Self::fit_set(&CalibrationSet::new(logits, labels)?))
    }

    pub(super) fn fit_set(set: &CalibrationSet) -> Self {
        // Slope of the cross-entropy in 1/T: mean_i (sum_k p_k l_k - l_y). It falls as T rises.
        let slope = |temperature: f64| -> f64 {
            let of_row = |(row, y): (&[f64], usize)| {
                let p = softmax(row, temperature);
                p.iter().zip(row).map(|(p, l)| p * (l - row[y])).sum::<f64>()
            };
            set.rows().map(of_row).sum()
        };
        let (mut low, mut high) = (RANGE.0.ln(), RANGE.1.ln());
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if slope(middle.exp()) > 0.0 { low = middle } else { high = middle }
        }
        Self { temperature: f64::midpoint(low, high).exp() }
    }

    /// Probabilities at the temperature: `[rows, classes]` to the same.
    pub fn apply(&self, logits: Tensor<2>) -> Tensor<2> {
        activation::softmax(logits.mul_scalar(1.0 / self.temperature), 1)
    }
}
