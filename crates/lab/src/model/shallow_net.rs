use super::Mode;
use super::mlp::dropout;
use super::series_network::{SeriesNetwork, require_dropout, require_samples, require_sizes};
use burn::config::Config;
use burn::module::{Module, Param, ParamGroup};
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::module::{avg_pool1d, conv1d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of the [shallow network](ShallowNet).
#[derive(Config, Debug)]
pub struct ShallowNetConfig {
    /// Channels of the series.
    pub channels: usize,
    /// Samples of a window; longer windows give several predictions.
    pub samples: usize,
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Filters over time.
    #[config(default = 40)]
    pub filters_time: usize,
    /// Samples of a filter over time.
    #[config(default = 25)]
    pub filter_length: usize,
    /// Filters over channels.
    #[config(default = 40)]
    pub filters_space: usize,
    /// Samples of a pooling window.
    #[config(default = 75)]
    pub pool: usize,
    /// Samples between pooling windows.
    #[config(default = 15)]
    pub stride: usize,
    /// Probability that a pooled feature is dropped in training, in `[0, 1)`.
    #[config(default = 0.5)]
    pub dropout: f64,
    /// Floor of the pooled power before its logarithm, above 0.
    #[config(default = 1e-6)]
    pub epsilon: f64,
}

impl ShallowNetConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range; a window that is too short with the least number of samples.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_sizes(&[
            ("channels", self.channels),
            ("filters_time", self.filters_time),
            ("filter_length", self.filter_length),
            ("filters_space", self.filters_space),
            ("pool", self.pool),
            ("stride", self.stride),
        ])?;
        if self.classes < 2 {
            return Err(InvalidParameter::new("classes", self.classes, "at least 2"));
        }
        require_samples(self.samples, self.filter_length + self.pool - 1)?;
        require_dropout(self.dropout)?;
        match self.epsilon > 0.0 && self.epsilon.is_finite() {
            true => Ok(()),
            false => Err(InvalidParameter::new("epsilon", self.epsilon, "finite and above 0")),
        }
    }

    /// Builds the network: weights uniform by Xavier, drawn from `seed` alone, biases 0.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> ShallowNet {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let [f, l, s, c] = [self.filters_time, self.filter_length, self.filters_space, self.channels];
        let places = (self.samples - l + 1 - self.pool) / self.stride + 1;
        ShallowNet {
            time_weight: Param::from_data(xavier([f, l], l, f * l, rng), device),
            time_bias: Param::from_data(TensorData::zeros::<f32, _>([f]), device),
            spatial_weight: Param::from_data(xavier([s, f, c], f * c, s * c, rng), device),
            norm: BatchNormConfig::new(s).init(device),
            class_weight: Param::from_data(
                xavier([self.classes, s, places], s * places, self.classes * places, rng),
                device,
            ),
            class_bias: Param::from_data(TensorData::zeros::<f32, _>([self.classes]), device),
            pool: self.pool,
            stride: self.stride,
            dropout: self.dropout,
            epsilon: self.epsilon,
        }
    }
}

