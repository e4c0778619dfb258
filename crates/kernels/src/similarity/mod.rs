//! Rows against columns, strip by strip: the one engine under every objective whose scores are inner products.
//!
//! ```text
//! s_ij = scale x_i . y_j + a_i + b_j          x [n, dim],  y [m, dim],  biases a [n], b [m] optional
//! ```
//!
//! A strip of rows is scored against all columns, column block by column block; a [`RowFunction`] turns the scores into a
//! number a row and, in place, into the derivative `g_ij` by each score; two products with the blocks still in cache give
//! `sum_j g_ij y_j` and `sum_i g_ij x_i`. Memory is that of one strip. Column blocks, not rows, are shared among threads:
//! each block has its own part of the column gradient, so nothing is summed in an order that depends on scheduling.

mod distance;
mod engine;
mod known;
mod row;

pub(crate) use distance::Distances;
pub(crate) use engine::{Gradients, Pass, Wanted};
pub(crate) use known::{Joint, finite};
pub(crate) use row::{RowFunction, Softmax, Sums, Terms, exponentials, largest, merge};

use crate::Real;
use crate::error::{KernelError, check_matrix, check_vector, elements};

/// Rows and columns and how they are scored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scores<'a, T> {
    rows: &'a [T],
    columns: &'a [T],
    n: usize,
    m: usize,
    dim: usize,
    scale: T,
    row_bias: Option<&'a [T]>,
    column_bias: Option<&'a [T]>,
}

impl<'a, T: Real> Scores<'a, T> {
    /// `scale x_i . y_j` for `rows` `[n, dim]` and `columns` `[m, dim]`.
    pub fn new(rows: &'a [T], columns: &'a [T], dim: usize, scale: T) -> Result<Self, KernelError> {
        if dim == 0 {
            return Err(KernelError::value("dim", 0, "at least 1"));
        }
        let (n, m) = (rows.len() / dim, columns.len() / dim);
        check_matrix("rows", rows, n, dim)?;
        check_matrix("columns", columns, m, dim)?;
        for (name, count) in [("rows", n), ("columns", m)] {
            if count == 0 {
                return Err(KernelError::value(name, "empty", "at least one vector"));
            }
        }
        elements("a strip of scores", &[engine::STRIP, m])?;
        Ok(Self { rows, columns, n, m, dim, scale, row_bias: None, column_bias: None })
    }

    /// With `a_i + b_j` added.
    pub fn with_biases(self, rows: Option<&'a [T]>, columns: Option<&'a [T]>) -> Result<Self, KernelError> {
        if let Some(bias) = rows {
            check_vector("row bias", bias, self.n, "row")?;
        }
        if let Some(bias) = columns {
            check_vector("column bias", bias, self.m, "column")?;
        }
        Ok(Self { row_bias: rows, column_bias: columns, ..self })
    }

    pub fn n(&self) -> usize {
        self.n
    }

    pub fn m(&self) -> usize {
        self.m
    }

    pub fn row(&self, i: usize) -> &'a [T] {
        &self.rows[i * self.dim..][..self.dim]
    }

    pub fn column(&self, j: usize) -> &'a [T] {
        &self.columns[j * self.dim..][..self.dim]
    }

    /// One score.
    pub fn score(&self, i: usize, j: usize) -> T {
        let bias = |bias: Option<&[T]>, at: usize| bias.map_or(T::ZERO, |bias| bias[at]);
        self.scale * dot(self.row(i), self.column(j)) + bias(self.row_bias, i) + bias(self.column_bias, j)
    }

    /// Adds `by times the derivative of s_ij` to the gradients: for the few scores that an objective treats apart.
    pub fn add_gradient(&self, i: usize, j: usize, by: T, gradients: &mut Gradients<T>) {
        let (by, dim) = (self.scale * by, self.dim);
        add_scaled(&mut gradients.rows[i * dim..][..dim], by, self.column(j));
        add_scaled(&mut gradients.columns[j * dim..][..dim], by, self.row(i));
    }
}

/// The inner product, accumulated in f64: used once a row, where a digit is worth more than the time.
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    T::of(a.iter().zip(b).map(|(a, b)| a.f64() * b.f64()).sum())
}

/// `out += by * x`.
pub(crate) fn add_scaled<T: Real>(out: &mut [T], by: T, x: &[T]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out += by * x;
    }
}
