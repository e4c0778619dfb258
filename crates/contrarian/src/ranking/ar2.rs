use super::init;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_sigmoid;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, activation};

/// Which candidates the adversarial part is over.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum AdversarialCandidates {
    /// All, the positive with a reward of `log .5` among them, as in the authors' code.
    All,
    /// The negatives alone, with the retriever's probabilities among them: the expectation of the paper.
    Negatives,
}

/// Configuration of the [retriever's loss in AR2](Ar2RetrieverLoss).
#[derive(Config, Debug)]
pub struct Ar2RetrieverLossConfig {
    /// Weight of the adversarial part, in `[0, 1]`; the rest is distillation.
    #[config(default = 0.5)]
    pub lambda: f64,
    /// Temperature of the ranker in the distillation, above 0.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// Which candidates the adversarial part is over.
    #[config(default = "AdversarialCandidates::All")]
    pub adversarial: AdversarialCandidates,
}

impl Ar2RetrieverLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require((0.0..=1.0).contains(&self.lambda), "lambda", self.lambda, "in [0, 1]")?;
        let allowed = "above 0 and finite";
        require(self.temperature > 0.0 && self.temperature.is_finite(), "temperature", self.temperature, allowed)
    }

    fn build(&self) -> Ar2RetrieverLoss {
        Ar2RetrieverLoss { lambda: self.lambda, temperature: self.temperature, adversarial: self.adversarial }
    }
}

init!(Ar2RetrieverLossConfig => Ar2RetrieverLoss);

/// Rewards below this are cut: a ranker that is that sure is as good as one that is surer.
const LOWEST_REWARD: f64 = -20.0;

/// The retriever's step in AR2, the game of a retriever that looks for what fools a ranker and learns from it.
///
/// ```text
/// r_i    = log sigmoid(z_0 - z_i)                          (cut at -20)
/// L_adv  = mean_q sum_i r_i log p_i,          p = softmax(s)
/// L_dist = -mean_q sum_i softmax(z / t)_i log p_i
/// loss   = lambda L_adv + (1 - lambda) L_dist
/// ```
///
/// `s` are the retriever's and `z` the ranker's scores of a query's candidates, the positive first; the ranker's are constants. A very
/// negative reward marks a document that the ranker finds better than the positive, and moves probability to it. The ranker's own
/// step is [`RerankListwiseLoss`](super::RerankListwiseLoss) with target 0. Both parts are means over the queries (the authors' code
/// sums the first, so that its weight grows with the batch).
///
/// Source: Zhang et al. 2021, <https://arxiv.org/abs/2110.03611>, equations 3 to 6.
#[derive(Module, Debug)]
pub struct Ar2RetrieverLoss {
    /// Weight of the adversarial part.
    pub lambda: f64,
    /// Temperature of the ranker in the distillation.
    pub temperature: f64,
    /// Which candidates the adversarial part is over.
    #[module(skip)]
    pub adversarial: AdversarialCandidates,
}

/// The parts of an [`Ar2RetrieverLoss`].
#[derive(Debug, Clone)]
pub struct Ar2Parts {
    /// The loss `[1]`.
    pub loss: Tensor<1>,
    /// Its adversarial part `[1]`, without its weight.
    pub adversarial: Tensor<1>,
    /// Its distillation part `[1]`, without its weight.
    pub distillation: Tensor<1>,
    /// The rewards `[B, M]`.
    pub rewards: Tensor<2>,
}

impl Ar2RetrieverLoss {
    /// The loss of a batch of candidate lists.
    ///
    /// # Panics
    /// As [`forward_parts`](Self::forward_parts).
    pub fn forward(&self, retriever: Tensor<2>, ranker: Tensor<2>) -> Tensor<1> {
        self.forward_parts(retriever, ranker).loss
    }

    /// The loss with its parts.
    ///
    /// # Shapes
    /// - retriever, ranker: scores `[B, M]`, the positive in column 0
    ///
    /// # Panics
    /// When there is no query, fewer than two candidates, or the shapes differ.
    pub fn forward_parts(&self, retriever: Tensor<2>, ranker: Tensor<2>) -> Ar2Parts {
        let [batch, candidates] = retriever.dims();
        assert!(batch > 0 && candidates > 1, "the game needs queries with negatives, got [{batch}, {candidates}]");
        assert_eq!(ranker.dims(), [batch, candidates], "retriever and ranker score the same candidates");
        let ranker = ranker.detach();
        let rewards = log_sigmoid(ranker.clone().narrow(1, 0, 1) - ranker.clone()).clamp_min(LOWEST_REWARD);
        let negatives = |x: Tensor<2>| x.narrow(1, 1, candidates - 1);
        let (kept, from) = match self.adversarial {
            AdversarialCandidates::All => (rewards.clone(), retriever.clone()),
            AdversarialCandidates::Negatives => (negatives(rewards.clone()), negatives(retriever.clone())),
        };
        let adversarial = (kept * activation::log_softmax(from, 1)).sum_dim(1).mean();
        let taught = activation::softmax(ranker.mul_scalar(1.0 / self.temperature), 1);
        let distillation = (taught * activation::log_softmax(retriever, 1)).sum_dim(1).mean().neg();
        let loss = adversarial.clone().mul_scalar(self.lambda) + distillation.clone().mul_scalar(1.0 - self.lambda);
        Ar2Parts { loss, adversarial, distillation, rewards }
    }
}
