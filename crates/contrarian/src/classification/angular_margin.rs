use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// What an angular margin does at large angles, where `theta + m` would pass `pi` and `cos(theta + m)` rise again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AngularMargin {
    /// `cos(theta + m)` at every angle.
    Plain,
    /// `cos(theta) - m sin(m)` beyond `theta + m = pi`, so that the logit falls with the angle everywhere.
    Monotone,
    /// The easy margin: `cos(theta + m)` where `cos(theta) > 0`, else `cos(theta)` as it is.
    Easy,
}

/// Squared sines are taken as at least this: `sqrt` has no slope at 0.
const SMALLEST_SQUARED_SINE: f64 = 1e-12;

impl AngularMargin {
    /// The logit of the own class and its derivative by the cosine, from the cosine and the margin in radians.
    pub(super) fn of(self, cosine: f64, margin: f64) -> (f64, f64) {
        let (sin, cos) = margin.sin_cos();
        match self {
            Self::Monotone if cosine < -cos => return (cosine - sin * margin, 1.0),
            Self::Easy if cosine <= 0.0 => return (cosine, 1.0),
            _ => {}
        }
        let squared_sine = (1.0 - cosine) * (1.0 + cosine);
        let sine = squared_sine.max(SMALLEST_SQUARED_SINE).sqrt();
        let slope = if squared_sine > SMALLEST_SQUARED_SINE { cosine / sine } else { 0.0 };
        (cosine * cos - sine * sin, cos + slope * sin)
    }

    /// The logit of the own class, from its cosine and its margin in radians, both `[n]`.
    pub(super) fn apply(self, cosine: Tensor<1>, margin: Tensor<1>) -> Tensor<1> {
        // The addition formula: no arc cosine, whose slope at +-1 is infinite. A product of differences keeps the digits
        // of the sine that 1 - c^2 would lose near +-1.
        let squared_sine = cosine.clone().neg().add_scalar(1.0) * cosine.clone().add_scalar(1.0);
        let sine = squared_sine.clamp_min(SMALLEST_SQUARED_SINE).sqrt();
        let moved = cosine.clone() * margin.clone().cos() - sine * margin.clone().sin();
        match self {
            Self::Plain => moved,
            Self::Monotone => {
                let beyond = cosine.clone().lower(margin.clone().cos().neg());
                moved.mask_where(beyond, cosine - margin.clone().sin() * margin)
            }
            Self::Easy => moved.mask_where(cosine.clone().lower_equal_scalar(0.0), cosine),
        }
    }
}
