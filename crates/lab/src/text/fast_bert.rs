use super::bert::{Bert, BertLayer};
use burn::module::Param;
use burn::nn::{self, Linear};
use burn::tensor::Tensor;
use contrarian_kernels::{Affine, LayerNorm, Transformer, TransformerLayer};

/// A [`Bert`] for inference on the CPU: the same numbers, without tensors and without padding.
#[derive(Debug)]
pub(super) struct FastBert {
    width: usize,
    epsilon: f32,
    words: Vec<f32>,
    /// Those of the places and of the only type, summed.
    positions: Vec<f32>,
    norm: LayerNorm,
    transformer: Transformer,
}

impl FastBert {
    pub fn new(bert: &Bert) -> Self {
        let width = bert.width();
        let kind = numbers(&bert.types.weight);
        let mut positions = numbers(&bert.positions.weight);
        for row in positions.chunks_exact_mut(width) {
            row.iter_mut().zip(&kind).for_each(|(x, kind)| *x += kind);
        }
        let epsilon = bert.epsilon as f32;
        let wide = bert.layers.first().map_or(0, |layer| layer.widen.weight.dims()[1]);
        let layers = bert.layers.iter().map(layer).collect();
        let transformer = Transformer::new(width, wide, bert.heads, epsilon, layers);
        Self {
            width,
            epsilon,
            words: numbers(&bert.words.weight),
            positions,
            norm: norm(&bert.norm),
            transformer: transformer.expect("a model that is there has weights of one size"),
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The embeddings of sentences given by their tokens, row by row, on the calling thread.
    pub fn embed(&self, sentences: &[Vec<u32>]) -> Vec<f32> {
        let width = self.width;
        let lengths: Vec<usize> = sentences.iter().map(Vec::len).collect();
        let mut hidden = Vec::with_capacity(lengths.iter().sum::<usize>() * width);
        for sentence in sentences {
            for (&id, position) in sentence.iter().zip(self.positions.chunks_exact(width)) {
                let word = &self.words[id as usize * width..][..width];
                hidden.extend(word.iter().zip(position).map(|(word, position)| word + position));
            }
        }
        self.norm.apply(&mut hidden, self.epsilon);
        self.transformer.forward(&mut hidden, &lengths).expect("every token has a row, and these sizes fit memory");

        let mut rows = vec![0.0; sentences.len() * width];
        let mut rest = &hidden[..];
        for (row, length) in rows.chunks_exact_mut(width).zip(lengths) {
            let (sentence, others) = rest.split_at(length * width);
            rest = others;
            for token in sentence.chunks_exact(width) {
                row.iter_mut().zip(token).for_each(|(sum, x)| *sum += x);
            }
            // The direction of the mean is that of the sum.
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            for x in row {
                *x /= length;
            }
        }
        rows
    }
}

fn numbers<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data().convert::<f32>().try_to_vec().expect("they were just converted")
}

fn affine(linear: &Linear) -> Affine {
    let bias = linear.bias.as_ref().map(numbers);
    Affine { weight: numbers(&linear.weight), bias: bias.expect("all linear layers of BERT have a bias") }
}

fn norm(norm: &nn::LayerNorm) -> LayerNorm {
    let shift = norm.beta.as_ref().map(numbers);
    LayerNorm { scale: numbers(&norm.gamma), shift: shift.expect("all normalisations of BERT have a summand") }
}

fn layer(layer: &BertLayer) -> TransformerLayer {
    TransformerLayer {
        query_key_value: beside([&layer.query, &layer.key, &layer.value].map(affine)),
        attended: affine(&layer.attended),
        attended_norm: norm(&layer.attended_norm),
        widen: affine(&layer.widen),
        narrow: affine(&layer.narrow),
        norm: norm(&layer.norm),
    }
}

/// One linear layer that gives the outputs of three, one behind the other.
fn beside(parts: [Affine; 3]) -> Affine {
    let [query, key, value] = parts.each_ref().map(|part| part.weight.chunks_exact(part.bias.len()));
    let weight = query.zip(key).zip(value).flat_map(|((query, key), value)| [query, key, value].concat()).collect();
    Affine { weight, bias: parts.map(|part| part.bias).concat() }
}
