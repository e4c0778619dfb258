use super::init;
use super::pairs::{PairLoss, PairReduction};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Configuration of the [Mann-Whitney loss](MwLoss).
#[derive(Config, Debug)]
pub struct MwLossConfig {
    /// Temperature, above 0.
    #[config(default = 0.01)]
    pub temperature: f64,
    /// How pairs become one number; the paper sums over the negatives.
    #[config(default = "PairReduction::MeanPairs")]
    pub reduction: PairReduction,
}

impl MwLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let allowed = "above 0 and finite";
        require(self.temperature > 0.0 && self.temperature.is_finite(), "temperature", self.temperature, allowed)
    }

    fn build(&self) -> MwLoss {
        MwLoss { temperature: self.temperature, reduction: self.reduction }
    }
}

init!(MwLossConfig => MwLoss);

/// Mann-Whitney loss: every positive score against every negative one of the batch, also of other queries.
///
/// ```text
/// loss = w sum_i sum_{s in S-} softplus((s - s+_i) / temperature)
/// ```
///
/// `s+` are the positive scores, `S-` the negative ones; `w` is `1/(P N)` for `MeanPairs`, `1/P` for `SumOverNegatives`,
/// 1 for `SumPairs`. The mean divided by `ln 2` bounds `1 - AUC`, so scores of different queries become comparable and one
/// threshold can serve all.
///
/// Source: Sheikholeslami et al. 2025, <https://arxiv.org/abs/2510.00137>; the temperature stands as in its experiments.
#[derive(Module, Debug)]
pub struct MwLoss {
    /// Temperature.
    pub temperature: f64,
    /// How pairs become one number.
    #[module(skip)]
    pub reduction: PairReduction,
}

impl MwLoss {
    /// The loss of two pools of scores. On the CPU a kernel that holds no pairs.
    ///
    /// # Shapes
    /// - positives: `[P]`
    /// - negatives: `[N]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When a pool is empty, or the pools differ in dtype.
    pub fn pools(&self, positives: Tensor<1>, negatives: Tensor<1>) -> Tensor<1> {
        self.pair_loss().forward(self.reduction, positives, negatives)
    }

    /// The loss of a batch of queries: column `i` is the positive passage of query `i`, every other entry a negative.
    ///
    /// `ignore` is true for entries that are no negatives: further known positives, duplicates of the positive. It says
    /// nothing about the positives themselves.
    ///
    /// # Shapes
    /// - scores: `[B, M]` with `M >= B`
    /// - ignore: `[B, M]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When `M < B`, `ignore` has another shape, or no negative is left.
    pub fn forward_scores(&self, scores: Tensor<2>, ignore: Option<Tensor<2, Bool>>) -> Tensor<1> {
        let (positives, negatives) = split(scores, ignore);
        self.pools(positives, negatives)
    }

    /// The loss of embeddings, by the dot products of queries and passages; of their directions (cosines) where
    /// `normalise`.
    ///
    /// # Shapes
    /// - queries: `[B, D]`
    /// - passages: `[M, D]`, the first `B` the positives of the queries
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward_scores`](Self::forward_scores).
    pub fn forward_embeddings(&self, queries: Tensor<2>, passages: Tensor<2>, normalise: bool) -> Tensor<1> {
        // A vector of zeros has no direction: its cosines are 0.
        let direction = |x: Tensor<2>| {
            let squares = x.clone().square().sum_dim(1);
            let zero = squares.clone().equal_scalar(0);
            x / squares.mask_fill(zero, 1.0).sqrt()
        };
        let (queries, passages) =
            if normalise { (direction(queries), direction(passages)) } else { (queries, passages) };
        self.forward_scores(queries.matmul(passages.transpose()), None)
    }

    fn pair_loss(&self) -> PairLoss {
        PairLoss::MannWhitney { temperature: self.temperature }
    }
}

/// The positives on the diagonal `[B]`, and all other entries that are not ignored.
fn split(scores: Tensor<2>, ignore: Option<Tensor<2, Bool>>) -> (Tensor<1>, Tensor<1>) {
    let [queries, passages] = scores.dims();
    check_scores(&scores, ignore.as_ref());
    // How many negatives there are is the shape of a tensor, so the mask is read.
    let ignored: Vec<bool> = ignore.map_or_else(
        || vec![false; queries * passages],
        |mask| mask.into_data().try_to_vec().expect("a mask holds booleans"),
    );
    let is_negative = |&entry: &usize| entry / passages != entry % passages && !ignored[entry];
    let negatives: Vec<i64> = (0..queries * passages).filter(is_negative).map(|entry| entry as i64).collect();
    assert!(!negatives.is_empty(), "no negative is left in scores [{queries}, {passages}]");
    let positives: Vec<i64> = (0..queries).map(|query| (query * passages + query) as i64).collect();
    let device = scores.device();
    let scores = scores.reshape([queries * passages]);
    let take = |entries: Vec<i64>| {
        let count = entries.len();
        let entries = Tensor::<1, Int>::from_data(TensorData::new(entries, [count]), &device);
        scores.clone().select(0, entries)
    };
    (take(positives), take(negatives))
}

/// Checks the shapes of scores whose positives are on the diagonal.
pub(super) fn check_scores(scores: &Tensor<2>, ignore: Option<&Tensor<2, Bool>>) {
    let [queries, passages] = scores.dims();
    assert!(queries > 0, "a loss needs at least one query");
    assert!(passages >= queries, "{queries} queries have a positive each, but there are {passages} passages");
    if let Some(mask) = ignore {
        assert_eq!(mask.dims(), scores.dims(), "`ignore` must have the shape of the scores");
    }
}
