use crate::InvalidParameter;
use crate::activation::InputDensity;

/// Points of the quadrature under a normal density, on 24 standard deviations.
const POINTS: usize = 200_001;
/// Points for every bandwidth of an empirical density, where each costs a pass over the samples.
const POINTS_A_BANDWIDTH: f64 = 16.0;

/// Differential entropy of an activation's output, in nats, by the trapezoid rule.
///
/// ```text
/// H(f(X)) = H(X) + E[log f'(X)]
/// ```
///
/// for a strictly increasing `f` with the given `log f'`. Inputs below `lower_end` are left out, and the entropy is that of
/// the output given that the input lies above (ReLU has an inverse on its positive half only); minus infinity leaves
/// nothing out.
///
/// ```
/// use contrarian::activation::{IncreasingActivation, InputDensity};
/// use contrarian::diagnostics::activation_output_entropy;
///
/// let tanh = IncreasingActivation::Tanh;
/// let entropy =
///     activation_output_entropy(&InputDensity::STANDARD_NORMAL, tanh.lower_end(), |x| tanh.log_slope(x))?;
/// assert!((entropy - 0.669804).abs() < 1e-6);
/// # Ok::<(), contrarian::InvalidParameter>(())
/// ```
///
/// # Errors
/// When `log f'` is NaN or infinite somewhere: the activation does not increase strictly there. When there is no mass above
/// `lower_end`.
///
/// Source: Sun, Wu, Xia et al. 2024, <https://arxiv.org/abs/2405.12954>; the form is the change of variables in the entropy.
pub fn activation_output_entropy(
    input: &InputDensity,
    lower_end: f64,
    log_slope: impl Fn(f64) -> f64,
) -> Result<f64, InvalidParameter> {
    let (low, high) = input.support();
    let low = low.max(lower_end);
    if low >= high {
        return Err(InvalidParameter::new("lower_end", lower_end, "below the largest inputs"));
    }
    let points = match input {
        InputDensity::Normal { .. } => POINTS,
        InputDensity::Empirical { .. } => {
            let wanted = (high - low) / input.scale() * POINTS_A_BANDWIDTH;
            (wanted as usize).clamp(1001, POINTS)
        }
    };
    let step = (high - low) / (points - 1) as f64;
    let (mut mass, mut sum) = (0.0, 0.0);
    for index in 0..points {
        let x = low + step * index as f64;
        let weight = if index == 0 || index == points - 1 { 0.5 * step } else { step };
        let p = input.density(x);
        let slope = finite_log_slope(&log_slope, x)?;
        mass += weight * p;
        // p log p tends to 0 with p.
        if p > 0.0 {
            sum += weight * p * (slope - p.ln());
        }
    }
    if mass <= 0.0 {
        return Err(InvalidParameter::new("lower_end", lower_end, "below the largest inputs"));
    }
    // The density given that the input lies above the end is p / mass.
    Ok(sum / mass + mass.ln())
}

/// What an activation adds to the entropy of inputs that are known by samples, the mean of `log f'` over them, in nats.
///
/// It needs no estimate of a density, and compares activations on the inputs that a trained model really gives them.
///
/// # Errors
/// Without samples, and when `log f'` is NaN or infinite at one: the activation does not increase strictly there.
pub fn entropy_change_on_samples(samples: &[f64], log_slope: impl Fn(f64) -> f64) -> Result<f64, InvalidParameter> {
    if samples.is_empty() {
        return Err(InvalidParameter::new("samples", 0, "at least one"));
    }
    let mut sum = 0.0;
    for &x in samples {
        sum += finite_log_slope(&log_slope, x)?;
    }
    Ok(sum / samples.len() as f64)
}

