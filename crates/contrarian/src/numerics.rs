//! Numerically safe pieces that several objectives share. All of them keep the dtype and the device of their input, stay
//! finite wherever the true value is, and have the true gradient everywhere.
//!
//! Objectives divide by a number as `mul_scalar(1.0 / c)`: the backward pass of Burn 0.22's `div_scalar` rounds `c` to f32,
//! which costs f64 gradients half of their digits.

use crate::fused::{self, RowLoss, UnitRowsKernel, softmax_rows};
use burn::tensor::{Bool, Int, Tensor, TensorData, activation};

/// `log softmax(logits)_y` of every row, `[batch]`, never above 0.
pub fn log_p_target(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    if fused::available(&logits) {
        check_logits(logits.dims(), &labels);
        return softmax_rows(logits, labels, RowLoss::NegativeLogLikelihood).neg();
    }
    gather_target(activation::log_softmax(logits, 1), labels).clamp_max(0.0)
}

/// The entry of each row that its label names: `[batch, classes]`, `[batch]` to `[batch]`.
///
/// # Panics
/// When the batch is empty, there are fewer than two classes, or there are not as many labels as rows.
pub fn gather_target(rows: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = rows.dims();
    check_logits(rows.dims(), &labels);
    rows.gather(1, labels.reshape([batch, 1])).reshape([batch])
}

/// True where the column is the label: `[batch]` to `[batch, classes]`.
pub fn target_mask(labels: Tensor<1, Int>, classes: usize) -> Tensor<2, Bool> {
    let [batch] = labels.dims();
    let columns = Tensor::<1, Int>::arange(0..classes as i64, &labels.device()).reshape([1, classes]);
    labels.reshape([batch, 1]).equal(columns)
}

/// The single score of a two-class problem, `logit_1 - logit_0`, `[batch]`.
///
/// # Panics
/// When there are not exactly two columns.
pub fn binary_score(logits: Tensor<2>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    assert_eq!(classes, 2, "a binary objective needs logits [batch, 2], got [{batch}, {classes}]");
    let columns = logits.split(1, 1);
    (columns[1].clone() - columns[0].clone()).reshape([batch])
}

/// The checks of a batch of logits that need no look at the device's memory.
///
/// # Panics
/// When the batch is empty, there are fewer than two classes, or there are not as many labels as rows.
pub fn check_logits([batch, classes]: [usize; 2], labels: &Tensor<1, Int>) {
    check_labels(labels, batch);
    assert!(classes >= 2, "an objective over classes needs at least two, got logits [{batch}, {classes}]");
}

/// The checks of a batch that need no look at the device's memory.
fn check_labels(labels: &Tensor<1, Int>, batch: usize) {
    assert!(batch > 0, "a loss needs at least one example");
    assert_eq!(labels.dims()[0], batch, "{} labels for {batch} examples", labels.dims()[0]);
}

/// Labels 0 and 1 as numbers of the dtype of `like`.
///
/// # Panics
/// When the batch is empty, or there are not as many labels as scores.
pub fn float_labels(labels: Tensor<1, Int>, like: &Tensor<1>) -> Tensor<1> {
    check_labels(&labels, like.dims()[0]);
    like.zeros_like().mask_fill(labels.equal_scalar(1), 1.0)
}

/// `log sum exp` of every row, `[rows, 1]`.
pub fn log_sum_exp(x: Tensor<2>) -> Tensor<2> {
    let max = x.clone().max_dim(1).detach();
    (x - max.clone()).exp().sum_dim(1).log() + max
}

/// `exp(x) - 1` without cancellation near 0.
pub fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // e^x - 1 = 2 e^(x/2) sinh(x/2). Below -80 the value is -1 to every digit, and the clamp keeps 0 * -inf away.
    let half = x.clamp_min(-80.0).mul_scalar(0.5);
    half.clone().exp() * half.sinh().mul_scalar(2.0)
}

/// `log(1 + exp(x))`.
pub fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // Burn's own switches to x at a threshold, which costs digits in f64. x/2 + |x|/2 is max(x, 0) with the slope 1/2 at 0
    // that makes the whole derivative the sigmoid there too; through a node of its own the two halves cancel exactly, and
    // leave the sigmoid far below 0 its digits.
    let half = x.clone().mul_scalar(0.5);
    half.clone() + half.abs() + x.abs().neg().exp().log1p()
}

/// `log sigmoid(x)`.
pub fn log_sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    softplus(x.neg()).neg()
}

/// `sigmoid(x)` with relative precision in both tails, in value and gradient: `1 - sigmoid(x)` is `sigmoid(-x)`.
pub fn sigmoid<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    log_sigmoid(x).exp()
}

/// `log(1 - softmax(logits))`, also where a softmax entry rounds to 1.
pub fn log_one_minus_softmax(logits: Tensor<2>) -> Tensor<2> {
    let [batch, classes] = logits.dims();
    let largest = target_mask(logits.clone().argmax(1).reshape([batch]), classes);
    let log_p = activation::log_softmax(logits.clone(), 1);
    // All entries but the largest are at most 1/2: no cancellation there.
    let small = log_p.exp().mask_fill(largest.clone(), 0.0).neg().log1p();
    // For the largest, the mass of the others is summed directly.
    let others = logits.clone().mask_fill(largest.clone(), f32::MIN);
    let rest = log_sum_exp(others) - log_sum_exp(logits);
    small.mask_where(largest, rest.expand([batch, classes]))
}

/// A constant vector with the dtype and on the device of `like`.
pub fn constant(values: &[f64], like: &Tensor<1>) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

/// Direction `[.., d]` and length `[.., 1]` of every row. A row of zeros has direction 0, with a finite gradient, and length
/// 0, with gradient 0.
///
/// Rows are divided by their largest entry first: squares of entries neither overflow nor vanish.
pub fn polar<const D: usize>(x: Tensor<D>) -> (Tensor<D>, Tensor<D>) {
    let largest = x.clone().detach().abs().max_dim(D - 1);
    let zero = largest.clone().equal_scalar(0.0);
    let largest = largest.mask_fill(zero.clone(), 1.0);
    let x = x / largest.clone();
    let length = x.clone().square().sum_dim(D - 1).mask_fill(zero.clone(), 1.0).sqrt();
    (x / length.clone(), length.mask_fill(zero, 0.0) * largest)
}

/// Rows scaled to length 1: `x_i / |x_i|`; rows of zeros stay zeros, with a finite gradient.
///
/// # Shapes
/// - x: `[n, dim]`
/// - output: `[n, dim]`
pub fn normalize_rows(x: Tensor<2>) -> Tensor<2> {
    let [n, dim] = x.dims();
    if fused::available(&x) && n * dim > 0 {
        return fused::apply([x.into_dispatch()], UnitRowsKernel { dim }).reshape([n, dim]);
    }
    polar(x).0
}
