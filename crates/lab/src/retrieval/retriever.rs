use super::BagEncoder;
use crate::data::Matrix;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::contrastive::normalize_rows;

/// Texts in the form that a [`Retriever`] takes.
#[derive(Debug, Clone)]
pub enum Texts {
    /// Word numbers of each text, for a static encoder.
    Words(Vec<Vec<u32>>),
    /// Vectors that a sentence encoder gave, for an adapter.
    Vectors(Matrix),
}

impl Texts {
    /// How many texts there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Vectors(vectors) => vectors.rows,
        }
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the texts.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Words(words) => Self::Words(rows.iter().map(|&row| words[row].clone()).collect()),
            Self::Vectors(vectors) => Self::Vectors(vectors.gather(rows)),
        }
    }
}

/// Which side of a search a text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is asked.
    Query,
    /// What is found.
    Document,
}

/// Linear maps over fixed vectors of a sentence encoder, one a side, then scaled to length 1. They begin as the identity: before
/// training the vectors are those of the encoder.
#[derive(Module, Debug)]
pub struct Adapter {
    /// The map of queries, `[dim, dim]`.
    pub queries: Param<Tensor<2>>,
    /// The map of documents, `[dim, dim]`.
    pub documents: Param<Tensor<2>>,
}

impl Adapter {
    /// The identity on both sides.
    pub fn new(dim: usize, device: &Device) -> Self {
        let identity = || {
            let data: Vec<f32> = (0..dim * dim).map(|at| f32::from(u8::from(at / dim == at % dim))).collect();
            Param::from_data(TensorData::new(data, [dim, dim]), device)
        };
        Self { queries: identity(), documents: identity() }
    }
}

/// Two static encoders: that of queries is trained alone, over documents that stay as they are.
#[derive(Module, Debug)]
pub struct SplitEncoder {
    /// The encoder of queries.
    pub queries: BagEncoder,
    /// The encoder of documents.
    pub documents: BagEncoder,
}

/// A dense retriever: both sides into one space, compared by inner products of vectors of length 1.
#[derive(Module, Debug)]
pub enum Retriever {
    /// One table of word vectors for both sides.
    Static(BagEncoder),
    /// A table of word vectors for each side.
    Split(SplitEncoder),
    /// Maps over the vectors of a sentence encoder.
    Adapter(Adapter),
}

impl Retriever {
    /// The same retriever with sides that can be trained apart.
    pub fn split(self) -> Self {
        match self {
            Self::Static(encoder) => Self::Split(SplitEncoder { queries: encoder.clone(), documents: encoder }),
            other => other,
        }
    }

    /// The static encoder of a side, if it is one.
    fn words(&self, side: Side) -> Option<&BagEncoder> {
        match (self, side) {
            (Self::Static(encoder), _) => Some(encoder),
            (Self::Split(encoders), Side::Query) => Some(&encoders.queries),
            (Self::Split(encoders), Side::Document) => Some(&encoders.documents),
            (Self::Adapter(_), _) => None,
        }
    }

    /// Embeddings `[rows, dim]` of some of the texts, with gradients.
    ///
    /// # Panics
    /// When the texts are of the other form, or a row is out of range.
    pub fn forward(&self, side: Side, texts: &Texts, rows: &[usize]) -> Tensor<2> {
        match (self, texts) {
            (Self::Static(_) | Self::Split(_), Texts::Words(words)) => {
                let texts: Vec<&[u32]> = rows.iter().map(|&row| words[row].as_slice()).collect();
                self.words(side).expect("this is a static encoder").forward(&texts)
            }
            (Self::Adapter(adapter), Texts::Vectors(vectors)) => {
                let map = adapter.of(side);
                let data = TensorData::new(vectors.gather(rows).data, [rows.len(), vectors.cols]);
                normalize_rows(Tensor::<2>::from_data(data, &map.device()).matmul(map))
            }
            _ => panic!("a static encoder takes words, and an adapter vectors"),
        }
    }

    /// Embeddings of all texts, for search.
    ///
    /// # Panics
    /// When the texts are of the other form.
    pub fn embed(&self, side: Side, texts: &Texts) -> Matrix {
        match (self, texts) {
            (Self::Static(_) | Self::Split(_), Texts::Words(words)) => {
                self.words(side).expect("this is a static encoder").embed(words)
            }
            (Self::Adapter(adapter), Texts::Vectors(vectors)) => {
                let map = adapter.of(side).into_data();
                let map = Tensor::<2>::from_data(map, &Device::flex());
                let data = TensorData::new(vectors.data.clone(), [vectors.rows, vectors.cols]);
                let embedded = normalize_rows(Tensor::<2>::from_data(data, &Device::flex()).matmul(map));
                let [rows, cols] = embedded.dims();
                Matrix { rows, cols, data: embedded.into_data().try_to_vec().expect("models are f32") }
            }
            _ => panic!("a static encoder takes words, and an adapter vectors"),
        }
    }
}

impl Adapter {
    fn of(&self, side: Side) -> Tensor<2> {
        match side {
            Side::Query => self.queries.val(),
            Side::Document => self.documents.val(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::BagEncoderConfig;

    #[test]
    fn both_kinds_embed_as_they_train() {
        let device = Device::flex().autodiff();
        let words = Texts::Words(vec![vec![0, 1], vec![2], vec![1, 1, 3]]);
        let vectors = Texts::Vectors(Matrix { rows: 3, cols: 2, data: vec![3.0, 4.0, 0.0, -2.0, 1.0, 0.0] });
        let encoder = BagEncoderConfig::new(4).with_dim(2).with_normalize(true).init(&device, 0);
        let split = Retriever::Static(encoder.clone()).split();
        let retrievers = [
            (Retriever::Static(encoder), words.clone()),
            (split, words),
            (Retriever::Adapter(Adapter::new(2, &device)), vectors),
        ];
        for (retriever, texts) in retrievers {
            assert_eq!((texts.len(), texts.gather(&[2, 0]).len()), (3, 2));
            for side in [Side::Query, Side::Document] {
                let all = retriever.embed(side, &texts);
                let some: Vec<f32> = retriever.forward(side, &texts, &[2, 0]).into_data().try_to_vec().unwrap();
                for (found, expected) in some.iter().zip(all.row(2).iter().chain(all.row(0))) {
                    assert!((found - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn an_adapter_begins_as_the_encoder() {
        let vectors = Texts::Vectors(Matrix { rows: 1, cols: 2, data: vec![0.6, 0.8] });
        let adapter = Retriever::Adapter(Adapter::new(2, &Device::flex().autodiff()));
        assert_eq!(adapter.embed(Side::Query, &vectors).data, [0.6, 0.8]);
    }
}
