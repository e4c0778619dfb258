use super::cacr::{RepulsionCost, Weighting, pair_of_views};
use super::uniformity::{diagonal, squared_distances};
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{RepulsionKernel, apply, available};
use crate::numerics::log_sum_exp;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};

/// Configuration of [contrastive repulsion](ContrastiveRepulsionLoss).
#[derive(Config, Debug)]
pub struct ContrastiveRepulsionLossConfig {
    /// Weight of the loss, above 0.
    #[config(default = 1.0)]
    pub beta: f64,
    /// How strongly near negatives weigh more, above 0.
    #[config(default = 2.0)]
    pub tau_neg: f64,
    /// What a negative costs.
    #[config(default = "RepulsionCost::Euclidean")]
    pub cost: RepulsionCost,
    /// Inverse width of the RBF cost, above 0.
    #[config(default = 2.0)]
    pub t: f64,
    /// Whether negatives compete, or count alike.
    #[config(default = "Weighting::Contrastive")]
    pub weighting: Weighting,
    /// Whether weights count as constants in the gradient.
    #[config(default = false)]
    pub detach_weights: bool,
    /// Probability that a negative is a positive in truth, in `[0, 1)`: above 0 the Euclidean cost is debiased.
    #[config(default = 0.0)]
    pub tau_plus: f64,
}

impl ContrastiveRepulsionLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (name, value) in [("beta", self.beta), ("tau_neg", self.tau_neg), ("t", self.t)] {
            require(value > 0.0 && value.is_finite(), name, value, "finite and above 0")?;
        }
        require((0.0..1.0).contains(&self.tau_plus), "tau_plus", self.tau_plus, "in [0, 1)")?;
        let plain = self.tau_plus == 0.0 || self.cost == RepulsionCost::Euclidean;
        require(plain, "tau_plus", self.tau_plus, "0 with the RBF cost")
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> ContrastiveRepulsionLoss {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        ContrastiveRepulsionLoss {
            beta: self.beta,
            tau_neg: self.tau_neg,
            cost: self.cost,
            t: self.t,
            weighting: self.weighting,
            detach_weights: self.detach_weights,
            tau_plus: self.tau_plus,
        }
    }
}

/// Contrastive repulsion: negatives compete with each other, and near ones are pushed harder.
///
/// ```text
/// d_ij = |z_x,i - z_y,j|^2,   w_ij = exp(-tau d_ij) / sum_{k != i} exp(-tau d_ik)          j != i, views x < y
/// euclidean:  R_xy = mean_i sum_j w_ij (-beta d_ij)
/// rbf:        R_xy = beta log mean_i sum_j w_ij exp(-t d_ij)
/// loss = mean of R_xy over all pairs of views
/// ```
///
/// Debiased (`tau_plus` above 0): every row becomes `(row + tau_plus beta d_ii) / (1 - tau_plus)`. With weights attached, a
/// negative farther than the weighted mean plus `1/tau` is attracted: that is the formula.
///
/// Source: Zheng et al. 2023, "Contrastive Attraction and Contrastive Repulsion", <https://arxiv.org/abs/2105.03746>,
/// equations 3 and 6; the sign of the debiasing term is corrected.
#[derive(Module, Debug)]
pub struct ContrastiveRepulsionLoss {
    /// Weight of the loss.
    pub beta: f64,
    /// How strongly near negatives weigh more.
    pub tau_neg: f64,
    /// What a negative costs.
    #[module(skip)]
    pub cost: RepulsionCost,
    /// Inverse width of the RBF cost.
    pub t: f64,
    /// Whether negatives compete, or count alike.
    #[module(skip)]
    pub weighting: Weighting,
    /// Whether weights count as constants in the gradient.
    pub detach_weights: bool,
    /// Probability that a negative is a positive in truth.
    pub tau_plus: f64,
}

impl ContrastiveRepulsionLoss {
    /// The mean over all pairs of views.
    ///
    /// # Shapes
    /// - views: `[views, n, dim]`, at least two views of at least two items, used as they are
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there are fewer views or items, or memory does not suffice (with the sizes).
    pub fn forward(&self, views: Tensor<3>) -> Tensor<1> {
        let [count, n, _] = views.dims();
        assert!(count >= 2 && n >= 2, "repulsion needs two views of two items or more, got {count} of {n}");
        let pairs = (0..count).flat_map(|x| (x + 1..count).map(move |y| (x, y)));
        let losses: Vec<Tensor<1>> = pairs
            .map(|(x, y)| {
                let (x, y) = pair_of_views(&views, x, y);
                self.of_pair(x, y)
            })
            .collect();
        Tensor::cat(losses, 0).mean().mul_scalar(self.beta)
    }

    /// `R_xy / beta`.
    fn of_pair(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        let [n, dim] = x.dims();
        let loss = if self.weighting == Weighting::Contrastive && available(&x) {
            let t = (self.cost == RepulsionCost::Rbf).then_some(self.t);
            let kernel = RepulsionKernel { dim, tau: self.tau_neg, t, detach: self.detach_weights };
            apply([x.clone().into_dispatch(), y.clone().into_dispatch()], kernel)
        } else {
            self.composed(x.clone(), y.clone())
        };
        if self.tau_plus == 0.0 {
            return loss;
        }
        let positive = (x - y).square().sum().mul_scalar(self.tau_plus / n as f64);
        (loss + positive).mul_scalar(1.0 / (1.0 - self.tau_plus))
    }

    fn composed(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
        let n = x.dims()[0];
        let d = squared_distances(x, y);
        let own = diagonal(n, &d);
        let away = |scores: Tensor<2>| scores.mask_fill(own.clone(), f32::MIN / 4.0);
        let log_w = match self.weighting {
            Weighting::Contrastive => activation::log_softmax(away(d.clone().mul_scalar(-self.tau_neg)), 1),
            Weighting::Uniform => d.zeros_like().add_scalar(-((n - 1) as f64).ln()),
        };
        let log_w = if self.detach_weights { log_w.detach() } else { log_w };
        match self.cost {
            RepulsionCost::Euclidean => (log_w.exp() * d).mask_fill(own, 0.0).sum().mul_scalar(-1.0 / n as f64),
            RepulsionCost::Rbf => {
                let all = away(log_w - d.mul_scalar(self.t)).reshape([1, n * n]);
                log_sum_exp(all).reshape([1]).sub_scalar((n as f64).ln())
            }
        }
    }
}
