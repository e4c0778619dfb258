use crate::Real;
use crate::error::{KernelError, check_matrix, zeros};
use crate::simd::{LANES, Work, run};
use rayon::prelude::*;

/// Rows a thread takes at a time: less work than this is not worth a hand-over.
const ROWS: usize = 64;

/// Rows scaled to length 1, `x_i / |x_i|`; a row of zeros stays one.
///
/// # Errors
/// When `x` is not `[n, dim]` for some `n`, or memory does not suffice.
pub fn unit_rows<T: Real>(x: &[T], dim: usize) -> Result<Vec<T>, KernelError> {
    check_matrix("x", x, x.len() / dim.max(1), dim)?;
    let mut unit: Vec<T> = zeros("the rows", &[x.len()])?;
    let block = ROWS * dim.max(1);
    unit.par_chunks_mut(block).zip(x.par_chunks(block)).for_each(|(unit, x)| run(Forth { x, dim, unit }));
    Ok(unit)
}

/// The gradient of `sum_ij g_ij y_ij` by `x`, where `y` are the [unit rows](unit_rows) of `x`: `(g_i - (g_i . y_i) y_i) / |x_i|`.
/// At a row of zeros, where there is none, it is `g_i`.
///
/// # Errors
/// When `x` and `upstream` are not both `[n, dim]`, or memory does not suffice.
pub fn unit_rows_gradient<T: Real>(x: &[T], dim: usize, upstream: &[T]) -> Result<Vec<T>, KernelError> {
    let n = x.len() / dim.max(1);
    check_matrix("x", x, n, dim)?;
    check_matrix("upstream", upstream, n, dim)?;
    let mut gradient: Vec<T> = zeros("the gradient", &[x.len()])?;
    let block = ROWS * dim.max(1);
    let parts = gradient.par_chunks_mut(block).zip(x.par_chunks(block)).zip(upstream.par_chunks(block));
    parts.for_each(|((gradient, x), upstream)| run(Back { x, dim, upstream, gradient }));
    Ok(gradient)
}

/// The sum of products, in [`LANES`] parts.
#[inline(always)]
fn dot<T: Real, const FMA: bool>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::ZERO; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((&a, &b), sum) in a.iter().zip(b).zip(&mut sums) {
            *sum = a.mul_add::<FMA>(b, *sum);
        }
    }
    sums.into_iter().sum()
}

/// What a row is divided by, in two steps: its largest entry (squares of entries neither overflow nor vanish), and the
/// length of what that leaves. `None` for a row of zeros.
#[inline(always)]
fn lengths<T: Real, const FMA: bool>(x: &[T], scaled: &mut [T]) -> Option<(T, T)> {
    let mut lanes = [T::ZERO; LANES];
    for block in x.chunks(LANES) {
        for (x, lane) in block.iter().zip(&mut lanes) {
            *lane = lane.larger(x.abs());
        }
    }
    let largest = lanes.into_iter().fold(T::ZERO, Real::larger);
    if largest == T::ZERO {
        return None;
    }
    for (scaled, &x) in scaled.iter_mut().zip(x) {
        *scaled = x / largest;
    }
    Some((largest, dot::<T, FMA>(scaled, scaled).sqrt()))
}

/// Scales rows to length 1.
pub(crate) struct Forth<'a, T> {
    pub x: &'a [T],
    pub dim: usize,
    pub unit: &'a mut [T],
}

impl<T: Real> Work for Forth<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (unit, x) in self.unit.chunks_mut(self.dim).zip(self.x.chunks(self.dim)) {
            if let Some((_, length)) = lengths::<T, FMA>(x, unit) {
                for unit in unit {
                    *unit = *unit / length;
                }
            }
        }
    }
}

/// The gradient by rows, from that by the unit rows.
pub(crate) struct Back<'a, T> {
    pub x: &'a [T],
    pub dim: usize,
    pub upstream: &'a [T],
    pub gradient: &'a mut [T],
}

impl<T: Real> Work for Back<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let rows = self.x.chunks(self.dim).zip(self.upstream.chunks(self.dim)).zip(self.gradient.chunks_mut(self.dim));
        for ((x, upstream), gradient) in rows {
            let Some((largest, length)) = lengths::<T, FMA>(x, gradient) else {
                gradient.copy_from_slice(upstream);
                continue;
            };
            // y = gradient / length; |x| = largest length.
            let along = dot::<T, FMA>(upstream, gradient) / (length * length);
            for (gradient, &upstream) in gradient.iter_mut().zip(upstream) {
                *gradient = (upstream - along * *gradient) / length / largest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_hand_also_tiny_huge_and_empty() {
        let x = [3.0_f32, -4.0, 0.0, 0.0, 3e-30, 4e-30, -3e30, 4e30];
        let unit = unit_rows(&x, 2).unwrap();
        for (found, expected) in unit.iter().zip([0.6, -0.8, 0.0, 0.0, 0.6, 0.8, -0.6, 0.8]) {
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        }
        let gradient = unit_rows_gradient(&x[..4], 2, &[1.0, 0.0, 5.0, 7.0]).unwrap();
        // (g - (g . y) y) / 5 with g . y = 0.6; at zeros the upstream itself.
        for (found, expected) in gradient.iter().zip([0.128, 0.096, 5.0, 7.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        }
        assert!(unit_rows(&x[..3], 2).is_err());
        assert!(unit_rows_gradient(&x, 2, &x[..4]).is_err());
        assert_eq!(unit_rows::<f64>(&[], 3).unwrap(), Vec::<f64>::new());
    }
}
