use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::softplus;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};

/// Configuration of the [STAR loss](StarLoss).
#[derive(Config, Debug)]
pub struct StarLossConfig {
    /// Weight of the pairs within the batch, at least 0; 1 is the authors' code.
    #[config(default = 1.0)]
    pub alpha: f64,
}

impl StarLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.alpha >= 0.0 && self.alpha.is_finite(), "alpha", self.alpha, "at least 0 and finite")
    }

    fn build(&self) -> StarLoss {
        StarLoss { alpha: self.alpha }
    }
}

init!(StarLossConfig => StarLoss);

/// STAR: static hard negatives, kept stable by the batch's own documents.
///
/// ```text
/// loss = ( alpha sum_{(i,j) in A} softplus(s_ij - s_ii) + sum_{(i,k) in H} softplus(<q_i, h_k> - s_ii) ) / (|A| + |H|)
/// ```
///
/// `s_ij = <q_i, d_j>`; `A` are the pairs of a query and another query's document, `H` those of a query and any hard document of
/// the batch, its own or another query's. The masks take out pairs in which the document is relevant to the query.
///
/// Source: Zhan et al. 2021, <https://arxiv.org/abs/2104.08051>, section 4.1, with all pairs weighing the same as in the authors'
/// code.
#[derive(Module, Debug)]
pub struct StarLoss {
    /// Weight of the pairs within the batch.
    pub alpha: f64,
}

impl StarLoss {
    /// The loss of a batch of embeddings.
    ///
    /// # Shapes
    /// - queries, documents: `[B, D]`, document `i` relevant to query `i`
    /// - hard: `[N, D]`
    /// - pairs: `[B, B]`, true where the pair counts; all but the diagonal where it is not given
    /// - hard_pairs: `[B, N]`, true where the pair counts; all where it is not given
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes do not fit each other, or no pair is left.
    pub fn forward(
        &self,
        queries: Tensor<2>,
        documents: Tensor<2>,
        hard: Option<Tensor<2>>,
        pairs: Option<Tensor<2, Bool>>,
        hard_pairs: Option<Tensor<2, Bool>>,
    ) -> Tensor<1> {
        let hard = hard.map(|hard| queries.clone().matmul(hard.transpose()));
        self.forward_scores(queries.matmul(documents.transpose()), hard, pairs, hard_pairs)
    }

    /// The loss of scores: of the queries with each other's documents `[B, B]`, and with hard documents `[B, N]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_scores(
        &self,
        scores: Tensor<2>,
        hard: Option<Tensor<2>>,
        pairs: Option<Tensor<2, Bool>>,
        hard_pairs: Option<Tensor<2, Bool>>,
    ) -> Tensor<1> {
        let [batch, columns] = scores.dims();
        assert!(
            batch > 0 && batch == columns,
            "queries and documents are a pair each, got scores [{batch}, {columns}]"
        );
        let device = scores.device();
        let diagonal = Tensor::<1, Int>::arange(0..batch as i64, &device).reshape([batch, 1]);
        let positives = scores.clone().gather(1, diagonal.clone());
        let pairs = pairs.unwrap_or_else(|| {
            diagonal.not_equal(Tensor::<1, Int>::arange(0..batch as i64, &device).reshape([1, batch]))
        });
        let mut sums = vec![(summed(scores, positives.clone(), pairs.clone()).mul_scalar(self.alpha), pairs)];
        if let Some(hard) = hard {
            assert_eq!(hard.dims()[0], batch, "hard scores must have a row for each query");
            let all = Tensor::<2>::zeros(hard.dims(), &device).equal_scalar(0);
            let pairs = hard_pairs.unwrap_or(all);
            sums.push((summed(hard, positives, pairs.clone()), pairs));
        }
        let counted: i64 = sums.iter().map(|(_, pairs)| pairs.clone().int().sum().into_scalar::<i64>()).sum();
        assert!(counted > 0, "no pair of a query and a negative is left");
        let total = sums.into_iter().map(|(sum, _)| sum).reduce(|a, b| a + b).expect("there are the batch's pairs");
        total.mul_scalar(1.0 / counted as f64)
    }
}

fn summed(scores: Tensor<2>, positives: Tensor<2>, pairs: Tensor<2, Bool>) -> Tensor<1> {
    assert_eq!(scores.dims(), pairs.dims(), "a mask of pairs must have the shape of their scores");
    softplus(scores - positives).mask_fill(pairs.bool_not(), 0.0).sum()
}
