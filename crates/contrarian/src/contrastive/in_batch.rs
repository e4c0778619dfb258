use crate::fused::{InBatch, apply, available};
use crate::numerics::{log_sum_exp, softplus};
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// What stands for minus infinity among scores: below every score, and safe in sums.
const NOTHING: f32 = f32::MIN / 4.0;

impl InBatch {
    /// The values as [`mean`](Self::mean) says, `[1]` or `[n]`: by the kernel where there is one, else composed.
    ///
    /// # Panics
    /// When the two sets have vectors of different length.
    pub fn forward(self, anchors: Tensor<2>, candidates: Tensor<2>) -> Tensor<1> {
        assert_eq!(anchors.dims()[1], candidates.dims()[1], "anchors and candidates need vectors of one length");
        if available(&anchors) {
            return apply([anchors.into_dispatch(), candidates.into_dispatch()], self);
        }
        let values = self.composed(anchors, candidates);
        if self.mean { values.mean() } else { values }
    }

    fn composed(&self, anchors: Tensor<2>, candidates: Tensor<2>) -> Tensor<1> {
        let [n, _] = anchors.dims();
        let scores = anchors.matmul(candidates.transpose()).mul_scalar(1.0 / self.temperature);
        let m = scores.dims()[1];
        let positive_mask = columns(&self.positives, m, &scores);
        let positives: Tensor<1> =
            scores.clone().mask_fill(positive_mask.clone().bool_not(), 0.0).sum_dim(1).reshape([n]);
        let mut negatives = scores.mask_fill(positive_mask, NOTHING);
        if let Some(own) = &self.own {
            let mask = columns(own, m, &negatives);
            negatives = negatives.mask_fill(mask, NOTHING);
        }
        let count = m - 1 - usize::from(self.own.is_some());
        let plain = negatives.clone().without_autodiff();
        if let Some(threshold) = self.hardest.and_then(|share| hardest_threshold(plain.clone(), share, count)) {
            negatives = negatives.mask_fill(plain.lower(threshold), NOTHING);
        }
        let negatives: Tensor<1> = log_sum_exp(negatives).reshape([n]);
        if self.negatives_only {
            return negatives;
        }
        let gap = negatives - positives;
        if self.coupled { softplus(gap) } else { gap }
    }
}

/// The smallest score that is kept in each row, `[n, 1]`: the K-th largest, `K = max(1, ceil(share count))`, where `count`
/// scores of each row take part and the others are below them all. `None` where all are kept.
pub(super) fn hardest_threshold(scores: Tensor<2>, share: f64, count: usize) -> Option<Tensor<2>> {
    // A billionth off, so that 0.1 of 30 is 3 and not 4.
    let keep = ((share * count as f64 - 1e-9).ceil() as usize).max(1);
    let n = scores.dims()[0];
    (keep < count).then(|| scores.topk(keep, 1).slice([0..n, keep - 1..keep]))
}

/// True at one column of each row.
fn columns(of_row: &[usize], m: usize, like: &Tensor<2>) -> Tensor<2, Bool> {
    let n = of_row.len();
    let device = like.device();
    let wanted: Vec<i64> = of_row.iter().map(|&column| column as i64).collect();
    let wanted = Tensor::<1, Int>::from_data(TensorData::new(wanted, [n]), &device).reshape([n, 1]);
    Tensor::<1, Int>::arange(0..m as i64, &device).reshape([1, m]).expand([n, m]).equal(wanted.expand([n, m]))
}
