use super::class_pairs::check;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{OneSetKernel, apply, available};
use crate::numerics::log_sum_exp;
use burn::tensor::{Int, Tensor, TensorData};

/// The similarities of a batch's pairs with different labels: the negatives that a batch has to offer.
///
/// ```text
/// b = ( x_i . x_j : i < j, y_i != y_j )          in the order of (i, j)
/// ```
///
/// # Shapes
/// - embeddings: `[n, dim]`, used as they are (meant for rows of length 1)
/// - labels: `[n]`
/// - output: `[l]`; empty where all labels are equal
///
/// # Panics
/// When the batch is empty, or there are not as many labels as embeddings.
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3.
pub fn negative_pair_similarities(embeddings: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [n, _] = embeddings.dims();
    check(n, &labels);
    // Read back: how many pairs there are depends on the labels.
    let labels: Vec<i64> = labels.into_data().iter::<i64>().collect();
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).filter(|&(i, j)| labels[i] != labels[j]);
    let at: Vec<i64> = pairs.map(|(i, j)| (i * n + j) as i64).collect();
    select(embeddings.clone().matmul(embeddings.transpose()).reshape([n * n]), at)
}

/// Keeps what a box plot would not draw as outliers, in ascending order.
///
/// ```text
/// kept = { b : q1 - r (q3 - q1) <= b <= q3 + r (q3 - q1) }       q1, q3: sorted b at floor(l/4), floor(3l/4)
/// ```
///
/// with `whisker` `r`: 0 keeps the middle half, equal values are all kept. The gradient flows through what is kept, not
/// through the quartiles.
///
/// # Shapes
/// - similarities: `[l]`
/// - output: `[kept]`
///
/// # Panics
/// When the whisker is not finite and at least 0.
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3; quartiles by floor index as in its code.
pub fn whisker_filter(similarities: Tensor<1>, whisker: f64) -> Tensor<1> {
    require_whisker(whisker).unwrap_or_else(|error| panic!("{error}"));
    // Read back to be sorted: equal values stay in their order.
    let values: Vec<f64> = similarities.clone().into_data().iter::<f64>().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    if values.is_empty() {
        return similarities;
    }
    let quartile = |numerator: usize| values[order[order.len() * numerator / 4]];
    let reach = whisker * (quartile(3) - quartile(1));
    let range = quartile(1) - reach..=quartile(3) + reach;
    let kept = order.iter().filter(|&&at| range.contains(&values[at])).map(|&at| at as i64).collect();
    select(similarities, kept)
}

pub(crate) fn require_whisker(whisker: f64) -> Result<(), InvalidParameter> {
    require(whisker >= 0.0 && whisker.is_finite(), "whisker", whisker, "finite and at least 0")
}

/// The entries at these places; an empty tensor for none.
fn select(values: Tensor<1>, at: Vec<i64>) -> Tensor<1> {
    let count = at.len();
    if count == 0 {
        return Tensor::zeros([0], (&values.device(), values.dtype()));
    }
    let at = Tensor::<1, Int>::from_data(TensorData::new(at, [count]), &values.device());
    values.select(0, at)
}

/// Log-sum-exp over the batch's pairs with different labels: what unified negative pair generation (UNPG) adds to every row
/// of a margin softmax.
///
/// ```text
/// value = log sum_{b in B'} exp(scale b)
/// ```
///
/// with `B'` the [similarities of negative pairs](negative_pair_similarities) after the [filter](whisker_filter). With `A`
/// this value, the loss of row `i` becomes `logaddexp(log sum_k exp(s z_ik), A) - s z_iy`. Where there is no pair the value
/// is far below every score (about -1e38), and its gradient 0.
///
/// # Shapes
/// - embeddings: `[n, dim]`, rows of length 1
/// - labels: `[n]`
/// - whisker: how far beyond the quartiles pairs are kept, at least 0; `None` keeps all
/// - output: `[1]`
///
/// # Panics
/// When the batch is empty, there are not as many labels as embeddings, the scale is not above 0, the whisker is negative,
/// or memory does not suffice (with the sizes).
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3.
pub fn negative_pair_log_sum_exp(
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
    scale: f64,
    whisker: Option<f64>,
) -> Tensor<1> {
    let [n, dim] = embeddings.dims();
    check(n, &labels);
    assert!(scale > 0.0 && scale.is_finite(), "the scale of similarities is {scale}, but must be finite and above 0");
    let lowest = f64::from(f32::MIN / 4.0);
    if available(&embeddings) {
        let labels = labels.into_data().iter::<i64>().collect();
        let pairs = OneSetKernel::Pairs { dim, labels, scale, whisker };
        return apply([embeddings.into_dispatch()], pairs).clamp_min(lowest);
    }
    let pairs = negative_pair_similarities(embeddings.clone(), labels);
    let kept = match whisker {
        Some(whisker) => whisker_filter(pairs, whisker),
        None => pairs,
    };
    let [count] = kept.dims();
    if count == 0 {
        return embeddings.sum().mul_scalar(0.0).add_scalar(lowest);
    }
    log_sum_exp(kept.mul_scalar(scale).reshape([1, count])).reshape([1])
}
