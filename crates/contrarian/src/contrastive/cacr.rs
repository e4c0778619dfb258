use super::repulsion::{ContrastiveRepulsionLoss, ContrastiveRepulsionLossConfig};
use super::uniformity::squared_distances;
use super::unit_rows;
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::pair_objective;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

/// What a negative at squared distance `d` costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepulsionCost {
    /// `-d`.
    Euclidean,
    /// `exp(-t d)`, under a logarithm of the mean over queries.
    Rbf,
}

/// How positives, or negatives, share the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// They compete: far positives and near negatives weigh more.
    Contrastive,
    /// All alike: the paper's ablation.
    Uniform,
}

/// Configuration of [contrastive attraction](ContrastiveAttractionLoss).
#[derive(Config, Debug)]
pub struct ContrastiveAttractionLossConfig {
    /// Weight of the loss, above 0.
    #[config(default = 1.0)]
    pub alpha: f64,
    /// How strongly far positives weigh more, above 0.
    #[config(default = 1.0)]
    pub tau_pos: f64,
    /// Whether positives compete, or count alike.
    #[config(default = "Weighting::Contrastive")]
    pub weighting: Weighting,
    /// Whether weights count as constants in the gradient.
    #[config(default = false)]
    pub detach_weights: bool,
}

impl ContrastiveAttractionLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (name, value) in [("alpha", self.alpha), ("tau_pos", self.tau_pos)] {
            require(value > 0.0 && value.is_finite(), name, value, "finite and above 0")?;
        }
        Ok(())
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> ContrastiveAttractionLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        ContrastiveAttractionLoss {
            alpha: self.alpha,
            tau_pos: self.tau_pos,
            weighting: self.weighting,
            detach_weights: self.detach_weights,
        }
    }
}

/// Contrastive attraction: a query's positives compete with each other, and far ones are pulled harder.
///
/// ```text
/// d_k = |z_x,i - z_k,i|^2  for the other views k of item i,     w_k = exp(tau d_k) / sum_k' exp(tau d_k')
/// loss = mean over views x and items i of alpha sum_k w_k d_k
/// ```
///
/// With two views it is the plain alignment loss.
///
/// Source: Zheng et al. 2023, <https://arxiv.org/abs/2105.03746>, equation 2.
#[derive(Module, Debug)]
pub struct ContrastiveAttractionLoss {
    /// Weight of the loss.
    pub alpha: f64,
    /// How strongly far positives weigh more.
    pub tau_pos: f64,
    /// Whether positives compete, or count alike.
    #[module(skip)]
    pub weighting: Weighting,
    /// Whether weights count as constants in the gradient.
    pub detach_weights: bool,
}

impl ContrastiveAttractionLoss {
    /// The mean over all views and items.
    ///
    /// # Shapes
    /// - views: `[views, n, dim]`, at least two views, used as they are
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer views.
    pub fn forward(&self, views: Tensor<3>) -> Tensor<1> {
        let [count, n, _] = views.dims();
        assert!(count >= 2 && n > 0, "attraction needs two views of an item or more, got {count} of {n}");
        let losses: Vec<Tensor<1>> = (0..count)
            .map(|x| {
                let d = positive_distances(&views, x);
                let weights = match self.weighting {
                    Weighting::Contrastive => activation::softmax(d.clone().mul_scalar(self.tau_pos), 1),
                    Weighting::Uniform => d.zeros_like().add_scalar(1.0 / (count - 1) as f64),
                };
                let weights = if self.detach_weights { weights.detach() } else { weights };
                (weights * d).sum()
            })
            .collect();
        Tensor::cat(losses, 0).sum().mul_scalar(self.alpha / (count * n) as f64)
    }
}

/// Squared distances of view `x` of every item to its other views, `[n, views - 1]`.
fn positive_distances(views: &Tensor<3>, x: usize) -> Tensor<2> {
    let [count, n, dim] = views.dims();
    let distance = |k: usize| {
        let view = |v: usize| views.clone().slice([v..v + 1, 0..n, 0..dim]);
        (view(x) - view(k)).square().sum_dim(2).reshape([n, 1])
    };
    Tensor::cat((0..count).filter(|&k| k != x).map(distance).collect(), 1)
}

pub(super) fn pair_of_views(views: &Tensor<3>, x: usize, y: usize) -> (Tensor<2>, Tensor<2>) {
    let [_, n, dim] = views.dims();
    let view = |v: usize| views.clone().slice([v..v + 1, 0..n, 0..dim]).reshape([n, dim]);
    (view(x), view(y))
}

