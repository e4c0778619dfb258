use crate::data::Matrix;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian::contrastive::normalize_rows;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Configuration of a [bag encoder](BagEncoder).
#[derive(Config, Debug)]
pub struct BagEncoderConfig {
    /// Words there are, at least 1.
    pub vocabulary: usize,
    /// Numbers of an embedding, at least 1.
    #[config(default = 64)]
    pub dim: usize,
    /// Standard deviation of the first table, above 0.
    #[config(default = 0.1)]
    pub deviation: f64,
    /// Whether embeddings are scaled to length 1.
    #[config(default = false)]
    pub normalize: bool,
}

impl BagEncoderConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value) in [("vocabulary", self.vocabulary), ("dim", self.dim)] {
            if value == 0 {
                return Err(InvalidParameter::new(field, value, "at least 1"));
            }
        }
        if !(self.deviation > 0.0 && self.deviation.is_finite()) {
            return Err(InvalidParameter::new("deviation", self.deviation, "above 0 and finite"));
        }
        Ok(())
    }

    /// Builds the encoder, its table drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> BagEncoder {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let normal = Normal::new(0.0, self.deviation).expect("the deviation is above 0");
        let table: Vec<f32> = (0..self.vocabulary * self.dim).map(|_| normal.sample(rng) as f32).collect();
        let table = Tensor::from_data(TensorData::new(table, [self.vocabulary, self.dim]), device);
        BagEncoder { table: Param::from_tensor(table), normalize: self.normalize }
    }
}

/// The mean of the table's rows of a text's words: a static encoder, trained from scratch.
///
/// ```text
/// e(x) = sum_w count_w(x) W_w / max(sum_w count_w(x), 1)
/// ```
///
/// A text without words is the zero vector.
#[derive(Module, Debug)]
pub struct BagEncoder {
    /// The row of each word, `[vocabulary, dim]`.
    pub table: Param<Tensor<2>>,
    /// Whether embeddings are scaled to length 1.
    pub normalize: bool,
}

impl BagEncoder {
    /// Embeddings `[texts, dim]`, with the gradient of the table. Only the rows of the texts' words are read.
    ///
    /// # Panics
    /// When there is no text, or a word is outside the vocabulary.
    pub fn forward<X: AsRef<[u32]>>(&self, texts: &[X]) -> Tensor<2> {
        let mut place = BTreeMap::new();
        for &word in texts.iter().flat_map(AsRef::as_ref) {
            place.entry(word).or_insert(0);
        }
        // All texts may be empty; a product of matrices wants a word nevertheless.
        place.entry(0).or_insert(0);
        let words: Vec<i64> = place.keys().map(|word| i64::from(*word)).collect();
        place.values_mut().enumerate().for_each(|(at, place)| *place = at);
        let count = words.len();
        let mut bags = vec![0.0f32; texts.len() * count];
        for (bag, text) in bags.chunks_mut(count).zip(texts) {
            let part = 1.0 / text.as_ref().len().max(1) as f32;
            for word in text.as_ref() {
                bag[place[word]] += part;
            }
        }
        let table = self.table.val();
        let device = table.device();
        let words = Tensor::<1, Int>::from_data(TensorData::new(words, [count]), &device);
        let bags = Tensor::<2>::from_data(TensorData::new(bags, [texts.len(), count]), &device);
        let embedded = bags.matmul(table.select(0, words));
        if self.normalize { normalize_rows(embedded) } else { embedded }
    }

    /// Embeddings for search, on all threads of the pool.
    ///
    /// # Panics
    /// When a word is outside the vocabulary.
    pub fn embed<X: AsRef<[u32]> + Sync>(&self, texts: &[X]) -> Matrix {
        let [_, cols] = self.table.dims();
        let table = self.table.val().into_data();
        let table = table.as_slice::<f32>().expect("models are f32");
        let mut data = vec![0.0f32; texts.len() * cols];
        data.par_chunks_mut(cols).zip(texts.par_iter()).for_each(|(row, text)| {
            let text = text.as_ref();
            for &word in text {
                let of_word = &table[word as usize * cols..(word as usize + 1) * cols];
                row.iter_mut().zip(of_word).for_each(|(sum, value)| *sum += value);
            }
            let length = if self.normalize {
                row.iter().map(|value| value * value).sum::<f32>().sqrt()
            } else {
                text.len().max(1) as f32
            };
            if length > 0.0 {
                for value in row.iter_mut() {
                    *value /= length;
                }
            }
        });
        Matrix { rows: texts.len(), cols, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_the_mean_of_the_words() {
        let device = Device::flex().autodiff();
        let texts: [&[u32]; 3] = [&[3, 1, 3], &[], &[4]];
        for normalize in [false, true] {
            let encoder = BagEncoderConfig::new(5).with_dim(2).with_normalize(normalize).init(&device, 7);
            let table: Vec<f32> = encoder.table.val().into_data().try_to_vec().unwrap();
            let mut expected = vec![0.0; 6];
            for at in 0..2 {
                expected[at] = (2.0 * table[6 + at] + table[2 + at]) / 3.0;
                expected[4 + at] = table[8 + at];
            }
            if normalize {
                for row in [0..2, 4..6] {
                    let length = expected[row.clone()].iter().map(|x| x * x).sum::<f32>().sqrt();
                    expected[row].iter_mut().for_each(|x| *x /= length);
                }
            }
            let embedded = encoder.embed(&texts);
            assert_eq!((embedded.rows, embedded.cols), (3, 2));
            let forward: Vec<f32> = encoder.forward(&texts).into_data().try_to_vec().unwrap();
            for (found, expected) in embedded.data.iter().chain(&forward).zip(expected.iter().chain(&expected)) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }

    #[test]
    fn the_gradient_reaches_the_words_of_the_batch_alone() {
        let device = Device::flex().autodiff();
        let encoder = BagEncoderConfig::new(4).with_dim(1).init(&device, 0);
        let gradients = encoder.forward(&[&[2u32, 3, 3, 3][..]]).sum().backward();
        let gradient: Vec<f32> = encoder.table.val().grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(gradient, [0.0, 0.0, 0.25, 0.75]);
    }

    #[test]
    fn sizes_out_of_range_are_named() {
        assert_eq!(BagEncoderConfig::new(0).validate().unwrap_err().field, "vocabulary");
        assert_eq!(BagEncoderConfig::new(1).with_dim(0).validate().unwrap_err().field, "dim");
        assert_eq!(BagEncoderConfig::new(1).with_deviation(0.0).validate().unwrap_err().field, "deviation");
    }
}
