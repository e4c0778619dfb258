use super::Classifier;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData, activation};
use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Non-linearity between the layers.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic sigmoid.
    Sigmoid,
}

/// Configuration of a [multi-layer perceptron](Mlp).
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// Inputs, at least 1.
    pub inputs: usize,
    /// Scores: the number of classes, or 1 for two classes scored by one number.
    pub outputs: usize,
    /// Units of each hidden layer, at least 1.
    #[config(default = 64)]
    pub width: usize,
    /// Hidden layers; 0 is a linear model.
    #[config(default = 2)]
    pub depth: usize,
    /// Probability that a hidden unit is dropped in training, in `[0, 1)`.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Non-linearity of the hidden layers.
    #[config(default = "Activation::Relu")]
    pub activation: Activation,
    /// Batch normalisation behind each non-linearity.
    #[config(default = false)]
    pub batch_norm: bool,
}

impl MlpConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value) in [("inputs", self.inputs), ("outputs", self.outputs), ("width", self.width)] {
            if value == 0 {
                return Err(InvalidParameter::new(field, value, "at least 1"));
            }
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => Err(InvalidParameter::new("dropout", self.dropout, "in [0, 1)")),
        }
    }

    /// Builds the model with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed` alone (Burn's own
    /// initialisers share one generator between all threads, so their draws depend on who comes first).
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> Mlp {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut sizes = vec![self.inputs];
        sizes.extend(std::iter::repeat_n(self.width, self.depth));
        sizes.push(self.outputs);
        let layers = sizes.windows(2).map(|pair| linear(pair[0], pair[1], device, &mut rng)).collect();
        let norms = match self.batch_norm {
            true => (0..self.depth).map(|_| BatchNormConfig::new(self.width).init(device)).collect(),
            false => Vec::new(),
        };
        Mlp { layers, norms, activation: self.activation, dropout: self.dropout }
    }

    /// The model in words, `MLP 11-64-64-2`.
    pub fn describe(&self) -> String {
        let hidden = format!("-{}", self.width).repeat(self.depth);
        let kind = if self.depth == 0 { "linear" } else { "MLP" };
        format!("{kind} {}{hidden}-{}", self.inputs, self.outputs)
    }
}

/// A layer with weights and bias uniform in `+-1/sqrt(inputs)`, drawn from `rng` alone.
pub fn linear(inputs: usize, outputs: usize, device: &Device, rng: &mut Xoshiro256PlusPlus) -> Linear {
    let bound = 1.0 / (inputs as f32).sqrt();
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-bound..bound)).collect() };
    let weight = TensorData::new(draw(inputs * outputs), [inputs, outputs]);
    let bias = TensorData::new(draw(outputs), [outputs]);
    Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)) }
}

/// Whether a forward pass is for training, where dropout draws its mask.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Deterministic: no dropout. (Batch normalisation goes by the model itself: `model.valid()`.)
    Inference,
    /// Dropout draws from this generator.
    Training(&'a mut Xoshiro256PlusPlus),
}

/// Multi-layer perceptron: `inputs - width x depth - outputs`, optionally with batch normalisation and dropout.
#[derive(Module, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
    norms: Vec<BatchNorm>,
    #[module(skip)]
    activation: Activation,
    dropout: f64,
}

impl Mlp {
    /// Logits of a batch. A model with one output `s` gives the two columns `[0, s]`, so that every objective over
    /// logits applies and `logit_1 - logit_0 = s`.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, classes]`
    pub fn logits(&self, x: Tensor<2>, mode: &mut Mode) -> Tensor<2> {
        let (last, hidden) = self.layers.split_last().expect("an MLP has an output layer");
        let mut x = x;
        for (index, layer) in hidden.iter().enumerate() {
            x = layer.forward(x);
            x = match self.activation {
                Activation::Relu => activation::relu(x),
                Activation::Tanh => activation::tanh(x),
                Activation::Sigmoid => activation::sigmoid(x),
            };
            if let Some(norm) = self.norms.get(index) {
                x = norm.forward(x);
            }
            if let Mode::Training(rng) = mode
                && self.dropout > 0.0
            {
                x = drop_units(x, self.dropout, rng);
            }
        }
        let scores = last.forward(x);
        if scores.dims()[1] == 1 { Tensor::cat(vec![scores.zeros_like(), scores], 1) } else { scores }
    }
}

impl Classifier for Mlp {
    fn logits(&self, x: Tensor<2>, mode: &mut Mode) -> Tensor<2> {
        Self::logits(self, x, mode)
    }
}

/// Inverted dropout with a mask from our own generator, for the same reason as the initial weights.
fn drop_units(x: Tensor<2>, rate: f64, rng: &mut Xoshiro256PlusPlus) -> Tensor<2> {
    let shape = x.dims();
    dropout(x, shape, rate, rng)
}

/// Inverted dropout with one draw for each entry of `shape`, which is that of `x` or 1 where entries share their fate.
pub(super) fn dropout<const D: usize>(
    x: Tensor<D>,
    shape: [usize; D],
    rate: f64,
    rng: &mut Xoshiro256PlusPlus,
) -> Tensor<D> {
    let keep = (1.0 / (1.0 - rate)) as f32;
    let draws = shape.iter().product();
    let mask: Vec<f32> = (0..draws).map(|_| if rng.random_bool(rate) { 0.0 } else { keep }).collect();
    let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device());
    x * mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Tensor<2> {
        Tensor::from_floats([[1.0, -2.0, 0.5], [0.0, 1.0, 2.0]], &Device::flex())
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn same_seed_same_weights() {
        let build = |seed| MlpConfig::new(3, 2).with_width(8).init(&Device::flex(), seed);
        let a = values(build(7).logits(input(), &mut Mode::Inference));
        assert_eq!(a, values(build(7).logits(input(), &mut Mode::Inference)));
        assert_ne!(a, values(build(8).logits(input(), &mut Mode::Inference)));
    }

    #[test]
    fn one_output_becomes_two_columns_with_a_zero() {
        let model = MlpConfig::new(3, 1).with_depth(0).init(&Device::flex(), 1);
        let logits = model.logits(input(), &mut Mode::Inference);
        assert_eq!(logits.dims(), [2, 2]);
        let flat = values(logits);
        assert_eq!([flat[0], flat[2]], [0.0, 0.0]);
    }

    #[test]
    fn dropout_zeroes_and_rescales_only_in_training() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let x = Tensor::<2>::ones([100, 100], &Device::flex());
        let dropped = values(drop_units(x, 0.25, &mut rng));
        assert!(dropped.iter().all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
        let mean = dropped.iter().sum::<f32>() / 1e4;
        // Standard error of the mean is sqrt(0.25 / 0.75 / 1e4), about 0.006.
        assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
    }

    #[test]
    fn description_names_the_layers() {
        assert_eq!(MlpConfig::new(11, 2).describe(), "MLP 11-64-64-2");
        assert_eq!(MlpConfig::new(4, 3).with_depth(0).describe(), "linear 4-3");
    }
}
