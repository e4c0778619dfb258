use super::Mode;
use super::mlp::dropout;
use super::series_network::{SeriesNetwork, require_dropout, require_samples, require_sizes};
use burn::config::Config;
use burn::module::{Module, Param, ParamGroup};
use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData, activation};
use contrarian::InvalidParameter;
use contrarian::contrastive::normalize_rows;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Weights of filters from their directions and lengths, `w_o = g_o v_o / |v_o|`; 0 where `v_o` is.
///
/// # Shapes
/// - v: `[filters, channels, length]`
/// - gain: `[filters]`
/// - output: as v
///
/// Source: Salimans, Kingma 2016, <https://arxiv.org/abs/1602.07868>, equation 2.
pub fn weight_norm(v: Tensor<3>, gain: Tensor<1>) -> Tensor<3> {
    let [filters, channels, length] = v.dims();
    let directions = normalize_rows(v.reshape([filters, channels * length]));
    (directions * gain.reshape([filters, 1])).reshape([filters, channels, length])
}

/// A causal convolution over time with weight normalisation: the output at a sample sees that sample and earlier ones.
#[derive(Module, Debug)]
pub struct CausalConvolution {
    /// Directions of the filters, `[filters, channels, length]`.
    pub direction: Param<Tensor<3>>,
    /// Lengths of the filters, `[filters]`.
    pub gain: Param<Tensor<1>>,
    /// Bias, `[filters]`.
    pub bias: Param<Tensor<1>>,
    /// Samples between the entries of a filter.
    pub dilation: usize,
}

impl CausalConvolution {
    /// A convolution with these effective weights.
    ///
    /// # Shapes
    /// - weight: `[filters, channels, length]`
    /// - bias: `[filters]`
    pub fn from_weight(weight: Tensor<3>, bias: Tensor<1>, dilation: usize) -> Self {
        let [filters, channels, length] = weight.dims();
        let gain = weight.clone().reshape([filters, channels * length]).square().sum_dim(1).sqrt().reshape([filters]);
        Self {
            direction: Param::from_tensor(weight),
            gain: Param::from_tensor(gain),
            bias: Param::from_tensor(bias),
            dilation,
        }
    }

    /// # Shapes
    /// - x: `[batch, channels, samples]`
    /// - output: `[batch, filters, samples]`
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let before = (self.direction.dims()[2] - 1) * self.dilation;
        let options = ConvOptions::new_with_padding([1], [(before, 0)], [self.dilation], 1);
        conv1d(x, weight_norm(self.direction.val(), self.gain.val()), Some(self.bias.val()), options)
    }
}

/// Two causal convolutions beside a shortcut.
///
/// ```text
/// y = relu( r(x) + relu(conv2(relu(conv1(x)))) )
/// ```
///
/// with `r` the identity, or a convolution of length 1 where the widths differ. In training whole channels are dropped behind
/// both convolutions.
///
/// Source: Bai et al. 2018, <https://arxiv.org/abs/1803.01271>, section 3.3.
#[derive(Module, Debug)]
pub struct TemporalBlock {
    /// First convolution.
    pub first: CausalConvolution,
    /// Second convolution.
    pub second: CausalConvolution,
    /// Weight `[filters, channels, 1]` of the shortcut, where widths differ.
    pub shortcut_weight: Option<Param<Tensor<3>>>,
    /// Bias of the shortcut.
    pub shortcut_bias: Option<Param<Tensor<1>>>,
    /// Probability that a channel is dropped.
    pub dropout: f64,
}

impl TemporalBlock {
    /// The block's output.
    ///
    /// # Shapes
    /// - x: `[batch, channels, samples]`
    /// - output: `[batch, filters, samples]`
    pub fn forward(&self, x: Tensor<3>, mode: &mut Mode) -> Tensor<3> {
        let mut inner = x.clone();
        for convolution in [&self.first, &self.second] {
            inner = activation::relu(convolution.forward(inner));
            if let Mode::Training(rng) = mode
                && self.dropout > 0.0
            {
                let [batch, filters, _] = inner.dims();
                inner = dropout(inner, [batch, filters, 1], self.dropout, rng);
            }
        }
        let shortcut = match &self.shortcut_weight {
            Some(weight) => {
                let bias = self.shortcut_bias.as_ref().map(Param::val);
                conv1d(x, weight.val(), bias, ConvOptions::new([1], [0], [1], 1))
            }
            None => x,
        };
        activation::relu(shortcut + inner)
    }
}

