use super::{Adapter, BagEncoder, Retriever, Texts, Vocabulary};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};
use std::collections::BTreeSet;

/// How texts become vectors before and while a retriever is trained.
#[derive(Debug, Clone)]
pub struct StaticEncoding {
    /// The words.
    pub vocabulary: Vocabulary,
    /// How rare each word is, `ln(1 + (N - df + .5)/(df + .5))`.
    pub idf: Vec<f32>,
    /// Numbers of an embedding.
    pub dim: usize,
}

impl StaticEncoding {
    /// Learns the words of a corpus.
    ///
    /// Words in fewer than `min_documents` documents are left out.
    pub fn learn(texts: &[String], min_documents: usize, dim: usize) -> Self {
        let vocabulary = Vocabulary::learn(texts.iter().map(String::as_str), min_documents, false);
        let mut documents = vec![0usize; vocabulary.len()];
        for text in texts {
            for word in vocabulary.encode(text).into_iter().collect::<BTreeSet<u32>>() {
                documents[word as usize] += 1;
            }
        }
        let n = texts.len() as f64;
        let idf = documents.iter().map(|&with| (1.0 + (n - with as f64 + 0.5) / (with as f64 + 0.5)).ln() as f32);
        Self { idf: idf.collect(), vocabulary, dim }
    }

    /// Texts as word numbers.
    pub fn encode(&self, texts: &[String]) -> Texts {
        Texts::Words(texts.iter().map(|text| self.vocabulary.encode(text)).collect())
    }

    /// An untrained retriever: the vector of a word is random, with its idf as length. Cosines are then about those of the tf-idf
    /// vectors (random projections, Johnson and Lindenstrauss 1984): training begins at a sensible search.
    pub fn untrained(&self, seed: u64) -> Retriever {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let scale = 1.0 / (self.dim as f32).sqrt();
        let words = self.idf.len().max(1);
        let mut table = Vec::with_capacity(words * self.dim);
        for word in 0..words {
            let idf = self.idf.get(word).copied().unwrap_or(0.0);
            table.extend((0..self.dim).map(|_| {
                let normal: f32 = StandardNormal.sample(rng);
                normal * scale * idf
            }));
        }
        let table = Tensor::from_data(TensorData::new(table, [words, self.dim]), &Device::flex().autodiff());
        Retriever::Static(BagEncoder { table: Param::from_tensor(table), normalize: true })
    }
}

/// An untrained retriever over the vectors of a sentence encoder.
pub fn untrained_adapter(dim: usize) -> Retriever {
    Retriever::Adapter(Adapter::new(dim, &Device::flex().autodiff()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::Side;

    #[test]
    fn untrained_cosines_are_about_those_of_tf_idf() {
        let texts: Vec<String> = ["red cat", "red dog", "blue sky red", "blue cat"].map(String::from).to_vec();
        let encoding = StaticEncoding::learn(&texts, 1, 4096);
        let vectors = encoding.untrained(0).embed(Side::Document, &encoding.encode(&texts));
        let dot =
            |a: usize, b: usize| vectors.row(a).iter().zip(vectors.row(b)).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let idf = |word: &str| f64::from(encoding.idf[encoding.vocabulary.encode(word)[0] as usize]);
        let (red, cat, blue) = (idf("red"), idf("cat"), idf("blue"));
        let expected = cat * cat / ((red * red + cat * cat) * (blue * blue + cat * cat)).sqrt();
        // Deviation about 1 / sqrt 4096 = .016.
        assert!((dot(0, 3) - expected).abs() < 0.06, "{} {expected}", dot(0, 3));
        assert!(dot(1, 3).abs() < 0.06 && (dot(0, 0) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_corpus_without_words_still_makes_a_retriever() {
        let texts = vec![String::new(), "...".into()];
        let encoding = StaticEncoding::learn(&texts, 1, 4);
        let vectors = encoding.untrained(0).embed(Side::Query, &encoding.encode(&texts));
        assert_eq!(vectors.data, [0.0; 8]);
    }
}
