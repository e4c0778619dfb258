use super::{NovelEntropy, NovelEntropyConfig, NovelVariance, NovelVarianceConfig};
use crate::InvalidParameter;
use crate::classification::CrossEntropyLossConfig;
use crate::error::require;
use crate::negatives::{NegativeLearning, NegativeLearningConfig, Reduction};
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [objective of novel category discovery](NevNcd).
#[derive(Config, Debug)]
pub struct NevNcdConfig {
    /// The known classes, none twice.
    pub known: Vec<usize>,
    /// The novel classes, at least one, none twice, none of them known.
    pub novel: Vec<usize>,
    /// Weight of negative learning, at least 0.
    #[config(default = 1.0)]
    pub negative_weight: f64,
    /// Weight of the entropy, at least 0.
    #[config(default = 1.0)]
    pub entropy_weight: f64,
    /// Weight of the variance, at least 0.
    #[config(default = 1.0)]
    pub variance_weight: f64,
    /// Temperature of the variance, above 0.
    #[config(default = 0.005)]
    pub temperature: f64,
}

impl NevNcdConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        self.negative().validate()?;
        self.variance().validate()?;
        if let Some(class) = self.novel.iter().find(|class| self.known.contains(class)) {
            return Err(InvalidParameter::new("novel", class, "none of the known classes"));
        }
        let weights = [
            ("negative_weight", self.negative_weight),
            ("entropy_weight", self.entropy_weight),
            ("variance_weight", self.variance_weight),
        ];
        weights.into_iter().try_for_each(|(field, weight)| {
            require(weight >= 0.0 && weight.is_finite(), field, weight, "finite and at least 0")
        })
    }

    fn negative(&self) -> NegativeLearningConfig {
        NegativeLearningConfig::new(self.known.clone()).with_reduction(Reduction::Mean)
    }

    fn variance(&self) -> NovelVarianceConfig {
        NovelVarianceConfig::new(self.novel.clone()).with_temperature(self.temperature)
    }

    fn build(&self) -> NevNcd {
        NevNcd {
            negative: self.negative().init(),
            entropy: NovelEntropyConfig::new(self.novel.clone()).init(),
            variance: self.variance().init(),
            negative_weight: self.negative_weight,
            entropy_weight: self.entropy_weight,
            variance_weight: self.variance_weight,
        }
    }
}

init!(NevNcdConfig => NevNcd);

/// Novel category discovery in one stage: labelled examples of known classes, unlabelled ones of novel classes, one head.
///
/// ```text
/// loss = CE(labelled) + w_n NL(unlabelled) + w_e E(unlabelled) + w_v VL(unlabelled)
/// ```
///
/// with cross-entropy CE, [negative learning](NegativeLearning) NL (both means over their examples), [entropy](NovelEntropy) E and
/// [variance](NovelVariance) VL over the novel classes. Terms of weight 0 are not computed. Labelled and unlabelled examples
/// belong through the encoder in one batch: batch normalisation must not see them apart.
///
/// Source: Hasan et al. 2023, "NEV-NCD", <https://arxiv.org/abs/2304.07354>, as in the authors' notebook; the mean of NL in place
/// of its sum makes the weights independent of the batch size.
#[derive(Module, Debug)]
pub struct NevNcd {
    /// "None of the known classes."
    pub negative: NegativeLearning,
    /// "Be certain which novel class."
    pub entropy: NovelEntropy,
    /// "Use all novel classes."
    pub variance: NovelVariance,
    /// Weight of negative learning.
    pub negative_weight: f64,
    /// Weight of the entropy.
    pub entropy_weight: f64,
    /// Weight of the variance.
    pub variance_weight: f64,
}

impl NevNcd {
    /// The loss of labelled and unlabelled examples.
    ///
    /// # Shapes
    /// - labeled_logits: `[l, classes]`, labels: `[l]`
    /// - unlabeled_logits: `[u, classes]`, `u >= 2` unless the variance has weight 0
    /// - output: `[1]`
    ///
    /// # Panics
    /// When a batch is empty or too small for a variance, shapes do not fit each other, or a listed class is out of range.
    pub fn forward(&self, labeled_logits: Tensor<2>, labels: Tensor<1, Int>, unlabeled_logits: Tensor<2>) -> Tensor<1> {
        let loss = CrossEntropyLossConfig::new().init().forward(labeled_logits, labels);
        loss + self.unlabeled(unlabeled_logits)
    }

    /// The three terms of the unlabelled examples, weighted: for a loss on labelled ones of your own.
    ///
    /// # Shapes
    /// - logits: `[u, classes]`, `u >= 2` unless the variance has weight 0
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn unlabeled(&self, logits: Tensor<2>) -> Tensor<1> {
        let mut loss = Tensor::zeros([1], (&logits.device(), logits.dtype()));
        if self.negative_weight > 0.0 {
            loss = loss + self.negative.forward(logits.clone()).mul_scalar(self.negative_weight);
        }
        if self.entropy_weight > 0.0 {
            loss = loss + self.entropy.forward(logits.clone()).mul_scalar(self.entropy_weight);
        }
        if self.variance_weight > 0.0 {
            loss = loss + self.variance.forward(logits).mul_scalar(self.variance_weight);
        }
        loss
    }
}
