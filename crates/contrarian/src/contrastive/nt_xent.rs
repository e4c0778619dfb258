use super::{require_temperature, same_shape, unit_rows};
use crate::InvalidParameter;
use crate::fused::InBatch;
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [NT-Xent loss](NtXentLoss).
#[derive(Config, Debug)]
pub struct NtXentLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.5)]
    pub temperature: f64,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl NtXentLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the temperature is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> NtXentLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        NtXentLoss { temperature: self.temperature, normalize: self.normalize }
    }
}

/// NT-Xent (SimCLR): InfoNCE over both views of every item, each view an anchor against all other views.
///
/// ```text
/// z = [x; y] stacked, p(i) the other view of the item of i,  s_ij = z_i . z_j / T
/// l_i  = log sum_{j != i} exp(s_ij) - s_ip(i),               loss = mean of the 2n anchors
/// ```
///
/// One item has loss and gradient 0.
///
/// Source: Chen et al. 2020, <https://arxiv.org/abs/2002.05709>, equation 1.
#[derive(Module, Debug)]
pub struct NtXentLoss {
    /// Temperature.
    pub temperature: f64,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl NtXentLoss {
    /// The mean over all anchors.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`, the two views of `n` items
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ or are empty, or memory does not suffice (with the sizes).
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        self.compute(first, second, None, true)
    }

    /// The mean over all anchors, with extra negatives that every anchor is contrasted with.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_with_negatives(&self, first: Tensor<2>, second: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        self.compute(first, second, Some(negatives), true)
    }

    /// The loss of every anchor, first views before second views.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - negatives: `[m, dim]`
    /// - output: `[2 n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>) -> Tensor<1> {
        self.compute(first, second, negatives, false)
    }

    /// The loss of every item, the mean over its two views: `(l_i + l_(i+n)) / 2`.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_by_item(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        let [n, _] = first.dims();
        let of_views = self.forward_no_reduction(first, second, None).reshape([2, n]);
        of_views.sum_dim(0).mul_scalar(0.5).reshape([n])
    }

    fn compute(&self, first: Tensor<2>, second: Tensor<2>, negatives: Option<Tensor<2>>, mean: bool) -> Tensor<1> {
        let (x, y) = (unit_rows(first, self.normalize), unit_rows(second, self.normalize));
        let negatives = negatives.map(|negatives| unit_rows(negatives, self.normalize));
        let (kernel, anchors, candidates) = stacked(x, y, negatives, self.temperature);
        InBatch { mean, ..kernel }.forward(anchors, candidates)
    }
}

/// Both views of every item as anchors, contrasted with all other views and the extra negatives: the coupled mean over all
/// anchors.
pub(super) fn stacked(
    first: Tensor<2>,
    second: Tensor<2>,
    negatives: Option<Tensor<2>>,
    temperature: f64,
) -> (InBatch, Tensor<2>, Tensor<2>) {
    let [n, dim] = same_shape(&first, &second);
    let views = Tensor::cat(vec![first, second], 0);
    let candidates = match negatives {
        Some(negatives) => Tensor::cat(vec![views.clone(), negatives], 0),
        None => views.clone(),
    };
    let kernel = InBatch {
        dim,
        temperature,
        positives: (0..2 * n).map(|i| (i + n) % (2 * n)).collect(),
        own: Some((0..2 * n).collect()),
        coupled: true,
        negatives_only: false,
        hardest: None,
        mean: true,
    };
    (kernel, views, candidates)
}

pair_objective!(NtXentLoss);
