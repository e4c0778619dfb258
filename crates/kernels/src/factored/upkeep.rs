use super::{FactoredOutputLayer, ROWS, identity, unfactorise};
use crate::matmul::{View, matmul};
use crate::{KernelError, Real};
use nalgebra::DMatrix;
use rayon::prelude::*;

/// When a [`FactoredOutputLayer`] looks after its factors, and how far `U` may go from a rotation before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Upkeep {
    /// Steps between two calls of [`stabilise`](FactoredOutputLayer::stabilise); 0 for never.
    pub stabilise_every: u64,
    /// Steps between two exact computations of `W^T W` and the sum of rows, `O(classes dim^2)` each; 0 for never.
    pub recompute_every: u64,
    /// Smallest singular value of `U` that is left alone, below 1.
    pub lowest: f64,
    /// Largest singular value of `U` that is left alone, above 1.
    pub highest: f64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { stabilise_every: 100, recompute_every: 4000, lowest: 0.5, highest: 2.0 }
    }
}

/// What [`stabilise`](FactoredOutputLayer::stabilise) had to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stabilised {
    /// All singular values of `U` were in range; its inverse was polished.
    Polished,
    /// This many singular values were set to 1 and the change moved into `V`.
    Rescaled(usize),
    /// More than a third were out of range: `V` became `W` and `U` the identity.
    Unfactorised,
}

/// How far the parts of the layer are from what they stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Consistency {
    /// The largest entry of `|U U^-1 - I|`.
    pub inverse: f64,
    /// The largest entry of `|Q - W^T W|`, absolute.
    pub gram: f64,
    /// The largest entry of `|row sum - W^T 1|`, absolute.
    pub row_sum: f64,
}

/// Groups of classes whose sums are added up in order: the same for any number of threads.
const GROUPS: usize = 16;

impl<T: Real> FactoredOutputLayer<T> {
    /// Keeps `U` well-conditioned without changing `W`.
    ///
    /// Singular values of `U` outside [`Upkeep::lowest`] to [`Upkeep::highest`] are set to 1 and `V` takes up the change,
    /// in `O(classes dim)` each; when they are more than a third, `V` becomes `W` in `O(classes dim^2)`. The inverse of `U`
    /// is computed anew from `U` in any case.
    ///
    /// # Errors
    /// When `U` has no inverse or is not finite.
    pub fn stabilise(&mut self) -> Result<Stabilised, KernelError> {
        let Upkeep { lowest, highest, .. } = self.upkeep;
        let dim = self.dim;
        // All singular values s have |s^2 - 1| <= |U^T U - I|_F: most of the time that is proof enough, without an SVD.
        let mut gram = vec![0.0; dim * dim];
        matmul(&mut gram, View::new(self.u(), dim, dim).t(), View::new(self.u(), dim, dim), 1.0, false);
        gram.iter_mut().step_by(dim + 1).for_each(|x| *x -= 1.0);
        let distance = gram.iter().map(|x| x * x).sum::<f64>().sqrt();
        let done = if distance <= (1.0 - lowest * lowest).min(highest * highest - 1.0) {
            Stabilised::Polished
        } else {
            self.rescale(lowest, highest)?
        };
        self.invert_u()?;
        Ok(done)
    }

    fn rescale(&mut self, lowest: f64, highest: f64) -> Result<Stabilised, KernelError> {
        let dim = self.dim;
        let singular = || KernelError::value("u", "not finite", "finite: the layer has diverged, use a smaller eta");
        if self.u().iter().any(|x| !x.is_finite()) {
            return Err(singular());
        }
        let svd = DMatrix::from_row_slice(dim, dim, self.u())
            .try_svd(true, true, f64::EPSILON, 100 * dim)
            .ok_or_else(singular)?;
        let (left, right) = (svd.u.expect("asked for"), svd.v_t.expect("asked for"));
        let bad: Vec<usize> = (0..dim).filter(|&i| !(lowest..=highest).contains(&svd.singular_values[i])).collect();
        if bad.is_empty() {
            return Ok(Stabilised::Polished);
        }
        if 3 * bad.len() > dim {
            let size = dim * dim;
            unfactorise(&mut self.v, &self.square[size..2 * size], &self.omega);
            self.square[size..2 * size].copy_from_slice(&identity(dim));
            self.omega.fill(0.0);
            return Ok(Stabilised::Unfactorised);
        }
        // V <- V (I + sum (s - 1) u u^T),  U <- U + sum (1 - s) u r^T
        let mut change = DMatrix::identity(dim, dim);
        for &i in &bad {
            let s = svd.singular_values[i];
            let u = left.column(i);
            change.ger(s - 1.0, &u, &u, 1.0);
            let r = right.row(i);
            for (row, u) in self.square[dim * dim..2 * dim * dim].chunks_exact_mut(dim).zip(u.iter()) {
                row.iter_mut().zip(r.iter()).for_each(|(x, r)| *x += (1.0 - s) * u * r);
            }
        }
        // The change is symmetric: column-major is row-major.
        unfactorise(&mut self.v, change.as_slice(), &vec![0.0; dim]);
        Ok(Stabilised::Rescaled(bad.len()))
    }

