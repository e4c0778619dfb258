use crate::InvalidParameter;
use crate::error::require;
use std::f64::consts::PI;

/// The law of an activation's input.
#[derive(Debug, Clone, PartialEq)]
pub enum InputDensity {
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        deviation: f64,
    },
    /// Estimated from samples with normal kernels.
    Empirical {
        /// The samples.
        samples: Vec<f64>,
        /// Standard deviation of the kernels.
        bandwidth: f64,
    },
}

impl InputDensity {
    /// The standard normal law.
    pub const STANDARD_NORMAL: Self = Self::Normal { mean: 0.0, deviation: 1.0 };

    /// A normal law.
    ///
    /// # Errors
    /// When `mean` is not finite or `deviation` not finite and above 0.
    pub fn normal(mean: f64, deviation: f64) -> Result<Self, InvalidParameter> {
        require(mean.is_finite(), "mean", mean, "finite")?;
        require(deviation.is_finite() && deviation > 0.0, "deviation", deviation, "finite and above 0")?;
        Ok(Self::Normal { mean, deviation })
    }

    /// A kernel estimate from samples, with Silverman's bandwidth `0.9 min(s, IQR / 1.34) n^(-1/5)`.
    ///
    /// Each evaluation costs `O(n)`.
    ///
    /// # Errors
    /// With fewer than two samples, one that is not finite, or none that differs from the others.
    ///
    /// Source: Silverman 1986, Density Estimation, equation 3.31.
    pub fn empirical(samples: Vec<f64>) -> Result<Self, InvalidParameter> {
        require(samples.len() >= 2, "samples", samples.len(), "at least two")?;
        if let Some(bad) = samples.iter().find(|x| !x.is_finite()) {
            return Err(InvalidParameter::new("samples", bad, "finite"));
        }
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let deviation = (sorted.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        let quantile = |p: f64| {
            let place = p * (n - 1.0);
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        let middle_half = (quantile(0.75) - quantile(0.25)) / 1.34;
        // More than half of the samples may be equal; their spread is then the deviation alone.
        let spread = if middle_half > 0.0 { deviation.min(middle_half) } else { deviation };
        require(spread > 0.0, "samples", sorted[0], "not all the same")?;
        Ok(Self::Empirical { samples, bandwidth: 0.9 * spread * n.powf(-0.2) })
    }

    /// The density `p(x)`.
    pub fn density(&self, x: f64) -> f64 {
        self.mean_of_kernels(x, |z, h| normal_density(z) / h)
    }

    /// The slope of the density, `p'(x)`.
    pub fn slope(&self, x: f64) -> f64 {
        self.mean_of_kernels(x, |z, h| -z * normal_density(z) / (h * h))
    }

    /// The distribution function, the integral of the density up to `x`.
    pub fn distribution(&self, x: f64) -> f64 {
        self.mean_of_kernels(x, |z, _| normal_distribution(z))
    }

    /// An interval outside of which there is less than 1e-30 of the mass.
    pub(crate) fn support(&self) -> (f64, f64) {
        match self {
            Self::Normal { mean, deviation } => (mean - 12.0 * deviation, mean + 12.0 * deviation),
            Self::Empirical { samples, bandwidth } => {
                let low = samples.iter().copied().fold(f64::INFINITY, f64::min);
                let high = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (low - 12.0 * bandwidth, high + 12.0 * bandwidth)
            }
        }
    }

    /// The smallest scale on which the density changes.
    pub(crate) fn scale(&self) -> f64 {
        match self {
            Self::Normal { deviation, .. } => *deviation,
            Self::Empirical { bandwidth, .. } => *bandwidth,
        }
    }

    /// Both laws are means of normal ones: `term` of the standardised distance and the scale of each.
    fn mean_of_kernels(&self, x: f64, term: impl Fn(f64, f64) -> f64) -> f64 {
        match self {
            Self::Normal { mean, deviation } => term((x - mean) / deviation, *deviation),
            Self::Empirical { samples, bandwidth } => {
                let sum: f64 = samples.iter().map(|sample| term((x - sample) / bandwidth, *bandwidth)).sum();
                sum / samples.len() as f64
            }
        }
    }
}

/// The standard normal density.
pub(super) fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// The standard normal distribution function, exact in the lower tail too.
pub(super) fn normal_distribution(z: f64) -> f64 {
    0.5 * statrs::function::erf::erfc(-z / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laws() -> [InputDensity; 3] {
        let samples = (0..50).map(|i| f64::from(i * i % 37) / 9.0 - 2.0).collect();
        [
            InputDensity::STANDARD_NORMAL,
            InputDensity::normal(-0.7, 2.5).unwrap(),
            InputDensity::empirical(samples).unwrap(),
        ]
    }

    #[test]
    fn slope_and_distribution_belong_to_the_density() {
        let h = 1e-5;
        for law in laws() {
            for x in [-3.0, -0.4, 0.0, 1.1, 2.5] {
                let slope = (law.density(x + h) - law.density(x - h)) / (2.0 * h);
                assert!((law.slope(x) - slope).abs() < 1e-8, "{law:?} at {x}");
                let density = (law.distribution(x + h) - law.distribution(x - h)) / (2.0 * h);
                assert!((law.density(x) - density).abs() < 1e-8, "{law:?} at {x}");
            }
            let (low, high) = law.support();
            assert!(law.distribution(low) < 1e-30 && law.distribution(high) == 1.0);
        }
    }

    #[test]
    fn silverman_by_hand() {
        // n = 4: s = 1.29099, quartiles 0.75 and 2.25, so IQR / 1.34 = 1.11940; 0.9 * 1.11940 * 4^-0.2 = 0.763514.
        let InputDensity::Empirical { bandwidth, .. } = InputDensity::empirical(vec![0.0, 3.0, 1.0, 2.0]).unwrap()
        else {
            panic!("samples give an empirical law")
        };
        assert!((bandwidth - 0.763514).abs() < 1e-5, "{bandwidth}");
    }

    #[test]
    fn bad_laws_are_named() {
        assert_eq!(InputDensity::normal(0.0, 0.0).unwrap_err().field, "deviation");
        assert_eq!(InputDensity::normal(f64::NAN, 1.0).unwrap_err().field, "mean");
        for samples in [vec![], vec![1.0], vec![2.0; 5], vec![0.0, f64::INFINITY]] {
            assert_eq!(InputDensity::empirical(samples).unwrap_err().field, "samples");
        }
        // Most samples equal: the interquartile range is 0, the deviation is not.
        assert!(InputDensity::empirical(vec![0.0, 0.0, 0.0, 0.0, 1.0]).is_ok());
    }
}
