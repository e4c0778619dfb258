//! Properties of the function's shape, over random logits.

use super::evaluate::Evaluator;
use rand::rngs::Xoshiro256PlusPlus;
use serde::Serialize;

/// Standard deviations of the random logits.
pub(super) const SCALES: [f64; 3] = [0.5, 2.0, 8.0];

/// Scales of the logits in the search for large gradients.
const GRADIENT_SCALES: [f64; 9] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

/// Midpoint inequalities along random lines.
#[derive(Debug, Clone, Serialize)]
pub struct Convexity {
    /// Inequalities checked.
    pub checked: usize,
    /// Part that is violated.
    pub violated: f64,
    /// Largest `f((a + b)/2) - (f(a) + f(b))/2`.
    pub largest: f64,
}

/// What adding to and multiplying the logits changes.
#[derive(Debug, Clone, Serialize)]
pub struct Invariance {
    /// Largest change when a constant is added to all logits of a row.
    pub shift: f64,
    /// Largest change when all logits are multiplied by a positive number.
    pub scale: f64,
}

/// The largest gradient of an example.
#[derive(Debug, Clone, Serialize)]
pub struct GradientBound {
    /// Largest norm seen.
    pub largest: f64,
    /// Whether it still grows by more than half from logits of scale 100 to 1000.
    pub growing: bool,
    /// Scale of the logits, and the largest norm there.
    pub by_scale: Vec<(f64, f64)>,
}

/// The sum over all labels of the loss of one example: constant for a loss that label noise does not bias.
#[derive(Debug, Clone, Serialize)]
pub struct NoiseSymmetry {
    /// Smallest sum seen.
    pub lowest: f64,
    /// Largest sum seen.
    pub highest: f64,
}

impl NoiseSymmetry {
    /// Whether the sum is constant, to rounding.
    pub fn holds(&self) -> bool {
        self.highest - self.lowest <= 1e-6 * (1.0 + self.highest.abs())
    }
}

/// Rounding of sums of the sizes that occur, in f64.
pub(super) const ROUNDING: f64 = 1e-9;

fn batch(evaluator: &Evaluator) -> Vec<usize> {
    evaluator.labels(2 * evaluator.classes)
}

pub(super) fn convexity(evaluator: &Evaluator, trials: usize, rng: &mut Xoshiro256PlusPlus) -> Convexity {
    let labels = batch(evaluator);
    let (mut violations, mut largest, mut checked) = (0, f64::NEG_INFINITY, 0);
    for trial in 0..trials {
        let scale = SCALES[trial % SCALES.len()];
        let (a, b) = (evaluator.draw(labels.len(), scale, rng), evaluator.draw(labels.len(), scale, rng));
        let middle: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 0.5 * (a + b)).collect();
        let ends = 0.5 * (evaluator.value(&a, &labels) + evaluator.value(&b, &labels));
        let excess = evaluator.value(&middle, &labels) - ends;
        if excess.is_nan() {
            continue;
        }
        checked += 1;
        largest = largest.max(excess);
        violations += usize::from(excess > ROUNDING * (1.0 + ends.abs()));
    }
    Convexity { checked, violated: violations as f64 / checked.max(1) as f64, largest }
}

pub(super) fn invariance(evaluator: &Evaluator, trials: usize, rng: &mut Xoshiro256PlusPlus) -> Invariance {
    let labels = batch(evaluator);
    let (mut shift, mut scale) = (0.0f64, 0.0f64);
    for trial in 0..trials {
        let logits = evaluator.draw(labels.len(), SCALES[trial % 2], rng);
        let value = evaluator.value(&logits, &labels);
        let change = |edit: &dyn Fn(usize, f64) -> f64| {
            let edited: Vec<f64> = logits.iter().enumerate().map(|(i, &v)| edit(i, v)).collect();
            (evaluator.value(&edited, &labels) - value).abs()
        };
        for by in [-100.0, -1.0, 1.0, 100.0] {
            // Every row by an amount of its own.
            shift = shift.max(change(&|i, v| v + by * (1.0 + (i / evaluator.classes) as f64 / 10.0)));
        }
        for by in [0.5, 2.0, 10.0] {
            scale = scale.max(change(&|_, v| v * by));
        }
    }
    Invariance { shift, scale }
}

pub(super) fn gradient_bound(evaluator: &Evaluator, trials: usize, rng: &mut Xoshiro256PlusPlus) -> GradientBound {
    let labels = batch(evaluator);
    let mut by_scale = Vec::new();
    for scale in GRADIENT_SCALES {
        let mut largest = 0.0f64;
        for _ in 0..trials {
            let logits = evaluator.draw(labels.len(), scale, rng);
            let (_, gradient) = evaluator.value_and_gradient(&logits, &labels);
            for row in gradient.chunks(evaluator.classes) {
                // Times the rows: the gradient of one example's loss where the loss is their mean.
                let norm = row.iter().map(|g| g * g).sum::<f64>().sqrt() * labels.len() as f64;
                largest = if norm.is_nan() { f64::INFINITY } else { largest.max(norm) };
            }
        }
        by_scale.push((scale, largest));
    }
    let at = |scale: f64| by_scale.iter().find(|(s, _)| *s == scale).map_or(0.0, |(_, norm)| *norm);
    GradientBound {
        largest: by_scale.iter().map(|(_, norm)| *norm).fold(0.0, f64::max),
        growing: at(1000.0) > 1.5 * at(100.0).max(1e-9) || at(1000.0).is_infinite(),
        by_scale,
    }
}

pub(super) fn noise_symmetry(evaluator: &Evaluator, trials: usize, rng: &mut Xoshiro256PlusPlus) -> NoiseSymmetry {
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for trial in 0..trials {
        let logits = evaluator.draw(1, SCALES[trial % SCALES.len()], rng);
        let sum: f64 = (0..evaluator.classes).map(|label| evaluator.value(&logits, &[label])).sum();
        lowest = lowest.min(sum);
        highest = highest.max(sum);
    }
    NoiseSymmetry { lowest, highest }
}
