use crate::data::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

/// Clusters of rows, see [`k_means`].
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// The centers, `clusters x cols`, row by row.
    pub centers: Vec<f64>,
    /// Cluster of each row.
    pub clusters: Vec<usize>,
    /// Sum of the squared distances of the rows to their centers.
    pub inertia: f64,
}

/// Most rounds of one run; it ends as soon as no row changes its cluster.
const ROUNDS: usize = 300;

/// Clusters rows by Lloyd's algorithm from k-means++ seeds: the best of `restarts` runs.
///
/// ```text
/// minimise sum_i |x_i - c_{a(i)}|^2 over centers c and assignments a
/// ```
///
/// A row is given to its nearest center, of equally near ones to the first. A cluster that loses all rows takes the row that is
/// farthest from its own center. There are never more clusters than rows. For clusters by direction, scale the rows to length
/// 1 first. The result depends on `seed`, not on the number of threads; `O(rows cols clusters)` a round.
///
/// # Panics
/// When there is no row or column, or `clusters` or `restarts` is 0.
///
/// Source: Lloyd 1982, <https://doi.org/10.1109/TIT.1982.1056489>; seeds: Arthur, Vassilvitskii 2007, "k-means++: the advantages
/// of careful seeding", section 2.2.
pub fn k_means(x: &Matrix, clusters: usize, restarts: usize, seed: u64) -> KMeans {
    let some = x.rows > 0 && x.cols > 0 && clusters > 0 && restarts > 0;
    assert!(some, "k-means needs rows, columns, a number of clusters and a run");
    let rows = Rows { cols: x.cols, data: x.data.iter().map(|value| f64::from(*value)).collect() };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut best = rows.run(clusters.min(x.rows), rng);
    for _ in 1..restarts {
        let run = rows.run(clusters.min(x.rows), rng);
        if run.inertia < best.inertia {
            best = run;
        }
    }
    best
}

struct Rows {
    cols: usize,
    data: Vec<f64>,
}

