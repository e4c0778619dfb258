use super::{Evaluation, Kernel};
use contrarian_kernels::{KernelError, Real, RepulsionCost, repulsion};

/// Contrastive repulsion of queries and keys `[n, dim]`; see [`repulsion`].
#[derive(Debug, Clone)]
pub(crate) struct RepulsionKernel {
    /// Length of a vector.
    pub dim: usize,
    /// How strongly near negatives weigh more.
    pub tau: f64,
    /// Width of the RBF cost; `None` for the Euclidean cost.
    pub t: Option<f64>,
    /// Whether weights count as constants.
    pub detach: bool,
}

impl<T: Real> Kernel<T> for RepulsionKernel {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let cost = self.t.map_or(RepulsionCost::Euclidean, |t| RepulsionCost::Rbf { t: T::of(t) });
        let found = repulsion(inputs[0], inputs[1], self.dim, T::of(self.tau), cost, self.detach, gradients)?;
        Ok(Evaluation { value: vec![found.loss], gradients: gradients.then(|| vec![found.queries, found.keys]) })
    }
}
