use super::uniformity::diagonal;
use burn::tensor::{Bool, Int, Tensor};

/// Which pairs of a batch are positives and which negatives, both `[n, n]` and symmetric. A row is never its own positive:
/// it is left out by its index, whatever equals it.
pub(super) struct ClassPairs {
    pub positive: Tensor<2, Bool>,
    pub negative: Tensor<2, Bool>,
}

impl ClassPairs {
    /// The pairs of the rows of `embeddings` by their labels.
    ///
    /// # Panics
    /// When the batch is empty, or there are not as many labels as embeddings.
    pub fn new(embeddings: &Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let [n, _] = embeddings.dims();
        check(n, &labels);
        let same = labels.clone().reshape([n, 1]).expand([n, n]).equal(labels.reshape([1, n]).expand([n, n]));
        Self { positive: same.clone().bool_and(diagonal(n, embeddings).bool_not()), negative: same.bool_not() }
    }
}

/// The checks of embeddings with labels.
///
/// # Panics
/// When the batch is empty, or there are not as many labels as embeddings.
pub(super) fn check(n: usize, labels: &Tensor<1, Int>) {
    assert!(n > 0, "a loss needs at least one example");
    assert_eq!(labels.dims()[0], n, "{} labels for {n} examples", labels.dims()[0]);
}

/// What stands for minus infinity among scores: below every score, and safe in sums of two.
pub(super) const NOTHING: f32 = f32::MIN / 4.0;

/// How many entries of each row are true, `[n]`, in the dtype of `like`.
pub(super) fn count(mask: Tensor<2, Bool>, like: &Tensor<2>) -> Tensor<1> {
    let n = mask.dims()[0];
    like.zeros_like().mask_fill(mask, 1.0).sum_dim(1).reshape([n])
}

/// The mean of the entries that are true; 0 where none is.
pub(super) fn mean_where(values: Tensor<2>, mask: Tensor<2, Bool>) -> Tensor<1> {
    let counted = count(mask.clone(), &values).sum().clamp_min(1.0);
    values.mask_fill(mask.bool_not(), 0.0).sum() / counted
}
