use super::bert_config::BertConfig;
use super::checkpoint::{Checkpoint, CheckpointFile};
use super::error::TextError;
use burn::module::{Module, Param};
use burn::nn::{Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use std::path::Path;

/// Added to the score of padding: after the softmax nothing remains of it, and a row of padding alone stays finite.
const MASKED: f64 = -1e9;

/// BERT: a stack of transformer layers over word pieces, normalised after each residual.
///
/// ```text
/// x = LN(words[ids] + positions[0..length] + types[0])
/// every layer:  x = LN(x + Wo attention(x) + bo);  x = LN(x + W2 gelu(W1 x + b1) + b2)
/// attention of a head:  softmax(q k' / sqrt(head size) + mask) v,  q = Wq x + bq, k and v likewise
/// ```
///
/// `gelu(x) = x Phi(x)` is the one with the error function. There is no dropout, and no pooler on top.
///
/// Source: Devlin et al. 2019, "BERT", <https://arxiv.org/abs/1810.04805>, section 3.
#[derive(Module, Debug)]
pub struct Bert {
    pub(super) words: Embedding,
    pub(super) positions: Embedding,
    pub(super) types: Embedding,
    pub(super) norm: LayerNorm,
    pub(super) layers: Vec<BertLayer>,
    pub(super) heads: usize,
    pub(super) epsilon: f64,
}

/// A layer of a [`Bert`].
#[derive(Module, Debug)]
pub struct BertLayer {
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) attended: Linear,
    pub(super) attended_norm: LayerNorm,
    pub(super) widen: Linear,
    pub(super) narrow: Linear,
    pub(super) norm: LayerNorm,
}

impl Bert {
    /// Reads `config.json` and `model.safetensors` in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read, the model is of a kind that is not supported, or a tensor is missing, of another type
    /// than 32-bit numbers, or of another shape than the configuration says.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, TextError> {
        let config = BertConfig::from_file(&folder.join("config.json"))?;
        let file = CheckpointFile::read(&folder.join("model.safetensors"))?;
        let reader = Reader { tensors: file.tensors()?, config: &config, device };
        let hidden = config.hidden_size;
        Ok(Self {
            words: reader.embedding("embeddings.word_embeddings", config.vocab_size)?,
            positions: reader.embedding("embeddings.position_embeddings", config.max_position_embeddings)?,
            types: reader.embedding("embeddings.token_type_embeddings", config.type_vocab_size)?,
            norm: reader.norm("embeddings.LayerNorm")?,
            layers: (0..config.num_hidden_layers)
                .map(|layer| {
                    let linear = |name: &str, inputs, outputs| {
                        reader.linear(&format!("encoder.layer.{layer}.{name}"), inputs, outputs)
                    };
                    let norm = |name: &str| reader.norm(&format!("encoder.layer.{layer}.{name}"));
                    Ok(BertLayer {
                        query: linear("attention.self.query", hidden, hidden)?,
                        key: linear("attention.self.key", hidden, hidden)?,
                        value: linear("attention.self.value", hidden, hidden)?,
                        attended: linear("attention.output.dense", hidden, hidden)?,
                        attended_norm: norm("attention.output.LayerNorm")?,
                        widen: linear("intermediate.dense", hidden, config.intermediate_size)?,
                        narrow: linear("output.dense", config.intermediate_size, hidden)?,
                        norm: norm("output.LayerNorm")?,
                    })
                })
                .collect::<Result<_, TextError>>()?,
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
        })
    }

    /// Numbers of a hidden state.
    pub fn width(&self) -> usize {
        self.words.weight.dims()[1]
    }

    /// Rows of the table of word pieces.
    pub fn vocabulary(&self) -> usize {
        self.words.weight.dims()[0]
    }

    /// The longest sequence, in tokens.
    pub fn max_length(&self) -> usize {
        self.positions.weight.dims()[0]
    }

    /// Fixes the embeddings and all layers but the last `layers`, so that training changes these alone; with fewer layers
    /// to go through backwards it is the faster the fewer they are.
    pub fn train_last(mut self, layers: usize) -> Self {
        self.words = self.words.no_grad();
        self.positions = self.positions.no_grad();
        self.types = self.types.no_grad();
        self.norm = self.norm.no_grad();
        let fixed = self.layers.len().saturating_sub(layers);
        let fix = |(place, layer): (usize, BertLayer)| if place < fixed { layer.no_grad() } else { layer };
        self.layers = self.layers.into_iter().enumerate().map(fix).collect();
        self
    }

    /// What goes into the first layer.
    ///
    /// # Shapes
    /// - ids: `[batch, length]`
    /// - output: `[batch, length, hidden]`
    pub fn embeddings(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = ids.dims();
        let positions = self.positions.weight.val().narrow(0, 0, length);
        let kind = self.types.weight.val().narrow(0, 0, 1);
        self.norm.forward(self.words.forward(ids) + (positions + kind).unsqueeze())
    }

    /// The hidden states after the last layer.
    ///
    /// # Shapes
    /// - ids: `[batch, length]`, numbers of tokens
    /// - mask: `[batch, length]`, 1 for tokens and 0 for padding
    /// - output: `[batch, length, hidden]`; at padding without meaning
    ///
    /// # Panics
    /// When the sequences are longer than the model has positions, or a number is beyond its table.
    pub fn forward(&self, ids: Tensor<2, Int>, mask: Tensor<2>) -> Tensor<3> {
        let hidden = self.embeddings(ids);
        let [batch, length] = mask.dims();
        // 0 for tokens, and far below for padding.
        let added = ((mask - 1.0) * -MASKED).reshape([batch, 1, 1, length]);
        self.layers.iter().fold(hidden, |hidden, layer| layer.forward(hidden, added.clone(), self.heads))
    }

    /// Sentence embeddings: the mean hidden state of a sentence's tokens, scaled to length 1; zeros for a sentence without
    /// tokens.
    ///
    /// # Shapes
    /// - ids, mask: as in [`forward`](Self::forward)
    /// - output: `[batch, hidden]`
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn embed(&self, ids: Tensor<2, Int>, mask: Tensor<2>) -> Tensor<2> {
        let hidden = self.forward(ids, mask.clone());
        let mask = mask.unsqueeze_dim::<3>(2);
        let mean = (hidden * mask.clone()).sum_dim(1) / mask.sum_dim(1).clamp_min(1e-9);
        let mean = mean.squeeze_dim::<2>(1);
        // The smallest square that matters is that of 1e-12; its root has a gradient, and that of 0 has none.
        let length = (mean.clone() * mean.clone()).sum_dim(1).clamp_min(1e-24).sqrt();
        mean / length
    }
}

