//! Small dense matrices in f64, read once from tensors: the diagnostics end in decompositions of the size of the classes.

use burn::tensor::{DType, Tensor};
use nalgebra::DMatrix;

/// A tensor's numbers as a matrix in f64.
pub(super) fn matrix(tensor: Tensor<2>) -> DMatrix<f64> {
    let [rows, columns] = tensor.dims();
    DMatrix::from_row_iterator(rows, columns, numbers(tensor))
}

/// A tensor's numbers in f64, row by row.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().expect("converted to f64")
}

/// `A / |A|`, all NaN where `A` is 0 and so has no direction.
pub(super) fn direction(a: &DMatrix<f64>) -> DMatrix<f64> {
    // Scaled first: squares of tiny numbers underflow.
    let largest = a.amax();
    if largest == 0.0 || !largest.is_finite() {
        return a.map(|_| f64::NAN);
    }
    let scaled = a / largest;
    let norm = scaled.norm();
    scaled / norm
}

/// `| A/|A| - B/|B| |`, between 0 (same direction) and 2; NaN where one of them is 0.
pub(super) fn distance_of_directions(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    (direction(a) - direction(b)).norm()
}

/// The simplex equiangular tight frame of `k` classes as a Gram matrix, `I - 11^T / k`, of any length.
pub(super) fn simplex(k: usize) -> DMatrix<f64> {
    DMatrix::identity(k, k).add_scalar(-1.0 / k as f64)
}
