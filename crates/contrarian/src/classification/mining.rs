//! Online hard-example mining for overlap losses.

use burn::tensor::{Tensor, TensorData};

/// Keeps every positive and the `floor(ratio * positives)` highest-scored negatives of each column (never more than
/// there are; equal scores by lowest index). Rows with `keep` 0 are left out from the start.
///
/// # Shapes
/// - scores, targets (0 or 1), keep: `[rows, columns]`
/// - output: 1 for what is kept, `[rows, columns]`
pub(super) fn keep_hardest(scores: &Tensor<2>, targets: &Tensor<2>, keep: Tensor<2>, ratio: f64) -> Tensor<2> {
    let [rows, columns] = scores.dims();
    // Read back on purpose: mining must break ties by index to be repeatable, and the backends' selections are unstable.
    let read = |x: Tensor<2>| x.into_data().try_cast(burn::tensor::DType::F64).and_then(|d| d.try_to_vec::<f64>());
    let (Ok(scores), Ok(targets), Ok(mut kept)) =
        (read(scores.clone().detach()), read(targets.clone()), read(keep.clone()))
    else {
        unreachable!("float tensors convert to f64")
    };
    for column in 0..columns {
        let at = |row: usize| row * columns + column;
        let counted: Vec<usize> = (0..rows).filter(|&row| kept[at(row)] > 0.0).collect();
        let (positives, mut negatives): (Vec<usize>, Vec<usize>) =
            counted.into_iter().partition(|&row| targets[at(row)] > 0.0);
        let wanted = ((ratio * positives.len() as f64).floor() as usize).min(negatives.len());
        let harder_first = |a: &usize, b: &usize| scores[at(*b)].total_cmp(&scores[at(*a)]).then(a.cmp(b));
        if wanted < negatives.len() {
            negatives.select_nth_unstable_by(wanted, harder_first);
            for &row in &negatives[wanted..] {
                kept[at(row)] = 0.0;
            }
        }
    }
    let data = TensorData::new(kept, [rows, columns]).convert_dtype(keep.dtype());
    Tensor::from_data(data, (&keep.device(), keep.dtype()))
}