/// Configuration of the [temporal convolutional network](Tcn).
#[derive(Config, Debug)]
pub struct TcnConfig {
    /// Channels of the series.
    pub channels: usize,
    /// Samples of a window.
    pub samples: usize,
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Filters of every convolution.
    #[config(default = 30)]
    pub filters: usize,
    /// Blocks; the dilation doubles from one to the next.
    #[config(default = 3)]
    pub blocks: usize,
    /// Length of a filter.
    #[config(default = 5)]
    pub kernel: usize,
    /// Probability that a channel is dropped in training, in `[0, 1)`.
    #[config(default = 0.5)]
    pub dropout: f64,
}

/// Deviation of the blocks' weights at the start.
const START: f64 = 0.01;

impl TcnConfig {
    /// Samples that a prediction sees: `1 + 2 (kernel - 1) (2^blocks - 1)`.
    pub fn receptive_field(&self) -> usize {
        1 + 2 * (self.kernel - 1) * ((1 << self.blocks) - 1)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range; a window that is too short with the least number of samples.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_sizes(&[("channels", self.channels), ("filters", self.filters), ("kernel", self.kernel)])?;
        if !(1..=20).contains(&self.blocks) {
            return Err(InvalidParameter::new("blocks", self.blocks, "in 1..=20"));
        }
        if self.classes < 2 {
            return Err(InvalidParameter::new("classes", self.classes, "at least 2"));
        }
        require_dropout(self.dropout)?;
        require_samples(self.samples, self.receptive_field())
    }

    /// Builds the network, drawn from `seed` alone: weights of the blocks normal with deviation 0.01, biases and the last
    /// linear map uniform in `+-1/sqrt(fan-in)`.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> Tcn {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut weight = |shape: [usize; 3]| -> Tensor<3> {
            let numbers: Vec<f32> = (0..shape.iter().product())
                .map(|_| {
                    let normal: f64 = StandardNormal.sample(rng);
                    (START * normal) as f32
                })
                .collect();
            Tensor::from_data(TensorData::new(numbers, shape), device)
        };
        let mut blocks = Vec::new();
        let mut from = self.channels;
        for block in 0..self.blocks {
            let sizes = [[self.filters, from, self.kernel], [self.filters, self.filters, self.kernel]];
            let [first, second] = sizes.map(&mut weight);
            let shortcut = (from != self.filters).then(|| weight([self.filters, from, 1]));
            blocks.push((first, second, shortcut, 1 << block));
            from = self.filters;
        }
        let mut uniform = |n: usize, fan_in: usize| -> Vec<f32> {
            let bound = 1.0 / (fan_in as f32).sqrt();
            (0..n).map(|_| rng.random_range(-bound..bound)).collect()
        };
        let class_weight =
            TensorData::new(uniform(self.classes * self.filters, self.filters), [self.classes, self.filters, 1]);
        let mut bias = |filters: usize, fan_in: usize| -> Tensor<1> {
            Tensor::from_data(TensorData::new(uniform(filters, fan_in), [filters]), device)
        };
        let blocks = blocks.into_iter().map(|(first, second, shortcut, dilation)| {
            let [filters, from, kernel] = first.dims();
            TemporalBlock {
                first: CausalConvolution::from_weight(first, bias(filters, from * kernel), dilation),
                second: CausalConvolution::from_weight(second, bias(filters, filters * kernel), dilation),
                shortcut_bias: shortcut.as_ref().map(|_| Param::from_tensor(bias(filters, from))),
                shortcut_weight: shortcut.map(Param::from_tensor),
                dropout: self.dropout,
            }
        });
        let blocks: Vec<TemporalBlock> = blocks.collect();
        let class_bias = Param::from_tensor(bias(self.classes, self.filters));
        Tcn { blocks, class_weight: Param::from_data(class_weight, device), class_bias, field: self.receptive_field() }
    }
}

/// A temporal convolutional network: blocks whose dilation doubles, and a linear map at each sample.
///
/// Predictions are made only where the whole receptive field lies inside the window: at the last `samples - field + 1`
/// samples.
///
/// Source: Bai et al. 2018, <https://arxiv.org/abs/1803.01271>; for brain signals Gemein et al. 2020,
/// <https://arxiv.org/abs/2002.05115>.
#[derive(Module, Debug)]
pub struct Tcn {
    /// The blocks, input side first.
    pub blocks: Vec<TemporalBlock>,
    /// Linear map, `[classes, filters, 1]`.
    pub class_weight: Param<Tensor<3>>,
    /// Its bias, `[classes]`.
    pub class_bias: Param<Tensor<1>>,
    field: usize,
}

