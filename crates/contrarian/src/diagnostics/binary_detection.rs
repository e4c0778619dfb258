use crate::InvalidParameter;

/// What a detector misses and what it reports wrongly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryDetection {
    /// Positives missed, `FN / (FN + TP)`; NaN without positives.
    pub fnr: f64,
    /// Negatives reported, `FP / (FP + TN)`; NaN without negatives.
    pub fpr: f64,
    /// Probability that a positive scores above a negative, ties counting half; NaN when a class is missing.
    pub auc: f64,
    /// Part decided rightly.
    pub accuracy: f64,
}

/// Error rates of a detector at a threshold: a score above it is a detection, one equal to it is not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryDetectionMetrics {
    /// The threshold.
    pub threshold: f64,
}

impl BinaryDetectionMetrics {
    /// The rates of scores with labels 0 or 1.
    ///
    /// # Errors
    /// When there is nothing to count, the sizes differ, a label is neither 0 nor 1, or a score is NaN.
    pub fn evaluate(&self, scores: &[f64], labels: &[usize]) -> Result<BinaryDetection, InvalidParameter> {
        if scores.is_empty() || scores.len() != labels.len() {
            let sizes = format!("{} scores and {} labels", scores.len(), labels.len());
            return Err(InvalidParameter::new("scores", sizes, "one for every label, and at least one"));
        }
        if let Some(row) = labels.iter().position(|&label| label > 1) {
            return Err(InvalidParameter::new(&format!("labels[{row}]"), labels[row], "0 or 1"));
        }
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(InvalidParameter::new(&format!("scores[{row}]"), scores[row], "a number"));
        }
        // Indexed by label and decision.
        let mut counts = [[0.0; 2]; 2];
        for (&score, &label) in scores.iter().zip(labels) {
            counts[label][usize::from(score > self.threshold)] += 1.0;
        }
        let [[tn, fp], [fn_, tp]] = counts;
        Ok(BinaryDetection {
            fnr: fn_ / (fn_ + tp),
            fpr: fp / (fp + tn),
            auc: area_under_roc(scores, labels),
            accuracy: (tp + tn) / scores.len() as f64,
        })
    }
}

/// The Mann-Whitney form, over groups of equal scores.
fn area_under_roc(scores: &[f64], labels: &[usize]) -> f64 {
    let mut rows: Vec<(f64, usize)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut pairs, mut negatives, mut positives) = (0.0, 0.0, 0.0);
    for group in rows.chunk_by(|a, b| a.0 == b.0) {
        let above = group.iter().filter(|row| row.1 == 1).count() as f64;
        let level = group.len() as f64 - above;
        pairs += above * (negatives + 0.5 * level);
        negatives += level;
        positives += above;
    }
    pairs / (positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_the_threshold_itself_is_negative() {
        let found = BinaryDetectionMetrics { threshold: 0.5 }.evaluate(&[0.5, 0.5, 0.9, -0.0, 0.0], &[1, 0, 1, 0, 1]);
        // Pairs, positives by negatives {0.5, 0}: 0.5 over them counts 1/2 + 1, 0.9 counts 2, 0 counts 0 + 1/2.
        let found = found.unwrap();
        assert!((found.auc - 4.0 / 6.0).abs() < 1e-15, "{found:?}");
        assert_eq!((found.fnr, found.fpr, found.accuracy), (2.0 / 3.0, 0.0, 0.6));
    }

    #[test]
    fn what_cannot_be_counted_is_named() {
        let metrics = BinaryDetectionMetrics { threshold: 0.0 };
        let error = |scores: &[f64], labels: &[usize]| metrics.evaluate(scores, labels).unwrap_err().to_string();
        assert!(error(&[], &[]).contains("at least one"));
        assert!(error(&[1.0], &[1, 0]).contains("1 scores and 2 labels"));
        assert!(error(&[1.0, 2.0], &[1, 2]).contains("labels[1]"));
        assert!(error(&[f64::NAN], &[1]).contains("scores[0]"));
        let one_class = metrics.evaluate(&[1.0], &[1]).unwrap();
        assert!(one_class.fpr.is_nan() && one_class.auc.is_nan() && one_class.fnr == 0.0);
    }
}
