use burn::tensor::{Int, Tensor, TensorData};

/// Squared distances of vectors to a set of them, in f64 from plain differences: equal vectors are equally far to the bit,
/// so that an order by (distance, index) can be relied on. Gram products would round copies apart.
pub(super) struct Selector {
    dim: usize,
    count: usize,
    /// Coordinate by coordinate, so that the inner loop runs over the set.
    columns: Vec<f64>,
}

impl Selector {
    /// Reads the set back: choosing neighbours sorts, and must break ties by index to be repeatable.
    pub fn new(set: &Tensor<2>) -> Self {
        let [count, dim] = set.dims();
        let rows = values(set);
        let columns = (0..count * dim).map(|at| rows[(at % count) * dim + at / count]).collect();
        Self { dim, count, columns }
    }

    /// Squared distances of one vector to every vector of the set, in `O(count dim)`.
    pub fn squared_distances(&self, x: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), self.dim, "vectors have {} numbers, and the set's have {}", x.len(), self.dim);
        let mut squared = vec![0.0; self.count];
        for (x, column) in x.iter().zip(self.columns.chunks(self.count.max(1))) {
            for (sum, y) in squared.iter_mut().zip(column) {
                *sum += (x - y) * (x - y);
            }
        }
        squared
    }
}

/// The numbers of a tensor in f64, row by row.
pub(super) fn values(x: &Tensor<2>) -> Vec<f64> {
    x.clone().detach().into_data().iter::<f64>().collect()
}

/// What is added to a squared distance before its root.
const SMOOTHING: f64 = 1e-6;

/// The smooth distance of a squared one; its slope is finite at 0.
pub(super) fn smooth(squared: f64) -> f64 {
    (squared + SMOOTHING).sqrt()
}

/// `sqrt(|x_i - t_j|^2 + 1e-6)` for chosen pairs, `[rows, chosen]`: row `i` with the rows of `targets` that
/// `chosen[i * k..(i + 1) * k]` names, from differences. Time and memory `O(rows k dim)`.
pub(super) fn smooth_distances(x: Tensor<2>, targets: Tensor<2>, chosen: &[usize]) -> Tensor<2> {
    let [rows, dim] = x.dims();
    let k = chosen.len() / rows;
    let indices: Vec<i64> = chosen.iter().map(|&index| index as i64).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [chosen.len()]), &targets.device());
    let others = targets.select(0, indices).reshape([rows, k, dim]);
    let difference = x.reshape([rows, 1, dim]).expand([rows, k, dim]) - others;
    difference.square().sum_dim(2).reshape([rows, k]).add_scalar(SMOOTHING).sqrt()
}
