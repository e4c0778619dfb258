use crate::error::check_matrix;
use crate::matmul::{View, matmul};
use crate::simd::{LANES, Work, run};
use crate::{KernelError, Real};
use rayon::prelude::*;
use std::cmp::Ordering;

/// Rows of the first matrix that are searched for together.
const QUERIES: usize = 128;
/// Rows of the second matrix whose products are held at a time, for each row of the first.
const TILE: usize = 1024;

/// The `k` rows of `b` with the largest inner products with each row of `a`, largest first; equal ones by the lower row of `b`.
///
/// `a` is `[rows, dim]` and `b` `[n, dim]`, both row-major. There are fewer than `k` where `n` is. A NaN counts as minus infinity.
///
/// The products are made in tiles and looked at while they are in the cache: `O(rows n dim)` time, `O(rows k)` memory beside a
/// tile a thread. `b` is read in its order, so it may be a mapped file.
///
/// # Errors
/// When a matrix is not a whole number of rows.
pub fn top_products<T: Real>(a: &[T], b: &[T], dim: usize, k: usize) -> Result<Vec<Vec<(usize, T)>>, KernelError> {
    if dim == 0 {
        return Err(KernelError::value("dim", dim, "at least 1"));
    }
    let (queries, n) = (a.len() / dim, b.len() / dim);
    check_matrix("a", a, queries, dim)?;
    check_matrix("b", b, n, dim)?;
    if k == 0 || n == 0 || queries == 0 {
        return Ok(vec![Vec::new(); queries]);
    }
    let block = |a: &[T]| {
        let queries = a.len() / dim;
        let mut best: Vec<Best<T>> = (0..queries).map(|_| Best::new(k)).collect();
        let mut products = vec![T::ZERO; queries * TILE.min(n)];
        for (tile, b) in b.chunks(TILE * dim).enumerate() {
            let width = b.len() / dim;
            let products = &mut products[..queries * width];
            matmul(products, View::new(a, queries, dim), View::new(b, width, dim).t(), T::ONE, false);
            for (best, products) in best.iter_mut().zip(products.chunks(width)) {
                run(Look { best, products, first: tile * TILE });
            }
        }
        best.into_iter().map(Best::finish).collect::<Vec<_>>()
    };
    Ok(a.par_chunks(QUERIES * dim).flat_map_iter(block).collect())
}

/// The best products of one query so far.
pub(crate) struct Best<T> {
    k: usize,
    found: Vec<(usize, T)>,
    /// What a product must exceed to be among the best, once there are `k`.
    threshold: Option<T>,
}

/// Larger products first, then lower rows.
fn order<T: Real>(a: &(usize, T), b: &(usize, T)) -> Ordering {
    b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
}

impl<T: Real> Best<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, found: Vec::new(), threshold: None }
    }

    fn add(&mut self, row: usize, product: T) {
        let product = if product.partial_cmp(&product).is_none() { T::NEG_INFINITY } else { product };
        self.found.push((row, product));
        // Sorted out now and then, not at every find.
        if self.found.len() >= self.k.saturating_mul(2).max(self.k.saturating_add(LANES)) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.found.len() > self.k {
            self.found.select_nth_unstable_by(self.k - 1, order);
            self.found.truncate(self.k);
            self.threshold = Some(self.found[self.k - 1].1);
        }
    }

    pub(crate) fn finish(mut self) -> Vec<(usize, T)> {
        self.cut();
        self.found.sort_unstable_by(order);
        self.found
    }
}

/// Looks through the products of one query with a tile. Rows come in ascending order, so one that equals the threshold is never
/// better than those found.
pub(crate) struct Look<'a, T> {
    pub best: &'a mut Best<T>,
    pub products: &'a [T],
    pub first: usize,
}

impl<T: Real> Work for Look<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { best, products, first } = self;
        for (block, products) in products.chunks(LANES).enumerate() {
            let above = match (best.threshold, <&[T; LANES]>::try_from(products)) {
                // All are compared, without branches.
                (Some(threshold), Ok(products)) => {
                    products.iter().map(|product| u32::from(*product > threshold)).sum::<u32>() > 0
                }
                _ => true,
            };
            if above {
                for (at, &product) in products.iter().enumerate() {
                    if best.threshold.is_none_or(|threshold| product > threshold) {
                        best.add(first + block * LANES + at, product);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All products, sorted.
    fn plain(a: &[f64], b: &[f64], dim: usize, k: usize) -> Vec<Vec<usize>> {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let of_query = |query: &[f64]| {
            let products: Vec<f64> = b.chunks(dim).map(|row| dot(query, row)).collect();
            let mut rows: Vec<usize> = (0..products.len()).collect();
            rows.sort_by(|x, y| products[*y].partial_cmp(&products[*x]).unwrap());
            rows.truncate(k);
            rows
        };
        a.chunks(dim).map(of_query).collect()
    }

    proptest! {
        /// Small whole numbers: products are exact, and many are equal.
        #[test]
        fn it_is_sorting_all_products(seed in 0u64..1000, queries in 1usize..5, n in 1usize..3000, k in 1usize..40) {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 33) % 7) as f64 - 3.0
            };
            let dim = 3;
            let a: Vec<f64> = (0..queries * dim).map(|_| next()).collect();
            let b: Vec<f64> = (0..n * dim).map(|_| next()).collect();
            let found = top_products(&a, &b, dim, k).unwrap();
            let rows: Vec<Vec<usize>> = found.iter().map(|row| row.iter().map(|hit| hit.0).collect()).collect();
            prop_assert_eq!(rows, plain(&a, &b, dim, k));
        }
    }

    #[test]
    fn ties_nan_and_small_sets_are_defined() {
        let rows = |a: &[f32], b: &[f32], k: usize| -> Vec<usize> {
            top_products(a, b, 1, k).unwrap()[0].iter().map(|hit| hit.0).collect()
        };
        assert_eq!(rows(&[1.0], &vec![0.0; 5000], 3), [0, 1, 2]);
        assert_eq!(rows(&[1.0], &[f32::NAN, -1.0, f32::NAN, 2.0], 3), [3, 1, 0]);
        assert_eq!(rows(&[1.0], &[1.0, 2.0], 9), [1, 0]);
        assert_eq!(rows(&[1.0], &[1.0, 2.0], 0), [0usize; 0]);
        assert_eq!(top_products::<f32>(&[], &[1.0], 1, 1).unwrap().len(), 0);
        assert!(top_products(&[1.0f32], &[1.0], 0, 1).is_err());
        assert!(top_products(&[1.0f32, 2.0, 3.0], &[1.0, 2.0], 2, 1).is_err());
    }

    #[test]
    fn many_queries_over_several_tiles() {
        let n = 2 * TILE + 17;
        let a: Vec<f32> = (0..300).map(|at| (at % 13) as f32 - 6.0).collect();
        let b: Vec<f32> = (0..n).map(|at| ((at * 37) % 101) as f32).collect();
        let found = top_products(&a, &b, 1, 5).unwrap();
        let wide: Vec<f64> = b.iter().map(|x| f64::from(*x)).collect();
        let expected = plain(&a.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), &wide, 1, 5);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.iter().map(|hit| hit.0).collect::<Vec<_>>(), *expected);
        }
    }
}
