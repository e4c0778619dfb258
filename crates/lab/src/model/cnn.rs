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
        // Two poolings leave at least a pixel.
        let pixels = "at least 4 pixels: enlarge the images, or use an MLP";
        let lowest = [
            ("channels", self.channels, 1, "at least 1"),
            ("height", self.height, 4, pixels),
            ("width", self.width, 4, pixels),
            ("classes", self.classes, 2, "at least 2"),
            ("filters", self.filters, 1, "at least 1"),
        ];
        match lowest.into_iter().find(|(_, value, least, _)| value < least) {
            Some((field, value, _, allowed)) => Err(InvalidParameter::new(field, value, allowed)),
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
    use crate::data::images::{Glyphs, nearest_mean_accuracy};
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
        let dot = CnnConfig::new(1, 1, 1, 2).validate().unwrap_err().to_string();
        assert!(dot.contains("`height` is 1") && dot.contains("at least 4 pixels"), "{dot}");
        assert_eq!(CnnConfig::new(1, 3, 28, 10).validate().unwrap_err().field, "height");
        assert_eq!(CnnConfig::new(1, 28, 28, 10).describe(), "CNN 1x28x28, 3x3 filters 8-16, 10 classes");
    }

    /// One layer in plain loops, from `[channels][height][width]` to the same of half the size: convolution with a border
    /// of zeros, ReLU, the largest of each 2 x 2.
    fn layer(image: &[Vec<Vec<f64>>], weight: &[f64], bias: &[f64]) -> Vec<Vec<Vec<f64>>> {
        let (channels, height, width) = (image.len(), image[0].len(), image[0][0].len());
        let at = |filter: usize, y: usize, x: usize| {
            let mut sum = bias[filter];
            for channel in 0..channels {
                for (dy, dx) in (0..9).map(|place| (place / 3, place % 3)) {
                    if (1..=height).contains(&(y + dy)) && (1..=width).contains(&(x + dx)) {
                        let w = weight[(filter * channels + channel) * 9 + dy * 3 + dx];
                        sum += w * image[channel][y + dy - 1][x + dx - 1];
                    }
                }
            }
            sum.max(0.0)
        };
        let pooled = |filter: usize, y: usize, x: usize| {
            (0..4).map(|place| at(filter, 2 * y + place / 2, 2 * x + place % 2)).fold(0.0, f64::max)
        };
        let row = |filter: usize, y: usize| (0..width / 2).map(|x| pooled(filter, y, x)).collect();
        (0..bias.len()).map(|filter| (0..height / 2).map(|y| row(filter, y)).collect()).collect()
    }

    #[test]
    fn logits_are_those_of_plain_loops() {
        let (channels, height, width) = (3, 9, 6);
        let model = CnnConfig::new(channels, height, width, 4).with_filters(5).init(&Device::flex(), 1);
        let numbers: Vec<f32> = (0..channels * height * width).map(|i| ((i * 37) % 23) as f32 / 11.0 - 1.0).collect();
        let x = Tensor::<2>::from_data(TensorData::new(numbers.clone(), [1, numbers.len()]), &Device::flex());
        let logits: Vec<f64> = model.logits(x, &mut Mode::Inference).into_data().iter::<f64>().collect();
        let number = |channel: usize, y: usize, x: usize| f64::from(numbers[(channel * height + y) * width + x]);
        let row = |channel: usize, y: usize| (0..width).map(|x| number(channel, y, x)).collect();
        let mut image: Vec<Vec<Vec<f64>>> =
            (0..channels).map(|channel| (0..height).map(|y| row(channel, y)).collect()).collect();
        let floats = |data: TensorData| data.iter::<f64>().collect::<Vec<f64>>();
        for convolution in &model.convolutions {
            let bias = floats(convolution.bias.as_ref().unwrap().val().into_data());
            image = layer(&image, &floats(convolution.weight.val().into_data()), &bias);
        }
        let features: Vec<f64> = image.concat().concat();
        let weight = floats(model.output.weight.val().into_data());
        let bias = floats(model.output.bias.as_ref().unwrap().val().into_data());
        for (class, logit) in logits.iter().enumerate() {
            let expected: f64 =
                bias[class] + features.iter().enumerate().map(|(i, f)| f * weight[i * 4 + class]).sum::<f64>();
            // Sums of some hundred products in f32.
            assert!((logit - expected).abs() < 1e-5, "class {class}: {logit} {expected}");
        }
    }

    #[test]
    fn it_learns_glyphs() {
        let set = Glyphs { classes: 10, per_class: 60, ..Glyphs::default() }.generate(1);
        let shape = set.images.shape;
        let [train, test] = set.into_dataset().parts([400, 200]);
        let config = FitConfig::new().with_learning_rate(5e-3).with_epochs(40);
        let model = CnnConfig::for_images(shape, 10).init(&Device::flex().autodiff(), 1);
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
        // At 8 epochs the loss was still falling by a tenth an epoch; at 40 it is near 0. A network that knows of moves must
        // beat the nearest class mean, which does not, by more than two standard deviations of the difference: over 200
        // images that of an accuracy is at most .035, and of the difference of two at most .05.
        let baseline = nearest_mean_accuracy(&train, &test);
        assert!(accuracy > baseline + 0.1, "{accuracy}, and the nearest mean {baseline}");
    }
}
