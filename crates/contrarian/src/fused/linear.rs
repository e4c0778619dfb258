use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, LinearSoftmax, LinearSoftmaxed, Real};

/// Hidden `[n, dim]`, weights `[classes, dim]` and, as a third input, a bias `[classes]`; see [`LinearSoftmax`].
#[derive(Debug, Clone)]
pub(crate) struct LinearSoftmaxKernel {
    /// Length of a vector.
    pub dim: usize,
    /// Class of every row, or `IGNORED`.
    pub labels: Vec<usize>,
    /// Part of the label's mass spread over all classes.
    pub label_smoothing: f64,
    /// Weight of the squared log-normaliser.
    pub log_z_penalty: f64,
    /// Whether the output is the mean over rows; else it is a number a row.
    pub mean: bool,
}

impl LinearSoftmaxKernel {
    fn run<T: Real>(
        &self,
        inputs: &[&[T]],
        weights: Option<&[T]>,
        gradient: bool,
    ) -> Result<LinearSoftmaxed<T>, KernelError> {
        let layer = LinearSoftmax {
            bias: inputs.get(2).copied(),
            label_smoothing: T::of(self.label_smoothing),
            log_z_penalty: T::of(self.log_z_penalty),
            weights,
            ..LinearSoftmax::new(inputs[0], inputs[1], self.dim, &self.labels)
        };
        if gradient { layer.value_and_gradient() } else { layer.value() }
    }
}

/// One gradient for every input.
fn gradients<T>(found: LinearSoftmaxed<T>, inputs: &[&[T]]) -> Vec<Vec<T>> {
    [found.hidden, found.weight, found.bias].into_iter().take(inputs.len()).collect()
}

impl<T: Real> Kernel<T> for LinearSoftmaxKernel {
    fn evaluate(&self, inputs: &[&[T]], wanted: bool) -> Result<Evaluation<T>, KernelError> {
        let wanted = wanted && self.mean;
        let mut found = self.run(inputs, None, wanted)?;
        let value = if self.mean { vec![found.loss] } else { std::mem::take(&mut found.per_row) };
        Ok(Evaluation { value, gradients: wanted.then(|| gradients(found, inputs)) })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        Ok(gradients(self.run(inputs, Some(upstream), true)?, inputs))
    }
}
