//! Metrics of two pools of scores: how well positives stand above negatives, whatever query each came from.

use super::ranking::{groups, roc_auc};

/// Why two pools cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// A pool without scores.
    #[error("there are no {0} scores: a comparison needs at least one of each side")]
    Empty(&'static str),
    /// A score that has no place in an order.
    #[error("the {side} score at {at} is NaN")]
    NotANumber {
        /// `positive` or `negative`.
        side: &'static str,
        /// Its index.
        at: usize,
    },
}

/// An ROC curve: one point at every distinct score, from (0, 0) to (1, 1).
#[derive(Debug, Clone, PartialEq)]
pub struct RocCurve {
    /// Part of the negatives at or above the threshold.
    pub fpr: Vec<f64>,
    /// Part of the positives at or above the threshold.
    pub tpr: Vec<f64>,
    /// The threshold of each point, descending; plus infinity at the first.
    pub thresholds: Vec<f64>,
}

impl RocCurve {
    /// Area under the curve, by the trapezoidal rule.
    pub fn area(&self) -> f64 {
        let sides = self.fpr.windows(2).zip(self.tpr.windows(2));
        sides.map(|(fpr, tpr)| (fpr[1] - fpr[0]) * f64::midpoint(tpr[0], tpr[1])).sum()
    }
}

/// The probability that a positive scores above a negative, ties counting half. `O(n log n)`.
///
/// # Errors
/// When a pool is empty or has a NaN.
pub fn auc(positives: &[f64], negatives: &[f64]) -> Result<f64, PoolError> {
    let (scores, positive) = joined(positives, negatives)?;
    Ok(roc_auc(&scores, &positive).expect("both sides are there"))
}

/// The probability that a positive scores strictly below a negative: the area over the curve. `O(n log n)`.
///
/// `auc + aoc` is 1 less half the probability of a tie.
///
/// # Errors
/// When a pool is empty or has a NaN.
pub fn aoc(positives: &[f64], negatives: &[f64]) -> Result<f64, PoolError> {
    let (scores, positive) = joined(positives, negatives)?;
    let (mut pairs, mut above) = (0.0, 0.0);
    for (_, p, n) in groups(&scores, &positive) {
        pairs += p as f64 * above;
        above += n as f64;
    }
    Ok(pairs / (positives.len() as f64 * negatives.len() as f64))
}

/// The ROC curve of two pools. `O(n log n)`.
///
/// # Errors
/// When a pool is empty or has a NaN.
pub fn roc_curve(positives: &[f64], negatives: &[f64]) -> Result<RocCurve, PoolError> {
    let (scores, positive) = joined(positives, negatives)?;
    let mut curve = RocCurve { fpr: vec![0.0], tpr: vec![0.0], thresholds: vec![f64::INFINITY] };
    let (mut hits, mut alarms) = (0, 0);
    for (score, p, n) in groups(&scores, &positive) {
        hits += p;
        alarms += n;
        curve.tpr.push(hits as f64 / positives.len() as f64);
        curve.fpr.push(alarms as f64 / negatives.len() as f64);
        curve.thresholds.push(score);
    }
    Ok(curve)
}

fn joined(positives: &[f64], negatives: &[f64]) -> Result<(Vec<f64>, Vec<bool>), PoolError> {
    for (side, scores) in [("positive", positives), ("negative", negatives)] {
        if scores.is_empty() {
            return Err(PoolError::Empty(side));
        }
        if let Some(at) = scores.iter().position(|score| score.is_nan()) {
            return Err(PoolError::NotANumber { side, at });
        }
    }
    // Adding 0 makes -0 a 0: equal scores are one group wherever they are sorted to.
    let scores = positives.iter().chain(negatives).map(|score| score + 0.0).collect();
    let positive = (0..positives.len() + negatives.len()).map(|index| index < positives.len()).collect();
    Ok((scores, positive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn areas_count_pairs(
            p in prop::collection::vec(-5i32..5, 1..30),
            n in prop::collection::vec(-5i32..5, 1..30),
        ) {
            let scores = |pool: &[i32]| pool.iter().map(|&v| f64::from(v) / 4.0).collect::<Vec<f64>>();
            let count = |holds: fn(&i32, &i32) -> bool| {
                p.iter().map(|p| n.iter().filter(|n| holds(p, n)).count()).sum::<usize>() as f64
            };
            let pairs = (p.len() * n.len()) as f64;
            let expected = (count(|p, n| p > n) + 0.5 * count(|p, n| p == n)) / pairs;
            let (positives, negatives) = (scores(&p), scores(&n));
            prop_assert!((auc(&positives, &negatives).unwrap() - expected).abs() < 1e-12);
            prop_assert!((roc_curve(&positives, &negatives).unwrap().area() - expected).abs() < 1e-12);
            prop_assert!((aoc(&positives, &negatives).unwrap() - count(|p, n| p < n) / pairs).abs() < 1e-12);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_an_error() {
        assert_eq!(auc(&[], &[1.0]), Err(PoolError::Empty("positive")));
        assert_eq!(aoc(&[1.0], &[]), Err(PoolError::Empty("negative")));
        let nan = PoolError::NotANumber { side: "negative", at: 1 };
        assert_eq!(roc_curve(&[1.0], &[0.0, f64::NAN]), Err(nan));
    }
}
