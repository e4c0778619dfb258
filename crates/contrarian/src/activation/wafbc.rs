use super::InputDensity;
use crate::InvalidParameter;
use crate::error::require;
use burn::tensor::{Tensor, TensorData};

/// The worst activation with boundary conditions: the distribution function of its own input, scaled to an interval.
///
/// ```text
/// f(x) = low + (high - low) P(X <= x)
/// ```
///
/// Of all increasing maps onto the interval it gives the output with the most entropy, the uniform one. For the gallery:
/// sigmoid-like functions come close to it.
///
/// Source: Sun, Wu, Xia et al. 2024, <https://arxiv.org/abs/2405.12954>, the worst activation function with boundary
/// conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Wafbc {
    density: InputDensity,
    low: f64,
    high: f64,
}

impl Wafbc {
    /// The distribution function of `density`, scaled to `[low, high]`.
    ///
    /// # Errors
    /// When the ends are not finite and in this order.
    pub fn new(density: InputDensity, low: f64, high: f64) -> Result<Self, InvalidParameter> {
        require(low.is_finite(), "low", low, "finite")?;
        require(high.is_finite() && high > low, "high", high, "finite and above `low`")?;
        Ok(Self { density, low, high })
    }

    /// The value at `x`.
    pub fn value(&self, x: f64) -> f64 {
        self.low + (self.high - self.low) * self.density.distribution(x)
    }

    /// The activation of every element. An empirical density takes memory for every pair of element and sample.
    ///
    /// # Shapes
    /// - x: any
    /// - output: as `x`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let distribution = match &self.density {
            InputDensity::Normal { mean, deviation } => {
                normal_distribution(x.sub_scalar(*mean).mul_scalar(1.0 / deviation))
            }
            InputDensity::Empirical { samples, bandwidth } => {
                let (dims, elements) = (x.dims(), x.shape().num_elements());
                let data = TensorData::new(samples.clone(), [1, samples.len()]).convert_dtype(x.dtype());
                let samples = Tensor::<2>::from_data(data, (&x.device(), x.dtype()));
                let distances = (x.reshape([elements, 1]) - samples).mul_scalar(1.0 / bandwidth);
                normal_distribution(distances).mean_dim(1).reshape(dims)
            }
        };
        distribution.mul_scalar(self.high - self.low).add_scalar(self.low)
    }
}

fn normal_distribution<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    z.mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tensors_and_numbers_agree() {
        let samples = vec![-1.0, 0.2, 0.3, 2.0, 5.0];
        for density in [InputDensity::normal(0.5, 2.0).unwrap(), InputDensity::empirical(samples).unwrap()] {
            let f = Wafbc::new(density, -1.0, 3.0).unwrap();
            let x = [-1e4f32, -2.0, 0.0, 0.7, 3.0, 1e4];
            let y: Vec<f32> = f
                .forward(Tensor::<1>::from_floats(x, &Device::flex()).reshape([2, 3]))
                .into_data()
                .try_to_vec()
                .unwrap();
            for (x, y) in x.into_iter().zip(y) {
                assert!((f64::from(y) - f.value(f64::from(x))).abs() < 1e-5, "{f:?} at {x}: {y}");
            }
            assert_eq!((f.value(-1e4), f.value(1e4)), (-1.0, 3.0));
        }
        assert_eq!(Wafbc::new(InputDensity::STANDARD_NORMAL, 1.0, 1.0).unwrap_err().field, "high");
    }
}
