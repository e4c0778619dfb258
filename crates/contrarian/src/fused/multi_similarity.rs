use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, multi_similarity};

/// The multi-similarity loss over the inner products `[n, n]` of a batch, see [`multi_similarity`].
#[derive(Debug, Clone)]
pub(crate) struct MultiSimilarityKernel {
    pub labels: Vec<i64>,
    pub scales: (f64, f64),
    pub base: f64,
    /// Whether the output is the mean; else it is a number a row.
    pub mean: bool,
}

impl MultiSimilarityKernel {
    fn run<T: Real>(&self, products: &[T], weights: Option<&[T]>) -> Result<(Vec<T>, Vec<T>), KernelError> {
        let scales = (T::of(self.scales.0), T::of(self.scales.1));
        multi_similarity(products, &self.labels, scales, T::of(self.base), weights)
    }
}

impl<T: Real> Kernel<T> for MultiSimilarityKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let gradients = gradients && self.mean;
        let share = 1.0 / self.labels.len() as f64;
        let weights = gradients.then(|| vec![T::of(share); self.labels.len()]);
        let (values, gradient) = self.run(inputs[0], weights.as_deref())?;
        let mean = || vec![T::of(values.iter().map(|value| value.f64()).sum::<f64>() * share)];
        let value = if self.mean { mean() } else { values };
        Ok(Evaluation { value, gradients: gradients.then(|| vec![gradient]) })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        Ok(vec![self.run(inputs[0], Some(upstream))?.1])
    }
}
