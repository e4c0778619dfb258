use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::sigmoid;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// A judge's score from its logits of yes and no.
///
/// ```text
/// score = e^yes / (e^yes + e^no) = sigmoid(yes - no)
/// ```
///
/// # Shapes
/// - yes, no: any, the same
/// - output: the same, in `[0, 1]`
///
/// # Panics
/// When the shapes differ.
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.1.
pub fn judge_score<const D: usize>(yes: Tensor<D>, no: Tensor<D>) -> Tensor<D> {
    sigmoid(yes - no)
}

/// Configuration of the miner of [judged hard negatives](JudgedHardNegatives).
#[derive(Config, Debug)]
pub struct JudgedHardNegativesConfig {
    /// How far below the positive's score a candidate must be, in `[0, 1]`.
    #[config(default = 0.01)]
    pub margin: f64,
    /// Negatives a query, at least 1.
    #[config(default = 8)]
    pub count: usize,
    /// Candidates between two that are taken in one round, at least 1; 1 takes them in order.
    #[config(default = 5)]
    pub stride: usize,
}

impl JudgedHardNegativesConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..=1.0).contains(&self.margin), "margin", self.margin, "in [0, 1]")?;
        require(self.count >= 1, "count", self.count, "at least 1")?;
        require(self.stride >= 1, "stride", self.stride, "at least 1")
    }

    fn build(&self) -> JudgedHardNegatives {
        JudgedHardNegatives { margin: self.margin, count: self.count, stride: self.stride }
    }
}

init!(JudgedHardNegativesConfig => JudgedHardNegatives);

/// Hard negatives without false ones: candidates that a judge finds as good as the positive are left out, the rest is sampled
/// evenly over the ranking.
///
/// ```text
/// kept   = candidates j in retrieval order with s_j <= s+ - margin
/// order  = kept[0], kept[stride], kept[2 stride], ..., then kept[1], kept[1 + stride], ..., and so on
/// chosen = the first `count` of the order, repeated from its start where it is shorter
/// ```
///
/// with the judge's scores `s` of the candidates and `s+` of the positive. A score equal to the threshold is kept; scores are
/// compared in f64. Where no candidate is kept there is no negative: the caller decides what to do with such a query.
///
/// That the order sampled from is the retrieval order is our reading of the paper.
///
/// Source: Gu et al. 2025, "UniME-V2", <https://arxiv.org/abs/2510.13515>, section 3.2.
#[derive(Module, Debug)]
pub struct JudgedHardNegatives {
    /// How far below the positive's score a candidate must be.
    pub margin: f64,
    /// Negatives a query.
    pub count: usize,
    /// Candidates between two that are taken in one round.
    pub stride: usize,
}

/// What the [miner](JudgedHardNegatives) chose for a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedNegatives {
    /// Places of the chosen candidates, `count` of them; none where no candidate was kept.
    pub indices: Vec<usize>,
    /// Candidates that were left out as false negatives.
    pub filtered: usize,
    /// Chosen places that had been chosen before, for want of candidates.
    pub repeated: usize,
}

impl JudgedHardNegatives {
    /// The negatives of one query.
    ///
    /// # Errors
    /// When there is no candidate, or a score is not in `[0, 1]` (with its place).
    pub fn mine(&self, scores: &[f64], positive_score: f64) -> Result<JudgedNegatives, InvalidParameter> {
        let score = |field: &str, score: f64| require((0.0..=1.0).contains(&score), field, score, "in [0, 1]");
        require(!scores.is_empty(), "scores", "empty", "the score of at least one candidate")?;
        score("positive_score", positive_score)?;
        scores.iter().enumerate().try_for_each(|(at, &value)| score(&format!("scores[{at}]"), value))?;
        let threshold = positive_score - self.margin;
        let kept: Vec<usize> = (0..scores.len()).filter(|&at| scores[at] <= threshold).collect();
        let order =
            (0..self.stride.min(kept.len())).flat_map(|start| kept[start..].iter().step_by(self.stride).copied());
        // `cycle` of nothing ends at once.
        let indices = order.cycle().take(self.count).collect();
        let repeated = if kept.is_empty() { 0 } else { self.count.saturating_sub(kept.len()) };
        Ok(JudgedNegatives { indices, filtered: scores.len() - kept.len(), repeated })
    }

    /// The negatives of many queries: `scores` has a row of candidates for every positive.
    ///
    /// # Errors
    /// When rows and positives are not equally many, and as [`mine`](Self::mine), with the query.
    pub fn mine_batch(&self, scores: &[Vec<f64>], positives: &[f64]) -> Result<Vec<JudgedNegatives>, InvalidParameter> {
        let rows = format!("a row for each of the {} positive scores", positives.len());
        require(scores.len() == positives.len(), "scores", format!("of {} rows", scores.len()), &rows)?;
        let of_query = |(query, (scores, &positive)): (usize, (&Vec<f64>, &f64))| {
            self.mine(scores, positive).map_err(|error| {
                InvalidParameter::new(&format!("{} of query {query}", error.field), error.value, error.allowed)
            })
        };
        scores.iter().zip(positives).enumerate().map(of_query).collect()
    }
}