    /// Computes `U^-T` from `U`: by one Newton step from the inverse at hand where that is nearly right, else directly.
    pub(super) fn invert_u(&mut self) -> Result<(), KernelError> {
        let dim = self.dim;
        // R = I - U U^-1; then U^-1 (I + R) has the error R^2.
        let mut residual = identity(dim);
        matmul(&mut residual, View::new(self.u(), dim, dim), View::new(self.u_inverse_t(), dim, dim).t(), -1.0, true);
        let error = residual.iter().map(|x| x * x).sum::<f64>().sqrt();
        if error < 1e-4 {
            residual.iter_mut().step_by(dim + 1).for_each(|x| *x += 1.0);
            let old = self.u_inverse_t().to_vec();
            let new = &mut self.square[2 * dim * dim..];
            matmul(new, View::new(&residual, dim, dim).t(), View::new(&old, dim, dim), 1.0, false);
            return Ok(());
        }
        let inverse = DMatrix::from_row_slice(dim, dim, self.u())
            .try_inverse()
            .filter(|inverse| inverse.iter().all(|x| x.is_finite()))
            .ok_or_else(|| KernelError::value("u", "singular", "invertible; use a smaller eta"))?;
        // The inverse column by column is its transpose row by row.
        self.square[2 * dim * dim..].copy_from_slice(inverse.as_slice());
        Ok(())
    }

    /// Computes `W^T W` and the sum of the rows of `W` from the factors, `O(classes dim^2)`.
    pub fn recompute(&mut self) {
        let (gram, row_sum) = self.moments();
        self.square[..self.dim * self.dim].copy_from_slice(&gram);
        self.row_sum = row_sum;
    }

    /// How well the parts of the layer agree; `O(classes dim^2)`.
    pub fn consistency(&self) -> Consistency {
        let dim = self.dim;
        let mut product = identity(dim);
        matmul(&mut product, View::new(self.u(), dim, dim), View::new(self.u_inverse_t(), dim, dim).t(), -1.0, true);
        let largest = |numbers: &mut dyn Iterator<Item = f64>| numbers.fold(0.0, |m: f64, x| m.max(x.abs()));
        let (gram, row_sum) = self.moments();
        Consistency {
            inverse: largest(&mut product.into_iter()),
            gram: largest(&mut gram.iter().zip(self.gram()).map(|(a, b)| a - b)),
            row_sum: largest(&mut row_sum.iter().zip(&self.row_sum).map(|(a, b)| a - b)),
        }
    }

    /// `W^T W` and `W^T 1`, from `V^T V` and `V^T 1`.
    fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        let Self { classes, dim, .. } = *self;
        let group = |part: &[T]| {
            let (mut gram, mut sum, mut block) = (vec![0.0; dim * dim], vec![0.0; dim], vec![0.0; ROWS * dim]);
            for rows in part.chunks(ROWS * dim) {
                let block = &mut block[..rows.len()];
                block.iter_mut().zip(rows).for_each(|(x, v)| *x = v.f64());
                let view = View::new(block, rows.len() / dim, dim);
                matmul(&mut gram, view.t(), view, 1.0, true);
                for row in block.chunks_exact(dim) {
                    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            }
            (gram, sum)
        };
        let parts: Vec<_> = self.v.par_chunks(classes.div_ceil(GROUPS) * dim).map(group).collect();
        let (mut gram, mut sum) = (vec![0.0; dim * dim], vec![0.0; dim]);
        for (part, of_part) in parts {
            gram.iter_mut().zip(part).for_each(|(x, part)| *x += part);
            sum.iter_mut().zip(of_part).for_each(|(x, part)| *x += part);
        }
        // W^T W = U^T V^T V U + t omega^T + omega t^T + D omega omega^T with t = U^T V^T 1
        let u = View::new(self.u(), dim, dim);
        let (mut half, mut full) = (vec![0.0; dim * dim], vec![0.0; dim * dim]);
        matmul(&mut half, View::new(&gram, dim, dim), u, 1.0, false);
        matmul(&mut full, u.t(), View::new(&half, dim, dim), 1.0, false);
        let mut t = vec![0.0; dim];
        matmul(&mut t, u.t(), View::new(&sum, dim, 1), 1.0, false);
        let n = classes as f64;
        let omega = &self.omega;
        for i in 0..dim {
            for j in 0..=i {
                let shift = t[i] * omega[j] + omega[i] * t[j] + n * omega[i] * omega[j];
                // Rounding is not symmetric; Q is.
                let entry = 0.5 * (full[i * dim + j] + full[j * dim + i]) + shift;
                (full[i * dim + j], full[j * dim + i]) = (entry, entry);
            }
        }
        let row_sum = t.iter().zip(omega).map(|(t, omega)| t + n * omega).collect();
        (full, row_sum)
    }
}
