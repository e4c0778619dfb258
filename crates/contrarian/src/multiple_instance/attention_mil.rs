use super::init::linear;
use super::pool::require_sizes;
use super::{BagMask, BagModel, BagOutput, Bags, attention_pool};
use crate::InvalidParameter;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Gives a model of reduced instances, attention scores and a linear classifier its configuration and its [`BagModel`].
macro_rules! attention_model {
    ($config:ident => $model:ident, $name:literal, [$($layer:ident),*]) => {
        #[doc = concat!("Configuration of [", $name, "](", stringify!($model), ").")]
        #[derive(Config, Debug)]
        pub struct $config {
            /// Features of an instance, at least 1.
            pub input: usize,
            /// Classes, at least 1.
            pub classes: usize,
            /// Features an instance is reduced to, at least 1.
            #[config(default = 256)]
            pub reduced: usize,
            /// Units of the attention network, at least 1.
            #[config(default = 128)]
            pub attention: usize,
        }

        impl $config {
            /// Checks the parameters.
            ///
            /// # Errors
            /// When a size is 0.
            pub fn validate(&self) -> Result<(), InvalidParameter> {
                let Self { input, classes, reduced, attention } = *self;
                require_sizes(&[
                    ("input", input),
                    ("classes", classes),
                    ("reduced", reduced),
                    ("attention", attention),
                ])
            }

            /// Builds the model with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed`.
            ///
            /// # Panics
            /// When [`validate`](Self::validate) fails, with its message.
            pub fn init(&self, device: &Device, seed: u64) -> $model {
                self.validate().unwrap_or_else(|error| panic!("{error}"));
                let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
                $model {
                    reduce: linear(self.input, self.reduced, false, device, rng),
                    $($layer: linear(self.reduced, self.attention, true, device, rng),)*
                    weight: linear(self.attention, 1, true, device, rng),
                    classifier: linear(self.reduced, self.classes, true, device, rng),
                }
            }
        }

        impl $model {
            /// Reduced instances `[bags, instances, reduced]` and their attention scores `[bags, 1, instances]`.
            pub fn encode(&self, bags: &Bags) -> (Tensor<3>, Tensor<3>) {
                let h = activation::relu(self.reduce.forward(bags.instances()));
                let scores = self.weight.forward(self.units(h.clone())).swap_dims(1, 2);
                (h, scores)
            }

            /// Logits `[bags, classes]` of what [`encode`](Self::encode) gave. Change the scores in between for attention
            /// dropout or a temperature.
            pub fn classify(&self, h: Tensor<3>, scores: Tensor<3>, mask: Option<&BagMask>) -> Tensor<2> {
                self.classifier.forward(attention_pool(h, scores, mask)).squeeze_dim(1)
            }
        }

        impl BagModel for $model {
            fn forward(&self, bags: &Bags) -> BagOutput {
                let (h, scores) = self.encode(bags);
                BagOutput { logits: self.classify(h, scores.clone(), bags.mask()), scores: Some(scores) }
            }
        }
    };
}

attention_model!(GatedAttentionMilConfig => GatedAttentionMil, "gated attention pooling", [value, gate]);
attention_model!(AttentionMilConfig => AttentionMil, "attention pooling", [value]);

/// Gated attention pooling.
///
/// ```text
/// h_j = relu(W_r x_j),   s_j = w . ( tanh(V h_j + b_v) * sigmoid(U h_j + b_u) ) + b_w
/// a   = softmax(s),      logits = C sum_j a_j h_j + c
/// ```
///
/// Source: Ilse, Tomczak, Welling 2018, <https://arxiv.org/abs/1802.04712>, equation 9.
#[derive(Module, Debug)]
pub struct GatedAttentionMil {
    /// `W_r`, without bias.
    pub reduce: Linear,
    /// `V`.
    pub value: Linear,
    /// `U`.
    pub gate: Linear,
    /// `w`.
    pub weight: Linear,
    /// `C`.
    pub classifier: Linear,
}

impl GatedAttentionMil {
    fn units(&self, h: Tensor<3>) -> Tensor<3> {
        self.value.forward(h.clone()).tanh() * activation::sigmoid(self.gate.forward(h))
    }
}

/// Attention pooling (ABMIL): as [gated](GatedAttentionMil), with `s_j = w . tanh(V h_j + b_v) + b_w`.
///
/// Source: Ilse, Tomczak, Welling 2018, <https://arxiv.org/abs/1802.04712>, equation 8.
#[derive(Module, Debug)]
pub struct AttentionMil {
    /// `W_r`, without bias.
    pub reduce: Linear,
    /// `V`.
    pub value: Linear,
    /// `w`.
    pub weight: Linear,
    /// `C`.
    pub classifier: Linear,
}

impl AttentionMil {
    fn units(&self, h: Tensor<3>) -> Tensor<3> {
        self.value.forward(h).tanh()
    }
}
