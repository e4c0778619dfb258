use super::CalibrationError;
use super::binning::bin_of;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_p_target;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// How far confidences are from what happens: the same bins and kernel for every calibration study.
///
/// With `conf_i` the confidence of a row's prediction and `c_i` 1 where it is right, else 0:
///
/// ```text
/// ece           sum_b (n_b/n) |mean conf - mean c|,   bins of equal width, (lo, hi]
/// adaptive_ece  the same over bins of equal count, by rising confidence
/// kernel        sum_{i != j} (c_i - conf_i)(c_j - conf_j) k(conf_i, conf_j) / (n (n - 1)),   k(p, q) = exp(-|p - q|/0.4)
/// ks            max_j |1/n sum_{i <= j} (conf_i - c_i)|,   by rising confidence
/// top1_brier    mean (conf - c)^2
/// auroc         probability that a right prediction has more confidence than a wrong one, ties 1/2
/// ```
///
/// `kernel` is the unbiased estimate of a square: 0 in expectation where confidences are right, so it can fall below 0.
///
/// Sources: Naeini et al. 2015 (ece); Nguyen, O'Connor 2015, <https://arxiv.org/abs/1508.05154> (bins of equal count); Kumar
/// et al. 2018, "Trainable calibration measures for neural networks from kernel mean embeddings" (kernel) and Widmann et al.
/// 2019, <https://arxiv.org/abs/1910.11385> (its unbiased form); Gupta et al. 2020, <https://arxiv.org/abs/2006.12800> (ks).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationMetrics {
    /// Bins of `ece` and `adaptive_ece`, at least 1.
    pub bins: usize,
}

impl Default for CalibrationMetrics {
    fn default() -> Self {
        Self { bins: 25 }
    }
}

/// What [`CalibrationMetrics`] measure; all but `auroc` are better the nearer to 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationErrors {
    /// Expected calibration error, bins of equal width.
    pub ece: f64,
    /// Expected calibration error, bins of equal count.
    pub adaptive_ece: f64,
    /// Squared kernel calibration error, unbiased.
    pub kernel: f64,
    /// Kolmogorov-Smirnov calibration error.
    pub ks: f64,
    /// Squared error of the top confidence.
    pub top1_brier: f64,
    /// Area under the ROC curve of right against wrong; `None` when all are right or all wrong.
    pub auroc: Option<f64>,
}

/// Width of the kernel: the value of Kumar et al. (2018) in their code.
const KERNEL_WIDTH: f64 = 0.4;

impl CalibrationMetrics {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When there is no bin.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.bins >= 1, "bins", self.bins, "at least 1")
    }

    /// Measures confidences in `[0, 1]` and whether each prediction was right.
    ///
    /// # Errors
    /// Without rows or bins, when lengths differ, and for a confidence that is not finite.
    pub fn measure(&self, confidence: &[f64], correct: &[bool]) -> Result<CalibrationErrors, CalibrationError> {
        self.validate()?;
        let rows = confidence.len();
        if rows == 0 {
            return Err(CalibrationError::TooFewRows { rows, needed: 1 });
        }
        if correct.len() != rows {
            return Err(CalibrationError::Shape { what: "outcomes", found: correct.len(), rows });
        }
        if let Some(row) = confidence.iter().position(|value| !value.is_finite()) {
            return Err(CalibrationError::NotFinite { row, what: "a confidence" });
        }
        let n = rows as f64;
        // By rising confidence; a stable sort, so equal confidences keep their order.
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|&a, &b| confidence[a].total_cmp(&confidence[b]));
        let sorted: Vec<f64> = order.iter().map(|&row| confidence[row]).collect();
        let gaps: Vec<f64> = order.iter().map(|&row| confidence[row] - f64::from(u8::from(correct[row]))).collect();

        let by_width = reliability_bins(confidence, correct, self.bins);
        let ece = by_width.iter().map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs()).sum::<f64>() / n;
        let cut = |bin: usize| bin * rows / self.bins;
        let by_count = (0..self.bins).map(|bin| gaps[cut(bin)..cut(bin + 1)].iter().sum::<f64>().abs());
        let (mut sum, mut ks): (f64, f64) = (0.0, 0.0);
        for gap in &gaps {
            sum += gap;
            ks = ks.max(sum.abs());
        }
        Ok(CalibrationErrors {
            ece,
            adaptive_ece: by_count.sum::<f64>() / n,
            kernel: kernel_error(&sorted, &gaps),
            ks: ks / n,
            top1_brier: gaps.iter().map(|gap| gap * gap).sum::<f64>() / n,
            auroc: roc_auc(confidence, correct),
        })
    }
}

