use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_p_target;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of the [two-level softmax](TwoLevelSoftmax).
#[derive(Config, Debug)]
pub struct TwoLevelSoftmaxConfig {
    /// Length of a hidden vector, at least 1.
    pub dim: usize,
    /// Number of classes, at least 3.
    pub classes: usize,
    /// Classes of a cluster, at least 2 and below `classes`; `None` is the square root of `classes`, rounded up.
    pub cluster_size: Option<usize>,
}

impl TwoLevelSoftmaxConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        require(self.classes >= 3, "classes", self.classes, "at least 3")?;
        let size = self.size();
        require((2..self.classes).contains(&size), "cluster_size", size, "at least 2 and below the number of classes")
    }

    fn size(&self) -> usize {
        self.cluster_size.unwrap_or_else(|| (self.classes as f64).sqrt().ceil() as usize)
    }

    /// Builds the layer with weights uniform in `+-1/sqrt(dim)`, drawn from `seed` alone, and biases 0.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> TwoLevelSoftmax {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let (dim, size) = (self.dim, self.size());
        let clusters = self.classes.div_ceil(size);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bound = 1.0 / (dim as f32).sqrt();
        let mut draw = |count: usize| -> Vec<f32> { (0..count).map(|_| rng.random_range(-bound..bound)).collect() };
        TwoLevelSoftmax {
            classes: self.classes,
            w1: Param::from_data(TensorData::new(draw(dim * clusters), [dim, clusters]), device),
            b1: Param::from_data(TensorData::zeros::<f32, _>([clusters]), device),
            w2: Param::from_data(TensorData::new(draw(clusters * dim * size), [clusters, dim, size]), device),
            b2: Param::from_data(TensorData::zeros::<f32, _>([clusters, size]), device),
        }
    }
}

/// A last linear layer with cross-entropy over many classes in two steps: first the cluster, then the place in it.
///
/// ```text
/// loss_j = -log softmax(h_j w1 + b1)[g] - log softmax(h_j w2[g] + b2[g])[p],        g = y div n2,   p = y mod n2
/// ```
///
/// With `n1` clusters of `n2` classes a step costs `O(m dim (n1 + n2))` instead of `O(m dim n1 n2)`, and memory for `m` matrices
/// `dim x n2`. Which classes share a cluster is the caller's numbering of the labels (by frequency, say). Where `n2` does not
/// divide `classes`, the last places of the last cluster belong to no class and only ever lose probability.
///
/// Source: the hierarchical baseline of de Brebisson, Vincent 2016, <https://arxiv.org/abs/1604.08859>; Goodman 2001.
#[derive(Module, Debug)]
pub struct TwoLevelSoftmax {
    /// Number of classes.
    pub classes: usize,
    /// Weights of the clusters, `[dim, n1]`.
    pub w1: Param<Tensor<2>>,
    /// Biases of the clusters, `[n1]`.
    pub b1: Param<Tensor<1>>,
    /// Weights of the places of each cluster, `[n1, dim, n2]`.
    pub w2: Param<Tensor<3>>,
    /// Biases of the places of each cluster, `[n1, n2]`.
    pub b2: Param<Tensor<2>>,
}

impl TwoLevelSoftmax {
    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch.
    ///
    /// # Shapes
    /// - hidden: `[m, dim]`
    /// - labels: `[m]`, below `classes`
    /// - output: `[1]`
    pub fn forward(&self, hidden: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(hidden, labels).mean()
    }

    /// The loss of every example.
    ///
    /// # Shapes
    /// - hidden: `[m, dim]`
    /// - labels: `[m]`, below `classes`
    /// - output: `[m]`
    pub fn forward_no_reduction(&self, hidden: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [m, dim] = hidden.dims();
        let [_, size] = self.b2.dims();
        let cluster = labels.clone().div_scalar(size as i64);
        let place = labels.remainder_scalar(size as i64);
        let weights = self.w2.val().select(0, cluster.clone());
        let places = hidden.clone().reshape([m, 1, dim]).matmul(weights).reshape([m, size]);
        let places = places + self.b2.val().select(0, cluster.clone());
        (log_p_target(self.cluster_logits(hidden), cluster) + log_p_target(places, place)).neg()
    }

    /// The logarithm of every class's probability, for evaluation: costs what a dense layer costs.
    ///
    /// # Shapes
    /// - hidden: `[m, dim]`
    /// - output: `[m, classes]`
    pub fn log_probabilities(&self, hidden: Tensor<2>) -> Tensor<2> {
        let [m, dim] = hidden.dims();
        let [clusters, size] = self.b2.dims();
        let cluster = activation::log_softmax(self.cluster_logits(hidden.clone()), 1).reshape([m, clusters, 1]);
        let weights = self.w2.val().swap_dims(0, 1).reshape([dim, clusters * size]);
        let places = hidden.matmul(weights).reshape([m, clusters, size]) + self.b2.val().unsqueeze::<3>();
        let all = (activation::log_softmax(places, 2) + cluster).reshape([m, clusters * size]);
        all.slice([0..m, 0..self.classes])
    }

    fn cluster_logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        hidden.matmul(self.w1.val()) + self.b1.val().unsqueeze::<2>()
    }
}
