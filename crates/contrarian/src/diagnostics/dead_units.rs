use crate::InvalidParameter;
use crate::error::require;
use burn::tensor::Tensor;

/// The share of units that do not react to any example: those whose activation has a derivative of size below `threshold`
/// on every row.
///
/// The derivative is taken by autodiff, so any element-wise activation can be given, learned ones included. ReLU units that
/// are negative everywhere have derivative 0; a small threshold (1e-6) also counts those that only ever see vanishing
/// slopes.
///
/// # Shapes
/// - pre_activations: `[examples, units]`, what the activation gets
///
/// # Errors
/// When `threshold` is not finite and above 0, or there is no example or no unit.
///
/// # Panics
/// When the activation changes the shape.
pub fn dead_unit_fraction(
    activation: impl FnOnce(Tensor<2>) -> Tensor<2>,
    pre_activations: Tensor<2>,
    threshold: f64,
) -> Result<f64, InvalidParameter> {
    let [examples, units] = pre_activations.dims();
    require(threshold.is_finite() && threshold > 0.0, "threshold", threshold, "finite and above 0")?;
    let shape = format!("[{examples}, {units}]");
    require(examples > 0 && units > 0, "pre_activations", shape, "at least one example and one unit")?;
    let x = Tensor::<2>::from_data(
        pre_activations.clone().into_data(),
        (&pre_activations.device().inner().autodiff(), pre_activations.dtype()),
    )
    .require_grad();
    let y = activation(x.clone());
    assert_eq!(y.dims(), [examples, units], "an activation keeps the shape");
    // The second term adds 0 to the slopes, and makes them exist for an activation that is constant.
    let sum = y.sum() + x.clone().sum().mul_scalar(0.0);
    let slopes = x.grad(&sum.backward()).expect("the sum depends on the inputs");
    let largest = slopes.abs().max_dim(0);
    let dead = largest.lower_elem(threshold).int().sum().into_scalar::<i64>();
    Ok(dead as f64 / units as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::ActivationKind;
    use burn::tensor::Device;

    #[test]
    fn relu_units_below_zero_are_dead_and_crrelu_units_are_not() {
        let device = Device::flex().autodiff();
        // Units: always negative, sometimes positive, exactly 0, far below.
        let x = [[-1.5, -1.0, 0.0, -40.0], [-0.5, 2.0, 0.0, -50.0]];
        let fraction = |kind: ActivationKind| {
            let f = kind.init(&device);
            let x = Tensor::<2>::from_floats(x, &Device::flex());
            dead_unit_fraction(|x| f.forward(x), x, 1e-6).unwrap()
        };
        assert_eq!(fraction(ActivationKind::Relu), 0.75);
        assert_eq!(fraction(ActivationKind::CrRelu), 0.25);
        assert_eq!(fraction(ActivationKind::PRelu), 0.0);
    }

    #[test]
    fn bad_input_is_named() {
        let none = Tensor::<2>::zeros([0, 3], &Device::flex());
        assert_eq!(dead_unit_fraction(|x| x, none, 1e-6).unwrap_err().field, "pre_activations");
        let some = || Tensor::<2>::zeros([2, 3], &Device::flex());
        assert_eq!(dead_unit_fraction(|x| x, some(), 0.0).unwrap_err().field, "threshold");
        assert_eq!(dead_unit_fraction(|x| x.zeros_like(), some(), 1e-6).unwrap(), 1.0);
    }
}
