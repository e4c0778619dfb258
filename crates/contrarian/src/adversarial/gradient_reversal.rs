use burn::tensor::Tensor;

/// The identity whose gradient is turned round: what comes behind is trained to tell something from `x`, and what makes `x` to
/// hide it.
///
/// ```text
/// value = x,        gradient in x = -alpha times the gradient in the value
/// ```
///
/// The value is that of `x` to the bit. `alpha = 0` cuts the gradient off.
///
/// # Shapes
/// Any; the output has that of `x`.
///
/// Source: Ganin, Lempitsky 2015, <https://arxiv.org/abs/1409.7495>, equations 7 and 8.
pub fn gradient_reversal<const D: usize>(x: Tensor<D>, alpha: f64) -> Tensor<D> {
    let turned = x.clone().mul_scalar(-alpha);
    // The bracket is 0, but for its gradient.
    x.detach() + (turned.clone() - turned.detach())
}
