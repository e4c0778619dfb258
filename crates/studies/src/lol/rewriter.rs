//! A small rewriter of queries that attends to its feedback.

use super::world::{DIM, MOST};
use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Tensor, TensorData, activation};
use contrarian::contrastive::normalize_rows;
use contrarian_lab::data::Matrix;
use contrarian_lab::model::{Mlp, MlpConfig, Mode};

/// Elements of a sequence: the query and its feedback.
const LENGTH: usize = MOST + 1;

/// `v = unit(g q + sum_i a_i x_i)` over the sequence of the query and its feedback, with attention `a` from a small network that sees of
/// each element its transformed similarity to the query, its mean similarity to the others, and whether it is the query.
#[derive(Module, Debug)]
pub struct AttentionRewriter {
    of_query: Param<Tensor<2>>,
    of_element: Param<Tensor<2>>,
    scorer: Mlp,
    gate: Param<Tensor<1>>,
}

impl AttentionRewriter {
    pub fn new(device: &Device, seed: u64) -> Self {
        let identity = || {
            let data: Vec<f32> = (0..DIM * DIM).map(|at| f32::from(u8::from(at / DIM == at % DIM))).collect();
            Param::from_data(TensorData::new(data, [DIM, DIM]), device)
        };
        Self {
            of_query: identity(),
            of_element: identity(),
            scorer: MlpConfig::new(3, 2).with_width(16).with_depth(1).init(device, seed),
            gate: Param::from_data([0.5], device),
        }
    }

    /// The rewritten queries `[rows, DIM]` of length 1.
    pub fn rewrite(&self, sequences: &Sequences) -> Tensor<2> {
        let device = self.gate.val().device();
        let rows = sequences.rows;
        let elements =
            || Tensor::<3>::from_data(TensorData::new(sequences.elements.clone(), [rows, LENGTH, DIM]), &device);
        let queries = elements().narrow(1, 0, 1).reshape([rows, DIM]);
        let asked = queries.clone().matmul(self.of_query.val()).reshape([rows, 1, DIM]);
        let flat = elements().reshape([rows * LENGTH, DIM]);
        let seen = flat.matmul(self.of_element.val()).reshape([rows, LENGTH, DIM]);
        let similarity = (seen * asked).sum_dim(2).reshape([rows * LENGTH, 1]);
        let known = Tensor::<2>::from_data(TensorData::new(sequences.known.clone(), [rows * LENGTH, 2]), &device);
        let features = Tensor::cat(vec![similarity, known], 1);
        // A network has two outputs at least; one is the score.
        let logits = self.scorer.logits(features, &mut Mode::Inference).narrow(1, 0, 1).reshape([rows, LENGTH]);
        let padding = Tensor::<2, Bool>::from_data(TensorData::new(sequences.padding.clone(), [rows, LENGTH]), &device);
        let attention = activation::softmax(logits.mask_fill(padding, -1e9), 1).reshape([rows, LENGTH, 1]);
        let attended = (elements() * attention).sum_dim(1).reshape([rows, DIM]);
        normalize_rows(queries * self.gate.val().reshape([1, 1]) + attended)
    }
}

/// Queries with their feedback, filled up to one length.
pub struct Sequences {
    rows: usize,
    elements: Vec<f32>,
    /// Mean similarity to the other elements, and 1 for the query.
    known: Vec<f32>,
    padding: Vec<bool>,
}

impl Sequences {
    /// From queries `rows` and the feedback of each.
    pub fn new(queries: &Matrix, rows: &[usize], documents: &Matrix, feedback: &[Vec<usize>]) -> Self {
        let mut made = Self {
            rows: rows.len(),
            elements: vec![0.0; rows.len() * LENGTH * DIM],
            known: vec![0.0; rows.len() * LENGTH * 2],
            padding: vec![true; rows.len() * LENGTH],
        };
        for (at, (&query, feedback)) in rows.iter().zip(feedback).enumerate() {
            let own: Vec<&[f32]> = std::iter::once(queries.row(query))
                .chain(feedback.iter().map(|&document| documents.row(document)))
                .collect();
            for (place, element) in own.iter().enumerate() {
                let cell = at * LENGTH + place;
                made.elements[cell * DIM..(cell + 1) * DIM].copy_from_slice(element);
                let dot = |other: &[f32]| element.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
                let others = own.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, other)| dot(other));
                made.known[cell * 2] = others.sum::<f32>() / (own.len() - 1).max(1) as f32;
                made.known[cell * 2 + 1] = f32::from(u8::from(place == 0));
                made.padding[cell] = false;
            }
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_feedback_the_query_stays_as_it_is() {
        let mut data = vec![0.0; 2 * DIM];
        data[0] = 1.0;
        data[DIM + 3] = 1.0;
        let queries = Matrix { rows: 2, cols: DIM, data };
        let rewriter = AttentionRewriter::new(&Device::flex(), 0);
        let rewritten = rewriter.rewrite(&Sequences::new(&queries, &[1, 0], &queries, &[vec![], vec![1]]));
        let found: Vec<f32> = rewritten.into_data().try_to_vec().unwrap();
        assert!((found[3] - 1.0).abs() < 1e-6);
        assert!(found[DIM] > 0.0 && found[DIM + 3] > 0.0, "the feedback has a part");
    }
}
