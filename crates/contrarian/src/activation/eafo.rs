use super::{InputDensity, Inverse};

/// The direction in which the entropy of an activation's output falls fastest, at one point: the correction of its inverse.
///
/// ```text
/// eta(y) = -( p(g) g''/g' + p'(g) g' )
/// ```
///
/// with the inverse `g` of the activation, its derivatives at `y`, and the density `p` of the input. To first order the
/// output of the activation whose inverse is `g + e eta` has an entropy lower by `e` times the integral of `eta^2`, for
/// corrections that vanish at the ends of the range. At a stationary point `eta` is 0: there the activation is the
/// distribution function of its input ([`Wafbc`](super::Wafbc)), and the entropy is largest.
///
/// The positive half of ReLU (`g = y`) under a standard normal gives `y exp(-y^2/2) / sqrt(2 pi)`, the bump of
/// [`CrRelu`](super::CrRelu).
///
/// ```
/// use contrarian::activation::{IncreasingActivation, InputDensity, eafo_correction};
///
/// let inverse = IncreasingActivation::ReluPositive.inverse(1.0).unwrap();
/// let eta = eafo_correction(&InputDensity::STANDARD_NORMAL, inverse);
/// assert!((eta - 0.24197072451914337).abs() < 1e-12);
/// ```
///
/// Source: Sun, Wu, Xia et al. 2024, <https://arxiv.org/abs/2405.12954>, entropy-based activation function optimisation;
/// the variation was derived again.
pub fn eafo_correction(input: &InputDensity, inverse: Inverse) -> f64 {
    let Inverse { value, first, second } = inverse;
    -(input.density(value) * second / first + input.slope(value) * first)
}
