use super::AngularMargin;
use burn::tensor::Tensor;

/// What a head makes of the cosine with the own class, where that depends on nothing but the cosine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OwnMargin {
    /// `c - m`.
    Cosine(f64),
    /// `cos(arccos c + m)`.
    Angle(AngularMargin, f64),
}

impl OwnMargin {
    /// Of every cosine, `[n]`.
    pub fn apply(self, cosine: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Cosine(margin) => cosine.sub_scalar(margin),
            Self::Angle(angles, margin) => {
                let margin = cosine.zeros_like().add_scalar(margin);
                angles.apply(cosine, margin)
            }
        }
    }

    /// Of one cosine, with its derivative.
    pub fn of(self, cosine: f64) -> (f64, f64) {
        match self {
            Self::Cosine(margin) => (cosine - margin, 1.0),
            Self::Angle(angles, margin) => angles.of(cosine, margin),
        }
    }
}
