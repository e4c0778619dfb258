use super::OwnMargin;
use crate::InvalidParameter;
use crate::error::require;
use crate::fused::{ClassScoresKernel, MarginSoftmaxKernel, apply, available, indices};
use crate::numerics::{gather_target, log_sum_exp, normalize_rows, softplus, target_mask};
use burn::tensor::{Int, Tensor};

/// What stands for minus infinity among logits: below every logit, and safe in sums.
const NOTHING: f32 = f32::MIN / 4.0;

/// What a softmax over classes needs of a batch, without the matrix of its logits: the form in which heads with a margin
/// give their logits, and to which other negatives can be added.
///
/// ```text
/// l_i = log(exp(own_i) + exp(others_i)) - own_i + penalty_i
/// ```
///
/// ```
/// # use burn::tensor::{Device, Int, Tensor};
/// use contrarian::classification::TargetScores;
///
/// // Any head that gives logits, and one more negative at logit 0 in every row.
/// let device = Device::flex();
/// let logits = Tensor::<2>::from_floats([[3.0, 0.0, 1.0], [2.0, 2.0, 0.0]], &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
/// let scores = TargetScores::from_logits(logits, labels).with_negatives(Tensor::zeros([1], &device));
/// assert_eq!(scores.losses().dims(), [2]);
/// ```
#[derive(Debug, Clone)]
pub struct TargetScores {
    /// Logit of each row's own class, with its margin, `[n]`.
    pub own: Tensor<1>,
    /// Log-sum-exp of the row's other logits, `[n]`.
    pub others: Tensor<1>,
    /// What the head adds to each row's loss, `[n]`.
    pub penalty: Option<Tensor<1>>,
}

impl TargetScores {
    /// The scores in a matrix of logits.
    ///
    /// # Shapes
    /// - logits: `[n, classes]`
    /// - labels: `[n]`
    ///
    /// # Panics
    /// When the batch is empty, there are fewer than two classes, or there are not as many labels as rows.
    pub fn from_logits(logits: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let [n, classes] = logits.dims();
        let own = gather_target(logits.clone(), labels.clone());
        let others = log_sum_exp(logits.mask_fill(target_mask(labels, classes), NOTHING)).reshape([n]);
        Self { own, others, penalty: None }
    }

    /// The same with more negatives in every row's denominator, given as the log-sum-exp of their logits: one number for
    /// all rows, `[1]`, or one a row, `[n]`.
    #[must_use]
    pub fn with_negatives(self, log_sum_exp: Tensor<1>) -> Self {
        let others = self.others.clone() + softplus(log_sum_exp - self.others);
        Self { others, ..self }
    }

    /// The loss of every row, `[n]`; exact however small.
    pub fn losses(self) -> Tensor<1> {
        let losses = softplus(self.others - self.own);
        match self.penalty {
            Some(penalty) => losses + penalty,
            None => losses,
        }
    }

    /// Features against class weights, both scaled to length 1: logits `scale cos`, and in place of the own cosine what
    /// `margin` makes of it. On the CPU no matrix of logits is held.
    ///
    /// # Panics
    /// When shapes do not fit each other, there are fewer than two classes, or a label is out of range.
    pub(super) fn of_cosines(
        features: Tensor<2>,
        weights: Tensor<2>,
        labels: Tensor<1, Int>,
        scale: f64,
        margin: impl FnOnce(Tensor<1>) -> Tensor<1>,
    ) -> Self {
        let [n, dim] = features.dims();
        let positives = check(&features, &weights, &labels);
        let (features, weights) = (normalize_rows(features), normalize_rows(weights));
        let (cosine, others) = if available(&features) {
            let kernel = ClassScoresKernel { dim, scale, labels: positives };
            let both = apply([features.into_dispatch(), weights.into_dispatch()], kernel);
            (both.clone().narrow(0, 0, n), both.narrow(0, n, n))
        } else {
            let cosines = features.matmul(weights.transpose());
            let Self { own, others, .. } = Self::from_logits(cosines.mul_scalar(scale), labels);
            (own.mul_scalar(1.0 / scale), others)
        };
        Self { own: margin(cosine).mul_scalar(scale), others, penalty: None }
    }
}

