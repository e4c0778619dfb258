use crate::InvalidParameter;
use crate::error::require;

/// Class weights by the effective number of examples.
///
/// ```text
/// w_c = (1 - beta) / (1 - beta^{n_c})
/// ```
///
/// with `n_c` examples of class `c`: 1 for `beta = 0`, and proportional to `1/n_c` as `beta` approaches 1. See
/// [`effective_number_weights_near_one`] for a `beta` so close to 1 that `1 - beta` has lost its digits.
///
/// Source: Cui et al. 2019, <https://arxiv.org/abs/1901.05555>, equation 4; used by Entezari, Saukh 2019.
///
/// # Errors
/// When `beta` is not in `[0, 1)`, or a class has no examples.
pub fn effective_number_weights(counts: &[usize], beta: f64) -> Result<Vec<f64>, InvalidParameter> {
    require((0.0..1.0).contains(&beta), "beta", beta, "in [0, 1)")?;
    effective_number_weights_near_one(counts, 1.0 - beta)
}

/// [`effective_number_weights`] by `1 - beta`.
///
/// # Errors
/// When `one_minus_beta` is not in `(0, 1]`, or a class has no examples.
pub fn effective_number_weights_near_one(counts: &[usize], one_minus_beta: f64) -> Result<Vec<f64>, InvalidParameter> {
    require(one_minus_beta > 0.0 && one_minus_beta <= 1.0, "one_minus_beta", one_minus_beta, "in (0, 1]")?;
    if let Some(class) = counts.iter().position(|&count| count == 0) {
        return Err(InvalidParameter::new(&format!("counts[{class}]"), 0, "at least 1: the class has no examples"));
    }
    // 1 - beta^n = -expm1(n log beta), without the cancellation.
    let log_beta = (-one_minus_beta).ln_1p();
    Ok(counts.iter().map(|&n| -one_minus_beta / (n as f64 * log_beta).exp_m1()).collect())
}

/// Weights scaled to a mean of 1, so that the size of the loss does not depend on them.
pub fn mean_one(weights: &[f64]) -> Vec<f64> {
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.iter().map(|weight| weight / mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_equal_and_inverse_weights() {
        assert_eq!(effective_number_weights(&[3, 700], 0.0).unwrap(), [1.0, 1.0]);
        let inverse = effective_number_weights_near_one(&[100, 25], 1e-15).unwrap();
        // 1/n (1 + (n - 1)/2 (1 - beta) + ...): the rest is far below rounding.
        assert!((inverse[0] - 0.01).abs() < 1e-14 && (inverse[1] - 0.04).abs() < 1e-14, "{inverse:?}");
        let even = mean_one(&inverse);
        assert!((even[0] + even[1] - 2.0).abs() < 1e-14 && (even[1] / even[0] - 4.0).abs() < 1e-11);
    }

    #[test]
    fn a_missing_class_and_beta_one_are_refused() {
        for beta in [1.0, -0.1, f64::NAN] {
            assert_eq!(effective_number_weights(&[1, 2], beta).unwrap_err().field, "beta");
        }
        let missing = effective_number_weights(&[5, 0], 0.9).unwrap_err().to_string();
        assert!(missing.contains("counts[1]") && missing.contains("no examples"), "{missing}");
    }
}
