//! Does minimising the expected loss recover the probabilities?

use super::evaluate::Evaluator;
use serde::Serialize;

/// The prediction that minimises the expected loss when labels follow known probabilities.
#[derive(Debug, Clone, Serialize)]
pub struct Minimiser {
    /// Probabilities of the labels.
    pub probabilities: Vec<f64>,
    /// Softmax of the minimising logits.
    pub prediction: Vec<f64>,
}

impl Minimiser {
    /// Largest difference of prediction and probability.
    pub fn difference(&self) -> f64 {
        self.probabilities.iter().zip(&self.prediction).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
    }

    /// Whether prediction and probabilities have the same most probable class.
    pub fn same_decision(&self) -> bool {
        largest(&self.probabilities) == largest(&self.prediction)
    }
}

/// Difference up to which a minimiser counts as found: the search ends within about a tenth of it.
pub const PROPER_WITHIN: f64 = 0.01;

const RATE: f64 = 0.3;

/// Minimises the expected loss from several starts by Adam with a falling rate, and keeps the lowest. The probabilities
/// themselves are one start: they are the answer unless something is lower.
pub(super) fn minimiser(evaluator: &Evaluator, probabilities: &[f64], steps: usize) -> Minimiser {
    let at_probabilities: Vec<f64> = probabilities.iter().map(|p| p.ln()).collect();
    let mut starts = vec![at_probabilities, vec![0.0; probabilities.len()]];
    starts.extend((0..probabilities.len()).map(|class| {
        (0..probabilities.len()).map(|other| if other == class { 2.0 } else { -2.0 }).collect::<Vec<f64>>()
    }));
    let mut best: Option<(f64, Vec<f64>)> = None;
    for start in starts {
        let logits = descend(evaluator, probabilities, start, steps);
        let (value, _) = expected(evaluator, probabilities, &logits);
        if best.as_ref().is_none_or(|(lowest, _)| value < lowest - 1e-7 * (1.0 + lowest.abs())) {
            best = Some((value, logits));
        }
    }
    let (_, logits) = best.expect("there are at least two starts");
    Minimiser { probabilities: probabilities.to_vec(), prediction: softmax(&logits) }
}

fn expected(evaluator: &Evaluator, probabilities: &[f64], logits: &[f64]) -> (f64, Vec<f64>) {
    let mut total = (0.0, vec![0.0; logits.len()]);
    for (label, p) in probabilities.iter().enumerate() {
        let (value, gradient) = evaluator.value_and_gradient(logits, &[label]);
        total.0 += p * value;
        total.1.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += p * g);
    }
    total
}

fn descend(evaluator: &Evaluator, probabilities: &[f64], mut logits: Vec<f64>, steps: usize) -> Vec<f64> {
    let (mut first, mut second) = (vec![0.0; logits.len()], vec![0.0; logits.len()]);
    for step in 0..steps {
        let (_, gradient) = expected(evaluator, probabilities, &logits);
        let rate = RATE * (1.0 - step as f64 / steps as f64).powi(2);
        let correction = |beta: f64| 1.0 - beta.powi(step as i32 + 1);
        for (i, g) in gradient.into_iter().enumerate() {
            first[i] = 0.8 * first[i] + 0.2 * g;
            second[i] = 0.98 * second[i] + 0.02 * g * g;
            logits[i] -= rate * first[i] / correction(0.8) / ((second[i] / correction(0.98)).sqrt() + 1e-8);
        }
    }
    logits
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|v| (v - max).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

fn largest(values: &[f64]) -> Option<usize> {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]))
}
