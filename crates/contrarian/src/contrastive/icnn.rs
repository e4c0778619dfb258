use super::class_pairs::check;
use super::selected::{Selector, smooth, smooth_distances, values};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

/// Configuration of the [ICNN loss](IcnnLoss).
#[derive(Config, Debug)]
pub struct IcnnLossConfig {
    /// Neighbours `k` of a point that are judged, at least 1.
    #[config(default = 4)]
    pub neighbors: usize,
    /// Neighbours `w` among which the nearest of another class is looked for, at least `neighbors`; `None` for `neighbors + 1`.
    pub window: Option<usize>,
}

impl IcnnLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.neighbors > 0, "neighbors", self.neighbors, "at least 1")?;
        let window = self.window.unwrap_or(self.neighbors);
        require(window >= self.neighbors, "window", window, "at least the number of neighbours")
    }

    fn build(&self) -> IcnnLoss {
        IcnnLoss { neighbors: self.neighbors, window: self.window }
    }
}

init!(IcnnLossConfig => IcnnLoss);

const EPSILON: f64 = 1e-7;

/// ICNN, the inter and intra class nearest-neighbour score of embeddings: a metric, and a loss that drives it to 1.
///
/// ```text
/// D_ij   = sqrt(|x_i - t_ij|^2 + 1e-6),  t_i1 .. t_iw the nearest points, ascending;  s_ij = [their label is that of i]
/// a_i    = mean over j <= k with s_ij of D_ij / max(o_i + e, D_ik),    o_i = distance of the nearest of another class, e = 1e-7
/// b_i    = mean over j <= k without s_ij of D_ij / (largest such distance of all points + e)
/// SC     = 1 - mean of a_i,   DC = mean of b_i (1 where no neighbour is of another class)
/// gamma  = mean of s_ij over j <= k
/// score  = ((SC + DC)/2 + gamma)/2 in [1/4, 1],    loss = -log(score)
/// ```
///
/// Means of `a` and `b` are over points that have such neighbours, and their counts get `e` added. A point without another
/// class in its window has `a_i = 0`; one without a neighbour of its own class counts as perfect in SC, an oddity of the
/// authors' formula that keeps the score above 1/4. With `k + 2 >= m` points, `k` becomes `m - 2` and `gamma` 1. The gradient
/// flows through distances, also those that divide, and not through gamma or the choice of neighbours.
///
/// The own point is left out by its index, and equally near points are in the order of their indices. Against other targets
/// the nearest is left out too, as in the authors' code: it discards the true nearest support item.
///
/// Time `O(n m dim)`, memory `O(n w dim)`.
///
/// Source: Mendez-Ruiz et al. 2023, <https://arxiv.org/abs/2305.09062>, in the form of the authors' code.
#[derive(Module, Debug)]
pub struct IcnnLoss {
    /// Neighbours of a point that are judged.
    pub neighbors: usize,
    /// Neighbours among which the nearest of another class is looked for.
    pub window: Option<usize>,
}

/// The neighbours of every point, and the constants of the score.
struct Neighbors {
    /// The `w` nearest of each point, nearest first.
    chosen: Vec<usize>,
    window: usize,
    /// Weight of every distance in the two sums, `[n, w]`.
    same: Vec<f64>,
    other: Vec<f64>,
    /// Which neighbour's distance divides a point's sum, and what is added to it.
    divisor: Vec<usize>,
    added: Vec<f64>,
    /// Place in `chosen` of the largest distance of another class, if there is one.
    largest: Option<usize>,
    gamma: f64,
}

impl IcnnLoss {
    /// The loss of points among themselves.
    ///
    /// # Shapes
    /// - x: `[n, dim]`, `n >= 3`
    /// - labels: `[n]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer than three points, or not as many labels as points.
    pub fn forward(&self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.score(x, labels).log().neg()
    }

    /// The loss of points against other points.
    ///
    /// # Shapes
    /// - x: `[n, dim]`, labels: `[n]`
    /// - targets: `[m, dim]`, target_labels: `[m]`, `m >= 3`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there is no point or fewer than three targets, or shapes do not fit each other.
    pub fn forward_against(
        &self,
        x: Tensor<2>,
        labels: Tensor<1, Int>,
        targets: Tensor<2>,
        target_labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        self.score_against(x, labels, targets, target_labels).log().neg()
    }

    /// The score of points among themselves, as [`forward`](Self::forward).
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn score(&self, x: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let own = labels_of(&x, labels);
        let found = self.find(&x, &own, &x, &own, true);
        found.score(x.clone(), x)
    }

    /// The score of points against other points, as [`forward_against`](Self::forward_against).
    ///
    /// # Panics
    /// As [`forward_against`](Self::forward_against).
    pub fn score_against(
        &self,
        x: Tensor<2>,
        labels: Tensor<1, Int>,
        targets: Tensor<2>,
        target_labels: Tensor<1, Int>,
    ) -> Tensor<1> {
        let (own, of_targets) = (labels_of(&x, labels), labels_of(&targets, target_labels));
        let found = self.find(&x, &own, &targets, &of_targets, false);
        found.score(x, targets)
    }

