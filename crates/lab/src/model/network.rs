use super::{Classifier, Cnn, CnnConfig, Mlp, MlpConfig, Mode};
use crate::data::ImageShape;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use contrarian::InvalidParameter;
use serde::{Deserialize, Serialize};

/// Which kind of network, before the sizes of the data are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Architecture {
    /// A multi-layer perceptron.
    Mlp {
        /// Hidden layers; 0 is linear.
        depth: usize,
        /// Units of each hidden layer.
        width: usize,
        /// Dropout of the hidden layers.
        dropout: f64,
    },
    /// A small convolutional network, for images.
    Cnn,
}

impl Architecture {
    /// The network for data of this size.
    ///
    /// # Errors
    /// When a convolutional network is given a table or images that are too small for it, or a setting is out of range.
    pub fn network(
        self,
        inputs: usize,
        images: Option<ImageShape>,
        classes: usize,
    ) -> Result<NetworkConfig, InvalidParameter> {
        let config = match (self, images) {
            (Self::Mlp { depth, width, dropout }, _) => {
                let config = MlpConfig::new(inputs, classes).with_depth(depth).with_width(width);
                NetworkConfig::Mlp(config.with_dropout(dropout))
            }
            (Self::Cnn, Some(shape)) => NetworkConfig::Cnn(CnnConfig::for_images(shape, classes)),
            (Self::Cnn, None) => {
                let allowed = "mlp for a table: a convolutional network needs images, whose pixels have neighbours";
                return Err(InvalidParameter::new("model", "cnn", allowed));
            }
        };
        config.validate()?;
        Ok(config)
    }
}

/// Configuration of a [network](Network).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NetworkConfig {
    /// A multi-layer perceptron.
    Mlp(MlpConfig),
    /// A small convolutional network.
    Cnn(CnnConfig),
}

impl NetworkConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        match self {
            Self::Mlp(config) => config.validate(),
            Self::Cnn(config) => config.validate(),
        }
    }

    /// Builds the network, its weights drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails.
    pub fn init(&self, device: &Device, seed: u64) -> Network {
        match self {
            Self::Mlp(config) => Network::Mlp(config.init(device, seed)),
            Self::Cnn(config) => Network::Cnn(config.init(device, seed)),
        }
    }

    /// Numbers of a row.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Mlp(config) => config.inputs,
            Self::Cnn(config) => config.channels * config.height * config.width,
        }
    }

    /// Scores of a row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Mlp(config) => config.outputs,
            Self::Cnn(config) => config.classes,
        }
    }

    /// The network in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Mlp(config) => config.describe(),
            Self::Cnn(config) => config.describe(),
        }
    }
}

/// A network whose kind is chosen when the program runs.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a fit; a box would only be in the way")]
pub enum Network {
    /// A multi-layer perceptron.
    Mlp(Mlp),
    /// A small convolutional network.
    Cnn(Cnn),
}

impl Classifier for Network {
    fn logits(&self, x: Tensor<2>, mode: &mut Mode) -> Tensor<2> {
        match self {
            Self::Mlp(model) => model.logits(x, mode),
            Self::Cnn(model) => model.logits(x, mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MLP: Architecture = Architecture::Mlp { depth: 1, width: 4, dropout: 0.0 };

    #[test]
    fn images_may_have_either_network_and_tables_the_perceptron() {
        let shape = ImageShape { channels: 1, height: 4, width: 5 };
        for (architecture, says) in [(MLP, "MLP 20-4-3"), (Architecture::Cnn, "CNN 1x4x5")] {
            let config = architecture.network(20, Some(shape), 3).unwrap();
            assert!(config.describe().starts_with(says), "{}", config.describe());
            assert_eq!((config.inputs(), config.outputs()), (20, 3));
            let logits =
                config.init(&Device::flex(), 0).logits(Tensor::ones([2, 20], &Device::flex()), &mut Mode::Inference);
            assert_eq!(logits.dims(), [2, 3]);
        }
        assert!(MLP.network(7, None, 2).is_ok());
        let error = Architecture::Cnn.network(7, None, 2).unwrap_err().to_string();
        assert!(error.contains("`model` is cnn") && error.contains("needs images"), "{error}");
        let dot = ImageShape { channels: 1, height: 1, width: 1 };
        let error = Architecture::Cnn.network(1, Some(dot), 2).unwrap_err().to_string();
        assert!(error.contains("`height` is 1") && error.contains("MLP"), "{error}");
        let error = Architecture::Mlp { depth: 1, width: 0, dropout: 0.0 }.network(7, None, 2).unwrap_err();
        assert_eq!(error.field, "width");
    }
}
