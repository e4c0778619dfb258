use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_one_minus_softmax;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// How the values of a batch become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
}

/// Configuration of [negative learning](NegativeLearning).
#[derive(Config, Debug)]
pub struct NegativeLearningConfig {
    /// The classes that the examples are not of, none twice; may be empty, or all.
    pub known: Vec<usize>,
    /// What is added inside the logarithm, at least 0; the authors' code has 1e-8, which stops the gradient of an example that
    /// is surely taken for a known class.
    #[config(default = 0.0)]
    pub epsilon: f64,
    /// Sum (the authors' code) or mean over the batch.
    #[config(default = "Reduction::Sum")]
    pub reduction: Reduction,
}

impl NegativeLearningConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_distinct("known", &self.known)?;
        require(self.epsilon >= 0.0 && self.epsilon.is_finite(), "epsilon", self.epsilon, "finite and at least 0")
    }

    fn build(&self) -> NegativeLearning {
        NegativeLearning { known: self.known.clone(), epsilon: self.epsilon, reduction: self.reduction }
    }
}

init!(NegativeLearningConfig => NegativeLearning);

/// `Ok` when no class is listed twice.
pub(crate) fn require_distinct(field: &str, classes: &[usize]) -> Result<(), InvalidParameter> {
    let twice = classes.iter().enumerate().find(|(at, class)| classes[..*at].contains(class));
    twice.map_or(Ok(()), |(_, class)| Err(InvalidParameter::new(field, class, "listed only once")))
}

/// Negative learning: "this is none of the known classes".
///
/// ```text
/// l_i = - sum_{c in K} log(1 - p_ic + e),        p_i = softmax(x_i) over all classes
/// ```
///
/// for known classes `K`; 0 where there are none. With `e = 0` it is exact also where `p` rounds to 1: `-log(1 - p_c)` is then
/// the log-sum-exp of all logits less that of all but `c`, about `x_c - max x`. Time `O(n classes)`.
///
/// Source: Hasan et al. 2023, "NEV-NCD", <https://arxiv.org/abs/2304.07354>, as in the authors' notebook; after Kim et al. 2019,
/// "NLNL", <https://arxiv.org/abs/1908.07387>, equation 2.
#[derive(Module, Debug)]
pub struct NegativeLearning {
    /// The classes that the examples are not of.
    #[module(skip)]
    pub known: Vec<usize>,
    /// What is added inside the logarithm.
    pub epsilon: f64,
    /// How the batch becomes one number.
    #[module(skip)]
    pub reduction: Reduction,
}

impl NegativeLearning {
    /// The sum or mean over the batch.
    ///
    /// # Shapes
    /// - logits: `[n, classes]`, `classes >= 2`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the batch is empty, there is one class only, or a known class is out of range.
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<1> {
        let losses = self.forward_no_reduction(logits);
        match self.reduction {
            Reduction::Sum => losses.sum(),
            Reduction::Mean => losses.mean(),
        }
    }

    /// The value of every example.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), with output `[n]`.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, logits: Tensor<2>) -> Tensor<1> {
        let [n, classes] = logits.dims();
        assert!(n > 0 && classes >= 2, "a loss needs an example and two classes, got logits [{n}, {classes}]");
        check_classes(&self.known, classes);
        let device = logits.device();
        let mut log = log_one_minus_softmax(logits);
        if self.epsilon > 0.0 {
            log = log.exp().add_scalar(self.epsilon).log();
        }
        let unknown: Vec<bool> = (0..classes).map(|class| !self.known.contains(&class)).collect();
        let unknown = Tensor::<2, Bool>::from_data(TensorData::new(unknown, [1, classes]), &device);
        log.mask_fill(unknown.expand([n, classes]), 0.0).sum_dim(1).neg().reshape([n])
    }
}

/// # Panics
/// When a listed class is out of range.
pub(crate) fn check_classes(listed: &[usize], classes: usize) {
    if let Some(class) = listed.iter().find(|class| **class >= classes) {
        panic!("class {class} is not in 0..{classes}");
    }
}
