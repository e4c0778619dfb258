use super::init;
use super::weighted_pair::WeightedPairLossConfig;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of a step of [coupled estimation](Cet).
#[derive(Config, Debug)]
pub struct CetConfig {
    /// What scores are divided by in the weights, above 0: the larger, the nearer all weights are to 2. The authors' code has 2, their
    /// published command 10.
    #[config(default = 2.0)]
    pub ratio: f64,
    /// Largest exponent of a weight, above 0.
    #[config(default = 30.0)]
    pub cap: f64,
}

impl CetConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value) in [("ratio", self.ratio), ("cap", self.cap)] {
            require(value > 0.0 && value.is_finite(), field, value, "above 0 and finite")?;
        }
        Ok(())
    }

    fn build(&self) -> Cet {
        Cet { ratio: self.ratio, cap: self.cap }
    }
}

init!(CetConfig => Cet);

/// The coupled estimation technique (CET): a relevance model and a selection model weigh each other's unlabelled documents.
///
/// ```text
/// w_rel = 1 + exp(min(g(q, d-) / ratio, cap)),     w_sel = 1 + exp(min(f(q, d-) / ratio, cap))
/// L_rel = (1/P) sum w_rel softplus(f(d-) - f(d+)), L_sel = (1/P) sum w_sel softplus(g(d-) - g(d+))
/// ```
///
/// `f` scores relevance and `g` how likely a document was to be shown to a judge. An unlabelled document that was likely shown is a
/// trustworthy negative, and weighs more. Weights are constants. The weight is one over `1 - sigmoid(score / ratio)`, the inverse
/// propensity of a negative.
///
/// Source: Cai et al. 2022, <https://arxiv.org/abs/2209.05072>, as in the authors' code.
#[derive(Module, Debug)]
pub struct Cet {
    /// What scores are divided by in the weights.
    pub ratio: f64,
    /// Largest exponent of a weight.
    pub cap: f64,
}

/// What a step of [`Cet`] gives.
#[derive(Debug, Clone)]
pub struct CetStep {
    /// Loss of the relevance model `[1]`.
    pub relevance_loss: Tensor<1>,
    /// Loss of the selection model `[1]`.
    pub selection_loss: Tensor<1>,
    /// Weights of the pairs in the loss of relevance `[P]`.
    pub relevance_weights: Tensor<1>,
    /// Weights of the pairs in the loss of selection `[P]`.
    pub selection_weights: Tensor<1>,
    /// Loss of the relevance model with all weights 1, to watch.
    pub relevance_unweighted: Tensor<1>,
    /// Loss of the selection model with all weights 1, to watch.
    pub selection_unweighted: Tensor<1>,
}

impl Cet {
    /// Weights `[P]` from the other model's scores of the unlabelled documents `[P]`; no gradient passes through.
    ///
    /// # Panics
    /// When a score is NaN.
    pub fn weights(&self, scores: Tensor<1>) -> Tensor<1> {
        let scores = scores.detach();
        assert!(!scores.clone().is_nan().any().into_scalar::<bool>(), "a score is NaN: the other model has diverged");
        scores.mul_scalar(1.0 / self.ratio).clamp_max(self.cap).exp().add_scalar(1.0)
    }

    /// Both losses of a batch of pairs, from both models' scores of the labelled and the unlabelled documents `[P]`.
    ///
    /// # Panics
    /// When there is no pair, the lengths differ, or a score of an unlabelled document is NaN.
    pub fn forward(
        &self,
        [relevance_positive, relevance_negative]: [Tensor<1>; 2],
        [selection_positive, selection_negative]: [Tensor<1>; 2],
    ) -> CetStep {
        assert_eq!(relevance_positive.dims(), selection_positive.dims(), "both models score the same pairs");
        let pairs = WeightedPairLossConfig::new().init();
        let relevance_weights = self.weights(selection_negative.clone());
        let selection_weights = self.weights(relevance_negative.clone());
        let loss = |positive: &Tensor<1>, negative: &Tensor<1>, weights: Option<&Tensor<1>>| {
            pairs.forward(positive.clone(), negative.clone(), weights.cloned())
        };
        CetStep {
            relevance_loss: loss(&relevance_positive, &relevance_negative, Some(&relevance_weights)),
            selection_loss: loss(&selection_positive, &selection_negative, Some(&selection_weights)),
            relevance_unweighted: loss(&relevance_positive, &relevance_negative, None).detach(),
            selection_unweighted: loss(&selection_positive, &selection_negative, None).detach(),
            relevance_weights,
            selection_weights,
        }
    }
}

/// What labels say where a document is labelled only if it is relevant and was shown, see [`pooling_posterior`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolingPosterior {
    /// Probability of a label.
    pub labelled: f64,
    /// Probability that an unlabelled document is relevant.
    pub relevant_unlabelled: f64,
    /// Probability that an unlabelled document is not relevant.
    pub irrelevant_unlabelled: f64,
    /// Probability that an unlabelled document was shown.
    pub selected_unlabelled: f64,
}

/// Posteriors from the probabilities `relevance` and `selection` of a document, taken to be independent:
///
/// ```text
/// P(l = 1) = rho lam,                         P(r = 1 | l = 0) = rho (1 - lam) / (1 - rho lam)
/// P(r = 0 | l = 0) = (1 - rho) / (1 - rho lam), P(s = 1 | l = 0) = lam (1 - rho) / (1 - rho lam)
/// ```
///
/// Where `rho lam` is 1 no document is unlabelled, and the three are 0.
///
/// # Panics
/// When a probability is outside `[0, 1]`.
///
/// Source: our derivation from the assumption of Cai et al. 2022, <https://arxiv.org/abs/2209.05072>, section 3.
pub fn pooling_posterior(relevance: f64, selection: f64) -> PoolingPosterior {
    let (rho, lam) = (relevance, selection);
    assert!(
        (0.0..=1.0).contains(&rho) && (0.0..=1.0).contains(&lam),
        "probabilities are in [0, 1], got {rho} and {lam}"
    );
    let unlabelled = 1.0 - rho * lam;
    let part = |of: f64| if unlabelled > 0.0 { of / unlabelled } else { 0.0 };
    PoolingPosterior {
        labelled: rho * lam,
        relevant_unlabelled: part(rho * (1.0 - lam)),
        irrelevant_unlabelled: part(1.0 - rho),
        selected_unlabelled: part(lam * (1.0 - rho)),
    }
}
