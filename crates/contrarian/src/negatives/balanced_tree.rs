use rand::Rng;
use rand::seq::index::sample;

/// Two halves of a set of points, see [`balanced_bisect`].
#[derive(Debug, Clone, PartialEq)]
pub struct Bisection {
    /// Rows of the first half, in ascending order; one more than the second where their number is odd.
    pub left: Vec<usize>,
    /// Rows of the second half, in ascending order.
    pub right: Vec<usize>,
    /// The normalised means of the halves, one after the other.
    pub centroids: Vec<f64>,
    /// Mean cosine of the points to the mean of their half.
    pub objective: f64,
    /// Rounds until the objective gained less than 1e-4.
    pub iterations: usize,
}

/// Rounds after which a bisection ends whatever it gains.
const MOST_ROUNDS: usize = 100;
/// Gain of the objective below which a bisection ends.
const TOLERANCE: f64 = 1e-4;

/// Balanced spherical 2-means: two halves of equal size, each near its mean.
///
/// ```text
/// sort the points by cos(x, c_2) - cos(x, c_1);   the first half is left, the rest right;   c = normalised means;   repeat
/// ```
///
/// `x` is row-major `[n, dim]` and need not be normalised; `seeds` are the rows of the first means. Equal points keep their order. A zero
/// vector has cosine 0 with everything.
///
/// # Panics
/// When there are fewer than two points or a seed does not exist.
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, section 3.2.
pub fn balanced_bisect(x: &[f64], dim: usize, seeds: [usize; 2]) -> Bisection {
    let unit = normalised(x, dim);
    let rows: Vec<usize> = (0..unit.len() / dim).collect();
    bisect(&unit, dim, &rows, seeds)
}

fn normalised(x: &[f64], dim: usize) -> Vec<f64> {
    let mut unit = x.to_vec();
    for row in unit.chunks_mut(dim) {
        normalise(row);
    }
    unit
}

fn normalise(row: &mut [f64]) {
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt().max(1e-12);
    for value in row {
        *value /= length;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Bisects some rows of points of length 1; seeds are places in `rows`.
fn bisect(unit: &[f64], dim: usize, rows: &[usize], seeds: [usize; 2]) -> Bisection {
    assert!(rows.len() >= 2, "two halves need two points");
    let row = |at: usize| &unit[at * dim..(at + 1) * dim];
    let mut centroids: Vec<f64> = seeds.iter().flat_map(|&seed| row(rows[seed]).to_vec()).collect();
    let half = rows.len().div_ceil(2);
    let mut order: Vec<usize> = rows.to_vec();
    let (mut objective, mut iterations) = (f64::NEG_INFINITY, 0);
    loop {
        iterations += 1;
        let (first, second) = centroids.split_at(dim);
        let key = |at: usize| dot(row(at), second) - dot(row(at), first);
        let mut keyed: Vec<(f64, usize)> = rows.iter().map(|&at| (key(at), at)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.clear();
        order.extend(keyed.into_iter().map(|(_, at)| at));
        let mut means = vec![0.0; 2 * dim];
        for (place, &at) in order.iter().enumerate() {
            let mean = if place < half { &mut means[..dim] } else { &mut means[dim..] };
            mean.iter_mut().zip(row(at)).for_each(|(sum, value)| *sum += value);
        }
        means.chunks_mut(dim).for_each(normalise);
        let to_own =
            |(place, &at): (usize, &usize)| dot(row(at), if place < half { &means[..dim] } else { &means[dim..] });
        let now = order.iter().enumerate().map(to_own).sum::<f64>() / rows.len() as f64;
        centroids = means;
        // A NaN ends it too.
        let gains = now - objective >= TOLERANCE;
        objective = now;
        if !gains || iterations == MOST_ROUNDS {
            break;
        }
    }
    let (mut left, mut right) = (order[..half].to_vec(), order[half..].to_vec());
    left.sort_unstable();
    right.sort_unstable();
    Bisection { left, right, centroids, objective, iterations }
}

/// Clusters of nearly equal size: points are bisected until there are as many clusters as asked for.
///
/// `x` is row-major `[n, dim]`. The number of clusters is rounded up to a power of two; sizes differ by at most 1, and some clusters are
/// single points where there are more clusters than points. The result depends on `rng` alone.
///
/// # Panics
/// When there is no point or no cluster.
///
/// Source: Dahiya et al. 2022, "NGAME", <https://arxiv.org/abs/2207.04452>, section 3.2.
pub fn balanced_clusters(x: &[f64], dim: usize, clusters: usize, rng: &mut impl Rng) -> Vec<Vec<usize>> {
    assert!(clusters > 0 && !x.is_empty(), "clusters need points");
    let unit = normalised(x, dim);
    let mut nodes: Vec<Vec<usize>> = vec![(0..unit.len() / dim).collect()];
    for _ in 0..clusters.next_power_of_two().ilog2() {
        // Two distinct places in each node.
        let seeds: Vec<[usize; 2]> = nodes
            .iter()
            .map(|node| {
                let drawn = sample(rng, node.len().max(2), 2);
                [drawn.index(0), drawn.index(1)]
            })
            .collect();
        let halves = |(node, seeds): (Vec<usize>, [usize; 2])| {
            if node.len() < 2 {
                return vec![node];
            }
            let Bisection { left, right, .. } = bisect(&unit, dim, &node, seeds);
            vec![left, right]
        };
        nodes = nodes.into_iter().zip(seeds).flat_map(halves).collect();
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn two_bundles_are_told_apart() {
        let x = [1.0, 0.1, 0.0, 1.0, 1.0, -0.1, 0.1, 1.0, 5.0, 0.0];
        let found = balanced_bisect(&x, 2, [1, 0]);
        assert_eq!((found.left.len(), found.right.len()), (3, 2));
        let found = balanced_bisect(&x, 2, [0, 1]);
        assert_eq!((found.left, found.right), (vec![0, 2, 4], vec![1, 3]));
        assert!(found.objective > 0.99);
    }

    #[test]
    fn clusters_cover_all_points_and_differ_by_one() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
        for (n, clusters) in [(100, 7), (64, 16), (5, 16), (1, 4)] {
            let x: Vec<f64> = (0..n * 3).map(|_| rng.random_range(-1.0..1.0)).collect();
            let found = balanced_clusters(&x, 3, clusters, rng);
            let mut all: Vec<usize> = found.iter().flatten().copied().collect();
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            let sizes = found.iter().map(Vec::len);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{n} {clusters}");
        }
    }

    #[test]
    fn equal_points_and_zeros_are_defined() {
        let found = balanced_bisect(&[0.0; 8], 2, [0, 1]);
        assert_eq!((found.left, found.right, found.objective), (vec![0, 1], vec![2, 3], 0.0));
    }
}