fn finite_log_slope(log_slope: impl Fn(f64) -> f64, x: f64) -> Result<f64, InvalidParameter> {
    let slope = log_slope(x);
    if slope.is_finite() {
        return Ok(slope);
    }
    let value = format!("one whose log-derivative at {x} is {slope}");
    Err(InvalidParameter::new("activation", value, "strictly increasing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::IncreasingActivation;
    use std::f64::consts::{E, LN_2, PI};

    fn entropy(input: &InputDensity, f: IncreasingActivation) -> f64 {
        activation_output_entropy(input, f.lower_end(), |x| f.log_slope(x)).unwrap()
    }

    #[test]
    fn closed_forms() {
        let normal = InputDensity::normal(0.3, 2.0).unwrap();
        // A normal law has entropy log(s sqrt(2 pi e)); the identity adds nothing.
        let h = (2.0 * (2.0 * PI * E).sqrt()).ln();
        assert!((activation_output_entropy(&normal, f64::NEG_INFINITY, |_| 0.0).unwrap() - h).abs() < 1e-10);
        // The half-normal law has entropy log(pi e / 2) / 2.
        let standard = InputDensity::STANDARD_NORMAL;
        assert!((entropy(&standard, IncreasingActivation::ReluPositive) - 0.5 * (PI * E / 2.0).ln()).abs() < 1e-9);
        // Half of a standard normal's mass is scaled by a quarter. The jump of log f' lies on a point of the grid, whose
        // weight belongs to both sides: that is worth step / 2 p(0) log 4 = 3.3e-5.
        let leaky = entropy(&standard, IncreasingActivation::LeakyRelu { slope: 0.25 });
        assert!((leaky - (0.5 * (2.0 * PI * E).ln() - 0.5 * 4f64.ln())).abs() < 4e-5);
    }

    #[test]
    fn reference_values_of_the_specification() {
        let standard = InputDensity::STANDARD_NORMAL;
        let sigmoid = |scale| entropy(&standard, IncreasingActivation::Sigmoid { scale });
        let found = [
            sigmoid(1.0),
            sigmoid(2.0),
            sigmoid(1.702),
            entropy(&standard, IncreasingActivation::Tanh) - LN_2,
            entropy(&standard, IncreasingActivation::NormalCdf),
        ];
        for (found, expected) in found.into_iter().zip([-0.193180, -0.023343, -0.010043, -0.023343, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        }
    }

    #[test]
    fn an_empirical_density_of_normal_quantiles_is_nearly_normal() {
        // Mid-quantiles of a standard normal; the kernels widen the law by about bandwidth^2 / 2 in entropy.
        let samples: Vec<f64> = (0..400)
            .map(|i| IncreasingActivation::NormalCdf.inverse((f64::from(i) + 0.5) / 400.0).unwrap().value)
            .collect();
        let change = entropy_change_on_samples(&samples, |x| IncreasingActivation::Tanh.log_slope(x)).unwrap();
        let input = InputDensity::empirical(samples).unwrap();
        let h = activation_output_entropy(&input, f64::NEG_INFINITY, |_| 0.0).unwrap();
        assert!((h - 0.5 * (2.0 * PI * E).ln()).abs() < 0.05, "{h}");
        let exact = 0.669804 - 0.5 * (2.0 * PI * E).ln();
        assert!((change - exact).abs() < 0.02, "{change} against {exact}");
    }

    #[test]
    fn what_does_not_increase_is_an_error() {
        let standard = InputDensity::STANDARD_NORMAL;
        let relu = |x: f64| if x > 0.0 { 0.0 } else { f64::NEG_INFINITY };
        let error = activation_output_entropy(&standard, f64::NEG_INFINITY, relu).unwrap_err();
        assert!(error.to_string().contains("strictly increasing"), "{error}");
        assert!(activation_output_entropy(&standard, f64::NEG_INFINITY, |x| (x * x - 1.0).ln()).is_err());
        assert_eq!(activation_output_entropy(&standard, 50.0, |_| 0.0).unwrap_err().field, "lower_end");
        assert_eq!(entropy_change_on_samples(&[], |_| 0.0).unwrap_err().field, "samples");
        assert!(entropy_change_on_samples(&[-1.0], relu).is_err());
    }
}