/// Weights uniform in `+-sqrt(6 / (fan_in + fan_out))`.
fn xavier<const D: usize>(
    shape: [usize; D],
    fan_in: usize,
    fan_out: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> TensorData {
    let bound = (6.0 / (fan_in + fan_out) as f32).sqrt();
    let n = shape.iter().product::<usize>();
    TensorData::new((0..n).map(|_| rng.random_range(-bound..bound)).collect::<Vec<f32>>(), shape)
}

/// The shallow network for brain signals: the logarithm of the power of filtered channels, and a linear classifier.
///
/// ```text
/// h_f.c.t = b_f + sum_l x_c.(t+l) w_f.l,        s_g.t = sum_fc v_g.f.c h_f.c.t
/// z_g.p   = log max(e, mean over the p-th pool of norm(s_g)^2),        dropout
/// logit_k.q = a_k + sum_g.p u_k.g.p z_g.(p+q)
/// ```
///
/// with batch normalisation over `g`. Nothing bends between the two convolutions, so they are done as one, of filters
/// `sum_f v_g.f.c w_f.l`: `S C L` products a sample instead of `F C (L + S)`, and no array of `F C` series. A dead channel gives
/// exactly `log e` and no gradient.
///
/// Source: Schirrmeister et al. 2017, <https://arxiv.org/abs/1703.05051>, section 2.4.3; layers and defaults as in braindecode.
#[derive(Module, Debug)]
pub struct ShallowNet {
    /// Filters over time `w`, `[F, L]`.
    pub time_weight: Param<Tensor<2>>,
    /// Their bias `b`, `[F]`.
    pub time_bias: Param<Tensor<1>>,
    /// Filters over channels `v`, `[S, F, C]`.
    pub spatial_weight: Param<Tensor<3>>,
    /// Batch normalisation over `S`.
    pub norm: BatchNorm,
    /// Classifier `u`, `[K, S, P]`.
    pub class_weight: Param<Tensor<3>>,
    /// Its bias `a`, `[K]`.
    pub class_bias: Param<Tensor<1>>,
    /// Samples of a pool.
    pub pool: usize,
    /// Samples between pools.
    pub stride: usize,
    /// Dropout of the pooled features.
    pub dropout: f64,
    /// Floor `e` of the pooled power.
    pub epsilon: f64,
}

impl ShallowNet {
    /// The two convolutions as one: filters `[S, C, L]` and their bias `[S]`.
    fn merged_filters(&self) -> (Tensor<3>, Tensor<1>) {
        let [s, f, c] = self.spatial_weight.dims();
        let [_, l] = self.time_weight.dims();
        let spatial = self.spatial_weight.val();
        let rows = spatial.clone().swap_dims(1, 2).reshape([s * c, f]);
        let filters = rows.matmul(self.time_weight.val()).reshape([s, c, l]);
        let bias = spatial.sum_dim(2).reshape([s, f]).matmul(self.time_bias.val().reshape([f, 1]));
        (filters, bias.reshape([s]))
    }
}

impl SeriesNetwork for ShallowNet {
    fn stages(&self, x: Tensor<3>, mode: &mut Mode) -> Vec<Tensor<3>> {
        require_samples(x.dims()[2], self.shortest()).unwrap_or_else(|error| panic!("{error}"));
        let plain = || ConvOptions::new([1], [0], [1], 1);
        let (filters, bias) = self.merged_filters();
        let filtered = self.norm.forward(conv1d(x, filters, Some(bias), plain()));
        let pools = AvgPoolOptions::new([self.pool]).with_stride([self.stride]);
        let mut power = avg_pool1d(filtered.clone().square(), pools).clamp_min(self.epsilon).log();
        if let Mode::Training(rng) = mode
            && self.dropout > 0.0
        {
            let shape = power.dims();
            power = dropout(power, shape, self.dropout, rng);
        }
        let logits = conv1d(power.clone(), self.class_weight.val(), Some(self.class_bias.val()), plain());
        vec![filtered, power, logits]
    }

    fn groups(&self) -> Vec<ParamGroup> {
        let filters = vec![self.time_weight.id, self.time_bias.id, self.spatial_weight.id];
        vec![
            ParamGroup::from_ids(filters).fuse(&ParamGroup::ids_from_module(self.norm.clone())),
            ParamGroup::from_ids(vec![self.class_weight.id, self.class_bias.id]),
        ]
    }

    fn shortest(&self) -> usize {
        let pools = self.class_weight.dims()[2];
        self.time_weight.dims()[1] - 1 + self.pool + self.stride * (pools - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ShallowNetConfig {
        let small = ShallowNetConfig::new(3, 40, 2).with_filters_time(4).with_filters_space(3).with_filter_length(7);
        small.with_pool(9).with_stride(4)
    }

    #[test]
    fn a_longer_window_has_more_predictions_and_a_flat_one_the_floor() {
        let model = config().init(&Device::flex(), 1);
        assert_eq!(model.shortest(), 39);
        let stages =
            |samples: usize| model.stages(Tensor::zeros([2, 3, samples], &Device::flex()), &mut Mode::Inference);
        assert_eq!(stages(40)[2].dims(), [2, 2, 1]);
        assert_eq!(stages(39 + 4)[2].dims(), [2, 2, 2]);
        let power: f32 = stages(40)[1].clone().max().into_scalar();
        assert!((power - 1e-6f32.ln()).abs() < 1e-4, "{power}");
    }

    #[test]
    fn a_dead_channel_has_no_gradient() {
        let device = Device::flex().autodiff();
        let model = config().init(&device, 1);
        let x = Tensor::<3>::zeros([2, 3, 40], &device);
        let gradients = model.logits(x, &mut Mode::Inference).square().sum().backward();
        let of = model.spatial_weight.val().grad(&gradients).map_or(0.0, |g| g.abs().max().into_scalar::<f32>());
        assert_eq!(of, 0.0);
    }

    #[test]
    fn bad_sizes_are_named() {
        let short = ShallowNetConfig::new(3, 14, 2).with_filter_length(7).with_pool(9).validate().unwrap_err();
        assert_eq!(short.to_string(), "parameter `samples` is 14, but must be at least 15 for this network");
        assert_eq!(config().with_stride(0).validate().unwrap_err().field, "stride");
        assert_eq!(config().with_epsilon(0.0).validate().unwrap_err().field, "epsilon");
        assert_eq!(ShallowNetConfig::new(3, 999, 1).validate().unwrap_err().field, "classes");
        assert!(ShallowNetConfig::new(21, 6000, 2).validate().is_ok());
    }
}
