//! A loss and its gradient against a slow twin: values, and central differences of the twin.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use proptest::prelude::*;

/// Rows in f64 that gradients are asked of.
pub fn tensor(values: &[f64], dim: usize) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / dim, dim]);
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64)).require_grad()
}

pub fn ints(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &Device::flex().autodiff())
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn unit(x: &[f64], dim: usize) -> Vec<f64> {
    x.chunks(dim)
        .flat_map(|row| {
            let length = dot(row, row).sqrt();
            row.iter().map(move |x| if length == 0.0 { 0.0 } else { x / length })
        })
        .collect()
}

pub fn log_sum_exp(x: impl Iterator<Item = f64>) -> f64 {
    let x: Vec<f64> = x.collect();
    let top = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + x.iter().map(|x| (x - top).exp()).sum::<f64>().ln()
}

/// The gradient against central differences of the twin, in every coordinate.
pub fn check(
    name: &str,
    loss: Tensor<1>,
    inputs: &[(&Tensor<2>, &[f64])],
    twin: &dyn Fn(&[Vec<f64>]) -> f64,
) -> Result<(), TestCaseError> {
    let values: Vec<Vec<f64>> = inputs.iter().map(|(_, values)| values.to_vec()).collect();
    let expected = twin(&values);
    let gradients = loss.backward();
    let found = numbers(loss)[0];
    prop_assert!((found - expected).abs() <= 1e-10 * (1.0 + expected.abs()), "{name}: {found}, expected {expected}");
    for (k, (tensor, _)) in inputs.iter().enumerate() {
        let gradient = tensor.grad(&gradients).map_or_else(|| vec![0.0; values[k].len()], numbers);
        for (at, gradient) in gradient.into_iter().enumerate() {
            let moved = |h: f64| {
                let mut values = values.clone();
                values[k][at] += h;
                twin(&values)
            };
            let h = 1e-5;
            let numeric = (moved(h) - moved(-h)) / (2.0 * h);
            prop_assert!(
                (gradient - numeric).abs() <= 1e-6 * (1.0 + numeric.abs()),
                "{name}[{k}][{at}]: {gradient} {numeric}"
            );
        }
    }
    Ok(())
}

pub fn vectors(n: usize, dim: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0f64..1.0, n * dim)
}
