use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, mean_discrepancy, pair_log_sum_exp, supervised_contrastive, uniformity};

/// A loss over one set of vectors `[n, dim]`.
#[derive(Debug, Clone)]
pub(crate) enum OneSetKernel {
    /// See [`supervised_contrastive`]; `mean`: whether the output is the mean, else it is a number a vector.
    Supervised { dim: usize, labels: Vec<i64>, temperature: f64, mean: bool },
    /// See [`uniformity`].
    Uniformity { dim: usize, t: f64 },
    /// See [`mean_discrepancy`].
    Discrepancy { dim: usize, sources: usize, kernels: usize },
    /// See [`pair_log_sum_exp`].
    Pairs { dim: usize, labels: Vec<i64>, scale: f64, whisker: Option<f64> },
}

impl<T: Real> Kernel<T> for OneSetKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let (value, gradient) = match self {
            Self::Supervised { dim, labels, temperature, mean } => {
                let gradients = gradients && *mean;
                let found = supervised_contrastive(inputs[0], labels, *dim, T::of(*temperature), None, gradients)?;
                if !mean {
                    return Ok(Evaluation { value: found.per_row, gradients: None });
                }
                (found.loss, found.gradient)
            }
            Self::Uniformity { dim, t } => {
                let found = uniformity(inputs[0], *dim, T::of(*t), gradients)?;
                (found.loss, found.gradient)
            }
            Self::Discrepancy { dim, sources, kernels } => {
                let found = mean_discrepancy(inputs[0], *dim, *sources, *kernels, gradients)?;
                (found.loss, found.gradient)
            }
            Self::Pairs { dim, labels, scale, whisker } => {
                let whisker = whisker.map(T::of);
                let found = pair_log_sum_exp(inputs[0], labels, *dim, T::of(*scale), whisker, gradients)?;
                (found.value, found.gradient)
            }
        };
        Ok(Evaluation { value: vec![value], gradients: gradients.then(|| vec![gradient]) })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        let Self::Supervised { dim, labels, temperature, .. } = self else {
            unreachable!("losses of the set as a whole give their gradient in the forward pass")
        };
        let found = supervised_contrastive(inputs[0], labels, *dim, T::of(*temperature), Some(upstream), true)?;
        Ok(vec![found.gradient])
    }
}
