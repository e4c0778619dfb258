use super::{Evaluation, Kernel};
use crate::classification::OwnMargin;
use contrarian_kernels::{KernelError, Real, margin_softmax};

/// The mean softmax loss over cosines of vectors `[n, dim]` with a margin at their own class, by class vectors `[classes, dim]`, see
/// [`margin_softmax`].
#[derive(Debug, Clone)]
pub(crate) struct MarginSoftmaxKernel {
    pub dim: usize,
    pub labels: Vec<usize>,
    pub scale: f64,
    pub margin: OwnMargin,
}

impl<T: Real> Kernel<T> for MarginSoftmaxKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let (rows, classes) = (inputs[0], inputs[1]);
        let margin = |cosine| self.margin.of(cosine);
        let found = margin_softmax(rows, classes, self.dim, &self.labels, T::of(self.scale), margin, gradients)?;
        Ok(Evaluation { value: vec![found.loss], gradients: gradients.then(|| vec![found.rows, found.classes]) })
    }
}
