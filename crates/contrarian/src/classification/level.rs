use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Where an overlap ratio (dice, Tversky) is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Sums over the batch first, one ratio: the loss depends on the composition of the batch, so accumulating
    /// gradients over small batches is not the same as one large batch.
    Batch,
    /// One ratio an example, averaged.
    Example,
}

impl Level {
    /// `1 - (top + smooth) / (bottom + smooth)` of every column: over the summed rows, or row by row and averaged over
    /// the rows in `keep`. With nothing to compare (`0/0`) the loss is 1.
    ///
    /// # Shapes
    /// - top, bottom: `[rows, columns]`, 0 in rows left out
    /// - keep: 1 for rows that count and 0 for others, `[rows, columns]`
    /// - output: `[1, columns]`
    pub(super) fn overlap_loss(self, top: Tensor<2>, bottom: Tensor<2>, keep: Tensor<2>, smooth: f64) -> Tensor<2> {
        let loss = |top: Tensor<2>, bottom: Tensor<2>| {
            let bottom = bottom.add_scalar(smooth);
            let nothing = bottom.clone().equal_scalar(0.0);
            (top.add_scalar(smooth) / bottom.mask_fill(nothing, 1.0)).neg().add_scalar(1.0)
        };
        match self {
            Self::Batch => loss(top.sum_dim(0), bottom.sum_dim(0)),
            Self::Example => {
                let losses = loss(top, bottom) * keep.clone();
                losses.sum_dim(0) / keep.sum_dim(0)
            }
        }
    }
}