/// Checks a batch of a head; gives the labels.
///
/// # Panics
/// When shapes do not fit each other, there are fewer than two classes, or a label is out of range.
fn check(features: &Tensor<2>, weights: &Tensor<2>, labels: &Tensor<1, Int>) -> Vec<usize> {
    let ([n, dim], [classes, width]) = (features.dims(), weights.dims());
    assert!(n > 0 && dim > 0, "a loss needs at least one example, got features [{n}, {dim}]");
    assert_eq!(dim, width, "features are [{n}, {dim}], so weights must be [classes, {dim}], not [{classes}, {width}]");
    assert!(classes >= 2, "a head needs weights of at least two classes, got [{classes}, {width}]");
    // Read back: the kernel takes the label as the one class that is kept out of the sum.
    let positives = indices(labels.clone());
    assert_eq!(positives.len(), n, "{} labels for {n} examples", positives.len());
    if let Some(label) = positives.iter().find(|&&label| label >= classes) {
        panic!("label {label} is not in 0..{classes}");
    }
    positives
}

/// The mean softmax loss over `scale cos` with a margin at the own cosine, by a kernel that makes value and gradients in one
/// pass; `None` where that is not to be had, or would take more memory than the batch.
///
/// # Panics
/// As [`TargetScores::of_cosines`].
pub(super) fn fused_mean(
    features: &Tensor<2>,
    weights: &Tensor<2>,
    labels: &Tensor<1, Int>,
    (scale, margin): (f64, OwnMargin),
) -> Option<Tensor<1>> {
    let labels = check(features, weights, labels);
    let dim = features.dims()[1];
    (available(features) && weights.dims()[0] <= labels.len()).then(|| {
        let inputs = [features, weights].map(|x| x.clone().into_dispatch());
        apply(inputs, MarginSoftmaxKernel { dim, labels, scale, margin })
    })
}

/// What [`fused_mean`] asks of a head.
pub(super) trait Head {
    /// The scale, and what the head makes of the own cosine; `None` where its loss depends on more than the cosines.
    fn own_margin(&self) -> Option<(f64, OwnMargin)> {
        None
    }
}

/// Gives a [`Head`] with `scores` its `forward` and `forward_no_reduction`.
macro_rules! loss_of_scores {
    ($name:ident) => {
        impl $name {
            /// The loss of every row.
            ///
            /// # Shapes
            /// - features: `[n, dim]`, of any length
            /// - weights: `[classes, dim]`, of any length, `classes >= 2`
            /// - labels: `[n]`
            /// - output: `[n]`
            ///
            /// # Panics
            /// When shapes do not fit each other, the batch is empty, there are fewer than two classes, or a label is out
            /// of range.
            pub fn forward_no_reduction(
                &self,
                features: burn::tensor::Tensor<2>,
                weights: burn::tensor::Tensor<2>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> burn::tensor::Tensor<1> {
                self.scores(features, weights, labels).losses()
            }

            /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the batch.
            ///
            /// # Shapes
            /// As [`forward_no_reduction`](Self::forward_no_reduction), with output `[1]`.
            ///
            /// # Panics
            /// As [`forward_no_reduction`](Self::forward_no_reduction).
            pub fn forward(
                &self,
                features: burn::tensor::Tensor<2>,
                weights: burn::tensor::Tensor<2>,
                labels: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> burn::tensor::Tensor<1> {
                self.own_margin()
                    .and_then(|margin| {
                        crate::classification::target_scores::fused_mean(&features, &weights, &labels, margin)
                    })
                    .unwrap_or_else(|| self.forward_no_reduction(features, weights, labels).mean())
            }
        }
    };
}

pub(super) use loss_of_scores;

pub(super) fn require_scale(scale: f64) -> Result<(), InvalidParameter> {
    require(scale > 0.0 && scale.is_finite(), "scale", scale, "finite and above 0")
}
