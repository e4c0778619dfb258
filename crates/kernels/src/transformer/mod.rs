mod attention;
mod pointwise;

use crate::error::{KernelError, check_matrix, check_vector, zeros};
use crate::matmul::{View, matmul};
use crate::simd::run;
use attention::Attention;
use pointwise::{AddNormed, Gelu, Normed};

/// A linear layer, `y = x w + b`.
#[derive(Debug, Clone)]
pub struct Affine {
    /// The weights, `[inputs, outputs]` row by row.
    pub weight: Vec<f32>,
    /// One number for every output.
    pub bias: Vec<f32>,
}

/// A layer normalisation: rows to mean 0 and variance 1, then `scale x + shift`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// One factor for every feature.
    pub scale: Vec<f32>,
    /// One summand for every feature.
    pub shift: Vec<f32>,
}

impl LayerNorm {
    /// Normalises rows in place; `epsilon` is added to the variance.
    ///
    /// # Panics
    /// When `rows` are not rows of as many numbers as there are factors and summands.
    pub fn apply(&self, rows: &mut [f32], epsilon: f32) {
        assert!(self.scale.len() == self.shift.len() && rows.len().is_multiple_of(self.scale.len().max(1)));
        run(Normed { rows, norm: self, epsilon });
    }
}

/// The weights of a layer of a [`Transformer`].
#[derive(Debug, Clone)]
pub struct TransformerLayer {
    /// To queries, keys and values, one beside the other: `[hidden, 3 hidden]`.
    pub query_key_value: Affine,
    /// After the attention: `[hidden, hidden]`.
    pub attended: Affine,
    /// After the first residual.
    pub attended_norm: LayerNorm,
    /// `[hidden, wide]`, before the non-linearity.
    pub widen: Affine,
    /// `[wide, hidden]`, after it.
    pub narrow: Affine,
    /// After the second residual.
    pub norm: LayerNorm,
}

/// A stack of transformer encoder layers, each normalised after its residuals, for inference.
///
/// ```text
/// x = LN(x + Wo attention(x) + bo);  x = LN(x + W2 gelu(W1 x + b1) + b2),  gelu(x) = x (1 + erf(x / sqrt 2)) / 2
/// attention of a head:  softmax(q k' / sqrt(head size)) v,  over the tokens of a sequence
/// ```
///
/// The tokens of all sequences stand one behind the other, so there is no padding. The attention of a head is computed for
/// a few queries at a time against all keys, and no `[length, length]` matrix is held.
#[derive(Debug, Clone)]
pub struct Transformer {
    hidden: usize,
    wide: usize,
    heads: usize,
    epsilon: f32,
    layers: Vec<TransformerLayer>,
}

impl Transformer {
    /// A transformer of layers of one size; `epsilon` is added to the variances of the normalisations.
    ///
    /// # Errors
    /// When `hidden` is no multiple of `heads`, or weights have not the size that `hidden` and `wide` ask for.
    pub fn new(
        hidden: usize,
        wide: usize,
        heads: usize,
        epsilon: f32,
        layers: Vec<TransformerLayer>,
    ) -> Result<Self, KernelError> {
        if heads == 0 || hidden == 0 || !hidden.is_multiple_of(heads) {
            return Err(KernelError::value("hidden", hidden, format!("a multiple of the number of heads, {heads}")));
        }
        let affine = |name, affine: &Affine, inputs, outputs| {
            check_matrix(name, &affine.weight, inputs, outputs)?;
            check_vector(name, &affine.bias, outputs, "output")
        };
        let norm = |name, norm: &LayerNorm| {
            check_vector(name, &norm.scale, hidden, "feature")?;
            check_vector(name, &norm.shift, hidden, "feature")
        };
        for layer in &layers {
            affine("query_key_value", &layer.query_key_value, hidden, 3 * hidden)?;
            affine("attended", &layer.attended, hidden, hidden)?;
            affine("widen", &layer.widen, hidden, wide)?;
            affine("narrow", &layer.narrow, wide, hidden)?;
            norm("attended_norm", &layer.attended_norm)?;
            norm("norm", &layer.norm)?;
        }
        Ok(Self { hidden, wide, heads, epsilon, layers })
    }

    /// Sends hidden states through all layers, in place, on the calling thread alone; with a few hundred tokens at a time
    /// everything but the weights stays in the cache.
    ///
    /// # Shapes
    /// - x: `[tokens, hidden]`, the sequences one behind the other
    /// - lengths: the number of tokens of every sequence
    ///
    /// # Errors
    /// When `x` has not `hidden` numbers for every token, or memory does not suffice.
    pub fn forward(&self, x: &mut [f32], lengths: &[usize]) -> Result<(), KernelError> {
        let (hidden, wide) = (self.hidden, self.wide);
        let tokens = lengths.iter().sum();
        check_matrix("x", x, tokens, hidden)?;
        let mut projected = zeros("queries, keys and values", &[tokens, 3 * hidden])?;
        let mut mixed = zeros("what heads attend to", &[tokens, hidden])?;
        let mut added = zeros("what is added", &[tokens, hidden])?;
        let mut inner = zeros("the wide layer", &[tokens, wide])?;
        let linear = |out: &mut [f32], x: &[f32], affine: &Affine, inputs| {
            let weight = View::new(&affine.weight, inputs, affine.bias.len());
            matmul(out, View::new(x, tokens, inputs), weight, 1.0, false);
        };
        for layer in &self.layers {
            linear(&mut projected, x, &layer.query_key_value, hidden);
            let bias = &layer.query_key_value.bias;
            Attention { projected: &projected, bias, lengths, heads: self.heads, out: &mut mixed }.write();
            linear(&mut added, &mixed, &layer.attended, hidden);
            let (bias, norm) = (&layer.attended.bias, &layer.attended_norm);
            run(AddNormed { x, added: &added, bias, norm, epsilon: self.epsilon });
            linear(&mut inner, x, &layer.widen, hidden);
            run(Gelu { x: &mut inner, bias: &layer.widen.bias });
            linear(&mut added, &inner, &layer.narrow, wide);
            run(AddNormed { x, added: &added, bias: &layer.narrow.bias, norm: &layer.norm, epsilon: self.epsilon });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
