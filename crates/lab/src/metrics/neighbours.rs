use crate::data::Matrix;
use contrarian::InvalidParameter;
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

/// A row that was found, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its index in the reference.
    pub row: usize,
    /// One minus the cosine (1 where a vector is all zeros), or the squared Euclidean distance.
    pub distance: f64,
}

/// [`nearest_in`] with the distances, for vectors of `cols` numbers in f32 or f64.
///
/// # Errors
/// When the reference is empty: there is then nothing to be near to.
///
/// # Panics
/// When `cols` is 0 or does not divide the numbers of queries and reference.
pub fn nearest_neighbours<T: Copy + Into<f64>>(
    queries: &[T],
    reference: &[T],
    cols: usize,
    k: usize,
    distance: Distance,
) -> Result<Vec<Vec<Neighbour>>, InvalidParameter> {
    if reference.is_empty() {
        return Err(InvalidParameter::new("reference", 0, "at least one row"));
    }
    let [asked, rows] = [queries, reference].map(|data| {
        assert!(cols > 0 && data.len().is_multiple_of(cols), "{} numbers are no rows of {cols}", data.len());
        Rows::new(data.iter().map(|&value| value.into()).collect(), cols, distance)
    });
    let with_distance = |_: usize, found: &[usize], nearness: &[f64]| {
        let neighbour = |&row: &usize| Neighbour { row, distance: rows.distance(nearness[row]) };
        found.iter().map(neighbour).collect()
    };
    Ok(visit(&asked, &rows, false, |_| k, with_distance))
}

/// Queries whose distances are computed together, while a reference row is in the cache.
const BLOCK: usize = 16;

/// What `take` makes of each query's `k(query)` nearest rows, in the order of the queries. Without a reference they are
/// sought among the queries themselves, the own row left out by its index.
pub(super) fn visit_nearest<R: Send>(
    queries: &Matrix,
    reference: Option<&Matrix>,
    distance: Distance,
    k: impl Fn(usize) -> usize + Sync,
    take: impl Fn(usize, &[usize]) -> R + Sync,
) -> Vec<R> {
    let of = reference.unwrap_or(queries);
    assert_eq!(queries.cols, of.cols, "queries and reference need the same number of columns");
    let rows = Rows::of(of, distance);
    let asked = reference.map(|_| Rows::of(queries, distance));
    visit(asked.as_ref().unwrap_or(&rows), &rows, reference.is_none(), k, |query, found, _| take(query, found))
}

/// What `take` makes of each query, its nearest rows and how near every row is. With `same`, queries are the rows themselves
/// and none is its own neighbour.
fn visit<R: Send>(
    queries: &Rows,
    rows: &Rows,
    same: bool,
    k: impl Fn(usize) -> usize + Sync,
    take: impl Fn(usize, &[usize], &[f64]) -> R + Sync,
) -> Vec<R> {
    let starts: Vec<usize> = (0..queries.count).step_by(BLOCK).collect();
    let block = |&start: &usize| -> Vec<R> {
        let members = start..queries.count.min(start + BLOCK);
        let mut nearness = vec![0.0; members.len() * rows.count];
        for row in 0..rows.count {
            for (place, query) in members.clone().enumerate() {
                nearness[place * rows.count + row] = rows.nearness(queries.row(query), row);
            }
        }
        let one = |(place, query): (usize, usize)| {
            let nearness = &nearness[place * rows.count..(place + 1) * rows.count];
            take(query, &first(nearness, same.then_some(query), k(query)), nearness)
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
    count: usize,
    cols: usize,
    data: Vec<f64>,
    distance: Distance,
}

impl Rows {
    fn of(x: &Matrix, distance: Distance) -> Self {
        let rows = Self::new(x.data.iter().map(|value| f64::from(*value)).collect(), x.cols, distance);
        // Rows without columns are not seen in the numbers.
        Self { count: x.rows, ..rows }
    }

    fn new(mut data: Vec<f64>, cols: usize, distance: Distance) -> Self {
        if distance == Distance::Cosine && cols > 0 {
            for row in data.chunks_mut(cols) {
                let norm = sum(row, row, |a, b| a * b).sqrt();
                if norm > 0.0 {
                    for value in row {
                        *value /= norm;
                    }
                }
            }
        }
        Self { count: data.len() / cols.max(1), cols, data, distance }
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

    /// The distance behind a nearness.
    fn distance(&self, nearness: f64) -> f64 {
        match self.distance {
            Distance::Cosine => 1.0 - nearness,
            Distance::Euclidean => 0.0 - nearness,
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
    fn distances_come_with_the_rows() {
        let found = |queries: &[f64], k, distance| nearest_neighbours(queries, &[3.0, 4.0, 0.0, 0.0], 2, k, distance);
        let pairs = |found: Result<Vec<Vec<Neighbour>>, _>| -> Vec<Vec<(usize, f64)>> {
            let rows = found.unwrap().into_iter();
            rows.map(|row| row.into_iter().map(|neighbour| (neighbour.row, neighbour.distance)).collect()).collect()
        };
        assert_eq!(pairs(found(&[4.0, -3.0], 9, Distance::Cosine)), [[(0, 1.0), (1, 1.0)]]);
        assert_eq!(pairs(found(&[0.0, 1.0, 3.0, 4.0], 1, Distance::Euclidean)), [[(1, 1.0)], [(0, 0.0)]]);
        let error = nearest_neighbours::<f32>(&[1.0], &[], 1, 1, Distance::Cosine).unwrap_err();
        assert_eq!(error.field, "reference");
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
