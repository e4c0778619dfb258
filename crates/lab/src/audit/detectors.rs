use crate::metrics::pools;
use serde::{Deserialize, Serialize};

/// Negative log-likelihood a word of each text, under the words of trusted texts, in nats.
///
/// ```text
/// nll(d) = -(1/|d|) sum_{w in d} log p_w,      p_w = (c_w + additive) / sum_v (c_v + additive)
/// ```
///
/// over a vocabulary of `words`. A text without words has 0: flag it apart.
///
/// # Panics
/// When a word is outside the vocabulary, or `additive` is not above 0.
pub fn unigram_nll<T: AsRef<[u32]>>(texts: &[T], trusted: &[T], words: usize, additive: f64) -> Vec<f64> {
    assert!(additive > 0.0, "words that no trusted text has need a probability, got {additive} to add");
    let mut counts = vec![additive; words];
    for &word in trusted.iter().flat_map(AsRef::as_ref) {
        counts[word as usize] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    let surprise = |text: &T| {
        let text = text.as_ref();
        let sum: f64 = text.iter().map(|&word| -(counts[word as usize] / total).ln()).sum();
        if text.is_empty() { 0.0 } else { sum / text.len() as f64 }
    };
    texts.iter().map(surprise).collect()
}

/// How unusual embeddings are among each other.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierScores {
    /// Length of each.
    pub norm: Vec<f64>,
    /// Length less the mean, in population standard deviations; 0 where all are equal.
    pub norm_z: Vec<f64>,
    /// Mean cosine to the nearest others: planted documents share a direction and lie close.
    pub mean_cosine: Vec<f64>,
}

/// Outlier scores of embeddings `[n, dim]`, row-major, with this many nearest others (all, where there are fewer).
///
/// `O(n^2 dim)`: give a sample of large indexes.
///
/// # Panics
/// When the numbers are no whole rows.
pub fn embedding_outliers(x: &[f64], dim: usize, neighbours: usize) -> OutlierScores {
    assert!(dim > 0 && x.len().is_multiple_of(dim), "{} numbers are no rows of {dim}", x.len());
    let rows: Vec<&[f64]> = x.chunks(dim).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norm: Vec<f64> = rows.iter().map(|row| dot(row, row).sqrt()).collect();
    let n = rows.len() as f64;
    let mean = norm.iter().sum::<f64>() / n;
    let deviation = (norm.iter().map(|norm| (norm - mean).powi(2)).sum::<f64>() / n).sqrt();
    let norm_z = norm.iter().map(|norm| if deviation > 0.0 { (norm - mean) / deviation } else { 0.0 }).collect();
    let near = |at: usize| {
        let cosine = |other: usize| dot(rows[at], rows[other]) / (norm[at] * norm[other]).max(1e-12);
        let mut cosines: Vec<f64> = (0..rows.len()).filter(|other| *other != at).map(cosine).collect();
        cosines.sort_by(|a, b| b.total_cmp(a));
        cosines.truncate(neighbours);
        cosines.iter().sum::<f64>() / cosines.len().max(1) as f64
    };
    let mean_cosine = (0..rows.len()).map(near).collect();
    OutlierScores { norm, norm_z, mean_cosine }
}

/// How many more queries find each document with their marker than without.
///
/// # Panics
/// When a ranking names a document that is none of `documents`.
pub fn triggered_hubness(clean: &[Vec<usize>], triggered: &[Vec<usize>], documents: usize, k: usize) -> Vec<f64> {
    let mut scores = vec![0.0; documents];
    for (rankings, sign) in [(clean, -1.0), (triggered, 1.0)] {
        for &document in rankings.iter().flat_map(|ranking| ranking.iter().take(k)) {
            scores[document] += sign;
        }
    }
    scores
}

/// How well a score tells planted documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DetectorReport {
    /// Probability that a planted document scores above another.
    pub auc: f64,
    /// Score above which a document is flagged.
    pub threshold: f64,
    /// Part of the planted documents that are flagged.
    pub true_positive_rate: f64,
    /// Part of the others that are flagged.
    pub false_positive_rate: f64,
}

/// Judges a detector: the threshold is the `1 - budget` quantile of the scores of what is not planted, by linear interpolation.
///
/// # Errors
/// When nothing or everything is planted, or a score is NaN.
///
/// # Panics
/// When there are not as many scores as flags, or the budget is outside `[0, 1]`.
pub fn detector_report(scores: &[f64], planted: &[bool], budget: f64) -> Result<DetectorReport, pools::PoolError> {
    assert_eq!(scores.len(), planted.len(), "every document needs a score");
    assert!((0.0..=1.0).contains(&budget), "a budget is a part, got {budget}");
    let of = |wanted: bool| -> Vec<f64> {
        scores.iter().zip(planted).filter(|(_, planted)| **planted == wanted).map(|(score, _)| *score).collect()
    };
    let (positives, mut negatives) = (of(true), of(false));
    let auc = pools::auc(&positives, &negatives)?;
    negatives.sort_by(f64::total_cmp);
    let place = (negatives.len() - 1) as f64 * (1.0 - budget);
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(negatives.len() - 1);
    let threshold = negatives[low] + part * (negatives[high] - negatives[low]);
    let above = |scores: &[f64]| scores.iter().filter(|score| **score > threshold).count() as f64 / scores.len() as f64;
    Ok(DetectorReport { auc, threshold, true_positive_rate: above(&positives), false_positive_rate: above(&negatives) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_by_hand() {
        let nll = unigram_nll(&[vec![0u32, 1], vec![]], &[vec![0u32, 0, 0], vec![1]], 2, 1.0);
        // The root of 4/6 times 2/6.
        assert!((nll[0] + (8.0f64 / 36.0).sqrt().ln()).abs() < 1e-12);
        assert_eq!(nll[1], 0.0);
        assert_eq!(triggered_hubness(&[vec![0, 1]], &[vec![2, 1]], 3, 2), [-1.0, 0.0, 1.0]);
        let alike = embedding_outliers(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 2, 3);
        assert_eq!(alike.norm, [1.0, 1.0, 0.0]);
        assert_eq!(embedding_outliers(&[3.0, 4.0], 2, 3).norm_z, [0.0]);
        assert_eq!(embedding_outliers(&[3.0, 4.0], 2, 3).mean_cosine, [0.0]);
    }

    #[test]
    fn a_perfect_detector_and_useless_inputs() {
        let report = detector_report(&[1.0, 2.0, 3.0, 9.0], &[false, false, false, true], 0.5).unwrap();
        assert_eq!(
            report,
            DetectorReport { auc: 1.0, threshold: 2.0, true_positive_rate: 1.0, false_positive_rate: 1.0 / 3.0 }
        );
        assert!(detector_report(&[1.0], &[false], 0.1).is_err());
        assert!(detector_report(&[f64::NAN, 1.0], &[false, true], 0.1).is_err());
    }
}
