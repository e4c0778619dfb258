use burn::module::{Module, Param, ParamGroup, ParamId};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::activation::{Activation, ActivationKind};
use contrarian_lab::model::{Classifier, Mode, linear};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// Residual blocks of a [`ResidualNetwork`].
pub const BLOCKS: usize = 3;
const WIDTH: usize = 64;

/// Pre-norm residual network: `x + narrow(activation(widen(norm(x))))`, three times.
#[derive(Module, Debug)]
pub struct ResidualNetwork {
    input: Linear,
    blocks: Vec<Block>,
    norm: LayerNorm,
    output: Linear,
}

#[derive(Module, Debug)]
struct Block {
    norm: LayerNorm,
    widen: Linear,
    activation: Activation,
    narrow: Linear,
}

impl ResidualNetwork {
    /// The same weights for every activation of a seed.
    pub fn new(inputs: usize, classes: usize, kind: ActivationKind, device: &Device, seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let norm = || LayerNormConfig::new(WIDTH).init(device);
        let input = linear(inputs, WIDTH, device, rng);
        let block = |_| Block {
            norm: norm(),
            widen: linear(WIDTH, 2 * WIDTH, device, rng),
            activation: kind.init(device),
            narrow: linear(2 * WIDTH, WIDTH, device, rng),
        };
        let blocks = (0..BLOCKS).map(block).collect();
        Self { input, blocks, norm: norm(), output: linear(WIDTH, classes, device, rng) }
    }

    /// The parameters of the activations themselves.
    pub fn activation_parameters(&self) -> ParamGroup {
        let ids = self.blocks.iter().filter_map(|block| match &block.activation {
            Activation::CrRelu(f) => Some(f.epsilon.id),
            Activation::PRelu(f) => Some(f.alpha.id),
            _ => None,
        });
        ParamGroup::from_ids(ids.collect::<Vec<ParamId>>())
    }

    /// The epsilon of each block, of CRReLU only.
    pub fn epsilons(&self) -> Vec<f64> {
        let of = |block: &Block| match &block.activation {
            Activation::CrRelu(f) => Some(f.epsilon.val().into_scalar::<f32>().into()),
            _ => None,
        };
        self.blocks.iter().filter_map(of).collect()
    }
}

impl Classifier for ResidualNetwork {
    fn logits(&self, x: Tensor<2>, _: &mut Mode) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.input.forward(x), |x, block| {
            let inner = block.widen.forward(block.norm.forward(x.clone()));
            x + block.narrow.forward(block.activation.forward(inner))
        });
        self.output.forward(self.norm.forward(x))
    }
}

const PLAIN_LAYERS: usize = 6;
const PLAIN_WIDTH: usize = 32;
/// Biases of the hidden layers at the start: most units begin below 0.
const PLAIN_BIAS: f32 = -0.5;

/// Six narrow layers without normalisation: a network in which units die.
#[derive(Module, Debug)]
pub struct PlainNetwork {
    hidden: Vec<Linear>,
    activations: Vec<Activation>,
    output: Linear,
}

impl PlainNetwork {
    /// Hidden weights `N(0, 2/inputs)` (He), the same for every activation of a seed.
    pub fn new(inputs: usize, classes: usize, kind: ActivationKind, device: &Device, seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let hidden = (0..PLAIN_LAYERS).map(|layer| {
            let from = if layer == 0 { inputs } else { PLAIN_WIDTH };
            let scale = (2.0 / from as f32).sqrt();
            let normal = |_| {
                let z: f32 = StandardNormal.sample(rng);
                scale * z
            };
            let weight: Vec<f32> = (0..from * PLAIN_WIDTH).map(normal).collect();
            Linear {
                weight: Param::from_data(TensorData::new(weight, [from, PLAIN_WIDTH]), device),
                bias: Some(Param::from_data(TensorData::new(vec![PLAIN_BIAS; PLAIN_WIDTH], [PLAIN_WIDTH]), device)),
            }
        });
        let hidden = hidden.collect();
        let activations = (0..PLAIN_LAYERS).map(|_| kind.init(device)).collect();
        Self { hidden, activations, output: linear(PLAIN_WIDTH, classes, device, rng) }
    }

    /// Each hidden layer's activation and what it gets, `[rows, units]`.
    pub fn hidden_inputs(&self, x: Tensor<2>) -> Vec<(&Activation, Tensor<2>)> {
        let mut x = x;
        let mut inputs = Vec::new();
        for (layer, activation) in self.hidden.iter().zip(&self.activations) {
            let before = layer.forward(x);
            x = activation.forward(before.clone());
            inputs.push((activation, before));
        }
        inputs
    }
}

impl Classifier for PlainNetwork {
    fn logits(&self, x: Tensor<2>, _: &mut Mode) -> Tensor<2> {
        let layers = self.hidden.iter().zip(&self.activations);
        self.output.forward(layers.fold(x, |x, (layer, activation)| activation.forward(layer.forward(x))))
    }
}
