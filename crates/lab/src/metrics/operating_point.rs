//! Error rates of a detector at a threshold of its score. Positives are what is to be detected (attacks, outliers); a row
//! is reported as positive when its score is at least the threshold.

use super::ranking::groups;

/// Error rates at a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorRates {
    /// Scores from here on are reported as positive.
    pub threshold: f64,
    /// Negatives that are reported: NPCER, and the FAR of Hyp-OC's code.
    pub false_alarms: f64,
    /// Positives that are missed: APCER, and the FRR of Hyp-OC's code.
    pub misses: f64,
}

impl ErrorRates {
    /// Half total error rate, the mean of both errors; also ACER, and at the [equal error threshold](equal_error) the EER.
    pub fn hter(&self) -> f64 {
        f64::midpoint(self.false_alarms, self.misses)
    }
}

/// Rates at every threshold that tells rows apart, from reporting nothing down; empty when a class is missing.
fn sweep(scores: &[f64], positive: &[bool]) -> Vec<ErrorRates> {
    let positives = positive.iter().filter(|&&p| p).count() as f64;
    let negatives = positive.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    let mut at = ErrorRates { threshold: f64::INFINITY, false_alarms: 0.0, misses: 1.0 };
    let (mut found, mut wrong) = (0.0, 0.0);
    let mut rates = vec![at];
    for (threshold, p, n) in groups(scores, positive) {
        found += p as f64;
        wrong += n as f64;
        at = ErrorRates { threshold, false_alarms: wrong / negatives, misses: 1.0 - found / positives };
        rates.push(at);
    }
    rates
}

/// The threshold, among all distinct scores, where false alarms and misses are closest; of equally close ones that with
/// the lower mean. `None` when a class is missing.
pub fn equal_error(scores: &[f64], positive: &[bool]) -> Option<ErrorRates> {
    let gap = |rates: &ErrorRates| (rates.false_alarms - rates.misses).abs();
    let order = |a: &ErrorRates, b: &ErrorRates| gap(a).total_cmp(&gap(b)).then(a.hter().total_cmp(&b.hter()));
    sweep(scores, positive).into_iter().min_by(order)
}

/// The rates at a threshold chosen elsewhere (on validation rows, in an honest experiment). `None` when a class is missing.
pub fn error_rates(scores: &[f64], positive: &[bool], threshold: f64) -> Option<ErrorRates> {
    let at = |rates: &ErrorRates| rates.threshold >= threshold;
    sweep(scores, positive).into_iter().take_while(at).last().map(|rates| ErrorRates { threshold, ..rates })
}

/// The largest part of positives that can be reported while at most `limit` of the negatives are. `None` when a class is
/// missing.
pub fn tpr_at_fpr(scores: &[f64], positive: &[bool], limit: f64) -> Option<f64> {
    let allowed = |rates: &ErrorRates| rates.false_alarms <= limit;
    sweep(scores, positive).into_iter().take_while(allowed).last().map(|rates| 1.0 - rates.misses)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 8] = [0.9, 0.8, 0.7, 0.7, 0.6, 0.4, 0.3, 0.1];
    const POSITIVE: [bool; 8] = [true, true, false, true, false, true, false, false];

    #[test]
    fn rates_at_known_thresholds() {
        // By hand: at 0.7 one of four negatives is reported and three of four positives are found.
        let equal = equal_error(&SCORES, &POSITIVE).unwrap();
        assert_eq!((equal.threshold, equal.false_alarms, equal.misses, equal.hter()), (0.7, 0.25, 0.25, 0.25));
        let rates = error_rates(&SCORES, &POSITIVE, 0.65).unwrap();
        assert_eq!((rates.false_alarms, rates.misses), (0.25, 0.25));
        let none = error_rates(&SCORES, &POSITIVE, 2.0).unwrap();
        assert_eq!((none.false_alarms, none.misses, none.hter()), (0.0, 1.0, 0.5));
        let all = error_rates(&SCORES, &POSITIVE, f64::NEG_INFINITY).unwrap();
        assert_eq!((all.false_alarms, all.misses), (1.0, 0.0));
        assert_eq!(tpr_at_fpr(&SCORES, &POSITIVE, 0.0), Some(0.5));
        assert_eq!(tpr_at_fpr(&SCORES, &POSITIVE, 0.3), Some(0.75));
        assert_eq!(tpr_at_fpr(&SCORES, &POSITIVE, 0.5), Some(1.0));
    }

    #[test]
    fn a_missing_class_has_no_rates_and_ties_are_decided_together() {
        assert!(equal_error(&[0.1, 0.2], &[true, true]).is_none() && tpr_at_fpr(&[], &[], 0.1).is_none());
        let tied = equal_error(&[0.5; 4], &[true, false, true, false]).unwrap();
        assert_eq!(tied.hter(), 0.5);
    }
}
