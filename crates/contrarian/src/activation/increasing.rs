use super::density::{normal_density, normal_distribution};
use statrs::distribution::{ContinuousCDF, Normal};

/// The inverse `g` of an activation at one point `y`, with its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inverse {
    /// `g(y)`
    pub value: f64,
    /// `g'(y)`
    pub first: f64,
    /// `g''(y)`
    pub second: f64,
}

/// Strictly increasing activations with a closed inverse: those whose output has a density to speak of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IncreasingActivation {
    /// ReLU on its positive half, where it is the identity.
    ReluPositive,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-scale x))`
    Sigmoid {
        /// Above 0.
        scale: f64,
    },
    /// `log(1 + exp x)`
    Softplus,
    /// `x`, below 0 `slope x`.
    LeakyRelu {
        /// Above 0.
        slope: f64,
    },
    /// The standard normal distribution function.
    NormalCdf,
}

impl IncreasingActivation {
    /// The least input of its domain.
    pub fn lower_end(self) -> f64 {
        if self == Self::ReluPositive { 0.0 } else { f64::NEG_INFINITY }
    }

    /// The value at `x`.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::ReluPositive => x,
            Self::Tanh => x.tanh(),
            Self::Sigmoid { scale } => 1.0 / (1.0 + (-scale * x).exp()),
            Self::Softplus => softplus(x),
            Self::LeakyRelu { slope } => x * if x > 0.0 { 1.0 } else { slope },
            Self::NormalCdf => normal_distribution(x),
        }
    }

    /// `log f'(x)`, exact where `f'` itself underflows.
    pub fn log_slope(self, x: f64) -> f64 {
        match self {
            Self::ReluPositive => 0.0,
            Self::Tanh => 2.0 * (std::f64::consts::LN_2 - x - softplus(-2.0 * x)),
            Self::Sigmoid { scale } => scale.ln() - softplus(scale * x) - softplus(-scale * x),
            Self::Softplus => -softplus(-x),
            Self::LeakyRelu { slope } => (if x > 0.0 { 1.0f64 } else { slope }).ln(),
            Self::NormalCdf => -0.5 * x * x - 0.5 * (2.0 * std::f64::consts::PI).ln(),
        }
    }

    /// The inverse at `y`; `None` where `y` is no value of the activation.
    pub fn inverse(self, y: f64) -> Option<Inverse> {
        let inverse = |value, first, second| Inverse { value, first, second };
        match self {
            Self::ReluPositive => (y > 0.0).then(|| inverse(y, 1.0, 0.0)),
            Self::Tanh => (y.abs() < 1.0).then(|| {
                let first = 1.0 / ((1.0 - y) * (1.0 + y));
                inverse(y.atanh(), first, 2.0 * y * first * first)
            }),
            Self::Sigmoid { scale } => (y > 0.0 && y < 1.0).then(|| {
                let spread = y * (1.0 - y);
                let value = (y.ln() - (-y).ln_1p()) / scale;
                inverse(value, 1.0 / (scale * spread), (2.0 * y - 1.0) / (scale * spread * spread))
            }),
            Self::Softplus => (y > 0.0).then(|| {
                // g = log(e^y - 1) and g' = 1/m with m = 1 - e^-y.
                let m = -(-y).exp_m1();
                inverse(y + m.ln(), 1.0 / m, -(-y).exp() / (m * m))
            }),
            Self::LeakyRelu { slope } => {
                let by = if y > 0.0 { 1.0 } else { slope };
                y.is_finite().then(|| inverse(y / by, 1.0 / by, 0.0))
            }
            Self::NormalCdf => (y > 0.0 && y < 1.0).then(|| {
                let x = Normal::standard().inverse_cdf(y);
                let density = normal_density(x);
                inverse(x, 1.0 / density, x / (density * density))
            }),
        }
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [IncreasingActivation; 6] = [
        IncreasingActivation::ReluPositive,
        IncreasingActivation::Tanh,
        IncreasingActivation::Sigmoid { scale: 1.7 },
        IncreasingActivation::Softplus,
        IncreasingActivation::LeakyRelu { slope: 0.25 },
        IncreasingActivation::NormalCdf,
    ];

    #[test]
    fn slopes_and_inverses_belong_to_the_values() {
        let h = 1e-4;
        for f in ALL {
            for x in [-2.3, -0.6, 0.4, 1.9] {
                if x < f.lower_end() {
                    continue;
                }
                let slope = (f.value(x + h) - f.value(x - h)) / (2.0 * h);
                assert!((f.log_slope(x).exp() - slope).abs() < 1e-7, "{f:?} at {x}");
                let y = f.value(x);
                let g = |y: f64| f.inverse(y).unwrap();
                assert!((g(y).value - x).abs() < 1e-9, "{f:?} at {x}: {}", g(y).value);
                assert!((g(y).first * slope - 1.0).abs() < 1e-6, "{f:?} at {x}");
                let step = h * slope;
                let second = (g(y + step).first - g(y - step).first) / (2.0 * step);
                assert!((g(y).second - second).abs() < 1e-4 * (1.0 + second.abs()), "{f:?} at {x}");
            }
        }
    }

    #[test]
    fn values_outside_the_range_have_no_inverse_and_tails_stay_finite() {
        for f in ALL {
            assert!(f.inverse(f64::NAN).is_none() || f == IncreasingActivation::ReluPositive, "{f:?}");
            if f != IncreasingActivation::ReluPositive {
                assert!(f.log_slope(-1e4).is_finite(), "{f:?}");
            }
            assert!(f.log_slope(1e4).is_finite(), "{f:?}");
        }
        assert!(IncreasingActivation::Tanh.inverse(1.0).is_none());
        assert!(IncreasingActivation::Softplus.inverse(0.0).is_none());
        assert!(IncreasingActivation::ReluPositive.inverse(-1.0).is_none());
    }
}
