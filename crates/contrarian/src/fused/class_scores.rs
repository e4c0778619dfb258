use super::{Evaluation, Kernel};
use contrarian_kernels::{Contrast, Contrasted, KernelError, Real};

/// Vectors `[n, dim]` against those of classes `[classes, dim]`, without the matrix of their scores `s_ik = x_i . w_k`. The
/// output is `[2 n]`: every row's own score `s_iy`, then every row's `log sum_{k != y} exp(scale s_ik)`.
#[derive(Debug, Clone)]
pub(crate) struct ClassScoresKernel {
    pub dim: usize,
    pub scale: f64,
    pub labels: Vec<usize>,
}

impl ClassScoresKernel {
    fn others<T: Real>(
        &self,
        inputs: &[&[T]],
        weights: Option<&[T]>,
        gradient: bool,
    ) -> Result<Contrasted<T>, KernelError> {
        let nothing = vec![T::ZERO; self.labels.len()];
        let contrast = Contrast {
            coupled: false,
            positive_weights: Some(&nothing),
            weights,
            ..Contrast::new(inputs[0], inputs[1], self.dim, T::of(1.0 / self.scale), &self.labels)
        };
        if gradient { contrast.value_and_gradient() } else { contrast.value() }
    }
}

impl<T: Real> Kernel<T> for ClassScoresKernel {
    fn evaluate(&self, inputs: &[&[T]], _gradients: bool) -> Result<Evaluation<T>, KernelError> {
        let others = self.others(inputs, None, false)?.per_anchor;
        let class = |label: usize| &inputs[1][label * self.dim..][..self.dim];
        let own = inputs[0].chunks(self.dim).zip(&self.labels).map(|(x, &label)| {
            let product: f64 = x.iter().zip(class(label)).map(|(x, w)| x.f64() * w.f64()).sum();
            T::of(product)
        });
        Ok(Evaluation { value: own.chain(others).collect(), gradients: None })
    }

    fn pull_back(&self, inputs: &[&[T]], upstream: &[T]) -> Result<Vec<Vec<T>>, KernelError> {
        let (own, others) = upstream.split_at(self.labels.len());
        let mut found = self.others(inputs, Some(others), true)?;
        let rows = inputs[0].chunks(self.dim).zip(found.anchors.chunks_mut(self.dim));
        for (((x, by_x), &label), &own) in rows.zip(&self.labels).zip(own) {
            let class = label * self.dim..(label + 1) * self.dim;
            let (w, by_w) = (&inputs[1][class.clone()], &mut found.candidates[class]);
            by_x.iter_mut().zip(w).for_each(|(slope, &w)| *slope += own * w);
            by_w.iter_mut().zip(x).for_each(|(slope, &x)| *slope += own * x);
        }
        Ok(vec![found.anchors, found.candidates])
    }
}
