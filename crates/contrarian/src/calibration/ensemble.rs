use super::set::{CalibrationSet, softmax};
use super::{CalibrationError, TemperatureScaling};
use burn::tensor::{Int, Tensor, activation};
use serde::{Deserialize, Serialize};

/// A mixture of the tempered, the untouched and the uniform distribution.
///
/// ```text
/// p = w_1 softmax(l / T) + w_2 softmax(l) + w_3 / K,   w >= 0, sum w = 1
/// ```
///
/// `T` is that of [temperature scaling](TemperatureScaling), `K` the number of classes; the weights then minimise the
/// cross-entropy, which is convex in them, by expectation-maximisation. The order of the classes does not change.
///
/// Source: Zhang, Kailkhura, Han 2020, <https://arxiv.org/abs/2003.07329>, section 4.2 (they fit by squared error or
/// cross-entropy).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnsembleTemperatureScaling {
    /// The temperature of the first component.
    pub temperature: f64,
    /// Weights of the tempered, the untouched and the uniform distribution.
    pub weights: [f64; 3],
}

/// Most steps; each lowers the cross-entropy.
const STEPS: usize = 2000;
/// Largest change of a weight at which the steps end.
const TOLERANCE: f64 = 1e-10;

impl EnsembleTemperatureScaling {
    /// Fits temperature and weights on logits `[rows, classes]` and labels `[rows]`.
    ///
    /// # Errors
    /// With fewer than two rows, logits that are not finite, or labels that are no class.
    pub fn fit(logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<Self, CalibrationError> {
        let set = CalibrationSet::new(logits, labels)?;
        let TemperatureScaling { temperature } = TemperatureScaling::fit_set(&set);
        let uniform = 1.0 / set.classes as f64;
        let of_label: Vec<[f64; 3]> =
            set.rows().map(|(row, y)| [softmax(row, temperature)[y], softmax(row, 1.0)[y], uniform]).collect();
        let mut weights = [1.0 / 3.0; 3];
        for _ in 0..STEPS {
            let mut next = [0.0; 3];
            for p in &of_label {
                let total: f64 = weights.iter().zip(p).map(|(w, p)| w * p).sum();
                // The uniform component keeps the total above 0 while it has weight; without any, the row says nothing.
                if total > 0.0 {
                    next.iter_mut().zip(weights).zip(p).for_each(|((n, w), p)| *n += w * p / total);
                }
            }
            let total: f64 = next.iter().sum();
            for weight in &mut next {
                *weight /= total;
            }
            let change = next.iter().zip(weights).map(|(n, w)| (n - w).abs()).fold(0.0, f64::max);
            weights = next;
            if change < TOLERANCE {
                break;
            }
        }
        Ok(Self { temperature, weights })
    }

    /// Probabilities of the mixture: `[rows, classes]` to the same.
    pub fn apply(&self, logits: Tensor<2>) -> Tensor<2> {
        let [tempered, plain, uniform] = self.weights;
        let [_, classes] = logits.dims();
        let base = TemperatureScaling { temperature: self.temperature }.apply(logits.clone()).mul_scalar(tempered);
        base + activation::softmax(logits, 1).mul_scalar(plain).add_scalar(uniform / classes as f64)
    }
}
