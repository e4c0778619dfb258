//! Lengths of rows and the two functions of a length that the ball's maps need, exact at 0 in value and gradient.

pub use crate::numerics::polar;
use burn::tensor::Tensor;

/// Euclidean length of every row, `[.., d]` to `[.., 1]`, with gradient 0 where it is 0.
pub fn norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    polar(x).1
}

/// Squared length of every row, `[.., d]` to `[.., 1]`.
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.square().sum_dim(D - 1)
}

/// Inner product of rows, `[.., d]` to `[.., 1]`.
pub fn dot<const D: usize>(x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
    (x * y).sum_dim(D - 1)
}

/// Rows longer than `radius` shortened to it; the others as they are.
pub fn limit_norm<const D: usize>(x: Tensor<D>, radius: f64) -> Tensor<D> {
    let length = norm(x.clone());
    let short = length.clone().lower_equal_scalar(radius);
    let factor = length.clamp_min(radius).recip().mul_scalar(radius);
    x * factor.mask_fill(short, 1.0)
}

/// `tanh(t) / t` for `t >= 0`, 1 at 0.
pub fn tanh_ratio<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    with_series(t, [-1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0], |t| t.clone().tanh() / t)
}

/// `artanh(t) / t` for `t` in `[0, 1)`, 1 at 0. From the last number below 1 on it stays as it is there.
pub fn artanh_ratio<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    let t = t.clone().clamp_max(1.0 - epsilon(&t));
    with_series(t, [1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0], |t| t.clone().atanh() / t)
}

/// Below it `1 + s_1 t^2 + .. + s_4 t^8` has all digits of f64, and above it the quotient does.
const SMALL: f64 = 0.03;

fn with_series<const D: usize>(t: Tensor<D>, series: [f64; 4], quotient: impl Fn(Tensor<D>) -> Tensor<D>) -> Tensor<D> {
    // Each branch is given a harmless argument where the other one counts: no 0/0 enters the gradient.
    let small = t.clone().lower_scalar(SMALL);
    let squared = t.clone().mask_fill(small.clone().bool_not(), 0.0).square();
    let horner = |sum: Tensor<D>, s: f64| (sum * squared.clone()).add_scalar(s);
    let near = series.into_iter().rev().fold(squared.zeros_like(), horner);
    let near = (near * squared.clone()).add_scalar(1.0);
    quotient(t.mask_fill(small.clone(), 1.0)).mask_where(small, near)
}

/// Distance from 1 to the next number of the tensor's dtype.
pub fn epsilon<const D: usize>(x: &Tensor<D>) -> f64 {
    x.dtype().finfo().expect("points are floating-point numbers").epsilon
}
