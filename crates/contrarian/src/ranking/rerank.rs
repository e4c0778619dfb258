use super::init;
use crate::numerics::{binary_score, gather_target, log_sum_exp, softplus};
use crate::objective::plain;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

plain! {
    /// Configuration of the [pairwise reranker loss](RerankPairwiseLoss); it has no parameters.
    RerankPairwiseLossConfig => RerankPairwiseLoss
}
init!(RerankPairwiseLossConfig => RerankPairwiseLoss);

/// Pairwise loss of a reranker that answers yes or no: yes to a query's positive, no to its hardest negative.
///
/// ```text
/// l_i = softplus(no+_i - yes+_i) + softplus(yes-_i - no-_i),        loss = mean_i l_i
/// ```
///
/// with the logits `yes` and `no` of (query, positive), `+`, and of (query, negative), `-`.
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.4, as a scorer of pairs.
#[derive(Module, Debug)]
pub struct RerankPairwiseLoss {}

impl RerankPairwiseLoss {
    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the queries.
    ///
    /// # Panics
    /// When there is no query, or the sets are not `[n, 2]` both.
    pub fn forward(&self, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
        self.forward_no_reduction(positive, negative).mean()
    }

    /// The loss of every query.
    ///
    /// # Shapes
    /// - positive, negative: `[n, 2]`, columns yes and no
    /// - output: `[n]`
    ///
    /// # Panics
    /// When there is no query, or the sets are not `[n, 2]` both.
    pub fn forward_no_reduction(&self, positive: Tensor<2>, negative: Tensor<2>) -> Tensor<1> {
        assert_eq!(positive.dims(), negative.dims(), "every positive needs a negative");
        assert!(positive.dims()[0] > 0, "a loss needs at least one query");
        softplus(binary_score(positive)) + softplus(binary_score(negative).neg())
    }
}

plain! {
    /// Configuration of the [listwise reranker loss](RerankListwiseLoss); it has no parameters.
    RerankListwiseLossConfig => RerankListwiseLoss
}
init!(RerankListwiseLossConfig => RerankListwiseLoss);

/// Listwise loss of a reranker: the place of the positive among the listed candidates.
///
/// ```text
/// l_i = log sum_j exp(z_ij) - z_{i, t_i},        loss = mean_i l_i
/// ```
///
/// with the score `z_ij` of candidate `j` and the positive's place `t_i`, which should be random where the scorer can see
/// places. A list of one candidate has loss 0.
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.4, as a scorer of pairs.
#[derive(Module, Debug)]
pub struct RerankListwiseLoss {}

impl RerankListwiseLoss {
    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the queries.
    ///
    /// # Panics
    /// When there is no query or candidate, or there are not as many targets as queries.
    pub fn forward(&self, logits: Tensor<2>, target: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, target).mean()
    }

    /// The loss of every query.
    ///
    /// # Shapes
    /// - logits: `[n, candidates]`
    /// - target: `[n]`, each in `0..candidates`
    /// - output: `[n]`
    ///
    /// # Panics
    /// When there is no query or candidate, or there are not as many targets as queries.
    pub fn forward_no_reduction(&self, logits: Tensor<2>, target: Tensor<1, Int>) -> Tensor<1> {
        let [n, candidates] = logits.dims();
        assert!(n > 0 && candidates > 0, "a loss needs queries with candidates, got [{n}, {candidates}]");
        if candidates == 1 {
            return logits.mul_scalar(0.0).reshape([n]);
        }
        log_sum_exp(logits.clone()).reshape([n]) - gather_target(logits, target)
    }
}

plain! {
    /// Configuration of the [joint reranker loss](RerankJointLoss); it has no parameters.
    RerankJointLossConfig => RerankJointLoss
}
init!(RerankJointLossConfig => RerankJointLoss);

/// The [pairwise](RerankPairwiseLoss) and the [listwise](RerankListwiseLoss) loss of a reranker, added.
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.4.
#[derive(Module, Debug)]
pub struct RerankJointLoss {}

impl RerankJointLoss {
    /// The sum of the two means.
    ///
    /// # Shapes
    /// - positive, negative: `[n, 2]`, columns yes and no
    /// - logits: `[m, candidates]`
    /// - target: `[m]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As the two losses.
    pub fn forward(
        &self,
        positive: Tensor<2>,
        negative: Tensor<2>,
        logits: Tensor<2>,
        target: Tensor<1, Int>,
    ) -> Tensor<1> {
        RerankPairwiseLoss {}.forward(positive, negative) + RerankListwiseLoss {}.forward(logits, target)
    }
}