    fn find(&self, x: &Tensor<2>, own: &[i64], targets: &Tensor<2>, of_targets: &[i64], one_set: bool) -> Neighbors {
        let (n, m, dim) = (own.len(), of_targets.len(), x.dims()[1]);
        assert!(m >= 3, "the score needs at least three points to find neighbours among, got {m}");
        let small = self.neighbors + 2 >= m;
        let k = if small { m - 2 } else { self.neighbors };
        let window = self.window.unwrap_or(k + 1).clamp(k, m - 1);
        let (selector, found) = (Selector::new(targets), values(x));
        let mut neighbors = Neighbors {
            chosen: Vec::with_capacity(n * window),
            window,
            same: vec![0.0; n * window],
            other: vec![0.0; n * window],
            divisor: Vec::with_capacity(n),
            added: Vec::with_capacity(n),
            largest: None,
            gamma: 1.0,
        };
        let (mut same_points, mut other_points, mut same_pairs, mut farthest) = (0.0, 0.0, 0.0, 0.0);
        for (i, point) in found.chunks(dim).enumerate() {
            let squared = selector.squared_distances(point);
            let mut order: Vec<usize> = (0..m).filter(|&j| !(one_set && j == i)).collect();
            // Stable: of equally near points the one with the smaller index comes first.
            order.sort_by(|&a, &b| squared[a].total_cmp(&squared[b]));
            let order = &order[usize::from(!one_set)..][..window];
            let is_same: Vec<bool> = order.iter().map(|&j| of_targets[j] == own[i]).collect();
            let at = |j: usize| smooth(squared[order[j]]);
            let same = is_same[..k].iter().filter(|same| **same).count() as f64;
            let other = k as f64 - same;
            same_pairs += same;
            same_points += f64::from(u8::from(same > 0.0));
            other_points += f64::from(u8::from(other > 0.0));
            let nearest_other = is_same.iter().position(|same| !same);
            for (j, &is_same) in is_same[..k].iter().enumerate() {
                let place = i * window + j;
                if is_same {
                    // Without another class in the window the point's sum is 0.
                    neighbors.same[place] = if nearest_other.is_some() { 1.0 / (same + EPSILON) } else { 0.0 };
                } else {
                    neighbors.other[place] = 1.0 / (other + EPSILON);
                    if neighbors.largest.is_none() || at(j) > farthest {
                        (neighbors.largest, farthest) = (Some(place), at(j));
                    }
                }
            }
            // D / (o + e), divided by the largest of these if that is above 1, is D / max(o + e, D_k).
            let last = (0..k).find(|&j| at(j) >= at(k - 1)).unwrap_or(k - 1);
            let nearest_other = nearest_other.unwrap_or(0);
            let (divisor, added) =
                if at(last) > at(nearest_other) + EPSILON { (last, 0.0) } else { (nearest_other, EPSILON) };
            neighbors.divisor.push(divisor);
            neighbors.added.push(added);
            neighbors.chosen.extend(order);
        }
        neighbors.same.iter_mut().for_each(|weight| *weight /= same_points + EPSILON);
        neighbors.other.iter_mut().for_each(|weight| *weight /= other_points + EPSILON);
        if !small {
            neighbors.gamma = same_pairs / (n * k) as f64;
        }
        neighbors
    }
}

impl Neighbors {
    fn score(self, x: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let n = x.dims()[0];
        let distances = smooth_distances(x, targets, &self.chosen);
        let (device, dtype) = (distances.device(), distances.dtype());
        let constant = |values: Vec<f64>, columns: usize| {
            let data = TensorData::new(values, [n, columns]).convert_dtype(dtype);
            Tensor::<2>::from_data(data, (&device, dtype))
        };
        let divisor: Vec<i64> = self.divisor.iter().map(|&place| place as i64).collect();
        let divisor = Tensor::<2, Int>::from_data(TensorData::new(divisor, [n, 1]), &device);
        let divisor = distances.clone().gather(1, divisor) + constant(self.added, 1);
        let same = (distances.clone() * constant(self.same, self.window)).sum_dim(1) / divisor;
        let same = same.sum().neg().add_scalar(1.0);
        let other = match self.largest {
            None => same.ones_like(),
            Some(place) => {
                let (row, column) = (place / self.window, place % self.window);
                let largest = distances.clone().narrow(0, row, 1).narrow(1, column, 1).reshape([1]);
                (distances * constant(self.other, self.window)).sum() / largest.add_scalar(EPSILON)
            }
        };
        (same + other).mul_scalar(0.25).add_scalar(0.5 * self.gamma)
    }
}

fn labels_of(x: &Tensor<2>, labels: Tensor<1, Int>) -> Vec<i64> {
    check(x.dims()[0], &labels);
    labels.into_data().iter::<i64>().collect()
}
