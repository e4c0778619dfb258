use crate::data::Matrix;
use rayon::prelude::*;

/// How near two vectors are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// By `x . y / (|x| |y|)`, the larger the nearer; 0 where a vector is all zeros.
    Cosine,
    /// By `|x - y|`.
    Euclidean,
}

/// The `k` nearest other rows of each row, nearest first: a row is never its own neighbour, whatever equals it.
///
/// Exact: distances are computed in f64 from all pairs, in `O(rows^2 cols)` time and `O(rows k)` memory. Of rows equally near,
/// the one with the smaller index comes first. With fewer than `k` other rows, all of them are given.
pub fn nearest(x: &Matrix, k: usize, distance: Distance) -> Vec<Vec<usize>> {
    visit_nearest(x, None, distance, |_| k, |_, found| found.to_vec())
}

/// The `k` nearest rows of `reference` to each row of `queries`, as [`nearest`] but with no row left out.
///
/// # Panics
/// When the two have different numbers of columns.
pub fn nearest_in(queries: &Matrix, reference: &Matrix, k: usize, distance: Distance) -> Vec<Vec<usize>> {
    visit_nearest(queries, Some(reference), distance, |_| k, |_, found| found.to_vec())
}

/// Queries whose distances are computed together, while a reference row is in the cache.
const BLOCK: usize = 16;

/// What `visit` makes of each query's `k(query)` nearest rows, in the order of the queries. Without a reference they are
/// sought among the queries themselves, the own row left out by its index.
pub(super) fn visit_nearest<R: Send>(
    queries: &Matrix,
    reference: Option<&Matrix>,
    distance: Distance,
    k: impl Fn(usize) -> usize + Sync,
    visit: impl Fn(usize, &[usize]) -> R + Sync,
) -> Vec<R> {
    let of = reference.unwrap_or(queries);
    assert_eq!(queries.cols, of.cols, "queries and reference need the same number of columns");
    let rows = Rows::new(of, distance);
    let asked = reference.map(|_| Rows::new(queries, distance));
    let asked = asked.as_ref().unwrap_or(&rows);
    let starts: Vec<usize> = (0..queries.rows).step_by(BLOCK).collect();
    let block = |&start: &usize| -> Vec<R> {
        let members = start..queries.rows.min(start + BLOCK);
        let mut nearness = vec![0.0; members.len() * of.rows];
        for row in 0..of.rows {
            for (place, query) in members.clone().enumerate() {
                nearness[place * of.rows + row] = rows.nearness(asked.row(query), row);
            }
        }
        let one = |(place, query): (usize, usize)| {
            let nearness = &nearness[place * of.rows..(place + 1) * of.rows];
            let own = reference.is_none().then_some(query);
            visit(query, &first(nearness, own, k(query)))
        };
        members.enumerate().map(one).collect()
    };
    starts.par_iter().map(block).flatten_iter().collect()
}

/// The `k` places of largest value without `own`, largest first, then by index.
fn first(nearness: &[f64], own: Option<usize>, k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..nearness.len()).filter(|row| Some(*row) != own).collect();
    // A total order: the unstable algorithms have no choice.
    let by_nearness = |a: &usize, b: &usize| nearness[*b].total_cmp(&nearness[*a]).then(a.cmp(b));
    if k < order.len() {
        order.select_nth_unstable_by(k, by_nearness);
        order.truncate(k);
    }
    order.sort_unstable_by(by_nearness);
    order
}

/// Rows in f64, for the cosine of length 1.
struct Rows {
    cols: usize,
    data: Vec<f64>,
    distance: Distance,
}

