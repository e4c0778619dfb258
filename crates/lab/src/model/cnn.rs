use super::mlp::linear;
use super::{Classifier, Mode};
use crate::data::ImageShape;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData, activation};
use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of a small [convolutional network](Cnn).
#[derive(Config, Debug)]
pub struct CnnConfig {
    /// Channels of an image, 1 for grey and 3 for colour.
    pub channels: usize,
    /// Height of an image, at least 4.
    pub height: usize,
    /// Width of an image, at least 4.
    pub width: usize,
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Filters of the first layer, at least 1; the second has twice as many.
    #[config(default = 8)]
    pub filters: usize,
}

const KERNEL: usize = 3;

impl CnnConfig {
    /// A network for images of this shape.
    pub fn for_images(shape: ImageShape, classes: usize) -> Self {
        Self::new(shape.channels, shape.height, shape.width, classes)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let lowest = [
            ("channels", self.channels, 1),
            ("height", self.height, 4),
            ("width", self.width, 4),
            ("classes", self.classes, 2),
            ("filters", self.filters, 1),
        ];
        match lowest.into_iter().find(|(_, value, least)| value < least) {
            Some((field, value, least)) => Err(InvalidParameter::new(field, value, format!("at least {least}"))),
            None => Ok(()),
        }
    }

    /// Builds the network with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed` alone as in
    /// [`MlpConfig::init`](super::MlpConfig::init).
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> Cnn {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (first, second) = (self.filters, 2 * self.filters);
        let left = second * (self.height / 2 / 2) * (self.width / 2 / 2);
        Cnn {
            convolutions: vec![
                convolution(self.channels, first, device, &mut rng),
                convolution(first, second, device, &mut rng),
            ],
            pool: MaxPool2dConfig::new([2, 2]).init(),
            output: linear(left, self.classes, device, &mut rng),
            channels: self.channels,
            height: self.height,
            width: self.width,
        }
    }

    /// The network in words, `CNN 1x28x28, 3x3 filters 8-16, 10 classes`.
    pub fn describe(&self) -> String {
        let Self { channels, height, width, classes, filters } = self;
        format!(
            "CNN {channels}x{height}x{width}, {KERNEL}x{KERNEL} filters {filters}-{}, {classes} classes",
            2 * filters
        )
    }
}

fn convolution(from: usize, to: usize, device: &Device, rng: &mut Xoshiro256PlusPlus) -> Conv2d {
    let bound = 1.0 / ((from * KERNEL * KERNEL) as f32).sqrt();
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-bound..bound)).collect() };
    let weight = TensorData::new(draw(to * from * KERNEL * KERNEL), [to, from, KERNEL, KERNEL]);
    let bias = TensorData::new(draw(to), [to]);
    let layer = Conv2dConfig::new([from, to], [KERNEL, KERNEL]).with_padding(PaddingConfig2d::Same).init(device);
    Conv2d { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)), ..layer }
}

/// A small convolutional network: twice convolution (3 x 3, same size), ReLU and max-pooling (2 x 2), then a linear layer.
#[derive(Module, Debug)]
pub struct Cnn {
    convolutions: Vec<Conv2d>,
    pool: MaxPool2d,
    output: Linear,
    channels: usize,
    height: usize,
    width: usize,
}

impl Classifier for Cnn {
    /// Logits of images given as rows, ordered by channel, row of the image, column.
    fn logits(&self, x: Tensor<2>, _: &mut Mode) -> Tensor<2> {
        let rows = x.dims()[0];
        let mut images = x.reshape([rows, self.channels, self.height, self.width]);
        for convolution in &self.convolutions {
            images = self.pool.forward(activation::relu(convolution.forward(images)));
        }
        self.output.forward(images.flatten(1, 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::images::glyphs;
    use crate::fit::{Examples, Fit, FitConfig, predict};
    use crate::metrics::{Decision, Metric, Predictions, evaluate};
    use contrarian::classification::CrossEntropyLossConfig;

    #[test]
    fn same_seed_same_logits_and_any_size_fits() {
        for (channels, height, width) in [(1, 4, 4), (3, 9, 7), (1, 28, 28)] {
            let x = Tensor::<2>::ones([2, channels * height * width], &Device::flex());
            let logits = |seed| -> Vec<f32> {
                let model = CnnConfig::new(channels, height, width, 5).init(&Device::flex(), seed);
                model.logits(x.clone(), &mut Mode::Inference).into_data().try_to_vec().unwrap()
            };
            assert_eq!(logits(1).len(), 10);
            assert_eq!(logits(1), logits(1));
            assert_ne!(logits(1), logits(2));
        }
        assert_eq!(CnnConfig::new(1, 3, 28, 10).validate().unwrap_err().field, "height");
        assert_eq!(CnnConfig::new(1, 28, 28, 10).describe(), "CNN 1x28x28, 3x3 filters 8-16, 10 classes");
    }

    #[test]
    fn it_learns_glyphs() {
        let set = glyphs(10, 60, 1);
        let [train, test] = set.dataset().parts([400, 200]);
        let config = FitConfig::new().with_learning_rate(5e-3).with_epochs(8);
        let model = CnnConfig::for_images(set.shape, 10).init(&Device::flex().autodiff(), 1);
        let fit = Fit {
            train: Examples { x: &train.x, y: &train.y },
            config: &config,
            seed: 1,
            validation: None,
            stop: None,
        };
        let loss = CrossEntropyLossConfig::new().init();
        let fitted = fit.run(model, |m, batch, mode| loss.forward(m.logits(batch.x, mode), batch.labels)).unwrap();
        let predictions =
            Predictions { probabilities: predict(&fitted.model, &test.x), classes: 10, labels: test.y.clone() };
        let accuracy = evaluate(Metric::Accuracy, &predictions, Decision::Argmax).unwrap();
        // Chance is .1.
        assert!(accuracy > 0.7, "{accuracy}");
    }
}
