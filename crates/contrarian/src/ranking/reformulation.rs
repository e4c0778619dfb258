use super::init;
use crate::numerics::{gather_target, log_sum_exp};
use crate::objective::plain;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData};

plain! {
    /// Configuration of the [reformulation loss](ReformulationLoss); it has no parameters.
    ReformulationLossConfig => ReformulationLoss
}
init!(ReformulationLossConfig => ReformulationLoss);

/// How well a rewritten query finds a relevant document among the whole collection.
///
/// ```text
/// l(v) = log( e^<v, d+> + sum_{d not relevant} e^<v, d> ) - <v, d+>
/// ```
///
/// `d+` is the relevant document with the lowest score, the first of equals; the other relevant ones are left out of the sum. Inner
/// products of unit vectors want a scale: multiply the query's vector.
///
/// Source: Zhu et al. 2022, <https://arxiv.org/abs/2204.11545>, section 3.1, with the choice of `d+` in the authors' code.
#[derive(Module, Debug)]
pub struct ReformulationLoss {}

impl ReformulationLoss {
    /// The loss of every query.
    ///
    /// # Shapes
    /// - queries: `[B, D]`, rewritten
    /// - documents: `[N, D]`
    /// - relevant: the relevant documents of each query
    /// - output: `[B]`
    ///
    /// # Panics
    /// When shapes do not fit each other, there are fewer than two documents, or a query has no relevant document or one that does
    /// not exist.
    pub fn forward_no_reduction(&self, queries: Tensor<2>, documents: Tensor<2>, relevant: &[Vec<usize>]) -> Tensor<1> {
        let scores = queries.matmul(documents.transpose());
        let targets = self.targets(&scores, relevant);
        self.towards(scores, relevant, &targets)
    }

    /// The loss of every query towards relevant documents that are given, from the scores `[B, N]` of all documents.
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction), and when a target does not exist.
    pub fn towards(&self, scores: Tensor<2>, relevant: &[Vec<usize>], targets: &[usize]) -> Tensor<1> {
        let [batch, count] = scores.dims();
        check(relevant, batch, count);
        assert_eq!(targets.len(), batch, "there must be a target for each query");
        let mut left_out = vec![false; batch * count];
        for (query, (relevant, target)) in relevant.iter().zip(targets).enumerate() {
            for document in relevant.iter().filter(|document| *document != target) {
                left_out[query * count + document] = true;
            }
        }
        let device = scores.device();
        let left_out = Tensor::<2, Bool>::from_data(TensorData::new(left_out, [batch, count]), &device);
        let targets: Vec<i64> = targets.iter().map(|target| *target as i64).collect();
        let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [batch]), &device);
        let positive = gather_target(scores.clone(), targets);
        log_sum_exp(scores.mask_fill(left_out, f32::MIN)).reshape([batch]) - positive
    }

    /// The relevant document with the lowest of the scores `[B, N]`, for each query.
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn targets(&self, scores: &Tensor<2>, relevant: &[Vec<usize>]) -> Vec<usize> {
        let [batch, count] = scores.dims();
        check(relevant, batch, count);
        let scores: Vec<f64> = scores.to_data().iter::<f64>().collect();
        let lowest = |(query, relevant): (usize, &Vec<usize>)| {
            let score = |document: &usize| scores[query * count + document];
            let lower = |best: usize, document: &usize| if score(document) < score(&best) { *document } else { best };
            relevant.iter().fold(relevant[0], lower)
        };
        relevant.iter().enumerate().map(lowest).collect()
    }
}

fn check(relevant: &[Vec<usize>], batch: usize, count: usize) {
    assert_eq!(relevant.len(), batch, "there must be a list of relevant documents for each query");
    for (query, relevant) in relevant.iter().enumerate() {
        assert!(!relevant.is_empty(), "query {query} has no relevant document");
        assert!(relevant.iter().all(|at| *at < count), "a document relevant to query {query} is none of {count}");
    }
}
