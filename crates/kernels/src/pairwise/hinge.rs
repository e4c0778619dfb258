use super::{Excess, PairReduction, PairwiseLoss, Sorted, check_scores, excess, not_a_number};
use crate::{KernelError, Real};

/// The pairwise hinge loss, a piecewise linear bound of `1 - AUC`.
///
/// ```text
/// loss = w sum_i sum_k max(0, margin - (p_i - n_k)),        w from the reduction
/// ```
///
/// Where a pair is exactly at the margin the derivative is 0. `O((P + N) log(P + N))` time and `O(P + N)` memory; sums in
/// f64. NaN where a score is infinite or NaN.
///
/// # Errors
/// When a side is empty or the margin is not finite.
///
/// ```
/// use contrarian_kernels::pairwise::{PairReduction, pairwise_hinge};
///
/// let loss = pairwise_hinge(&[2.0, 0.5], &[0.0, 1.0], 1.0, PairReduction::SumPairs)?;
/// assert_eq!(loss.value, 0.5 + 1.5);
/// assert_eq!(loss.gradient_positives, [0.0, -2.0]);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn pairwise_hinge<T: Real>(
    positives: &[T],
    negatives: &[T],
    margin: f64,
    reduction: PairReduction,
) -> Result<PairwiseLoss<T>, KernelError> {
    by_excess(positives, negatives, margin, reduction, |below| (below.distances, below.count))
}

/// The pairwise squared hinge loss, a smooth bound of `1 - AUC`.
///
/// ```text
/// loss = w sum_i sum_k max(0, margin - (p_i - n_k))^2,        w from the reduction
/// ```
///
/// Cost, precision and errors are those of [`pairwise_hinge`].
///
/// ```
/// use contrarian_kernels::pairwise::{PairReduction, pairwise_squared_hinge};
///
/// let loss = pairwise_squared_hinge(&[2.0, 0.5], &[0.0, 1.0], 1.0, PairReduction::MeanPairs)?;
/// assert_eq!(loss.value, (0.25 + 2.25) / 4.0);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
///
/// # Errors
/// Those of [`pairwise_hinge`].
pub fn pairwise_squared_hinge<T: Real>(
    positives: &[T],
    negatives: &[T],
    margin: f64,
    reduction: PairReduction,
) -> Result<PairwiseLoss<T>, KernelError> {
    by_excess(positives, negatives, margin, reduction, |below| (below.squares, 2.0 * below.distances))
}

/// A loss that is 0 for pairs further apart than the margin: `of` takes what lies below a score to value and slope.
fn by_excess<T: Real>(
    positives: &[T],
    negatives: &[T],
    margin: f64,
    reduction: PairReduction,
    of: fn(Excess) -> (f64, f64),
) -> Result<PairwiseLoss<T>, KernelError> {
    check_margin(margin)?;
    if !check_scores(positives, negatives)? {
        return Ok(not_a_number(positives.len(), negatives.len()));
    }
    let weight = reduction.weight(positives.len(), negatives.len());
    let positives = Sorted::new("positives", positives)?;
    let mut negatives = Sorted::new("negatives", negatives)?;
    // A pair is within the margin where the shifted negative is above the positive.
    negatives.values.iter_mut().for_each(|negative| *negative += margin);
    let mut value = 0.0;
    let slopes = excess(&negatives.values, &positives.values).map(|below| {
        let (part, slope) = of(below);
        value += part;
        weight * slope
    });
    let gradient_negatives = negatives.restore(slopes);
    let (positives, negatives) = (positives.negated(), negatives.negated());
    let slopes = excess(&positives.values, &negatives.values).map(|below| -weight * of(below).1);
    let gradient_positives = positives.restore(slopes);
    Ok(PairwiseLoss { value: weight * value, gradient_positives, gradient_negatives })
}

/// The pairwise square loss: the AUC surrogate that needs only means and variances, without a sort.
///
/// ```text
/// loss = w sum_i sum_k (margin - (p_i - n_k))^2,        w from the reduction
///      = w P N ( (margin - mean p + mean n)^2 + var p + var n )
/// ```
///
/// `O(P + N)` time and memory; sums in f64. NaN where a score is infinite or NaN.
///
/// # Errors
/// Those of [`pairwise_hinge`].
///
/// ```
/// use contrarian_kernels::pairwise::{PairReduction, pairwise_square};
///
/// let loss = pairwise_square(&[2.0, 0.5], &[0.0, 1.0], 1.0, PairReduction::SumPairs)?;
/// assert_eq!(loss.value, 1.0 + 0.0 + 0.25 + 2.25);
/// # Ok::<(), contrarian_kernels::KernelError>(())
/// ```
pub fn pairwise_square<T: Real>(
    positives: &[T],
    negatives: &[T],
    margin: f64,
    reduction: PairReduction,
) -> Result<PairwiseLoss<T>, KernelError> {
    check_margin(margin)?;
    if !check_scores(positives, negatives)? {
        return Ok(not_a_number(positives.len(), negatives.len()));
    }
    let (p, n) = (positives.len() as f64, negatives.len() as f64);
    let weight = reduction.weight(positives.len(), negatives.len());
    let moments = |scores: &[T], count: f64| {
        let mean = scores.iter().map(|score| score.f64()).sum::<f64>() / count;
        (mean, scores.iter().map(|score| (score.f64() - mean).powi(2)).sum::<f64>() / count)
    };
    let ((mean_p, variance_p), (mean_n, variance_n)) = (moments(positives, p), moments(negatives, n));
    let gap = margin - mean_p + mean_n;
    let slope = |of_others: f64, offset: f64| T::of(2.0 * weight * of_others * offset);
    Ok(PairwiseLoss {
        value: weight * p * n * (gap * gap + variance_p + variance_n),
        gradient_positives: positives.iter().map(|s| slope(-n, margin - s.f64() + mean_n)).collect(),
        gradient_negatives: negatives.iter().map(|s| slope(p, margin - mean_p + s.f64())).collect(),
    })
}

fn check_margin(margin: f64) -> Result<(), KernelError> {
    if margin.is_finite() { Ok(()) } else { Err(KernelError::value("margin", margin, "a finite number")) }
}
