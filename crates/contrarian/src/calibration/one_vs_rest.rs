use super::set::{CalibrationSet, numbers, softmax};
use burn::tensor::{Tensor, TensorData};

/// Scores of one class and whether each row is of it: what a map of one class is learned from. With two classes the second
/// alone needs a map, with more each.
pub(super) fn class_problems(set: &CalibrationSet) -> Vec<Vec<(f64, bool)>> {
    let first = usize::from(set.classes == 2);
    let probabilities: Vec<(Vec<f64>, usize)> = set.rows().map(|(row, y)| (softmax(row, 1.0), y)).collect();
    (first..set.classes).map(|class| probabilities.iter().map(|(p, y)| (p[class], *y == class)).collect()).collect()
}

/// Maps that so many classes need.
pub(super) fn maps(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Maps every class's probability and scales each row to sum 1: `[rows, classes]` logits to probabilities. A row whose maps
/// are all 0 keeps the model's probabilities.
///
/// The maps are tables looked up by value, so the logits are read back.
pub(super) fn apply(logits: Tensor<2>, map: impl Fn(usize, f64) -> f64) -> Tensor<2> {
    let [rows, classes] = logits.dims();
    let (device, dtype) = (logits.device(), logits.dtype());
    let mut mapped = Vec::with_capacity(rows * classes);
    for row in numbers(logits).chunks(classes) {
        let p = softmax(row, 1.0);
        if classes == 2 {
            let second = map(0, p[1]);
            mapped.extend([1.0 - second, second]);
            continue;
        }
        let values: Vec<f64> = p.iter().enumerate().map(|(class, &p)| map(class, p)).collect();
        let total: f64 = values.iter().sum();
        if total > 0.0 { mapped.extend(values.iter().map(|value| value / total)) } else { mapped.extend(p) }
    }
    Tensor::from_data(TensorData::new(mapped, [rows, classes]).convert_dtype(dtype), (&device, dtype))
}