impl Rows {
    fn new(x: &Matrix, distance: Distance) -> Self {
        let mut data: Vec<f64> = x.data.iter().map(|value| f64::from(*value)).collect();
        if distance == Distance::Cosine && x.cols > 0 {
            for row in data.chunks_mut(x.cols) {
                let norm = sum(row, row, |a, b| a * b).sqrt();
                if norm > 0.0 {
                    for value in row {
                        *value /= norm;
                    }
                }
            }
        }
        Self { cols: x.cols, data, distance }
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    /// How near a vector is to a row; only the order means something. Adding 0 makes -0 a 0, which a total order tells apart.
    fn nearness(&self, x: &[f64], row: usize) -> f64 {
        match self.distance {
            Distance::Cosine => sum(x, self.row(row), |a, b| a * b) + 0.0,
            Distance::Euclidean => 0.0 - sum(x, self.row(row), |a, b| (a - b) * (a - b)),
        }
    }
}

/// `sum_i term(a_i, b_i)` in eight partial sums, which the compiler turns into vector code. The order of addition is the same
/// for every pair, so equal rows are equally near.
#[inline(always)]
fn sum(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += term(*a, *b);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| term(*a, *b)).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cols: usize, data: &[f32]) -> Matrix {
        Matrix { rows: data.len() / cols, cols, data: data.to_vec() }
    }

    #[test]
    fn the_own_row_is_left_out_even_where_others_equal_it() {
        let x = matrix(2, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        for distance in [Distance::Cosine, Distance::Euclidean] {
            let found = nearest(&x, 2, distance);
            assert_eq!(found, [vec![1, 3], vec![0, 3], vec![0, 1], vec![0, 1]], "{distance:?}");
        }
    }

    #[test]
    fn distances_differ_where_lengths_do() {
        let reference = matrix(2, &[10.0, 1.0, 0.5, 0.8, -1.0, 0.0]);
        let query = matrix(2, &[1.0, 0.0]);
        assert_eq!(nearest_in(&query, &reference, 3, Distance::Cosine), [vec![0, 1, 2]]);
        assert_eq!(nearest_in(&query, &reference, 3, Distance::Euclidean), [vec![1, 2, 0]]);
    }

    #[test]
    fn small_sets_large_k_and_zeros_are_defined() {
        let x = matrix(3, &[0.0; 9]);
        assert_eq!(nearest(&x, 5, Distance::Cosine), [vec![1, 2], vec![0, 2], vec![0, 1]]);
        assert_eq!(nearest(&matrix(1, &[2.0]), 3, Distance::Euclidean), [vec![0usize; 0]]);
        assert!(nearest(&matrix(1, &[]), 3, Distance::Euclidean).is_empty());
        // The zero vector is as near to the query as anything orthogonal is, and nearer than its opposite.
        let reference = matrix(2, &[-1.0, 0.0, 0.0, 0.0, 0.0, -3.0, 1e-30, 0.0]);
        assert_eq!(nearest_in(&matrix(2, &[1.0, 0.0]), &reference, 4, Distance::Cosine), [vec![3, 1, 2, 0]]);
    }

    #[test]
    fn more_rows_than_a_block_agree_with_sorting_everything() {
        let data: Vec<f32> = (0..70 * 11).map(|i| ((i * 7919 + i * i) % 211) as f32 / 100.0 - 1.0).collect();
        let x = matrix(11, &data);
        for distance in [Distance::Cosine, Distance::Euclidean] {
            let found = nearest(&x, 7, distance);
            for (query, found) in found.iter().enumerate() {
                let far = |row: usize| -> f64 {
                    let pairs = || x.row(query).iter().zip(x.row(row)).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                    let of = |f: fn(f64, f64) -> f64| pairs().map(|(a, b)| f(a, b)).sum::<f64>();
                    match distance {
                        Distance::Cosine => -of(|a, b| a * b) / (of(|a, _| a * a) * of(|_, b| b * b)).sqrt(),
                        Distance::Euclidean => of(|a, b| (a - b).powi(2)),
                    }
                };
                let mut others: Vec<usize> = (0..x.rows).filter(|row| *row != query).collect();
                others.sort_by(|a, b| far(*a).total_cmp(&far(*b)));
                assert_eq!(*found, others[..7], "{distance:?}, query {query}");
            }
        }
    }
}
