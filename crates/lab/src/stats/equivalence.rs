use statrs::distribution::{ContinuousCDF, StudentsT};

/// Paired differences tested for a difference, and for being none that matters.
///
/// ```text
/// t = mean / se        t_lower = (mean + margin) / se        t_upper = (mean - margin) / se        se = sd / sqrt(n)
/// p_equivalence = max( P(T > t_lower), P(T < t_upper) ),     T of Student's distribution with n - 1 degrees of freedom
/// ```
///
/// A difference that is not significant says nothing about equality; a `p_equivalence` below the level says that the mean lies
/// within the margin. With few differences neither may be small.
///
/// Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power approach".
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedTest {
    /// The mean difference.
    pub mean: f64,
    /// Standard deviation of the differences.
    pub deviation: f64,
    /// Statistic of the test of mean 0.
    pub t: f64,
    /// Its p-value against any difference.
    pub p_two_sided: f64,
    /// Its p-value against a mean above 0.
    pub p_greater: f64,
    /// Statistic of the test that the mean is above minus the margin.
    pub t_lower: f64,
    /// Statistic of the test that the mean is below the margin.
    pub t_upper: f64,
    /// p-value of equivalence: the larger of those of the two tests against the margins.
    pub p_equivalence: f64,
}

/// Why differences cannot be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairedTestError {
    /// Fewer than two.
    #[error("{0} paired difference(s) are too few for a test; give at least 2")]
    TooFew(usize),
    /// All the same up to rounding, or some that is no number.
    #[error("the paired differences have no finite spread above 0, so there is no test")]
    NoSpread,
}

/// Tests paired differences for a mean other than 0, and for a mean within `margin` of 0.
///
/// # Errors
/// When there are fewer than two, or they have no spread.
///
/// # Panics
/// When the margin is not above 0.
pub fn paired_test(differences: &[f64], margin: f64) -> Result<PairedTest, PairedTestError> {
    assert!(margin > 0.0, "the margin of equivalence must be above 0, got {margin}");
    let n = differences.len();
    if n < 2 {
        return Err(PairedTestError::TooFew(n));
    }
    let mean = differences.iter().sum::<f64>() / n as f64;
    let deviation = (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt();
    // Differences of equal values leave rounding behind; anything below it is no spread.
    let rounding = f64::EPSILON * differences.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    if !(deviation > rounding && deviation.is_finite()) {
        return Err(PairedTestError::NoSpread);
    }
    let error = deviation / (n as f64).sqrt();
    let student = StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("there are degrees of freedom");
    let [t, t_lower, t_upper] = [mean, mean + margin, mean - margin].map(|of| of / error);
    Ok(PairedTest {
        mean,
        deviation,
        t,
        p_two_sided: 2.0 * student.cdf(-t.abs()),
        p_greater: student.cdf(-t),
        t_lower,
        t_upper,
        p_equivalence: student.cdf(-t_lower).max(student.cdf(t_upper)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Sides, one_sample_t};

    #[test]
    fn the_tests_of_mean_0_are_the_t_tests() {
        let differences = [0.02, -0.01, 0.035, 0.04, 0.01, 0.015];
        let found = paired_test(&differences, 0.01).unwrap();
        let two = one_sample_t(&differences, Sides::Two).unwrap();
        let one = one_sample_t(&differences, Sides::Greater).unwrap();
        assert_eq!(found.mean, two.mean);
        assert!((found.p_two_sided - two.p).abs() < 1e-14 && (found.p_greater - one.p).abs() < 1e-14);
    }

    #[test]
    fn equivalence_wants_the_mean_well_within_the_margin() {
        let p = |differences: &[f64], margin| paired_test(differences, margin).unwrap().p_equivalence;
        let differences = [0.001, -0.002, 0.002, 0.0, -0.001];
        assert!(p(&differences, 0.01) < 0.001 && p(&differences, 0.0001) > 0.05);
        let far: Vec<f64> = differences.iter().map(|d| d + 0.05).collect();
        assert!(p(&far, 0.01) > 0.999, "a clear difference is no equivalence");
        let other_way: Vec<f64> = far.iter().map(|d| -d).collect();
        assert!((p(&far, 0.04) - p(&other_way, 0.04)).abs() < 1e-12, "the margin has two sides");
    }

    #[test]
    fn what_cannot_be_tested_is_said() {
        assert_eq!(paired_test(&[0.1], 0.1), Err(PairedTestError::TooFew(1)));
        for same in [[0.1; 3], [0.0; 3], [f64::NAN, 0.1, 0.2], [f64::INFINITY, 0.1, 0.2]] {
            assert_eq!(paired_test(&same, 0.1), Err(PairedTestError::NoSpread));
        }
    }
}