impl SeriesNetwork for Tcn {
    fn stages(&self, x: Tensor<3>, mode: &mut Mode) -> Vec<Tensor<3>> {
        let samples = x.dims()[2];
        require_samples(samples, self.field).unwrap_or_else(|error| panic!("{error}"));
        let mut stages = Vec::new();
        let mut x = x;
        for block in &self.blocks {
            x = block.forward(x, mode);
            stages.push(x.clone());
        }
        let seen = x.narrow(2, self.field - 1, samples + 1 - self.field);
        let options = ConvOptions::new([1], [0], [1], 1);
        stages.push(conv1d(seen, self.class_weight.val(), Some(self.class_bias.val()), options));
        stages
    }

    fn groups(&self) -> Vec<ParamGroup> {
        let mut groups: Vec<ParamGroup> =
            self.blocks.iter().map(|block| ParamGroup::ids_from_module(block.clone())).collect();
        groups.push(ParamGroup::from_ids(vec![self.class_weight.id, self.class_bias.id]));
        groups
    }

    fn shortest(&self) -> usize {
        self.field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TcnConfig {
        TcnConfig::new(2, 40, 3).with_filters(4).with_blocks(2).with_kernel(3)
    }

    fn windows(samples: usize) -> Tensor<3> {
        let numbers: Vec<f32> = (0..2 * 2 * samples).map(|i| ((i * 37) % 23) as f32 / 11.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(numbers, [2, 2, samples]), &Device::flex())
    }

    #[test]
    fn a_prediction_sees_its_field_and_nothing_else() {
        let model = config().init(&Device::flex(), 1);
        assert_eq!(model.shortest(), 13);
        let logits = model.logits(windows(40), &mut Mode::Inference);
        assert_eq!(logits.dims(), [2, 3, 28]);
        let last =
            |x: Tensor<3>| model.logits(x, &mut Mode::Inference).narrow(2, 27, 1).into_data().try_to_vec::<f32>();
        let whole = last(windows(40)).unwrap();
        // The last 13 samples alone, and with everything before them changed.
        let tail = windows(40).narrow(2, 27, 13);
        let alone = model.logits(tail.clone(), &mut Mode::Inference).into_data().try_to_vec::<f32>().unwrap();
        let changed = last(Tensor::cat(vec![windows(40).narrow(2, 0, 27).add_scalar(9.0), tail], 2)).unwrap();
        for ((whole, alone), changed) in whole.iter().zip(alone).zip(changed) {
            assert!((whole - alone).abs() < 1e-6 && (whole - changed).abs() < 1e-6, "{whole} {alone} {changed}");
        }
        // Large, for it comes through four weights of order 0.01.
        let earlier =
            last(Tensor::cat(vec![windows(40).narrow(2, 0, 28).add_scalar(1e7), windows(40).narrow(2, 28, 12)], 2));
        assert_ne!(earlier.unwrap(), whole, "the first sample of the field counts");
    }

    #[test]
    fn a_window_that_is_too_short_is_refused_with_the_least_length() {
        let error = TcnConfig::new(2, 12, 3).with_filters(4).with_blocks(2).with_kernel(3).validate().unwrap_err();
        assert_eq!(error.to_string(), "parameter `samples` is 12, but must be at least 13 for this network");
        assert_eq!(config().with_blocks(0).validate().unwrap_err().field, "blocks");
        assert_eq!(config().with_dropout(1.0).validate().unwrap_err().field, "dropout");
        assert!(config().validate().is_ok());
    }

    #[test]
    #[should_panic(expected = "`samples` is 5, but must be at least 13")]
    fn a_forward_pass_says_so_too() {
        config().init(&Device::flex(), 1).logits(windows(5), &mut Mode::Inference);
    }

    #[test]
    fn directions_of_zeros_give_weights_of_zeros() {
        let gain = Tensor::<1>::from_floats([2.0, 3.0], &Device::flex());
        let v = Tensor::<3>::from_floats([[[3.0, 4.0]], [[0.0, 0.0]]], &Device::flex());
        let weight = weight_norm(v, gain).into_data().try_to_vec::<f32>().unwrap();
        assert!(weight.iter().zip([1.2, 1.6, 0.0, 0.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{weight:?}");
    }
}
