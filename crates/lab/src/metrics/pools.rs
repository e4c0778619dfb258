//! Metrics of two pools of scores: how well positives stand above negatives, whatever query each came from.

use super::ranking::groups;
use contrarian::calibration::roc_auc;

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

/// How well scores of several queries can be judged by one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PooledAuc {
    /// The [`auc`] of all queries' scores in two pools.
    pub pooled: f64,
    /// The mean over the queries of each one's own.
    pub per_query: f64,
}

impl PooledAuc {
    /// What is lost because scores of different queries are not comparable: `per_query - pooled`.
    pub fn calibration_gap(&self) -> f64 {
        self.per_query - self.pooled
    }
}

/// The pooled and the mean area under the ROC curve of queries, each with the scores of its positives and of its negatives.
///
/// Source: Sheikholeslami et al. 2025, <https://arxiv.org/abs/2510.00137>, section 4 (there the negatives are the 500 best
/// documents of a query that are no positives).
///
/// # Errors
/// When there is no query, or one has an empty pool or a NaN.
pub fn pooled_auc(queries: &[(Vec<f64>, Vec<f64>)]) -> Result<PooledAuc, PoolError> {
    let mut sum = 0.0;
    let (mut positives, mut negatives) = (Vec::new(), Vec::new());
    for (own_positives, own_negatives) in queries {
        sum += auc(own_positives, own_negatives)?;
        positives.extend_from_slice(own_positives);
        negatives.extend_from_slice(own_negatives);
    }
    Ok(PooledAuc { pooled: auc(&positives, &negatives)?, per_query: sum / queries.len() as f64 })
}

/// A threshold, and what it lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdReport {
    /// Scores at or above it are accepted; plus infinity accepts none.
    pub threshold: f64,
    /// Part of the negatives accepted.
    pub false_positive_rate: f64,
    /// Part of the positives accepted.
    pub recall: f64,
}

/// The lowest threshold that accepts at most a part `budget` of the negatives.
///
/// # Errors
/// When a pool is empty or has a NaN.
pub fn threshold_report(positives: &[f64], negatives: &[f64], budget: f64) -> Result<ThresholdReport, PoolError> {
    let curve = roc_curve(positives, negatives)?;
    // The curve begins at no acceptance, and rates only grow.
    let at = curve.fpr.iter().rposition(|rate| *rate <= budget).unwrap_or(0);
    Ok(ThresholdReport { threshold: curve.thresholds[at], false_positive_rate: curve.fpr[at], recall: curve.tpr[at] })
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

    #[test]
    fn one_threshold_for_all_queries_costs_the_calibration_gap() {
        // Each query ranks perfectly; the second's scores lie ten higher.
        let queries = [(vec![1.0], vec![0.0]), (vec![11.0], vec![10.0])];
        let found = pooled_auc(&queries).unwrap();
        assert_eq!((found.per_query, found.pooled, found.calibration_gap()), (1.0, 0.75, 0.25));
        assert!(pooled_auc(&[]).is_err() && pooled_auc(&[(vec![1.0], vec![])]).is_err());
    }

    #[test]
    fn a_budget_of_false_positives_gives_the_threshold() {
        let (positives, negatives) = ([4.0, 2.0, 1.0], [3.0, 1.0, 0.0, 0.0]);
        let at = |budget: f64| threshold_report(&positives, &negatives, budget).unwrap();
        assert_eq!(at(0.0), ThresholdReport { threshold: 4.0, false_positive_rate: 0.0, recall: 1.0 / 3.0 });
        assert_eq!(at(0.3), ThresholdReport { threshold: 2.0, false_positive_rate: 0.25, recall: 2.0 / 3.0 });
        assert_eq!(at(1.0).recall, 1.0);
        let none = threshold_report(&[0.0], &[1.0], 0.0).unwrap();
        assert_eq!((none.threshold, none.recall), (f64::INFINITY, 0.0));
    }
}