/// The kernel error of sorted confidences in linear time: `sum_{j < i} e_j exp(-(p_i - p_j)/w)` follows from that of the
/// row before. 0 for a single row.
fn kernel_error(confidence: &[f64], gaps: &[f64]) -> f64 {
    let n = gaps.len() as f64;
    if gaps.len() < 2 {
        return 0.0;
    }
    let (mut sum, mut below) = (0.0, 0.0);
    for row in 1..gaps.len() {
        below = (below + gaps[row - 1]) * (-(confidence[row] - confidence[row - 1]) / KERNEL_WIDTH).exp();
        sum += gaps[row] * below;
    }
    2.0 * sum / (n * (n - 1.0))
}

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Middle of the bin.
    pub center: f64,
    /// Mean confidence of its rows; 0 without rows.
    pub confidence: f64,
    /// Part of its rows that are right; 0 without rows.
    pub accuracy: f64,
    /// Number of rows.
    pub count: usize,
}

/// A reliability diagram over bins `(lo, hi]` of equal width. Empty bins are kept, with count 0, so that the bins of several
/// maps match by position.
///
/// # Panics
/// When there is no bin, or there are not as many outcomes as confidences.
pub fn reliability_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    assert!(bins > 0, "a reliability diagram needs at least one bin");
    assert_eq!(confidence.len(), correct.len(), "{} outcomes for {} rows", correct.len(), confidence.len());
    let empty =
        |bin| ReliabilityBin { center: (bin as f64 + 0.5) / bins as f64, confidence: 0.0, accuracy: 0.0, count: 0 };
    let mut drawn: Vec<ReliabilityBin> = (0..bins).map(empty).collect();
    for (&p, &right) in confidence.iter().zip(correct) {
        let bin = &mut drawn[bin_of(p, bins)];
        bin.confidence += p;
        bin.accuracy += f64::from(u8::from(right));
        bin.count += 1;
    }
    for bin in drawn.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    drawn
}

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting half. `None` when one of
/// the two is missing.
///
/// # Panics
/// When there are not as many outcomes as scores.
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    assert_eq!(scores.len(), positive.len(), "{} outcomes for {} scores", positive.len(), scores.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut wins, mut positives, mut negatives) = (0.0, 0.0, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let hits = equal.iter().filter(|&&row| positive[row]).count() as f64;
        let misses = equal.len() as f64 - hits;
        wins += hits * (negatives + 0.5 * misses);
        positives += hits;
        negatives += misses;
    }
    (positives > 0.0 && negatives > 0.0).then(|| wins / (positives * negatives))
}

/// Mean cross-entropy of logits at a temperature for every row.
///
/// ```text
/// nll = mean_i -log softmax(l_i / T_i)_{y_i}
/// ```
///
/// # Shapes
/// - logits: `[rows, classes]`
/// - labels: `[rows]`
/// - temperature: `[rows]`, each above 0
/// - output: `[1]`
///
/// # Panics
/// When there are no rows, or shapes differ.
pub fn negative_log_likelihood(logits: Tensor<2>, labels: Tensor<1, Int>, temperature: Tensor<1>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    let temperature = temperature.reshape([rows, 1]).expand([rows, classes]);
    log_p_target(logits / temperature, labels).mean().neg()
}
