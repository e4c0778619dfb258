use super::uniformity::squared_distances;
use burn::tensor::{Bool, Tensor};

/// Euclidean distances `|x_i - y_j|`, `[n, m]`, with value and gradient 0 between equal rows, in `O(n m)` memory.
///
/// Where [`squared`] says so a distance counts as 0: its square root would have a slope that is large and wrong.
pub(super) fn distances(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let (squared, zero) = squared(x, y);
    squared.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}

/// Squared distances `|x_i - y_j|^2`, `[n, m]`, with value and gradient 0 between equal rows, in `O(n m)` memory.
pub(crate) fn safe_squared_distances(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let (squared, zero) = squared(x, y);
    squared.mask_fill(zero, 0.0)
}

/// Squared distances from inner products, and where they are 0 up to the rounding of these products (a few units in the last
/// place of `|x_i|^2 + |y_j|^2`): what is smaller has no digits.
fn squared(x: Tensor<2>, y: Tensor<2>) -> (Tensor<2>, Tensor<2, Bool>) {
    let (n, m) = (x.dims()[0], y.dims()[0]);
    let size = |x: Tensor<2>| x.detach().square().sum_dim(1);
    let sizes = size(x.clone()).expand([n, m]) + size(y.clone()).transpose().expand([n, m]);
    let rounding = rounding(&x);
    let squared = squared_distances(x, y);
    let zero = squared.clone().detach().lower_equal(sizes.mul_scalar(rounding));
    (squared, zero)
}

/// The part of `|x_i|^2 + |y_j|^2` up to which a squared distance from inner products has no digits.
pub(super) fn rounding(x: &Tensor<2>) -> f64 {
    4.0 * x.dtype().finfo().expect("embeddings are floating-point numbers").epsilon
}

/// `|x_i - y_j|^2`, `[n, m]`, by products of vectors from which the mean of `y` is taken first: a common offset, which distances
/// do not feel, then costs no digits.
pub(super) fn squared_distances_from_center(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let center = y.clone().detach().mean_dim(0);
    squared_distances(x - center.clone(), y - center)
}
