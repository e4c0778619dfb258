use super::ranking::groups;
use super::{ConfusionMatrix, Metric, Predictions};

/// The probability threshold of the positive class that is best by a metric on these predictions (validation ones, in an
/// honest experiment).
///
/// All thresholds between two distinct scores are the same to the data: of the best ones the nearest to one half is taken.
/// A metric of probabilities has no threshold of its own; balanced accuracy then chooses. O(n log n).
///
/// # Panics
/// When there are not two classes.
pub fn best_threshold(metric: Metric, predictions: &Predictions) -> f64 {
    assert_eq!(predictions.classes, 2, "a threshold is for two classes");
    let metric = if metric.uses_decision() { metric } else { Metric::BalancedAccuracy };
    let groups = groups(&predictions.scores(1), &predictions.is(1));
    let positives: usize = groups.iter().map(|group| group.1).sum();
    let negatives: usize = groups.iter().map(|group| group.2).sum();
    let (mut tp, mut fp) = (0, 0);
    let mut best = (f64::NEG_INFINITY, 0.5);
    for cut in 0..=groups.len() {
        // Everything above the cut is decided positive.
        if let Some(group) = cut.checked_sub(1).map(|above| groups[above]) {
            tp += group.1;
            fp += group.2;
        }
        let upper = cut.checked_sub(1).map_or(f64::INFINITY, |above| groups[above].0);
        let lower = groups.get(cut).map_or(f64::NEG_INFINITY, |below| below.0);
        let counts = ConfusionMatrix::binary(tp, fp, positives - tp, negatives - fp);
        let value = metric.of_counts(&counts).unwrap_or(f64::NEG_INFINITY);
        let threshold = between(lower, upper);
        if value > best.0 || (value == best.0 && (threshold - 0.5).abs() < (best.1 - 0.5f64).abs()) {
            best = (value, threshold);
        }
    }
    best.1
}

/// A threshold above `lower` and not above `upper`: one half if it is there, else the middle.
fn between(lower: f64, upper: f64) -> f64 {
    if lower < 0.5 && 0.5 <= upper {
        return 0.5;
    }
    match (lower.is_finite(), upper.is_finite()) {
        (true, true) => {
            // The middle of neighbouring floats may round down onto the lower one.
            let middle = f64::midpoint(lower, upper);
            if middle > lower { middle } else { upper }
        }
        (true, false) => f64::midpoint(lower, 1.0).max(lower.next_up()),
        (false, true) => upper / 2.0,
        (false, false) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Decision, evaluate};
    use proptest::prelude::*;

    fn predictions(rows: &[(f64, bool)]) -> Predictions {
        Predictions {
            probabilities: rows.iter().flat_map(|&(p, _)| [1.0 - p, p]).collect(),
            classes: 2,
            labels: rows.iter().map(|&(_, y)| usize::from(y)).collect(),
        }
    }

    proptest! {
        #[test]
        fn no_threshold_is_better(rows in prop::collection::vec((0u8..=10, any::<bool>()), 1..40)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(p, y)| (f64::from(p) / 10.0, y)).collect();
            let predictions = predictions(&rows);
            for metric in [Metric::F1, Metric::FBeta(2.0), Metric::GMean, Metric::Mcc, Metric::Accuracy] {
                let at = |t: f64| evaluate(metric, &predictions, Decision::Threshold(t)).unwrap_or(f64::NEG_INFINITY);
                let chosen = at(best_threshold(metric, &predictions));
                let tried = (0..=21).map(|i| at(f64::from(i) / 20.0 - 0.025)).fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(chosen >= tried - 1e-12, "{} {} < {}", metric, chosen, tried);
            }
        }
    }

    #[test]
    fn ties_go_to_one_half() {
        let separable = predictions(&[(0.1, false), (0.2, false), (0.8, true)]);
        assert_eq!(best_threshold(Metric::F1, &separable), 0.5);
        let low = predictions(&[(0.1, false), (0.2, true), (0.3, true)]);
        assert!((best_threshold(Metric::F1, &low) - 0.15).abs() < 1e-12);
        let certain = predictions(&[(1.0, false), (1.0, false), (0.0, false)]);
        assert!(best_threshold(Metric::Accuracy, &certain) > 1.0, "deciding for nobody is best");
    }
}
