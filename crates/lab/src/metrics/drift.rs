/// How often more feedback makes a query worse, see [`drift_report`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftReport {
    /// Mean over queries and pairs of amounts of what the larger amount loses.
    pub mean_violation: f64,
    /// Part of the pairs in which it loses anything.
    pub violation_rate: f64,
}

/// Query drift from the losses of each query with 0, 1, 2, ... documents of feedback.
///
/// ```text
/// violation of amounts i < j = max(0, l_j - l_i)
/// ```
///
/// # Panics
/// When there is no query, one has fewer than two losses, or they differ in number.
///
/// Source: Zhu et al. 2022, <https://arxiv.org/abs/2204.11545>, as a measure of what its regulariser penalises.
pub fn drift_report(losses: &[Vec<f64>]) -> DriftReport {
    let amounts = losses.first().map_or(0, Vec::len);
    assert!(amounts >= 2, "drift is between two amounts of feedback of a query at least");
    assert!(losses.iter().all(|query| query.len() == amounts), "every query needs the losses of the same amounts");
    let (mut sum, mut violations, mut pairs) = (0.0, 0.0, 0.0);
    for query in losses {
        for (less, more) in (0..amounts).flat_map(|less| (less + 1..amounts).map(move |more| (less, more))) {
            let violation = (query[more] - query[less]).max(0.0);
            sum += violation;
            violations += f64::from(u8::from(violation > 0.0));
            pairs += 1.0;
        }
    }
    DriftReport { mean_violation: sum / pairs, violation_rate: violations / pairs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_more_feedback_loses_counts() {
        let report = drift_report(&[vec![1.0, 2.0, 0.5], vec![0.0, 0.0, 0.0]]);
        assert_eq!(report, DriftReport { mean_violation: 1.0 / 6.0, violation_rate: 1.0 / 6.0 });
    }
}
