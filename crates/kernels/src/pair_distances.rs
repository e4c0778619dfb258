use crate::Real;
use crate::error::{KernelError, check_matrix, zeros};
use crate::simd::{Work, run};
use rayon::prelude::*;

/// The contrastive loss of pairs over the inner products of a batch, in two passes over them.
///
/// ```text
/// D_ij = sqrt(s_ii + s_jj - 2 s_ij)                                            s_ij = x_i . x_j
/// loss = mean of max(D_ij - m_p, 0) over the pairs of one label where it is above 0
///      + mean of max(m_n - D_ij, 0) over the pairs of two labels where it is above 0,          i != j
/// ```
///
/// with `margins` `(m_p, m_n)`. A mean over nothing is 0. A squared distance up to `tolerance (s_ii + s_jj)` counts as 0, in
/// value and gradient. Gives the loss and, where `gradient`, its gradient by the products, `[n, n]` (else empty).
///
/// Source: Hadsell et al. 2006, "Dimensionality Reduction by Learning an Invariant Mapping", with distances instead of their
/// squares.
///
/// # Errors
/// When `products` is not `[labels, labels]`, a margin is not finite and at least 0, or memory does not suffice.
pub fn pair_contrastive<T: Real>(
    products: &[T],
    labels: &[i64],
    margins: (T, T),
    tolerance: T,
    gradient: bool,
) -> Result<(T, Vec<T>), KernelError> {
    let n = labels.len();
    check_matrix("products", products, n, n)?;
    for margin in [margins.0, margins.1] {
        if !margin.is_finite() || margin < T::ZERO {
            return Err(KernelError::value("margins", margin, "finite and at least 0"));
        }
    }
    let mut sizes = zeros("the lengths", &[n])?;
    sizes.iter_mut().enumerate().for_each(|(i, size)| *size = products[i * n + i]);
    let pairs = Pairs { products, labels, sizes: &sizes, margins, tolerance };
    let rows: Vec<[f64; 4]> = (0..n).into_par_iter().map(|row| run(Sums { pairs, row })).collect();
    // In the order of the rows: the same for any number of threads.
    let total = rows.iter().fold([0.0; 4], |total, row| std::array::from_fn(|at| total[at] + row[at]));
    let [pull, pulled, push, pushed] = total;
    let (near, far) = (1.0 / pulled.max(1.0), 1.0 / pushed.max(1.0));
    let loss = T::of(pull * near + push * far);
    if !gradient {
        return Ok((loss, Vec::new()));
    }
    let mut by_products = zeros("the gradient", &[n, n])?;
    let weights = (T::of(near), T::of(far));
    by_products.par_chunks_mut(n.max(1)).enumerate().for_each(|(row, gradient)| {
        run(Slopes { pairs, row, weights, gradient });
    });
    Ok((loss, by_products))
}

#[derive(Clone, Copy)]
struct Pairs<'a, T> {
    products: &'a [T],
    labels: &'a [i64],
    /// Squared lengths of the vectors.
    sizes: &'a [T],
    margins: (T, T),
    tolerance: T,
}

impl<'a, T: Real> Pairs<'a, T> {
    /// Of every pair of a row: whether its labels are one, its distance (0 where it has no digits), and by how much it is
    /// beyond its margin. The row itself is among them, as a pair of one label at distance 0.
    #[inline(always)]
    fn of(self, row: usize) -> impl Iterator<Item = (bool, T, T)> + 'a {
        let n = self.labels.len();
        let (label, size) = (self.labels[row], self.sizes[row]);
        let products = &self.products[row * n..][..n];
        products.iter().zip(self.labels).zip(self.sizes).map(move |((&product, &other), &other_size)| {
            let sizes = size + other_size;
            let squared = sizes - (product + product);
            let distance = if squared <= self.tolerance * sizes { T::ZERO } else { squared.sqrt() };
            let same = other == label;
            (same, distance, if same { distance - self.margins.0 } else { self.margins.1 - distance })
        })
    }
}

/// Sum and number of a row's active pairs, first of one label, then of two.
struct Sums<'a, T> {
    pairs: Pairs<'a, T>,
    row: usize,
}

impl<T: Real> Work for Sums<'_, T> {
    type Output = [f64; 4];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> [f64; 4] {
        let mut sums = [0.0; 4];
        for (same, _, excess) in self.pairs.of(self.row) {
            let active = excess > T::ZERO;
            let (value, one) = if active { (excess.f64(), 1.0) } else { (0.0, 0.0) };
            let (pull, push) = if same { (1.0, 0.0) } else { (0.0, 1.0) };
            sums[0] += pull * value;
            sums[1] += pull * one;
            sums[2] += push * value;
            sums[3] += push * one;
        }
        // The row itself is at distance 0 and the margin at least 0: it is never active.
        sums
    }
}

/// The gradient by a row of products.
struct Slopes<'a, T> {
    pairs: Pairs<'a, T>,
    row: usize,
    weights: (T, T),
    gradient: &'a mut [T],
}

impl<T: Real> Work for Slopes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((same, distance, excess), gradient) in self.pairs.of(self.row).zip(self.gradient.iter_mut()) {
            // d D_ij / d s_ij = -1 / D_ij.
            let slope = if same { -self.weights.0 } else { self.weights.1 };
            let active = excess > T::ZERO && distance > T::ZERO;
            *gradient = if active { slope / distance } else { T::ZERO };
        }
        // Products and weights are symmetric: s_ii has half of the slope of each of its row, and as much of its column.
        let sum: f64 = self.gradient.iter().map(|slope| slope.f64()).sum();
        self.gradient[self.row] = T::of(-sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_each_kind_by_hand() {
        // Points 0, 3 and 5 on a line; the first two have one label.
        let points = [0.0_f64, 3.0, 5.0];
        let products: Vec<f64> = points.iter().flat_map(|x| points.map(|y| x * y)).collect();
        let (loss, gradient) = pair_contrastive(&products, &[1, 1, 2], (0.5, 4.0), 1e-15, true).unwrap();
        // 3 - 0.5 of the positives; of the negatives 5 is beyond the margin of 4, and 2 is active.
        assert!((loss - (2.5 + 2.0)).abs() < 1e-12);
        // By the points: (G + G^T) x.
        let by = |i: usize| (0..3).map(|j| (gradient[3 * i + j] + gradient[3 * j + i]) * points[j]).sum::<f64>();
        for (found, expected) in [by(0), by(1), by(2)].into_iter().zip([-1.0, 1.0 + 1.0, -1.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
        }
    }

    #[test]
    fn equal_vectors_have_no_slope_and_nothing_is_0() {
        let (loss, gradient) = pair_contrastive(&[1.0_f32; 4], &[0, 1], (0.0, 1.0), 1e-6, true).unwrap();
        assert_eq!((loss, gradient), (1.0, vec![0.0; 4]));
        assert_eq!(pair_contrastive(&[2.0_f32], &[0], (0.0, 1.0), 1e-6, true).unwrap(), (0.0, vec![0.0]));
        assert!(pair_contrastive(&[2.0_f32], &[0, 1], (0.0, 1.0), 1e-6, true).is_err());
    }
}
