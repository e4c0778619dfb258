use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, pair_contrastive};

/// The contrastive loss of pairs over the inner products `[n, n]` of a batch, see [`pair_contrastive`].
#[derive(Debug, Clone)]
pub(crate) struct PairDistanceKernel {
    pub labels: Vec<i64>,
    pub margins: (f64, f64),
    pub tolerance: f64,
}

impl<T: Real> Kernel<T> for PairDistanceKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let margins = (T::of(self.margins.0), T::of(self.margins.1));
        let (loss, gradient) = pair_contrastive(inputs[0], &self.labels, margins, T::of(self.tolerance), gradients)?;
        Ok(Evaluation { value: vec![loss], gradients: gradients.then(|| vec![gradient]) })
    }
}
