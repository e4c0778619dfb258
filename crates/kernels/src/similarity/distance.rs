use super::Scores;
use crate::Real;
use crate::error::{KernelError, check_matrix, zeros};

/// Two sets of vectors, moved so that their mean is 0, with their squared lengths: what turns products into distances.
///
/// ```text
/// -t |x_i - y_j|^2 = 2t x_i . y_j - t |x_i|^2 - t |y_j|^2
/// ```
///
/// Distances do not change with the origin, and near the mean the three terms cancel least.
pub(crate) struct Distances<T> {
    dim: usize,
    t: T,
    pub rows: Vec<T>,
    pub columns: Vec<T>,
    row_bias: Vec<T>,
    column_bias: Vec<T>,
}

impl<T: Real> Distances<T> {
    /// Scores `-t |x_i - y_j|^2` of `rows` `[n, dim]` and `columns` `[m, dim]`.
    pub fn new(rows: &[T], columns: &[T], dim: usize, t: T) -> Result<Self, KernelError> {
        if dim == 0 || columns.is_empty() {
            return Err(KernelError::value("columns", "empty", "at least one vector of length 1 or more"));
        }
        check_matrix("rows", rows, rows.len() / dim, dim)?;
        check_matrix("columns", columns, columns.len() / dim, dim)?;
        let mut mean = vec![0.0; dim];
        for vector in columns.chunks(dim) {
            mean.iter_mut().zip(vector).for_each(|(mean, x)| *mean += x.f64());
        }
        let count = (columns.len() / dim) as f64;
        let mean: Vec<T> = mean.into_iter().map(|sum| T::of(sum / count)).collect();
        let moved = |vectors: &[T]| -> Result<(Vec<T>, Vec<T>), KernelError> {
            let mut moved = zeros("centred vectors", &[vectors.len()])?;
            for (out, vector) in moved.chunks_mut(dim).zip(vectors.chunks(dim)) {
                out.iter_mut().zip(vector.iter().zip(&mean)).for_each(|(out, (&x, &mean))| *out = x - mean);
            }
            let bias = moved.chunks(dim).map(|vector| -(t * super::dot(vector, vector))).collect();
            Ok((moved, bias))
        };
        let (rows, row_bias) = moved(rows)?;
        let (columns, column_bias) = moved(columns)?;
        Ok(Self { dim, t, rows, columns, row_bias, column_bias })
    }

    pub fn scores(&self) -> Result<Scores<'_, T>, KernelError> {
        let two = T::ONE + T::ONE;
        Scores::new(&self.rows, &self.columns, self.dim, two * self.t)?
            .with_biases(Some(&self.row_bias), Some(&self.column_bias))
    }

    /// Adds what the biases contribute: by the vectors, from the sums of the derivatives by the scores.
    pub fn add_biases(&self, vectors: &[T], sums: &[T], gradient: &mut [T]) {
        let two = T::ONE + T::ONE;
        for ((gradient, vector), &sum) in gradient.chunks_mut(self.dim).zip(vectors.chunks(self.dim)).zip(sums) {
            super::add_scaled(gradient, -(two * self.t * sum), vector);
        }
    }
}
