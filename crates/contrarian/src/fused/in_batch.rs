use super::{Evaluation, Kernel};
use contrarian_kernels::{Contrast, Contrasted, KernelError, Real};

/// Anchors `[n, dim]` against candidates `[m, dim]`; see [`Contrast`].
#[derive(Debug, Clone)]
pub(crate) struct InBatch {
    /// Length of a vector.
    pub dim: usize,
    /// Temperature.
    pub temperature: f64,
    /// The candidate that is each anchor's positive.
    pub positives: Vec<usize>,
    /// The candidate that is the anchor itself.
    pub own: Option<Vec<usize>>,
    /// Whether the positive is part of the denominator.
    pub coupled: bool,
    /// Whether the positive score is left out altogether: the value is the log-sum-exp of the negatives.
    pub negatives_only: bool,
    /// The share of negatives that counts.
    pub hardest: Option<f64>,
    /// Whether the output is the mean over anchors; else it is a number an anchor.
    pub mean: bool,
}

impl InBatch {
    fn run<T: Real>(
        &self,
        inputs: &[&[T]],
        weights: Option<&[T]>,
        gradient: bool,
    ) -> Result<Contrasted<T>, KernelError> {
        let nothing = vec![T::ZERO; if self.negatives_only { self.positives.len() } else { 0 }];
        let contrast = Contrast {
            own: self.own.as_deref(),
            coupled: self.coupled,
            positive_weights: self.negatives_only.then_some(&nothing[..]),
            hardest: self.hardest,
            weights,
            ..Contrast::new(inputs[0], inputs[1], self.dim, T::of(self.temperature), &self.positives)
        };
        if gradient { contrast.value_and_gradient() } else { contrast.value() }
    }
}

impl<T: Real> Kernel<T> for InBatch {
    fn evaluate(&self, inputs: &[&[T]], gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let gradients = gradients && self.mean;
        let found = self.run(inputs, None, gradients)?;
        Ok(Evaluation {
            value: if self.mean { vec![found.loss] } else { found.per_anchor },
            gradients: gradients.then(|| vec![found.anchors, found.candidates]),
        })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        let found = self.run(inputs, Some(upstream), true)?;
        Ok(vec![found.anchors, found.candidates])
    }
}
