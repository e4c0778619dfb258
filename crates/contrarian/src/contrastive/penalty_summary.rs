use super::{penalty_distribution, same_shape};
use crate::InvalidParameter;
use burn::tensor::{Int, Tensor};

/// How unevenly InfoNCE shares its push among the negatives of every anchor, see [`penalty_summary`].
#[derive(Debug, Clone)]
pub struct PenaltySummary {
    /// Entropy of the shares, `[n]`: from 0 (one negative takes all) to the logarithm of their number (all alike).
    pub entropy: Tensor<1>,
    /// Largest share, `[n]`.
    pub largest: Tensor<1>,
    /// Gini coefficient of the shares, `[n]`: 0 where all are alike, near 1 where one takes all.
    pub gini: Tensor<1>,
}

/// Anchors looked at together.
const BLOCK: usize = 128;

/// The [distribution of penalties](penalty_distribution) in three numbers an anchor, without the matrix of all shares.
///
/// ```text
/// entropy_i = -sum_j r_ij log r_ij,   largest_i = max_j r_ij,   gini_i = sum_k (2 k - m - 1) r_i(k) / m
/// ```
///
/// with the relative penalties `r_ij` of the `m` negatives and `r_i(k)` the `k`-th smallest. Anchors are taken in blocks:
/// memory grows with the negatives, not with their product with the anchors.
///
/// # Shapes
/// As [`penalty_distribution`].
///
/// # Errors
/// As [`penalty_distribution`].
///
/// # Panics
/// As [`penalty_distribution`].
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, equation 5; Gini 1912 in the sorted form.
pub fn penalty_summary(
    anchors: Tensor<2>,
    positives: Tensor<2>,
    negatives: Option<Tensor<2>>,
    temperature: f64,
) -> Result<PenaltySummary, InvalidParameter> {
    let [n, dim] = same_shape(&anchors, &positives);
    let mut parts: [Vec<Tensor<1>>; 3] = Default::default();
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let rows = |x: &Tensor<2>, start: usize, end: usize| x.clone().slice([start..end, 0..dim]);
        // To the anchors of a block, everything outside it is an extra negative.
        let outside = [(0, start), (end, n)].into_iter().filter(|(from, to)| from < to);
        let outside = outside.map(|(from, to)| rows(&positives, from, to)).chain(negatives.clone());
        let outside: Vec<Tensor<2>> = outside.collect();
        let outside = (!outside.is_empty()).then(|| Tensor::cat(outside, 0));
        let [x, y] = [&anchors, &positives].map(|x| rows(x, start, end));
        let found = penalty_distribution(x, y, outside, temperature)?;
        let share = found.relative_penalty;
        let [rows, m] = share.dims();
        let ranks = Tensor::<1, Int>::arange(1..m as i64 + 1, &share.device()).float();
        let weight = ranks.cast(share.dtype()).mul_scalar(2.0).sub_scalar((m + 1) as f64).reshape([1, m]);
        parts[0].push(found.entropy);
        parts[1].push(share.clone().max_dim(1).reshape([rows]));
        parts[2].push((share.sort(1) * weight).sum_dim(1).mul_scalar(1.0 / m as f64).reshape([rows]));
    }
    let [entropy, largest, gini] = parts.map(|part| Tensor::cat(part, 0));
    Ok(PenaltySummary { entropy, largest, gini })
}
