//! Numerically safe pieces that several objectives share. All of them keep the dtype and the device of their input.

use burn::tensor::{Int, Tensor, activation};

/// `log softmax(logits)_y` of every row, `[batch]`, never above 0.
pub fn log_p_target(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    gather_target(activation::log_softmax(logits, 1), labels).clamp_max(0.0)
}

/// The entry of each row that its label names: `[batch, classes]`, `[batch]` to `[batch]`.
pub fn gather_target(rows: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = rows.dims();
    rows.gather(1, labels.reshape([batch, 1])).reshape([batch])
}

/// The single score of a two-class problem, `logit_1 - logit_0`, `[batch]`.
///
/// # Panics
/// When there are not exactly two columns.
pub fn binary_score(logits: Tensor<2>) -> Tensor<1> {
    let [batch, classes] = logits.dims();
    assert_eq!(
        classes, 2,
        "a binary objective needs logits [batch, 2], got [{batch}, {classes}]"
    );
    let columns = logits.split(1, 1);
    (columns[1].clone() - columns[0].clone()).reshape([batch])
}

/// `exp(x) - 1` without cancellation near 0, with the exact derivative `exp(x)`.
pub fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    todo!("2 exp(x/2) sinh(x/2), or a series where |x| is small; gradient must be exp(x) to 1e-9 in f64")
}
