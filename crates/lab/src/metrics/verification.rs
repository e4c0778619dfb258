//! Verification: do two embeddings belong to one identity? A pair is accepted when its score is at least the threshold.

use super::{equal_error, roc_auc, tpr_at_fpr};

/// How well scores of pairs tell one identity from two, see [`verification`].
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// Part of the same-identity pairs accepted (TAR) at each of the asked false accept rates.
    pub true_accept_rates: Vec<f64>,
    /// Error rate at the threshold where both kinds of error are closest (EER).
    pub equal_error_rate: f64,
    /// Probability that a same-identity pair scores above another one, ties counting half.
    pub auc: f64,
}

/// The rates of scored pairs: for every false accept rate (FAR) in `[0, 1]` the largest part of the same-identity pairs that
/// can be accepted while at most that part of the others is. No interpolation between thresholds. `O(n log n)` a rate.
///
/// `None` when all pairs are of one kind.
///
/// # Panics
/// When there are not as many flags as scores.
pub fn verification(scores: &[f64], same: &[bool], false_accept_rates: &[f64]) -> Option<Verification> {
    assert_eq!(scores.len(), same.len(), "{} flags for {} scores", same.len(), scores.len());
    let rates = false_accept_rates.iter().map(|&limit| tpr_at_fpr(scores, same, limit));
    Some(Verification {
        true_accept_rates: rates.collect::<Option<_>>()?,
        equal_error_rate: equal_error(scores, same)?.hter(),
        auc: roc_auc(scores, same)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_known_pairs() {
        // By hand: of four same pairs 0.9, 0.8, 0.6, 0.3 and five others 0.7, 0.5, 0.4, 0.2, 0.1. Up to FAR 1/5 (above 0.5)
        // three are accepted, without a false accept two. The errors are equal nowhere; at 0.5 they are 2/5 and 1/4, at 0.6
        // 1/5 and 1/4: the latter are closer.
        let scores = [0.9, 0.8, 0.6, 0.3, 0.7, 0.5, 0.4, 0.2, 0.1];
        let same = [true, true, true, true, false, false, false, false, false];
        let found = verification(&scores, &same, &[0.0, 0.1, 0.2, 1.0]).unwrap();
        assert_eq!(found.true_accept_rates, [0.5, 0.5, 0.75, 1.0]);
        assert!((found.equal_error_rate - 0.225).abs() < 1e-15, "{found:?}");
        // Pairs in order: 0.9 and 0.8 over five each, 0.6 over four, 0.3 over two.
        assert!((found.auc - 16.0 / 20.0).abs() < 1e-15, "{found:?}");
        assert!(verification(&scores[..4], &same[..4], &[0.1]).is_none());
    }
}
