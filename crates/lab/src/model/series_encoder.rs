use super::mlp::linear;
use super::series_network::{require_samples, require_sizes};
use crate::data::{Matrix, SeriesShape};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData, activation};
use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of a [series encoder](SeriesEncoder).
#[derive(Config, Debug)]
pub struct SeriesEncoderConfig {
    /// Channels of the series.
    pub channels: usize,
    /// Filters of the first convolution, of 7 samples.
    #[config(default = 16)]
    pub filters: usize,
    /// Filters of the second convolution, of 5 samples: the features of a series.
    #[config(default = 32)]
    pub features: usize,
    /// Hidden units of the projector.
    #[config(default = 64)]
    pub hidden: usize,
    /// Numbers of a projection.
    #[config(default = 32)]
    pub projection: usize,
}

const LENGTHS: [usize; 2] = [7, 5];
const STRIDE: usize = 2;

impl SeriesEncoderConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field that is 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_sizes(&[
            ("channels", self.channels),
            ("filters", self.filters),
            ("features", self.features),
            ("hidden", self.hidden),
            ("projection", self.projection),
        ])
    }

    /// Builds the encoder with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> SeriesEncoder {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let sizes = [(self.channels, self.filters, LENGTHS[0]), (self.filters, self.features, LENGTHS[1])];
        SeriesEncoder {
            convolutions: sizes.map(|(from, to, length)| convolution(from, to, length, device, rng)).into(),
            norms: sizes.map(|(_, to, _)| BatchNormConfig::new(to).init(device)).into(),
            projector: vec![
                linear(self.features, self.hidden, device, rng),
                linear(self.hidden, self.projection, device, rng),
            ],
        }
    }
}

fn convolution(from: usize, to: usize, length: usize, device: &Device, rng: &mut Xoshiro256PlusPlus) -> Conv1d {
    let bound = 1.0 / ((from * length) as f32).sqrt();
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-bound..bound)).collect() };
    let weight = TensorData::new(draw(to * from * length), [to, from, length]);
    let bias = TensorData::new(draw(to), [to]);
    let layer = Conv1dConfig::new(from, to, length).with_stride(STRIDE).init(device);
    Conv1d { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)), ..layer }
}

/// An encoder of series for contrastive learning: twice convolution, batch normalisation and ReLU, the mean over time, and a
/// projector of one hidden layer in front of the loss.
#[derive(Module, Debug)]
pub struct SeriesEncoder {
    convolutions: Vec<Conv1d>,
    norms: Vec<BatchNorm>,
    projector: Vec<Linear>,
}

/// Series a chunk of [`SeriesEncoder::embed`].
const CHUNK: usize = 512;

impl SeriesEncoder {
    /// Features of series: what is used after training.
    ///
    /// # Shapes
    /// - x: `[batch, channels, samples]`
    /// - output: `[batch, features]`
    ///
    /// # Panics
    /// When there are fewer than 15 samples, with that number.
    pub fn features(&self, x: Tensor<3>) -> Tensor<2> {
        let shortest = LENGTHS[0] + STRIDE * (LENGTHS[1] - 1);
        require_samples(x.dims()[2], shortest).unwrap_or_else(|error| panic!("{error}"));
        let layers = self.convolutions.iter().zip(&self.norms);
        let x = layers.fold(x, |x, (convolution, norm)| activation::relu(norm.forward(convolution.forward(x))));
        let [batch, features, _] = x.dims();
        x.mean_dim(2).reshape([batch, features])
    }

    /// Projections of features: what the loss sees.
    ///
    /// # Shapes
    /// - features: `[batch, features]`
    /// - output: `[batch, projection]`
    pub fn project(&self, features: Tensor<2>) -> Tensor<2> {
        self.projector[1].forward(activation::relu(self.projector[0].forward(features)))
    }

    /// Projections of two views of the same series, `[batch, projection]` each. Both go through batch normalisation together.
    ///
    /// # Shapes
    /// - first, second: `[batch, channels, samples]`
    ///
    /// # Panics
    /// When the shapes of the views differ, or as [`features`](Self::features).
    pub fn project_views(&self, first: Tensor<3>, second: Tensor<3>) -> [Tensor<2>; 2] {
        assert_eq!(first.dims(), second.dims(), "two views of one series must have one shape");
        let batch = first.dims()[0];
        let both = self.project(self.features(Tensor::cat(vec![first, second], 0)));
        [both.clone().narrow(0, 0, batch), both.narrow(0, batch, batch)]
    }

    /// Features of every series, of a model for inference.
    ///
    /// # Panics
    /// When the rows are not of this shape.
    pub fn embed(&self, x: &Matrix, shape: SeriesShape) -> Matrix {
        let mut all = Matrix { rows: x.rows, cols: 0, data: Vec::new() };
        for start in (0..x.rows).step_by(CHUNK) {
            let rows: Vec<usize> = (start..x.rows.min(start + CHUNK)).collect();
            let features = self.features(shape.tensor(x.gather(&rows), &Device::flex()));
            all.cols = features.dims()[1];
            all.data.extend(features.into_data().try_to_vec::<f32>().expect("features are f32"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder() -> SeriesEncoder {
        SeriesEncoderConfig::new(2).init(&Device::flex(), 1)
    }

    #[test]
    fn sizes_fit_and_the_same_seed_gives_the_same_features() {
        let x = Matrix { rows: 3, cols: 40, data: (0..120).map(|i| ((i * 37) % 23) as f32).collect() };
        let shape = SeriesShape { channels: 2, samples: 20 };
        let features = encoder().embed(&x, shape);
        assert_eq!((features.rows, features.cols), (3, 32));
        assert_eq!(features, encoder().embed(&x, shape));
        let view = || shape.tensor(x.clone(), &Device::flex());
        let [first, second] = encoder().project_views(view(), view());
        assert_eq!(first.dims(), [3, 32]);
        assert_eq!(first.into_data(), second.into_data());
        assert_eq!(SeriesEncoderConfig::new(0).validate().unwrap_err().field, "channels");
    }

    #[test]
    #[should_panic(expected = "two views of one series must have one shape")]
    fn views_of_different_length_are_refused() {
        let view = |samples: usize| Tensor::zeros([2, 2, samples], &Device::flex());
        encoder().project_views(view(20), view(21));
    }

    #[test]
    #[should_panic(expected = "`samples` is 9, but must be at least 15")]
    fn a_series_that_is_too_short_is_refused() {
        encoder().features(Tensor::zeros([2, 2, 9], &Device::flex()));
    }
}
