use super::PairwiseSquaredHinge;
use super::focal::require_weights;
use super::pairwise_squared_hinge::require_margin;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{constant, log_p_target, log_sum_exp, sigmoid};
use crate::objective::logit_objective;
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// The ranking term of the [class-dependent loss](ClassDependentLoss).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankingTerm {
    /// Squared hinge over all pairs of scores, see [`PairwiseSquaredHinge`].
    Pairwise,
    /// Squared shortfall of every positive's probability behind the largest of a negative.
    HardestNegative,
}

/// Configuration of the [class-dependent loss](ClassDependentLoss).
#[derive(Config, Debug)]
pub struct ClassDependentLossConfig {
    /// A weight above 0 for every class.
    #[config(default = "vec![1.0, 5.0]")]
    pub class_weights: Vec<f64>,
    /// Weight of the ranking term, at least 0.
    #[config(default = 5.0)]
    pub ranking_weight: f64,
    /// The ranking term.
    #[config(default = "RankingTerm::Pairwise")]
    pub ranking: RankingTerm,
    /// Margin of the pairwise term, above 0.
    #[config(default = 1.0)]
    pub margin: f64,
    /// The class whose examples must not be missed, below the number of classes.
    #[config(default = 1)]
    pub important_class: usize,
}

impl ClassDependentLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_weights(Some(&self.class_weights))?;
        let (weight, class, classes) = (self.ranking_weight, self.important_class, self.class_weights.len());
        require(weight >= 0.0 && weight.is_finite(), "ranking_weight", weight, "finite and at least 0")?;
        require_margin(self.margin)?;
        require(class < classes, "important_class", class, &format!("below the number of classes, {classes}"))
    }

    fn build(&self) -> ClassDependentLoss {
        ClassDependentLoss {
            class_weights: self.class_weights.clone(),
            ranking_weight: self.ranking_weight,
            ranking: self.ranking,
            margin: self.margin,
            important_class: self.important_class,
        }
    }
}

objective_config!(ClassDependentLossConfig => ClassDependentLoss);

/// Both parts of the [class-dependent loss](ClassDependentLoss), each `[1]`.
#[derive(Debug, Clone)]
pub struct ClassDependentParts {
    /// Weighted cross-entropy.
    pub weighted_ce: Tensor<1>,
    /// Ranking term, before its weight.
    pub ranking: Tensor<1>,
}

/// Weighted cross-entropy plus a ranking term, for a class whose examples must not be missed.
///
/// ```text
/// loss      = -(1/n) sum_i g_{y_i} log softmax(h_i)_{y_i} + lam R
/// pairwise:          R = 1/(n+ n-) sum_{i in +, j in -} max(0, m - (s_i - s_j))^2
/// hardest_negative:  R = 1/(n+ + 1) sum_{i in +} min(0, a_i - max_{j in -} a_j)^2,   a = sigmoid(s)
/// ```
///
/// with class weights `g`, `lam = ranking_weight`, margin `m`, and the score `s` of the important class against the rest:
/// `h_c - log sum_{k != c} exp(h_k)`, which is `h_1 - h_0` with two classes. A batch without an important or without any
/// other example has `R = 0`.
///
/// Source: Entezari, Saukh 2019, <https://arxiv.org/abs/1909.10364>, equations 2 to 4; the paper's ranking term is
/// under-specified, and these are two precise readings, the second that of the authors' code.
#[derive(Module, Debug)]
pub struct ClassDependentLoss {
    /// A weight for every class.
    #[module(skip)]
    pub class_weights: Vec<f64>,
    /// Weight of the ranking term.
    pub ranking_weight: f64,
    /// The ranking term.
    #[module(skip)]
    pub ranking: RankingTerm,
    /// Margin of the pairwise term.
    pub margin: f64,
    /// The class whose examples must not be missed.
    pub important_class: usize,
}

impl ClassDependentLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the number of class weights is not the number of classes.
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        if self.ranking_weight == 0.0 {
            return self.weighted_ce(logits, labels);
        }
        let ClassDependentParts { weighted_ce, ranking } = self.parts(logits, labels);
        weighted_ce + ranking.mul_scalar(self.ranking_weight)
    }

    /// Both parts of the loss; the ranking term before its weight.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    ///
    /// # Panics
    /// When the number of class weights is not the number of classes.
    pub fn parts(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> ClassDependentParts {
        let scores = self.scores(logits.clone());
        let important = labels.clone().equal_scalar(self.important_class as i64).int();
        let ranking = match self.ranking {
            RankingTerm::Pairwise => PairwiseSquaredHinge { margin: self.margin }.forward(scores, important),
            RankingTerm::HardestNegative => hardest_negative(scores, important),
        };
        ClassDependentParts { weighted_ce: self.weighted_ce(logits, labels), ranking }
    }

    fn weighted_ce(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let (classes, weights) = (logits.dims()[1], &self.class_weights);
        assert_eq!(weights.len(), classes, "{} class weights for {classes} classes", weights.len());
        let cost = log_p_target(logits, labels.clone()).neg();
        (constant(weights, &cost).select(0, labels) * cost).mean()
    }

    /// The important class against the rest, `[batch]`.
    fn scores(&self, logits: Tensor<2>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        let others: Vec<Tensor<2>> = logits.clone().split(1, 1);
        let (mut rest, mut own) = (Vec::new(), None);
        for (class, column) in others.into_iter().enumerate() {
            if class == self.important_class { own = Some(column) } else { rest.push(column) }
        }
        let own = own.unwrap_or_else(|| panic!("class {} of {classes} classes", self.important_class));
        let rest = if rest.len() == 1 { rest.remove(0) } else { log_sum_exp(Tensor::cat(rest, 1)) };
        (own - rest).reshape([batch])
    }
}

logit_objective!(ClassDependentLoss);

fn hardest_negative(scores: Tensor<1>, important: Tensor<1, Int>) -> Tensor<1> {
    let positive = important.equal_scalar(1);
    let a = sigmoid(scores);
    // Probabilities are above 0, so that without a negative the hardest is 0 and nothing falls short of it.
    let hardest = a.clone().mask_fill(positive.clone(), 0.0).max();
    let short = (a - hardest).clamp_max(0.0).square();
    let positives = short.zeros_like().mask_fill(positive, 1.0);
    (short * positives.clone()).sum() / positives.sum().add_scalar(1.0)
}