/// Configuration of [contrastive attraction and repulsion](CacrLoss).
#[derive(Config, Debug)]
pub struct CacrLossConfig {
    /// Weight of the attraction, above 0.
    #[config(default = 1.0)]
    pub alpha: f64,
    /// Weight of the repulsion, above 0.
    #[config(default = 1.0)]
    pub beta: f64,
    /// How strongly far positives weigh more, above 0.
    #[config(default = 1.0)]
    pub tau_pos: f64,
    /// How strongly near negatives weigh more, above 0.
    #[config(default = 2.0)]
    pub tau_neg: f64,
    /// What a negative costs.
    #[config(default = "RepulsionCost::Euclidean")]
    pub cost: RepulsionCost,
    /// Inverse width of the RBF cost, above 0.
    #[config(default = 2.0)]
    pub t: f64,
    /// Whether positives and negatives compete, or count alike.
    #[config(default = "Weighting::Contrastive")]
    pub weighting: Weighting,
    /// Whether weights count as constants in the gradient.
    #[config(default = false)]
    pub detach_weights: bool,
    /// Probability that a negative is a positive in truth, in `[0, 1)`.
    #[config(default = 0.0)]
    pub tau_plus: f64,
    /// Whether [`CacrLoss::forward_pairs`] scales rows to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl CacrLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        self.attraction().validate()?;
        self.repulsion().validate()
    }

    fn attraction(&self) -> ContrastiveAttractionLossConfig {
        ContrastiveAttractionLossConfig {
            alpha: self.alpha,
            tau_pos: self.tau_pos,
            weighting: self.weighting,
            detach_weights: self.detach_weights,
        }
    }

    fn repulsion(&self) -> ContrastiveRepulsionLossConfig {
        ContrastiveRepulsionLossConfig {
            beta: self.beta,
            tau_neg: self.tau_neg,
            cost: self.cost,
            t: self.t,
            weighting: self.weighting,
            detach_weights: self.detach_weights,
            tau_plus: self.tau_plus,
        }
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> CacrLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        CacrLoss { attraction: self.attraction().init(), repulsion: self.repulsion().init(), normalize: self.normalize }
    }
}

/// Contrastive attraction and contrastive repulsion (CACR): the sum of both, with no shared softmax between positives and
/// negatives, and any number of positives.
///
/// Source: Zheng et al. 2023, <https://arxiv.org/abs/2105.03746>, equation 1.
#[derive(Module, Debug)]
pub struct CacrLoss {
    /// The pull.
    pub attraction: ContrastiveAttractionLoss,
    /// The push.
    pub repulsion: ContrastiveRepulsionLoss,
    /// Whether `forward_pairs` scales rows to length 1 first.
    pub normalize: bool,
}

impl CacrLoss {
    /// The loss of a batch of views.
    ///
    /// # Shapes
    /// - views: `[views, n, dim]`, at least two views of at least two items, used as they are
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer views or items, or memory does not suffice (with the sizes).
    pub fn forward(&self, views: Tensor<3>) -> Tensor<1> {
        self.attraction.forward(views.clone()) + self.repulsion.forward(views)
    }

    /// The loss of two views.
    ///
    /// # Shapes
    /// - anchors, positives: `[n, dim]`, `n >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_pairs(&self, anchors: Tensor<2>, positives: Tensor<2>) -> Tensor<1> {
        let views = [anchors, positives].map(|view| unit_rows(view, self.normalize).unsqueeze_dim::<3>(0));
        self.forward(Tensor::cat(views.to_vec(), 0))
    }

    /// The weights of view 0's positives and of its negatives in view 1: how unevenly the gradient is shared.
    ///
    /// # Shapes
    /// - views: `[views, n, dim]`
    /// - output: `[n, views - 1]`, and `[n, n - 1]` (row `i` lists the other items in order)
    pub fn weights(&self, views: Tensor<3>) -> (Tensor<2>, Tensor<2>) {
        let n = views.dims()[1];
        let positive = activation::softmax(positive_distances(&views, 0).mul_scalar(self.attraction.tau_pos), 1);
        let (x, y) = pair_of_views(&views, 0, 1);
        let others: Vec<i64> = (0..n as i64 * n as i64).filter(|at| at / n as i64 != at % n as i64).collect();
        let count = others.len();
        let others = Tensor::<1, Int>::from_data(TensorData::new(others, [count]), &x.device());
        let d = squared_distances(x, y).reshape([n * n]).select(0, others).reshape([n, n - 1]);
        (positive, activation::softmax(d.mul_scalar(-self.repulsion.tau_neg), 1))
    }

    /// The mean entropy of the [`weights`](Self::weights) of positives and of negatives: the logarithm of their number where all
    /// count alike, 0 where one takes all.
    ///
    /// # Shapes
    /// - views: `[views, n, dim]`
    /// - output: `[1]` each
    pub fn weight_entropies(&self, views: Tensor<3>) -> (Tensor<1>, Tensor<1>) {
        let (positive, negative) = self.weights(views);
        // A weight of 0 adds 0.
        let entropy =
            |w: Tensor<2>| -> Tensor<1> { (w.clone() * w.clamp_min(f32::MIN_POSITIVE).log()).sum_dim(1).mean().neg() };
        (entropy(positive), entropy(negative))
    }
}

pair_objective!(CacrLoss, forward_pairs);
