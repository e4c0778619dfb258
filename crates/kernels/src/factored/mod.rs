mod step;
mod upkeep;

use crate::error::{check_matrix, elements, zeros};
use crate::matmul::{View, matmul};
use crate::{KernelError, Real};
use rayon::prelude::*;
pub use step::FactoredStep;
use step::Scratch;
pub use upkeep::{Consistency, Stabilised, Upkeep};

/// Rows of a block: the unit of work of a thread, and of the sums whose order does not depend on threads.
const ROWS: usize = 64;

/// A linear output layer over very many classes whose exact gradient step does not depend on their number.
///
/// ```text
/// outputs  o = W h,      W = V U + 1 omega^T      V [classes, dim], U [dim, dim], omega [dim], h [dim]
/// step     W <- W - eta (sum_j dloss_j/dW + weight_decay W)
/// ```
///
/// For a [`SphericalLoss`](crate::SphericalLoss) all of a step but the targets' own rows is of rank one an example and the
/// same for every class. It goes into `U` and `omega`; the targets' rows of `V` take up the rest. `Q = W^T W` and the
/// sum of the rows of `W` are carried along, so that the losses and the gradient in `h` need no outputs either.
///
/// A step of `m` examples costs `O(m dim^2 + m^2 dim + m^3)` time and touches at most `m` rows of `V`; every
/// [`Upkeep::stabilise_every`] steps `U` is looked after, see [`stabilise`](Self::stabilise). Memory is `V`, in the
/// precision `T` of the layer, and three `dim x dim` matrices, always in f64: they carry the rounding errors of all steps.
///
/// Source: Vincent, de Brebisson, Bouthillier 2015, <https://arxiv.org/abs/1412.7091>, with the inverse of the update
/// in a symmetric form of our own and without the outputs' matrix anywhere.
#[derive(Debug, Clone)]
pub struct FactoredOutputLayer<T: Real> {
    classes: usize,
    dim: usize,
    /// `[classes, dim]`.
    v: Vec<T>,
    /// `Q`, `U` and `U^-T` below each other, `[3 dim, dim]`: one product with the hidden layer serves all three.
    square: Vec<f64>,
    omega: Vec<f64>,
    /// Sum of the rows of `W`.
    row_sum: Vec<f64>,
    steps: u64,
    /// Weight decay, at least 0.
    pub weight_decay: f64,
    /// When the factors are looked after.
    pub upkeep: Upkeep,
    scratch: Scratch,
}

impl<T: Real> FactoredOutputLayer<T> {
    /// A layer with `U` the identity, `omega` 0 and the entries of `V` (and so of `W`) drawn one after the other from `init`:
    /// normal with deviation 0.001 in the authors' code, `1/sqrt(dim)` for few classes.
    ///
    /// # Errors
    /// With fewer than two classes, no dimension, entries that are not finite, or more than memory holds.
    pub fn new(classes: usize, dim: usize, mut init: impl FnMut() -> T) -> Result<Self, KernelError> {
        check_sizes(classes, dim)?;
        let count = elements("the weights of the output layer", &[classes, dim])?;
        let mut v: Vec<T> = Vec::new();
        v.try_reserve_exact(count).map_err(|_| KernelError::Memory {
            what: "the weights of the output layer",
            sizes: format!("{classes} x {dim}"),
        })?;
        v.extend((0..count).map(|_| init()));
        Self::assemble(classes, v, &identity(dim), vec![0.0; dim])
    }

    /// A layer from its factors: `v` `[classes, dim]`, `u` `[dim, dim]`, `omega` `[dim]`.
    ///
    /// # Errors
    /// As [`new`](Self::new); also when lengths do not fit each other or `u` has no inverse.
    pub fn from_factors(classes: usize, v: Vec<T>, u: &[f64], omega: Vec<f64>) -> Result<Self, KernelError> {
        let dim = omega.len();
        check_sizes(classes, dim)?;
        check_matrix("v", &v, classes, dim)?;
        check_matrix("u", u, dim, dim)?;
        Self::assemble(classes, v, u, omega)
    }

