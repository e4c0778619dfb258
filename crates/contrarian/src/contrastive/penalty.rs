use super::{require_temperature, same_shape};
use crate::InvalidParameter;
use burn::tensor::{Int, Tensor, TensorData, activation};

/// How InfoNCE shares its gradient among the negatives of every anchor, see [`penalty_distribution`].
#[derive(Debug, Clone)]
pub struct PenaltyDistribution {
    /// Share of each negative in the push, `[n, m]`; rows sum to 1.
    pub relative_penalty: Tensor<2>,
    /// Entropy of that share, `[n]`: small where the nearest negatives take all.
    pub entropy: Tensor<1>,
    /// Derivative of an anchor's loss by its positive score, `[n]`.
    pub positive_gradient: Tensor<1>,
    /// Derivative by its negative scores, `[n, m]`.
    pub negative_gradient: Tensor<2>,
}

/// The hardness of InfoNCE at a temperature: a Boltzmann distribution over negatives.
///
/// ```text
/// r_ij = exp(s_ij/T) / sum_{k != i} exp(s_ik/T),    dl_i/ds_ij = P_ij/T,    dl_i/ds_ii = -(1/T) sum_j P_ij
/// ```
///
/// with `P` the softmax over the positive and all negatives.
///
/// # Shapes
/// - anchors, positives: `[n, dim]`, used as they are
/// - negatives: `[m, dim]`; columns are the other positives of the batch in order, then these
///
/// # Errors
/// When the temperature is not finite and above 0.
///
/// # Panics
/// When the shapes differ, or an anchor has no negative.
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, equations 3 to 5.
pub fn penalty_distribution(
    anchors: Tensor<2>,
    positives: Tensor<2>,
    negatives: Option<Tensor<2>>,
    temperature: f64,
) -> Result<PenaltyDistribution, InvalidParameter> {
    require_temperature(temperature)?;
    let [n, _] = same_shape(&anchors, &positives);
    let candidates = match negatives {
        Some(negatives) => Tensor::cat(vec![positives, negatives], 0),
        None => positives,
    };
    let m = candidates.dims()[0];
    assert!(m >= 2, "an anchor without negatives has no penalty to share");
    let scores = anchors.matmul(candidates.transpose()).mul_scalar(1.0 / temperature);
    let others: Vec<i64> = (0..(n * m) as i64).filter(|at| at / m as i64 != at % m as i64).collect();
    let others = Tensor::<1, Int>::from_data(TensorData::new(others, [n * (m - 1)]), &scores.device());
    let of_others = |x: Tensor<2>| x.reshape([n * m]).select(0, others.clone()).reshape([n, m - 1]);
    let log_share = activation::log_softmax(of_others(scores.clone()), 1);
    let relative_penalty = log_share.clone().exp();
    let entropy = (relative_penalty.clone() * log_share).sum_dim(1).neg().reshape([n]);
    let negative_gradient = of_others(activation::softmax(scores, 1)).mul_scalar(1.0 / temperature);
    let positive_gradient = negative_gradient.clone().sum_dim(1).neg().reshape([n]);
    Ok(PenaltyDistribution { relative_penalty, entropy, positive_gradient, negative_gradient })
}

/// How similar embeddings of one class are: the mean of `x_i . x_j` over pairs `i < j` with equal labels.
///
/// With `all_pairs` the sum is divided by the number of all pairs instead, as the paper's expectation is written; it is then
/// 0 where no pair shares a label.
///
/// # Shapes
/// - embeddings: `[n, dim]`, used as they are (meant for rows of length 1)
/// - labels: `[n]`
/// - output: `[1]`
///
/// # Errors
/// When no pair shares a label (without `all_pairs`), or there are fewer than two embeddings.
///
/// # Panics
/// When there are not as many labels as embeddings.
///
/// Source: Wang, Liu 2021, <https://arxiv.org/abs/2012.09740>, equation 13.
pub fn tolerance(
    embeddings: Tensor<2>,
    labels: Tensor<1, Int>,
    all_pairs: bool,
) -> Result<Tensor<1>, InvalidParameter> {
    let [n, _] = embeddings.dims();
    assert_eq!(labels.dims()[0], n, "{} labels for {n} embeddings", labels.dims()[0]);
    let classes: Vec<i64> = labels.into_data().iter::<i64>().collect();
    let mut of_class: std::collections::BTreeMap<i64, Vec<i64>> = std::collections::BTreeMap::new();
    for (i, &class) in classes.iter().enumerate() {
        of_class.entry(class).or_default().push(i as i64);
    }
    let same: usize = of_class.values().map(|rows| rows.len() * (rows.len() - 1) / 2).sum();
    let pairs = if all_pairs { n * n.saturating_sub(1) / 2 } else { same };
    if pairs == 0 {
        return Err(InvalidParameter::new("labels", n, "at least two embeddings with one label"));
    }
    // Over a class, twice the sum of products is |sum x|^2 - sum |x|^2.
    let mut total = embeddings.clone().sum().mul_scalar(0.0);
    for rows in of_class.into_values().filter(|rows| rows.len() > 1) {
        let count = rows.len();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &embeddings.device());
        let own = embeddings.clone().select(0, rows);
        total = total + own.clone().sum_dim(0).square().sum() - own.square().sum();
    }
    Ok(total.mul_scalar(0.5 / pairs as f64))
}

/// How far the views of one item lie apart: the mean of `|x_i - y_i|^exponent`.
///
/// # Shapes
/// - first, second: `[n, dim]`, used as they are
/// - output: `[1]`
///
/// # Panics
/// When the shapes differ or are empty.
///
/// Source: Wang, Isola 2020, <https://arxiv.org/abs/2005.10242>, section 4.1.1.
pub fn alignment(first: Tensor<2>, second: Tensor<2>, exponent: f64) -> Tensor<1> {
    let [n, _] = same_shape(&first, &second);
    let square: Tensor<1> = (first - second).square().sum_dim(1).reshape([n]);
    if exponent == 2.0 {
        return square.mean();
    }
    // The slope of a power at 0 is taken as 0.
    let zero = square.clone().equal_scalar(0.0);
    square.mask_fill(zero.clone(), 1.0).powf_scalar(exponent / 2.0).mask_fill(zero, 0.0).mean()
}
