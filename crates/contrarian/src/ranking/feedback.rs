use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::tensor::{Bool, Tensor};
use rand::Rng;
use rand::seq::{SliceRandom, index};

/// How much feedback revisions of a query are made with.
#[derive(Config, Debug)]
pub struct FeedbackSampler {
    /// Most feedback, at least `n_compare`.
    #[config(default = 5)]
    pub max_feedback: usize,
    /// Revisions besides the first.
    #[config(default = 1)]
    pub n_compare: usize,
    /// Whether the documents are drawn and put into a random order; otherwise they are the best, in order.
    #[config(default = true)]
    pub shuffle: bool,
}

impl FeedbackSampler {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When there are more revisions than amounts `0..=max_feedback`.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let allowed = format!("at most max_feedback, {}", self.max_feedback);
        require(self.n_compare <= self.max_feedback, "n_compare", self.n_compare, &allowed)
    }

    /// The feedback of each revision of a query, from its ranked documents: amounts are drawn from `0..=max_feedback` without
    /// replacement, the largest comes first, and the smaller ones are its beginnings.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message, or there are fewer documents than `max_feedback`.
    ///
    /// Source: Zhu et al. 2022, <https://arxiv.org/abs/2204.11545>, section 3.2, and the authors' code.
    pub fn sample(&self, ranked: &[usize], rng: &mut impl Rng) -> Vec<Vec<usize>> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        assert!(
            ranked.len() >= self.max_feedback,
            "{} documents, and feedback of up to {}",
            ranked.len(),
            self.max_feedback
        );
        let mut amounts = index::sample(rng, self.max_feedback + 1, self.n_compare + 1).into_vec();
        amounts.sort_unstable_by(|a, b| b.cmp(a));
        let mut documents = ranked[..self.max_feedback].to_vec();
        if self.shuffle {
            documents.shuffle(rng);
        }
        amounts.into_iter().map(|amount| documents[..amount].to_vec()).collect()
    }
}

/// Rocchio's rewriting of queries: towards the mean of the feedback.
///
/// ```text
/// v = alpha q + beta mean of the feedback,        alpha q without feedback
/// ```
///
/// # Shapes
/// - queries: `[B, D]`
/// - feedback: `[B, K, D]`
/// - mask: `[B, K]`, true for feedback that counts
/// - output: `[B, D]`
///
/// # Panics
/// When the shapes do not fit each other.
///
/// Source: Rocchio 1971, "Relevance feedback in information retrieval", without documents to move away from.
pub fn vector_rocchio(
    queries: Tensor<2>,
    feedback: Tensor<3>,
    mask: Tensor<2, Bool>,
    alpha: f64,
    beta: f64,
) -> Tensor<2> {
    let [batch, count, dim] = feedback.dims();
    assert_eq!(queries.dims(), [batch, dim], "queries and feedback do not fit each other");
    assert_eq!(mask.dims(), [batch, count], "there must be a mask for each document of the feedback");
    let left_out = mask.clone().bool_not().reshape([batch, count, 1]).expand([batch, count, dim]);
    let sum = feedback.mask_fill(left_out, 0.0).sum_dim(1).reshape([batch, dim]);
    let used = sum.ones_like().narrow(1, 0, 1).expand([batch, count]).mask_fill(mask.bool_not(), 0.0);
    let used = used.sum_dim(1).clamp_min(1.0);
    queries.mul_scalar(alpha) + (sum / used).mul_scalar(beta)
}
