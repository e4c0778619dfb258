use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, unit_rows, unit_rows_gradient};

/// Rows scaled to length 1, row after row, see [`unit_rows`].
#[derive(Debug, Clone)]
pub(crate) struct UnitRowsKernel {
    pub dim: usize,
}

impl<T: Real> Kernel<T> for UnitRowsKernel {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        Ok(Evaluation { value: unit_rows(inputs[0], self.dim)?, gradients: None })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        Ok(vec![unit_rows_gradient(inputs[0], self.dim, upstream)?])
    }
}
