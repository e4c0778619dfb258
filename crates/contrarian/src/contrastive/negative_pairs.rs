use super::uniformity::diagonal;
use crate::fused::{OneSetKernel, apply, available};
use crate::numerics::log_sum_exp;
use burn::tensor::{Int, Tensor};

/// Log-sum-exp over the batch's pairs with different labels: what unified negative pair generation (UNPG) adds to every row
/// of a margin softmax.
///
/// ```text
/// B     = { b_ij = x_i . x_j : i < j, y_i != y_j }
/// B'    = { b in B : q1 - r (q3 - q1) <= b <= q3 + r (q3 - q1) }       q1, q3: sorted B at floor(|B|/4), floor(3|B|/4)
/// value = log sum_{b in B'} exp(scale b)
/// ```
///
/// With `A` this value, the loss of row `i` becomes `logaddexp(log sum_k exp(s z_ik), A) - s z_iy`. The quartiles carry no
/// gradient. Where no pair is left the value is far below every score (about -1e38), and its gradient 0.
///
/// # Shapes
/// - embeddings: `[n, dim]`, rows of length 1
/// - labels: `[n]`
/// - whisker: how far beyond the quartiles pairs are kept, at least 0; `None` keeps all
/// - output: `[1]`
///
/// # Panics
/// When there are not as many labels as embeddings, the scale is not above 0, the whisker is negative, or memory does not
/// suffice (with the sizes).
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3.
pub fn negative_pair_log_sum_exp(
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
    scale: f64,
    whisker: Option<f64>,
) -> Tensor<1> {
    let [n, dim] = embeddings.dims();
    assert_eq!(labels.dims()[0], n, "{} labels for {n} examples", labels.dims()[0]);
    let lowest = f64::from(f32::MIN / 4.0);
    if available(&embeddings) {
        let labels = labels.into_data().iter::<i64>().collect();
        let pairs = OneSetKernel::Pairs { dim, labels, scale, whisker };
        return apply([embeddings.into_dispatch()], pairs).clamp_min(lowest);
    }
    let scores = embeddings.clone().matmul(embeddings.transpose()).mul_scalar(scale);
    let same = labels.clone().reshape([n, 1]).expand([n, n]).equal(labels.reshape([1, n]).expand([n, n]));
    let once = diagonal(n, &scores).float().cumsum(1).greater_scalar(0.5).bool_and(diagonal(n, &scores).bool_not());
    let mut kept = once.bool_and(same.bool_not());
    let plain = scores.clone().without_autodiff();
    // Values are read back to find the quartiles.
    let mask: Vec<bool> = kept.clone().into_data().iter::<bool>().collect();
    let values = plain.clone().into_data();
    let mut values: Vec<f64> = values.iter::<f64>().zip(&mask).filter(|(_, kept)| **kept).map(|(b, _)| b).collect();
    if values.is_empty() {
        return scores.sum().mul_scalar(0.0).add_scalar(lowest);
    }
    if let Some(r) = whisker {
        values.sort_by(f64::total_cmp);
        let (q1, q3) = (values[values.len() / 4], values[values.len() * 3 / 4]);
        let reach = r * (q3 - q1);
        kept = kept
            .bool_and(plain.clone().greater_equal_scalar(q1 - reach))
            .bool_and(plain.lower_equal_scalar(q3 + reach));
    }
    log_sum_exp(scores.mask_fill(kept.bool_not(), lowest).reshape([1, n * n])).reshape([1])
}
