use super::mlp::linear;
use burn::config::Config;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor, activation};
use contrarian::InvalidParameter;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Configuration of an [encoder with a projector](Encoder).
#[derive(Config, Debug)]
pub struct EncoderConfig {
    /// Inputs, at least 1.
    pub inputs: usize,
    /// Units of the hidden layer, at least 1.
    #[config(default = 128)]
    pub width: usize,
    /// Features: what is kept of the encoder, at least 1.
    #[config(default = 64)]
    pub features: usize,
    /// Numbers of the projection, which the objective sees, at least 1.
    #[config(default = 32)]
    pub projection: usize,
}

impl EncoderConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let sizes = [
            ("inputs", self.inputs),
            ("width", self.width),
            ("features", self.features),
            ("projection", self.projection),
        ];
        match sizes.into_iter().find(|(_, value)| *value == 0) {
            Some((field, value)) => Err(InvalidParameter::new(field, value, "at least 1")),
            None => Ok(()),
        }
    }

    /// Builds the model with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed` alone as in
    /// [`MlpConfig::init`](super::MlpConfig::init).
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> Encoder {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Encoder {
            hidden: linear(self.inputs, self.width, device, &mut rng),
            norm: BatchNormConfig::new(self.width).init(device),
            output: linear(self.width, self.features, device, &mut rng),
            projector: linear(self.features, self.projection, device, &mut rng),
        }
    }
}

/// A small encoder with a projector, as two-view training uses them: the objective sees projections, and what is kept after
/// training are the features before the projector.
///
/// ```text
/// features   = W2 relu(batch norm(W1 x))
/// projection = W3 relu(features)
/// ```
///
/// each `W` with a bias. Give all views of a batch in one call: batch normalisation must see them together.
///
/// Source: the form of Chen et al. 2020, "SimCLR", <https://arxiv.org/abs/2002.05709>, section 2.1, without hidden layer in the
/// projector.
#[derive(Module, Debug)]
pub struct Encoder {
    hidden: Linear,
    norm: BatchNorm,
    output: Linear,
    projector: Linear,
}

impl Encoder {
    /// What is kept after training.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, features]`
    pub fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(activation::relu(self.norm.forward(self.hidden.forward(x))))
    }

    /// What the objective sees, of any length.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, projection]`
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        self.project_features(self.features(x))
    }

    /// The projection of features.
    ///
    /// # Shapes
    /// - features: `[batch, features]`
    /// - output: `[batch, projection]`
    pub fn project_features(&self, features: Tensor<2>) -> Tensor<2> {
        self.projector.forward(activation::relu(features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn sizes_are_those_asked_for_and_weights_follow_the_seed() {
        let device = Device::flex();
        let config = EncoderConfig::new(5).with_width(7).with_features(4).with_projection(3);
        let x = Tensor::<2>::from_data(TensorData::new((0..10).map(|v| v as f32).collect(), [2, 5]), &device);
        let of = |seed: u64| {
            let model = config.init(&device, seed);
            let (features, projection) = (model.features(x.clone()), model.project(x.clone()));
            assert_eq!((features.dims(), projection.dims()), ([2, 4], [2, 3]));
            projection.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(config.with_projection(0).validate().unwrap_err().field, "projection");
    }
}
