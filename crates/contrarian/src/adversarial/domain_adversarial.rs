use crate::numerics::{binary_score, softplus};
use crate::objective::{init, plain};
use burn::module::Module;
use burn::tensor::Tensor;

plain! {
    /// Configuration of the [domain-adversarial loss](DomainAdversarialLoss); it has no parameters.
    DomainAdversarialLossConfig => DomainAdversarialLoss
}
init!(DomainAdversarialLossConfig => DomainAdversarialLoss);

/// How well a domain head tells source from target: minimised by the head, and through
/// [`gradient_reversal`](super::gradient_reversal) maximised by the features.
///
/// ```text
/// loss = mean_i CE(s_i, 0) + mean_j CE(t_j, 1),        CE(z, d) = -log softmax(z)_d
/// ```
///
/// with the head's logits `s` of source rows and `t` of target rows. A head that knows nothing has `2 log 2`.
///
/// Source: Ganin, Lempitsky 2015, <https://arxiv.org/abs/1409.7495>, equation 1; as in Sun et al. 2022,
/// <https://arxiv.org/abs/2203.11635>, section 4.1.
#[derive(Module, Debug)]
pub struct DomainAdversarialLoss {}

impl DomainAdversarialLoss {
    /// The two means, added.
    ///
    /// # Shapes
    /// - source_logits: `[n, 2]`
    /// - target_logits: `[m, 2]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When a set is empty or has other than two columns.
    pub fn forward(&self, source_logits: Tensor<2>, target_logits: Tensor<2>) -> Tensor<1> {
        let (source, target) = self.forward_no_reduction(source_logits, target_logits);
        source.mean() + target.mean()
    }

    /// The loss of every row, source and target.
    ///
    /// # Shapes
    /// - source_logits: `[n, 2]`
    /// - target_logits: `[m, 2]`
    /// - output: `[n]` and `[m]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_no_reduction(&self, source_logits: Tensor<2>, target_logits: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
        let (n, m) = (source_logits.dims()[0], target_logits.dims()[0]);
        assert!(
            n > 0 && m > 0,
            "a domain loss needs rows of both domains, got {n} of the source and {m} of the target"
        );
        (softplus(binary_score(source_logits)), softplus(binary_score(target_logits).neg()))
    }
}
