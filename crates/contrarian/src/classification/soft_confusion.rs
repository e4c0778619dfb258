use burn::tensor::Tensor;

/// A confusion matrix of soft decisions; each count `[1]`, differentiable.
#[derive(Debug, Clone)]
pub struct SoftConfusion {
    /// True positives.
    pub tp: Tensor<1>,
    /// False positives.
    pub fp: Tensor<1>,
    /// False negatives.
    pub fn_: Tensor<1>,
    /// True negatives.
    pub tn: Tensor<1>,
}

/// Counts soft decisions.
///
/// ```text
/// TP = sum d y,  FP = sum d (1 - y),  FN = sum (1 - d) y,  TN = sum (1 - d)(1 - y)
/// ```
///
/// # Shapes
/// - yes: decisions `d` for the positive class, `[batch]`
/// - no: `1 - d`, computed by the caller without cancellation, `[batch]`
/// - y: labels 0 or 1 as numbers, `[batch]`
pub fn soft_confusion(yes: Tensor<1>, no: Tensor<1>, y: Tensor<1>) -> SoftConfusion {
    let not_y = y.clone().neg().add_scalar(1.0);
    SoftConfusion {
        tp: (yes.clone() * y.clone()).sum(),
        fp: (yes * not_y.clone()).sum(),
        fn_: (no.clone() * y).sum(),
        tn: (no * not_y).sum(),
    }
}

/// `top / bottom`, and 0 with gradient 0 where the bottom is 0.
pub(super) fn ratio(top: Tensor<1>, bottom: Tensor<1>) -> Tensor<1> {
    let zero = bottom.clone().equal_scalar(0.0);
    (top / bottom.mask_fill(zero.clone(), 1.0)).mask_fill(zero, 0.0)
}

/// Square root, with gradient 0 at 0.
pub(super) fn safe_sqrt(x: Tensor<1>) -> Tensor<1> {
    let zero = x.clone().lower_equal_scalar(0.0);
    x.mask_fill(zero.clone(), 1.0).sqrt().mask_fill(zero, 0.0)
}
