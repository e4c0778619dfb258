use super::soft_confusion::{SoftConfusion, ratio, safe_sqrt, soft_confusion};
use crate::error::require;
use crate::numerics::{binary_score, float_labels, sigmoid};
use crate::registry::objective_config;
use crate::{InvalidParameter, LogitBatch, LogitObjective, ObjectiveState};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// A metric of the confusion matrix that [`AnyLoss`] turns into a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnyLossMetric {
    /// `(TP + TN) / n`
    Accuracy,
    /// `(1 + b^2) TP / ((1 + b^2) TP + FP + b^2 FN)`
    #[serde(alias = "f1")]
    FBeta,
    /// `(TP/P + TN/N) / 2`, over the classes that the batch has
    BalancedAccuracy,
    /// `sqrt(TP/P * TN/N)`
    GMean,
    /// `TP / (TP + FP)`
    Precision,
    /// `TP / P`
    Recall,
    /// `TN / N`
    Specificity,
    /// `TP / (TP + FP + FN)`
    Jaccard,
    /// `(TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN))`
    Mcc,
}

/// What the scores are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnyLossInput {
    /// Any number; a sigmoid makes it a probability.
    Logits,
    /// Already in `[0, 1]`.
    Probabilities,
}

/// Configuration of [`AnyLoss`].
#[derive(Config, Debug)]
pub struct AnyLossConfig {
    /// The metric to train for.
    #[config(default = "AnyLossMetric::FBeta")]
    pub metric: AnyLossMetric,
    /// Weight of recall in `f_beta`, above 0.
    #[config(default = 1.0)]
    pub beta: f64,
    /// Steepness of the amplifier, above 0. The paper's 73 is the largest that keeps f64 decisions strictly inside (0, 1).
    #[config(default = 73.0)]
    pub scale: f64,
    /// What the scores are.
    #[config(default = "AnyLossInput::Logits")]
    pub input: AnyLossInput,
}

impl AnyLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.beta > 0.0 && self.beta.is_finite(), "beta", self.beta, "finite and above 0")?;
        require(self.scale > 0.0 && self.scale.is_finite(), "scale", self.scale, "finite and above 0")
    }

    fn build(&self) -> AnyLoss {
        AnyLoss { metric: self.metric, beta: self.beta, scale: self.scale, input: self.input }
    }
}

objective_config!(AnyLossConfig => AnyLoss);

/// Any metric of the confusion matrix as a loss: probabilities are pushed towards 0 and 1 by a steep sigmoid, counted
/// softly, and the loss is one minus the metric.
///
/// ```text
/// d_i  = 1 / (1 + exp(-L (p_i - 1/2))),        p = sigmoid(x), L = scale
/// loss = 1 - metric(TP, FP, FN, TN)            counts of d, see [`soft_confusion`]
/// ```
///
/// The loss is of the batch, not a sum over examples: batches must hold both classes most of the time. A metric whose
/// denominator is 0 counts as 0. With `L = 73` the gradient of a decided example is nearly 0: start from small scores, or
/// lower the scale. Labels must be 0 or 1, and probabilities in `[0, 1]`; that is not checked on the device.
///
/// Source: Han, Moniz, Chawla 2024, "AnyLoss", <https://arxiv.org/abs/2405.14745>, equations 1 to 8.
#[derive(Module, Debug)]
pub struct AnyLoss {
    /// The metric to train for.
    #[module(skip)]
    pub metric: AnyLossMetric,
    /// Weight of recall in `f_beta`.
    pub beta: f64,
    /// Steepness of the amplifier.
    pub scale: f64,
    /// What the scores are.
    #[module(skip)]
    pub input: AnyLossInput,
}

impl AnyLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - scores: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward(&self, scores: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_custom(scores, labels, |counts| self.value(counts))
    }

    /// The same for a metric of your own: any differentiable function of the four counts, larger is better.
    ///
    /// # Shapes
    /// - scores: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward_custom(
        &self,
        scores: Tensor<1>,
        labels: Tensor<1, Int>,
        metric: impl Fn(&SoftConfusion) -> Tensor<1>,
    ) -> Tensor<1> {
        metric(&self.confusion(scores, labels)).neg().add_scalar(1.0)
    }

    /// The soft confusion matrix the metric is taken of.
    ///
    /// # Shapes
    /// - scores: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    pub fn confusion(&self, scores: Tensor<1>, labels: Tensor<1, Int>) -> SoftConfusion {
        let y = float_labels(labels, &scores);
        let p = match self.input {
            AnyLossInput::Logits => sigmoid(scores),
            AnyLossInput::Probabilities => scores,
        };
        let steep = p.sub_scalar(0.5).mul_scalar(self.scale);
        soft_confusion(sigmoid(steep.clone()), sigmoid(steep.neg()), y)
    }

    fn value(&self, counts: &SoftConfusion) -> Tensor<1> {
        let SoftConfusion { tp, fp, fn_, tn } = counts.clone();
        let positives = (tp.clone() + fn_.clone()).detach();
        let negatives = (tn.clone() + fp.clone()).detach();
        let recall = |tp: Tensor<1>| ratio(tp, positives.clone());
        let specificity = |tn: Tensor<1>| ratio(tn, negatives.clone());
        match self.metric {
            AnyLossMetric::Accuracy => (tp + tn) / (positives + negatives),
            AnyLossMetric::FBeta => {
                let b2 = self.beta * self.beta;
                let top = tp.mul_scalar(1.0 + b2);
                ratio(top.clone(), top + fp + fn_.mul_scalar(b2))
            }
            AnyLossMetric::BalancedAccuracy => {
                let exists = |n: &Tensor<1>| n.zeros_like().mask_fill(n.clone().greater_scalar(0.0), 1.0);
                (recall(tp) + specificity(tn)) / (exists(&positives) + exists(&negatives))
            }
            AnyLossMetric::GMean => safe_sqrt(recall(tp) * specificity(tn)),
            AnyLossMetric::Precision => ratio(tp.clone(), tp + fp),
            AnyLossMetric::Recall => recall(tp),
            AnyLossMetric::Specificity => specificity(tn),
            AnyLossMetric::Jaccard => ratio(tp.clone(), tp + fp + fn_),
            AnyLossMetric::Mcc => {
                // Two square roots of two factors each: the product of four counts would overflow f32 in large batches.
                let left = safe_sqrt((tp.clone() + fp.clone()) * positives);
                let right = safe_sqrt(negatives * (tn.clone() + fn_.clone()));
                ratio(tp * tn - fp * fn_, left * right)
            }
        }
    }
}

impl LogitObjective for AnyLoss {
    fn loss(&self, batch: LogitBatch, _state: &mut ObjectiveState) -> Tensor<1> {
        // A batch of logits holds logits, whatever the configuration expects of scores handed to `forward`.
        let over_logits = Self { input: AnyLossInput::Logits, ..self.clone() };
        over_logits.forward(binary_score(batch.logits), batch.labels)
    }
}