impl Rows {
    fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }

    fn len(&self) -> usize {
        self.data.len() / self.cols
    }

    fn run(&self, clusters: usize, rng: &mut Xoshiro256PlusPlus) -> KMeans {
        let mut centers = self.seeds(clusters, rng);
        let mut given = self.assign(&centers, clusters);
        for _ in 0..ROUNDS {
            Self::fill_empty(clusters, &mut given);
            centers = self.means(clusters, &given);
            let next = self.assign(&centers, clusters);
            let settled = next.iter().zip(&given).all(|(next, last)| next.0 == last.0);
            given = next;
            if settled {
                break;
            }
        }
        let inertia = given.iter().map(|(_, distance)| distance).sum();
        KMeans { centers, clusters: given.into_iter().map(|(cluster, _)| cluster).collect(), inertia }
    }

    /// The first center is any row, each further one a row drawn by its squared distance to the nearest center so far.
    fn seeds(&self, clusters: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
        let mut centers = Vec::with_capacity(clusters * self.cols);
        let mut distance = vec![f64::INFINITY; self.len()];
        let mut row = rng.random_range(0..self.len());
        loop {
            centers.extend_from_slice(self.row(row));
            if centers.len() == clusters * self.cols {
                return centers;
            }
            for (other, distance) in distance.iter_mut().enumerate() {
                *distance = distance.min(squared_distance(self.row(other), self.row(row)));
            }
            let total: f64 = distance.iter().sum();
            // Without a distance left, every row is a center already, or equal to one.
            row = if total > 0.0 {
                let mut left = rng.random_range(0.0..total);
                let drawn = distance.iter().position(|distance| {
                    left -= distance;
                    left < 0.0
                });
                // Rounding may leave a rest; the last row that has a distance takes it.
                drawn.or_else(|| distance.iter().rposition(|distance| *distance > 0.0)).unwrap_or(0)
            } else {
                rng.random_range(0..self.len())
            };
        }
    }

    /// The nearest center of each row, and the squared distance to it.
    fn assign(&self, centers: &[f64], clusters: usize) -> Vec<(usize, f64)> {
        let nearest = |row: usize| {
            let mut best = (0, f64::INFINITY);
            for cluster in 0..clusters {
                let center = &centers[cluster * self.cols..(cluster + 1) * self.cols];
                let distance = squared_distance(self.row(row), center);
                if distance < best.1 {
                    best = (cluster, distance);
                }
            }
            best
        };
        (0..self.len()).into_par_iter().map(nearest).collect()
    }

    fn fill_empty(clusters: usize, given: &mut [(usize, f64)]) {
        let mut sizes = vec![0usize; clusters];
        for (cluster, _) in given.iter() {
            sizes[*cluster] += 1;
        }
        for cluster in 0..clusters {
            if sizes[cluster] > 0 {
                continue;
            }
            let spare = |row: &usize| sizes[given[*row].0] > 1;
            let farther = |a: usize, b: usize| if given[b].1 > given[a].1 { b } else { a };
            let row = (0..given.len()).filter(spare).reduce(farther);
            let row = row.expect("with at least as many rows as clusters, an empty one means that another has two");
            sizes[given[row].0] -= 1;
            sizes[cluster] += 1;
            given[row] = (cluster, 0.0);
        }
    }

    fn means(&self, clusters: usize, given: &[(usize, f64)]) -> Vec<f64> {
        let mut centers = vec![0.0; clusters * self.cols];
        let mut sizes = vec![0.0f64; clusters];
        for (row, (cluster, _)) in given.iter().enumerate() {
            sizes[*cluster] += 1.0;
            let center = &mut centers[cluster * self.cols..(cluster + 1) * self.cols];
            center.iter_mut().zip(self.row(row)).for_each(|(sum, value)| *sum += value);
        }
        for (center, size) in centers.chunks_mut(self.cols).zip(sizes) {
            for sum in center {
                *sum /= size.max(1.0);
            }
        }
        centers
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;
    use crate::metrics::clustering_accuracy;

    #[test]
    fn clusters_far_apart_are_found() {
        let data = gaussian_classes(400, 5, 8, 8.0, 0.3, 3);
        let found = k_means(&data.x, 5, 4, 1);
        assert_eq!(clustering_accuracy(&data.y, &found.clusters), 1.0);
        // The centers are the means of their rows, and the inertia is what they leave.
        let mut inertia = 0.0;
        for cluster in 0..5 {
            let rows: Vec<usize> = (0..400).filter(|row| found.clusters[*row] == cluster).collect();
            for col in 0..8 {
                let values = || rows.iter().map(|row| f64::from(data.x.row(*row)[col]));
                let mean = values().sum::<f64>() / rows.len() as f64;
                assert!((mean - found.centers[cluster * 8 + col]).abs() < 1e-9);
                inertia += values().map(|value| (value - mean).powi(2)).sum::<f64>();
            }
        }
        assert!((inertia - found.inertia).abs() < 1e-9 * inertia, "{inertia} against {}", found.inertia);
    }

    #[test]
    fn the_seed_alone_decides_and_more_runs_are_no_worse() {
        let x = gaussian_classes(200, 6, 3, 1.0, 1.0, 5).x;
        let one = k_means(&x, 6, 1, 7);
        assert_eq!(one, crate::parallel::pool(3).install(|| k_means(&x, 6, 1, 7)));
        assert!(k_means(&x, 6, 8, 7).inertia <= one.inertia);
    }

    #[test]
    fn equal_rows_and_more_clusters_than_rows_are_defined() {
        let x = Matrix { rows: 3, cols: 2, data: vec![1.0, 2.0, 1.0, 2.0, 5.0, 6.0] };
        let found = k_means(&x, 9, 2, 0);
        assert_eq!((found.clusters.len(), found.centers.len(), found.inertia), (3, 6, 0.0));
        assert_ne!(found.clusters[0], found.clusters[2]);
        let same = Matrix { rows: 5, cols: 1, data: vec![4.0; 5] };
        assert_eq!(k_means(&same, 3, 1, 0).inertia, 0.0);
    }
}
