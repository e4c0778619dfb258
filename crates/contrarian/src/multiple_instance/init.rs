//! First weights from an explicit generator: Burn's own initialisers share one between all threads.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// A layer with weights and biases uniform in `+-1/sqrt(inputs)`.
pub(super) fn linear(
    inputs: usize,
    outputs: usize,
    bias: bool,
    device: &Device,
    rng: &mut Xoshiro256PlusPlus,
) -> Linear {
    let bound = 1.0 / (inputs as f32).sqrt();
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-bound..bound)).collect() };
    let weight = TensorData::new(draw(inputs * outputs), [inputs, outputs]);
    let bias = bias.then(|| Param::from_data(TensorData::new(draw(outputs), [outputs]), device));
    Linear { weight: Param::from_data(weight, device), bias }
}
