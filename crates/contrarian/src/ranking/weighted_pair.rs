use super::init;
use crate::numerics::softplus;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// How weighted pairs become one number.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum WeightedReduction {
    /// The weighted sum divided by the number of pairs: a large weight is a large step.
    SumOverCount,
    /// The weighted sum divided by the sum of the weights.
    SumOverWeights,
}

/// Configuration of the [loss of weighted pairs](WeightedPairLoss).
#[derive(Config, Debug)]
pub struct WeightedPairLossConfig {
    /// How pairs become one number.
    #[config(default = "WeightedReduction::SumOverCount")]
    pub reduction: WeightedReduction,
}

impl WeightedPairLossConfig {
    fn build(&self) -> WeightedPairLoss {
        WeightedPairLoss { reduction: self.reduction }
    }

    /// Every configuration is valid.
    ///
    /// # Errors
    /// None.
    pub fn validate(&self) -> Result<(), crate::InvalidParameter> {
        Ok(())
    }
}

init!(WeightedPairLossConfig => WeightedPairLoss);

/// Logistic loss of pairs with weights: the positive of each pair above its negative.
///
/// ```text
/// loss = sum_i w_i softplus(n_i - p_i) / P,        or divided by sum_i w_i
/// ```
///
/// Without weights all are 1. They are constants: no gradient passes through them.
///
/// Source: Burges et al. 2005, "Learning to rank using gradient descent" (RankNet), the pair loss; with weights as in Cai et al. 2022,
/// <https://arxiv.org/abs/2209.05072>.
#[derive(Module, Debug)]
pub struct WeightedPairLoss {
    /// How pairs become one number.
    #[module(skip)]
    pub reduction: WeightedReduction,
}

impl WeightedPairLoss {
    /// The loss of all pairs.
    ///
    /// # Shapes
    /// - positives, negatives, weights: `[P]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When there is no pair, or the lengths differ.
    pub fn forward(&self, positives: Tensor<1>, negatives: Tensor<1>, weights: Option<Tensor<1>>) -> Tensor<1> {
        let [pairs] = positives.dims();
        assert!(pairs > 0, "a loss over pairs needs at least one");
        assert_eq!(negatives.dims(), [pairs], "every positive score needs a negative one");
        let losses = softplus(negatives - positives);
        let Some(weights) = weights.map(Tensor::detach) else { return losses.mean() };
        assert_eq!(weights.dims(), [pairs], "there must be a weight for each pair");
        let sum = (losses * weights.clone()).sum();
        match self.reduction {
            WeightedReduction::SumOverCount => sum.mul_scalar(1.0 / pairs as f64),
            WeightedReduction::SumOverWeights => sum / weights.sum(),
        }
    }
}
