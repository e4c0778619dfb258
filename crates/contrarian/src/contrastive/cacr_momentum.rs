use super::cacr::{RepulsionCost, pair_of_views};
use super::uniformity::diagonal;
use super::{InfoNceLoss, require_temperature, unit_rows};
use crate::InvalidParameter;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};

/// Configuration of [CACR with a momentum encoder](CacrMomentumLoss).
#[derive(Config, Debug)]
pub struct CacrMomentumLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.2)]
    pub temperature: f64,
    /// What a negative costs.
    #[config(default = "RepulsionCost::Euclidean")]
    pub cost: RepulsionCost,
    /// Whether rows are scaled to length 1 first.
    #[config(default = true)]
    pub normalize: bool,
}

impl CacrMomentumLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When the temperature is not finite and above 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_temperature(self.temperature)
    }

    fn build(&self) -> CacrMomentumLoss {
        CacrMomentumLoss { temperature: self.temperature, cost: self.cost, normalize: self.normalize }
    }
}

init!(CacrMomentumLossConfig => CacrMomentumLoss);

/// CACR between queries and the keys of a momentum encoder: several queries of an item compete for its one key.
///
/// ```text
/// p_ai = exp(|q_a,i - k_i|^2 / T) / sum_a' exp(|q_a',i - k_i|^2 / T)      far queries weigh more; no gradient
/// s_aij = q_a,i . k_j
/// rbf:        loss = sum_a mean_i p_ai 2 T ( log sum_j exp(s_aij / T) - s_aii / T )
/// euclidean:  loss = sum_a sum_i  p_ai ( (1 - s_aii) - sum_{j != i} v_aij (1 - s_aij) ),
///             v_aij = exp(s_aij / T) / sum_{j' != i} exp(s_aij' / T)      no gradient
/// ```
///
/// with queries `a`, items `i` and temperature `T`. As in the authors' code, the Euclidean cost is a sum over the items and the
/// other a mean, and the positive stays in the denominator of the second. Keys are constants: no gradient flows into them. One
/// query has `p` = 1: the RBF cost is then `2 T` times [InfoNCE](super::InfoNceLoss). Time `O(queries n^2 dim)`; the Euclidean
/// cost holds `[n, n]` numbers.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::contrastive::CacrMomentumLossConfig;
///
/// let device = Device::flex();
/// let queries = Tensor::<3>::random([2, 8, 16], Distribution::Default, &device);
/// let keys = Tensor::<2>::random([8, 16], Distribution::Default, &device);
/// let loss = CacrMomentumLossConfig::new().init().forward(queries, keys);
/// assert!(loss.into_scalar::<f32>().is_finite());
/// ```
///
/// Source: Zheng et al. 2023, <https://arxiv.org/abs/2105.03746>, section 4, as in the authors' code for ImageNet.
#[derive(Module, Debug)]
pub struct CacrMomentumLoss {
    /// Temperature.
    pub temperature: f64,
    /// What a negative costs.
    #[module(skip)]
    pub cost: RepulsionCost,
    /// Whether rows are scaled to length 1 first.
    pub normalize: bool,
}

impl CacrMomentumLoss {
    /// The loss of a batch.
    ///
    /// # Shapes
    /// - queries: `[queries, n, dim]`, at least one query an item, `n >= 2`
    /// - keys: `[n, dim]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When shapes do not match, there are fewer items, or memory does not suffice (with the sizes).
    pub fn forward(&self, queries: Tensor<3>, keys: Tensor<2>) -> Tensor<1> {
        let [count, n, dim] = queries.dims();
        assert_eq!(keys.dims(), [n, dim], "every item needs one key as long as its queries");
        assert!(count >= 1 && n >= 2, "attraction and repulsion need a query of two items or more, got {count} of {n}");
        let keys = unit_rows(keys.detach(), self.normalize);
        let queries: Vec<Tensor<2>> =
            (0..count).map(|a| unit_rows(pair_of_views(&queries, a, a).0, self.normalize)).collect();
        let distances = queries.iter().map(|q| (q.clone().detach() - keys.clone()).square().sum_dim(1).reshape([1, n]));
        let shares = activation::softmax(Tensor::cat(distances.collect(), 0).mul_scalar(1.0 / self.temperature), 0);
        let losses = queries.into_iter().enumerate().map(|(a, query)| {
            let share = shares.clone().slice([a..a + 1, 0..n]).reshape([n]);
            match self.cost {
                RepulsionCost::Rbf => {
                    let loss = InfoNceLoss { temperature: self.temperature, symmetric: false, normalize: false };
                    let each = loss.forward_no_reduction(query, keys.clone(), None);
                    (share * each).mean().mul_scalar(2.0 * self.temperature)
                }
                RepulsionCost::Euclidean => (share * self.euclidean(query, keys.clone())).sum(),
            }
        });
        Tensor::cat(losses.collect(), 0).sum()
    }

    /// The Euclidean cost of every item, `[n]`.
    fn euclidean(&self, query: Tensor<2>, keys: Tensor<2>) -> Tensor<1> {
        let n = keys.dims()[0];
        let own: Tensor<1> = (query.clone() * keys.clone()).sum_dim(1).reshape([n]);
        let scores = query.matmul(keys.transpose());
        let others = scores.clone().detach().mul_scalar(1.0 / self.temperature);
        let others = others.clone().mask_fill(diagonal(n, &others), f32::MIN / 4.0);
        // The weights sum to 1: (1 - s_ii) - sum_j v_ij (1 - s_ij) = sum_j v_ij s_ij - s_ii.
        (activation::softmax(others, 1) * scores).sum_dim(1).reshape([n]) - own
    }
}
