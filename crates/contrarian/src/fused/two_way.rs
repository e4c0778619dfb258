use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, two_way_info_nce};

/// InfoNCE in both directions; see [`two_way_info_nce`].
#[derive(Debug, Clone)]
pub(crate) struct TwoWayKernel {
    /// Length of a vector.
    pub dim: usize,
    /// Temperature.
    pub temperature: f64,
    /// Whether the output is the mean over pairs; else it is a number a pair.
    pub mean: bool,
}

impl<T: Real> Kernel<T> for TwoWayKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let gradients = gradients && self.mean;
        let found = two_way_info_nce(inputs[0], inputs[1], self.dim, T::of(self.temperature), None, gradients)?;
        Ok(Evaluation {
            value: if self.mean { vec![found.loss] } else { found.per_pair },
            gradients: gradients.then(|| vec![found.first, found.second]),
        })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        let found = two_way_info_nce(inputs[0], inputs[1], self.dim, T::of(self.temperature), Some(upstream), true)?;
        Ok(vec![found.first, found.second])
    }
}
