use super::{Evaluation, Kernel, apply, indices};
use burn::tensor::{Int, Tensor};
use contrarian_kernels::{KernelError, Ldr, Normalization, Real, SoftmaxLoss, SoftmaxRows};

/// A loss over rows of logits.
#[derive(Debug)]
pub(crate) enum RowLoss {
    NegativeLogLikelihood,
    CrossEntropy { label_smoothing: f64, class_weights: Option<Vec<f64>> },
    Brier,
    Ldr { lambda: Vec<f64>, margin: f64, normalization: Normalization },
}

/// The loss of every row, `[batch]`.
pub(crate) fn softmax_rows(logits: Tensor<2>, labels: Tensor<1, Int>, loss: RowLoss) -> Tensor<1> {
    let classes = logits.dims()[1];
    apply([logits.into_dispatch()], Rows { labels: indices(labels), classes, loss })
}

#[derive(Debug)]
struct Rows {
    labels: Vec<usize>,
    classes: usize,
    loss: RowLoss,
}

impl Rows {
    /// Calls `f` with the loss in the precision of the logits.
    fn with<T: Real, R>(&self, logits: &[T], f: impl FnOnce(SoftmaxRows<T>, &SoftmaxLoss<T>) -> R) -> R {
        let rows = SoftmaxRows { logits, labels: &self.labels, classes: self.classes };
        let of = |values: &[f64]| -> Vec<T> { values.iter().map(|&value| T::of(value)).collect() };
        match &self.loss {
            RowLoss::NegativeLogLikelihood => f(rows, &SoftmaxLoss::NegativeLogLikelihood),
            RowLoss::Brier => f(rows, &SoftmaxLoss::Brier),
            RowLoss::CrossEntropy { label_smoothing, class_weights } => {
                let weights = class_weights.as_deref().map(of);
                let label_smoothing = T::of(*label_smoothing);
                f(rows, &SoftmaxLoss::CrossEntropy { label_smoothing, class_weights: weights.as_deref() })
            }
            RowLoss::Ldr { lambda, margin, normalization } => {
                let ldr = Ldr { lambda: &of(lambda), margin: T::of(*margin), normalization: *normalization };
                f(rows, &SoftmaxLoss::Ldr(ldr))
            }
        }
    }
}

impl<T: Real> Kernel<T> for Rows {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let value = self.with(inputs[0], |rows, loss| rows.values(loss))?;
        Ok(Evaluation { value, gradients: None })
    }

    /// Reading the logits again costs less than writing a gradient that is scaled later.
    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        Ok(vec![self.with(inputs[0], |rows, loss| rows.gradient(loss, upstream))?])
    }
}