impl BertLayer {
    fn forward(&self, x: Tensor<3>, mask: Tensor<4>, heads: usize) -> Tensor<3> {
        let [batch, length, hidden] = x.dims();
        let size = hidden / heads;
        let split = |linear: &Linear| linear.forward(x.clone()).reshape([batch, length, heads, size]).swap_dims(1, 2);
        let scores = split(&self.query).matmul(split(&self.key).transpose()) * (1.0 / (size as f64).sqrt()) + mask;
        let attended = activation::softmax(scores, 3).matmul(split(&self.value));
        let attended = attended.swap_dims(1, 2).reshape([batch, length, hidden]);
        let x = self.attended_norm.forward(x + self.attended.forward(attended));
        let wide = activation::gelu(self.widen.forward(x.clone()));
        self.norm.forward(x + self.narrow.forward(wide))
    }
}

/// Makes modules of a file's tensors.
struct Reader<'a> {
    tensors: Checkpoint<'a>,
    config: &'a BertConfig,
    device: &'a Device,
}

impl Reader<'_> {
    fn param<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Param<Tensor<D>>, TextError> {
        let data = TensorData::new(self.tensors.floats(name, &shape)?, shape);
        Ok(Param::from_tensor(Tensor::from_data(data, self.device)))
    }

    fn embedding(&self, name: &str, rows: usize) -> Result<Embedding, TextError> {
        Ok(Embedding { weight: self.param(&format!("{name}.weight"), [rows, self.config.hidden_size])? })
    }

    /// PyTorch keeps `[outputs, inputs]`, Burn `[inputs, outputs]`.
    fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Linear, TextError> {
        let stored = self.tensors.floats(&format!("{name}.weight"), &[outputs, inputs])?;
        let mut weight: Vec<f32> = Vec::with_capacity(stored.len());
        for input in 0..inputs {
            weight.extend(stored[input..].iter().step_by(inputs));
        }
        let weight = Tensor::from_data(TensorData::new(weight, [inputs, outputs]), self.device);
        let bias = self.param(&format!("{name}.bias"), [outputs])?;
        Ok(Linear { weight: Param::from_tensor(weight), bias: Some(bias) })
    }

    fn norm(&self, name: &str) -> Result<LayerNorm, TextError> {
        let size = self.config.hidden_size;
        let mut norm = LayerNormConfig::new(size).with_epsilon(self.config.layer_norm_eps).init(self.device);
        norm.gamma = self.param(&format!("{name}.weight"), [size])?;
        norm.beta = Some(self.param(&format!("{name}.bias"), [size])?);
        Ok(norm)
    }
}
