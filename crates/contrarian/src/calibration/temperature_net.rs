use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of the [temperature network](TemperatureNet).
#[derive(Config, Debug)]
pub struct TemperatureNetConfig {
    /// Features of an example, at least 1.
    pub n_features: usize,
    /// Hidden units, at least 1.
    #[config(default = 5)]
    pub hidden: usize,
    /// Lowest temperature, above 0.
    #[config(default = 0.1)]
    pub min: f64,
    /// Highest temperature, above `min`.
    #[config(default = 10.0)]
    pub max: f64,
}

/// Bias of the output at the start: between the bounds, where the gradient is not 0.
const FIRST_TEMPERATURE: f32 = 1.5;

impl TemperatureNetConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.n_features >= 1, "n_features", self.n_features, "at least 1")?;
        require(self.hidden >= 1, "hidden", self.hidden, "at least 1")?;
        require(self.min > 0.0 && self.min.is_finite(), "min", self.min, "finite and above 0")?;
        require(self.max > self.min && self.max.is_finite(), "max", self.max, "finite and above `min`")
    }

    /// Builds the network with weights uniform in `+-1/sqrt(fan-in)` drawn from `seed`, and an output bias of 1.5.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> TemperatureNet {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut draw = |n: usize, inputs: usize| -> Vec<f32> {
            let bound = 1.0 / (inputs as f32).sqrt();
            (0..n).map(|_| rng.random_range(-bound..bound)).collect()
        };
        let hidden = (draw(self.n_features * self.hidden, self.n_features), draw(self.hidden, self.n_features));
        let output = (draw(self.hidden, self.hidden), vec![FIRST_TEMPERATURE]);
        let linear = |(weight, bias): (Vec<f32>, Vec<f32>), inputs: usize, outputs: usize| Linear {
            weight: Param::from_data(TensorData::new(weight, [inputs, outputs]), device),
            bias: Some(Param::from_data(TensorData::new(bias, [outputs]), device)),
        };
        TemperatureNet {
            hidden: linear(hidden, self.n_features, self.hidden),
            output: linear(output, self.hidden, 1),
            min: self.min,
            max: self.max,
        }
    }
}

/// A temperature for every example, from features of it.
///
/// ```text
/// T = clamp(w2 . relu(W1 f + b1) + b2, min, max)
/// ```
///
/// The gradient is 0 where the value is clamped: watch [`clamped_share`](Self::clamped_share).
///
/// Source: Liu et al. 2024, <https://arxiv.org/abs/2404.13016>; the output bias starts at 1.5 instead of at random.
#[derive(Module, Debug)]
pub struct TemperatureNet {
    /// `W1` `[n_features, hidden]` and `b1` `[hidden]`.
    pub hidden: Linear,
    /// `w2` `[hidden, 1]` and `b2` `[1]`.
    pub output: Linear,
    /// Lowest temperature.
    pub min: f64,
    /// Highest temperature.
    pub max: f64,
}

impl TemperatureNet {
    /// The temperature of every example.
    ///
    /// # Shapes
    /// - features: `[batch, n_features]`
    /// - output: `[batch]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        self.unclamped(features).clamp(self.min, self.max)
    }

    /// Part of the examples whose temperature is at a bound, where nothing is learned.
    ///
    /// # Shapes
    /// - features: `[batch, n_features]`
    pub fn clamped_share(&self, features: Tensor<2>) -> f64 {
        let free = self.unclamped(features);
        let outside = free.clone().lower_elem(self.min).bool_or(free.greater_elem(self.max));
        // A figure for people, not part of a training step: it is read back.
        outside.float().mean().into_data().convert::<f64>().try_to_vec::<f64>().expect("a mean is one number")[0]
    }

    fn unclamped(&self, features: Tensor<2>) -> Tensor<1> {
        let [batch, _] = features.dims();
        self.output.forward(activation::relu(self.hidden.forward(features))).reshape([batch])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperatures_stay_in_their_range_and_the_share_at_a_bound_is_counted() {
        let device = Device::flex();
        let mut net = TemperatureNetConfig::new(2).init(&device, 1);
        let features = Tensor::<2>::from_floats([[0.1, 0.9], [0.5, 0.5], [1e4, 1e4]], &device);
        assert!(net.clamped_share(features.clone().narrow(0, 0, 2)) == 0.0);
        for (bias, bound) in [(1e3f32, 10.0f32), (-1e6, 0.1)] {
            net.output.bias = Some(Param::from_data(TensorData::from([bias]), &device));
            let temperatures: Vec<f32> =
                net.forward(features.clone().narrow(0, 0, 2)).into_data().try_to_vec().unwrap();
            assert_eq!(temperatures, [bound; 2]);
            assert_eq!(net.clamped_share(features.clone().narrow(0, 0, 2)), 1.0);
        }
        assert_eq!(TemperatureNetConfig::new(0).validate().unwrap_err().field, "n_features");
        assert_eq!(TemperatureNetConfig::new(2).with_min(f64::NAN).validate().unwrap_err().field, "min");
        assert_eq!(TemperatureNetConfig::new(2).with_max(0.05).validate().unwrap_err().field, "max");
    }
}
