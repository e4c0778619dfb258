//! CRReLU against its formula in plain loops: values, both gradients, extremes, precision of the reduction.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use contrarian::activation::{CrRelu, CrReluConfig};
use proptest::prelude::*;

fn device() -> Device {
    Device::flex().autodiff()
}

fn in_f64(epsilon: f64) -> CrRelu {
    let data = TensorData::new(vec![epsilon], [1]);
    CrRelu { epsilon: Param::from_tensor(Tensor::from_data(data, (&device(), DType::F64))) }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn twin(x: f64, epsilon: f64) -> f64 {
    let relu = if x > 0.0 { x } else { 0.0 };
    relu + epsilon * x * (-x * x / 2.0).exp()
}

proptest! {
    #[test]
    fn values_and_gradients(
        x in prop::collection::vec((-80i32..=80).prop_map(|v| f64::from(v) / 16.0), 1..24),
        epsilon in -1.0f64..1.0,
    ) {
        let n = x.len();
        let activation = in_f64(epsilon);
        let leaf = Tensor::<3>::from_data(TensorData::new(x.clone(), [1, n, 1]), (&device(), DType::F64)).require_grad();
        let y = activation.forward(leaf.clone());
        let weights: Vec<f64> = (0..n).map(|i| 1.0 - 0.3 * i as f64).collect();
        let weighted = y.clone() * Tensor::from_data(TensorData::new(weights.clone(), [1, n, 1]), (&device(), DType::F64));
        let grads = weighted.sum().backward();
        let (y, gx) = (numbers(y), numbers(leaf.grad(&grads).unwrap()));
        let g_epsilon = numbers(activation.epsilon.val().grad(&grads).unwrap())[0];
        let (h, mut expected) = (1e-6, 0.0);
        for i in 0..n {
            prop_assert!((y[i] - twin(x[i], epsilon)).abs() < 1e-12);
            expected += weights[i] * (twin(x[i], epsilon + h) - twin(x[i], epsilon - h)) / (2.0 * h);
            // At 0 ReLU has the slope of its left side.
            let slope = match x[i] == 0.0 {
                true => (twin(0.0, epsilon) - twin(-h, epsilon)) / h,
                false => (twin(x[i] + h, epsilon) - twin(x[i] - h, epsilon)) / (2.0 * h),
            };
            prop_assert!((gx[i] - weights[i] * slope).abs() < 1e-7, "x {} slope {}", x[i], gx[i]);
        }
        prop_assert!((g_epsilon - expected).abs() < 1e-8);
    }
}

#[test]
fn it_is_finite_at_extremes_and_keeps_shape_and_dtype() {
    let activation = CrReluConfig::new().with_epsilon(-3.0).init(&device());
    let x = Tensor::<2>::from_floats([[-1e30, -1e4, 0.0], [1e4, 1e30, 2e19]], &device()).require_grad();
    let y = activation.forward(x.clone());
    assert_eq!((y.dims(), y.dtype()), ([2, 3], DType::F32));
    assert_eq!(numbers(y.clone())[..4], [0.0, 0.0, 0.0, 1e4]);
    let grads = y.sum().backward();
    assert_eq!(numbers(x.grad(&grads).unwrap()), [0.0, 0.0, -3.0, 1.0, 1.0, 1.0]);
    assert_eq!(numbers(activation.epsilon.val().grad(&grads).unwrap()), [0.0]);
}

#[test]
fn the_gradient_of_epsilon_sums_half_a_million_elements_in_f32() {
    let x: Vec<f64> = (0..4000 * 128).map(|i: i32| f64::from((i * 7919) % 10_007) / 2000.0 - 2.0).collect();
    let exact: f64 = x.iter().map(|x| x * (-x * x / 2.0).exp()).sum();
    let size: f64 = x.iter().map(|x| (x * (-x * x / 2.0).exp()).abs()).sum();
    let activation = CrReluConfig::new().init(&device());
    let data = TensorData::new(x, [4000, 128]).convert_dtype(DType::F32);
    let grads = activation.forward(Tensor::<2>::from_data(data, &device())).sum().backward();
    let found = numbers(activation.epsilon.val().grad(&grads).unwrap())[0];
    // Rounding of the terms alone is 6e-8 of their sizes; a running sum in f32 could lose 1e-4 and more.
    assert!((found - exact).abs() < 1e-6 * size, "{found} against {exact}");
}

#[test]
fn epsilon_is_a_parameter_unless_it_is_fixed() {
    let learned = CrReluConfig::new().init(&device());
    assert_eq!(learned.num_params(), 1);
    let fixed = CrReluConfig::new().with_learnable(false).init(&device());
    let x = Tensor::<1>::from_floats([1.0], &device()).require_grad();
    let grads = fixed.forward(x.clone()).sum().backward();
    assert!(fixed.epsilon.val().grad(&grads).is_none() && x.grad(&grads).is_some());
    assert_eq!(CrReluConfig::new().with_epsilon(f64::NAN).validate().unwrap_err().field, "epsilon");
}