    fn assemble(classes: usize, v: Vec<T>, u: &[f64], omega: Vec<f64>) -> Result<Self, KernelError> {
        let dim = omega.len();
        if let Some(at) = v.iter().position(|x| !x.is_finite()) {
            return Err(KernelError::value("v", format!("{} at {at}", v[at]), "finite"));
        }
        let mut square = zeros("the factors of the output layer", &[3, dim, dim])?;
        square[dim * dim..2 * dim * dim].copy_from_slice(u);
        let mut layer = Self {
            classes,
            dim,
            v,
            square,
            omega,
            row_sum: vec![0.0; dim],
            steps: 0,
            weight_decay: 0.0,
            upkeep: Upkeep::default(),
            scratch: Scratch::default(),
        };
        layer.invert_u()?;
        layer.recompute();
        Ok(layer)
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Length of a hidden vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// `Q = W^T W`, `[dim, dim]`, as it is carried along.
    pub fn gram(&self) -> &[f64] {
        &self.square[..self.dim * self.dim]
    }

    /// The sum of the rows of `W`, `[dim]`, as it is carried along.
    pub fn row_sum(&self) -> &[f64] {
        &self.row_sum
    }

    pub(crate) fn u(&self) -> &[f64] {
        &self.square[self.dim * self.dim..2 * self.dim * self.dim]
    }

    /// `U^-T`.
    pub(crate) fn u_inverse_t(&self) -> &[f64] {
        &self.square[2 * self.dim * self.dim..]
    }

    /// The outputs of hidden vectors `[m, dim]`, `[m, classes]`: for evaluation, it costs `O(m classes dim)`.
    ///
    /// # Errors
    /// When `hidden` is not a whole number of rows, or the outputs do not fit memory.
    pub fn logits(&self, hidden: &[T]) -> Result<Vec<T>, KernelError> {
        let Self { classes, dim, .. } = *self;
        let m = rows_of(hidden, dim)?;
        let mut logits: Vec<T> = zeros("the outputs", &[m, classes])?;
        let h: Vec<f64> = hidden.iter().map(|x| x.f64()).collect();
        let mut uh = zeros("the hidden layer", &[m, dim])?;
        matmul(&mut uh, View::new(&h, m, dim), View::new(self.u(), dim, dim).t(), 1.0, false);
        let uh: Vec<T> = uh.into_iter().map(T::of).collect();
        logits.par_chunks_mut((ROWS * classes).max(1)).enumerate().for_each(|(block, out)| {
            let rows = out.len() / classes;
            let hidden = View::new(&uh, m, dim).row_range(block * ROWS..block * ROWS + rows);
            matmul(out, hidden, View::new(&self.v, classes, dim).t(), T::ONE, false);
            for (row, h) in out.chunks_exact_mut(classes).zip(h[block * ROWS * dim..].chunks_exact(dim)) {
                let shift = T::of(dot(h, &self.omega));
                for x in &mut *row {
                    *x += shift;
                }
            }
        });
        Ok(logits)
    }

    /// The weights `W`, `[classes, dim]`.
    ///
    /// # Errors
    /// When they do not fit memory a second time.
    pub fn dense_weight(&self) -> Result<Vec<T>, KernelError> {
        let mut weight = zeros("the dense weights", &[self.classes, self.dim])?;
        weight.copy_from_slice(&self.v);
        unfactorise(&mut weight, self.u(), &self.omega);
        Ok(weight)
    }
}

fn check_sizes(classes: usize, dim: usize) -> Result<(), KernelError> {
    if classes < 2 {
        return Err(KernelError::value("classes", classes, "at least 2"));
    }
    if dim == 0 {
        return Err(KernelError::value("dim", dim, "at least 1"));
    }
    Ok(())
}

/// How many rows of `dim` numbers a slice is.
fn rows_of<T>(hidden: &[T], dim: usize) -> Result<usize, KernelError> {
    let m = hidden.len() / dim;
    check_matrix("hidden", hidden, m, dim)?;
    Ok(m)
}

fn identity(dim: usize) -> Vec<f64> {
    let mut u = vec![0.0; dim * dim];
    u.iter_mut().step_by(dim + 1).for_each(|x| *x = 1.0);
    u
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Replaces every row `v` by `v U + omega`.
fn unfactorise<T: Real>(v: &mut [T], u: &[f64], omega: &[f64]) {
    let dim = omega.len();
    v.par_chunks_mut(ROWS * dim).for_each_init(
        || (vec![0.0; ROWS * dim], vec![0.0; ROWS * dim]),
        |(old, new), block| {
            let rows = block.len() / dim;
            let (old, new) = (&mut old[..block.len()], &mut new[..block.len()]);
            old.iter_mut().zip(&*block).for_each(|(x, v)| *x = v.f64());
            matmul(new, View::new(old, rows, dim), View::new(u, dim, dim), 1.0, false);
            for (row, out) in new.chunks_exact(dim).zip(block.chunks_exact_mut(dim)) {
                for ((out, x), shift) in out.iter_mut().zip(row).zip(omega) {
                    *out = T::of(x + shift);
                }
            }
        },
    );
}
