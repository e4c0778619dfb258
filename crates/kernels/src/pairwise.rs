//! Losses over all pairs of a positive and a negative score, without holding the pairs.
//!
//! All of them sort both sides once. Running sums then give what a hinge or its square needs in one pass; the smooth
//! Mann-Whitney loss adds its exponentials where scores are close.

mod hinge;
mod mann_whitney;

pub use hinge::{pairwise_hinge, pairwise_square, pairwise_squared_hinge};
pub use mann_whitney::mann_whitney;

use crate::error::elements;
use crate::{KernelError, Real};
use rayon::slice::ParallelSliceMut;

/// How the losses of the `P x N` pairs become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairReduction {
    /// The mean over all pairs.
    MeanPairs,
    /// The mean over the positives of the sum over the negatives.
    SumOverNegatives,
    /// The sum over all pairs.
    SumPairs,
}

impl PairReduction {
    /// What each of the pairs counts.
    fn weight(self, positives: usize, negatives: usize) -> f64 {
        match self {
            Self::MeanPairs => 1.0 / (positives as f64 * negatives as f64),
            Self::SumOverNegatives => 1.0 / positives as f64,
            Self::SumPairs => 1.0,
        }
    }
}

/// A loss over pairs, and its gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct PairwiseLoss<T> {
    /// The loss.
    pub value: f64,
    /// Its derivative in every positive score.
    pub gradient_positives: Vec<T>,
    /// Its derivative in every negative score.
    pub gradient_negatives: Vec<T>,
}

/// Scores in ascending order, and where each of them stood.
struct Sorted {
    values: Vec<f64>,
    order: Vec<usize>,
}

impl Sorted {
    fn new<T: Real>(name: &'static str, scores: &[T]) -> Result<Self, KernelError> {
        let memory = |_| KernelError::Memory { what: name, sizes: scores.len().to_string() };
        let mut pairs: Vec<(f64, usize)> = Vec::new();
        pairs.try_reserve_exact(elements(name, &[scores.len(), 2])? / 2).map_err(memory)?;
        pairs.extend(scores.iter().enumerate().map(|(index, score)| (score.f64(), index)));
        // The index makes the order unique, so it does not depend on the threads that share the sort.
        pairs.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (values, order) = pairs.into_iter().unzip();
        Ok(Self { values, order })
    }

    /// The scores with the other sign, so in the opposite order.
    fn negated(mut self) -> Self {
        self.values.reverse();
        self.order.reverse();
        self.values.iter_mut().for_each(|value| *value = -*value);
        self
    }

    /// One number a sorted score, as a vector in the original order.
    fn restore<T: Real>(&self, numbers: impl Iterator<Item = f64>) -> Vec<T> {
        let mut restored = vec![T::ZERO; self.order.len()];
        for (&place, number) in self.order.iter().zip(numbers) {
            restored[place] = T::of(number);
        }
        restored
    }
}

/// What lies strictly below a number: how many there are, and the sums of the distances and of their squares.
#[derive(Debug, Clone, Copy, Default)]
struct Excess {
    count: f64,
    distances: f64,
    squares: f64,
}

/// What of `others` lies below each of `queries`, both ascending; visits the queries in their order.
///
/// The sums move with the query. Every term is positive, so nothing cancels, whatever the offset of the scores.
fn excess<'a>(queries: &'a [f64], others: &'a [f64]) -> impl Iterator<Item = Excess> + 'a {
    let mut below = Excess::default();
    let mut seen = 0;
    let mut last = queries.first().copied().unwrap_or(0.0);
    queries.iter().map(move |&query| {
        let step = query - last;
        last = query;
        below.squares += step * (2.0 * below.distances + step * below.count);
        below.distances += step * below.count;
        while seen < others.len() && others[seen] < query {
            let distance = query - others[seen];
            below.count += 1.0;
            below.distances += distance;
            below.squares += distance * distance;
            seen += 1;
        }
        below
    })
}

/// Checks that there is a pair. `false` where a score is infinite or NaN: the loss is NaN then.
fn check_scores<T: Real>(positives: &[T], negatives: &[T]) -> Result<bool, KernelError> {
    for (name, scores) in [("positives", positives), ("negatives", negatives)] {
        if scores.is_empty() {
            return Err(KernelError::value(name, "empty", "at least one score"));
        }
    }
    Ok(positives.iter().chain(negatives).all(|score| score.is_finite()))
}

/// What a loss is where scores are not finite: a diverged training run sees NaN, as it does from composed operations.
fn not_a_number<T: Real>(positives: usize, negatives: usize) -> PairwiseLoss<T> {
    let nan = |count| vec![T::of(f64::NAN); count];
    PairwiseLoss { value: f64::NAN, gradient_positives: nan(positives), gradient_negatives: nan(negatives) }
}

#[cfg(test)]
mod tests;
