use super::{Activation, Mlp, MlpConfig, Mode};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use contrarian::hyperbolic::{HyperbolicMlr, HyperbolicMlrConfig, ToPoincare, ToPoincareConfig};

/// Where a [`OneClassDetector`] separates its class from everything else.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Separation {
    /// A linear layer on the embedding.
    Euclidean,
    /// Gyroplanes on a Poincare ball of curvature `-0.1`, features clipped at 2.
    Hyperbolic {
        /// Learn the base point of the map onto the ball.
        learn_base: bool,
    },
}

/// Configuration of a [one-class detector](OneClassDetector).
#[derive(Config, Debug)]
pub struct OneClassDetectorConfig {
    /// Inputs, at least 1.
    pub inputs: usize,
    /// Units of the encoder's features and of the head's hidden layer, at least 2.
    #[config(default = 64)]
    pub width: usize,
    /// Dimension of the embedding, at least 2.
    #[config(default = 16)]
    pub dim: usize,
    /// Where the class is separated.
    #[config(default = "Separation::Euclidean")]
    pub separation: Separation,
}

impl OneClassDetectorConfig {
    /// Builds the detector, its weights drawn from `seed` alone.
    ///
    /// # Panics
    /// When a size is below its smallest value.
    pub fn init(&self, device: &Device, seed: u64) -> OneClassDetector {
        assert!(self.width >= 2 && self.dim >= 2, "a detector needs a width and a dimension of at least 2");
        let mlp = |inputs: usize, outputs: usize, depth: usize, seed: u64| {
            let config = MlpConfig::new(inputs, outputs).with_width(self.width).with_activation(Activation::Relu);
            config.with_depth(depth).init(device, seed)
        };
        // One stream of seeds a part, so that arms of one seed share encoder and head.
        let part = |index: u64| seed.wrapping_mul(4).wrapping_add(index);
        OneClassDetector {
            encoder: mlp(self.inputs, self.width, 0, part(0)),
            head: mlp(self.width, self.dim, 1, part(1)),
            separator: match self.separation {
                Separation::Euclidean => Separator::Linear(mlp(self.dim, 2, 0, part(2))),
                Separation::Hyperbolic { learn_base } => Separator::Gyroplanes(Gyroplanes {
                    to_ball: ToPoincareConfig::new(self.dim).with_learn_base(learn_base).init(device),
                    planes: HyperbolicMlrConfig::new(self.dim, 2).init(device, part(2)),
                }),
            },
        }
    }
}

/// Encoder, head and a two-class separator: class 0 is the one class, class 1 everything else.
///
/// ```text
/// features = relu(x W + b)  [n, width],    embedding = head(features)  [n, dim], on the ball if hyperbolic
/// ```
#[derive(Module, Debug)]
pub struct OneClassDetector {
    encoder: Mlp,
    head: Mlp,
    separator: Separator,
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a model; a box would only be in the way")]
enum Separator {
    Linear(Mlp),
    Gyroplanes(Gyroplanes),
}

#[derive(Module, Debug)]
struct Gyroplanes {
    to_ball: ToPoincare,
    planes: HyperbolicMlr,
}

impl OneClassDetector {
    /// Features of inputs: what pseudo-negatives are drawn around.
    ///
    /// # Shapes
    /// - x: `[n, inputs]`
    /// - output: `[n, width]`
    pub fn features(&self, x: Tensor<2>) -> Tensor<2> {
        activation::relu(self.encoder.logits(x, &mut Mode::Inference))
    }

    /// Embedding of features; points of the ball if the separation is hyperbolic.
    ///
    /// # Shapes
    /// - features: `[n, width]`
    /// - output: `[n, dim]`
    pub fn embed(&self, features: Tensor<2>) -> Tensor<2> {
        let embedding = self.head.logits(features, &mut Mode::Inference);
        match &self.separator {
            Separator::Linear(_) => embedding,
            Separator::Gyroplanes(gyroplanes) => gyroplanes.to_ball.forward(embedding),
        }
    }

    /// Logits of an embedding.
    ///
    /// # Shapes
    /// - embedding: `[n, dim]`
    /// - output: `[n, 2]`
    pub fn separate(&self, embedding: Tensor<2>) -> Tensor<2> {
        match &self.separator {
            Separator::Linear(linear) => linear.logits(embedding, &mut Mode::Inference),
            Separator::Gyroplanes(gyroplanes) => gyroplanes.planes.forward(embedding),
        }
    }

    /// How unlike the class rows are: the logit of class 1 against class 0, which orders as its probability does without
    /// rounding to 1.
    ///
    /// # Shapes
    /// - x: `[n, inputs]`
    /// - output: `[n]`
    pub fn score(&self, x: Tensor<2>) -> Tensor<1> {
        let columns = self.separate(self.embed(self.features(x))).split(1, 1);
        (columns[1].clone() - columns[0].clone()).flatten(0, 1)
    }
}
