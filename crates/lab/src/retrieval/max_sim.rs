use super::BagEncoderConfig;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use std::collections::BTreeMap;

/// Numbers of a word.
const DIM: usize = 64;

/// A small cross-encoder: every word of the query meets its best word of the document.
///
/// ```text
/// score = scale sum_w (softplus(u_w + 1) / softplus(1)) max_v <e_w, e_v>
/// ```
///
/// over the distinct words `w` of the query and `v` of the document. A text without words scores 0.
///
/// Source: the sum of maxima of Khattab, Zaharia 2020, "ColBERT", <https://arxiv.org/abs/2004.12832>, over static word vectors.
#[derive(Module, Debug)]
pub struct MaxSimRanker {
    table: Param<Tensor<2>>,
    importance: Param<Tensor<1>>,
    scale: Param<Tensor<1>>,
}

impl MaxSimRanker {
    /// Word vectors drawn from `seed`, all words as important.
    pub fn new(vocabulary: usize, device: &Device, seed: u64) -> Self {
        let deviation = 1.0 / (DIM as f64).sqrt();
        let table = BagEncoderConfig::new(vocabulary).with_dim(DIM).with_deviation(deviation).init(device, seed).table;
        let importance = Param::from_tensor(Tensor::zeros([vocabulary], device));
        Self { table, importance, scale: Param::from_data([3.0], device) }
    }

    /// Scores `[queries, candidates]` of each query's candidates, as many for each, with gradients.
    ///
    /// # Panics
    /// When there is no query or candidate, or a word is outside the vocabulary.
    pub fn forward(&self, queries: &[&[u32]], candidates: &[Vec<&[u32]>]) -> Tensor<2> {
        let device = self.scale.val().device();
        let (asked, place_of_asked) = numbered(queries.iter().copied());
        let (seen, place_of_seen) = numbered(candidates.iter().flatten().copied());
        let ints = |values: Vec<i64>| {
            let count = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [count]), &device)
        };
        let rows =
            |words: &[u32]| self.table.val().select(0, ints(words.iter().map(|word| i64::from(*word)).collect()));
        // All words of the queries with all words of the documents; the pairs of a list are picked from it.
        let similarity = rows(&asked).matmul(rows(&seen).transpose());
        let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(1).max(1);
        let (of_query, of_document) = (
            longest(&mut queries.iter().map(|words| distinct(words).len())),
            longest(&mut candidates.iter().flatten().map(|words| distinct(words).len())),
        );
        let lists = candidates.first().map_or(0, Vec::len);
        let (mut cells, mut words, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (query, candidates) in queries.iter().zip(candidates) {
            let own: Vec<u32> = distinct(query);
            for document in candidates {
                let document = distinct(document);
                for slot in 0..of_query {
                    // Slots that are filled up count 0.
                    let word = own.get(slot).or(own.first()).copied().unwrap_or(0);
                    words.push(place_of_asked.get(&word).map_or(0, |at| *at as i64));
                    counts.push(if slot < own.len() && !document.is_empty() { 1.0f32 } else { 0.0 });
                    for other in 0..of_document {
                        // A word twice changes no maximum.
                        let other = document.get(other).or(document.first()).copied().unwrap_or(seen[0]);
                        cells.push((words[words.len() - 1] as usize * seen.len() + place_of_seen[&other]) as i64);
                    }
                }
            }
        }
        let slots = words.len();
        let flat = similarity.reshape([asked.len() * seen.len()]);
        let best = flat.select(0, ints(cells)).reshape([slots, of_document]).max_dim(1).reshape([slots]);
        let importance = self.importance.val().select(0, ints(asked.iter().map(|word| i64::from(*word)).collect()));
        let importance = softplus_of(importance).select(0, ints(words));
        let counts = Tensor::<1>::from_data(TensorData::new(counts, [slots]), &device);
        let sums = (best * importance * counts).reshape([queries.len() * lists, of_query]).sum_dim(1);
        sums.reshape([queries.len(), lists]) * self.scale.val().reshape([1, 1])
    }

    /// The ranker for scoring without gradients.
    pub fn plain(&self) -> PlainRanker {
        let table: Vec<f32> = self.table.val().into_data().try_to_vec().expect("models are f32");
        let scale: Vec<f32> = self.scale.val().into_data().try_to_vec().expect("models are f32");
        let importance: Vec<f32> = softplus_of(self.importance.val()).into_data().try_to_vec().expect("models are f32");
        PlainRanker { table, importance, scale: scale[0] }
    }
}

/// `softplus(u + 1) / softplus(1)`: 1 at first.
fn softplus_of(u: Tensor<1>) -> Tensor<1> {
    let at_one = (1.0 + 1f64.exp()).ln();
    activation::softplus(u.add_scalar(1.0), 1.0).mul_scalar(1.0 / at_one)
}

/// Distinct words in ascending order, and the place of each.
fn numbered<'a>(texts: impl Iterator<Item = &'a [u32]>) -> (Vec<u32>, BTreeMap<u32, usize>) {
    let mut place: BTreeMap<u32, usize> = texts.flatten().map(|word| (*word, 0)).collect();
    place.entry(0).or_insert(0);
    place.values_mut().enumerate().for_each(|(at, place)| *place = at);
    (place.keys().copied().collect(), place)
}

fn distinct(words: &[u32]) -> Vec<u32> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

/// A [`MaxSimRanker`] as plain numbers, for scoring.
#[derive(Debug, Clone)]
pub struct PlainRanker {
    table: Vec<f32>,
    importance: Vec<f32>,
    scale: f32,
}

impl PlainRanker {
    /// The score of a document for a query.
    ///
    /// # Panics
    /// When a word is outside the vocabulary.
    pub fn score(&self, query: &[u32], document: &[u32]) -> f32 {
        let row = |word: u32| &self.table[word as usize * DIM..(word as usize + 1) * DIM];
        let document = distinct(document);
        if document.is_empty() {
            return 0.0;
        }
        let of_word = |word: u32| {
            let dot = |other: &u32| row(word).iter().zip(row(*other)).map(|(a, b)| a * b).sum::<f32>();
            self.importance[word as usize] * document.iter().map(dot).fold(f32::NEG_INFINITY, f32::max)
        };
        self.scale * distinct(query).into_iter().map(of_word).sum::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_score_the_same() {
        let ranker = MaxSimRanker::new(9, &Device::flex(), 0);
        let queries: [&[u32]; 2] = [&[1, 2, 2], &[8]];
        let candidates: [Vec<&[u32]>; 2] = [vec![&[3, 4, 4, 5], &[1]], vec![&[8, 0], &[7, 6, 5, 4]]];
        let found: Vec<f32> = ranker.forward(&queries, &candidates).into_data().try_to_vec().unwrap();
        let plain = ranker.plain();
        let pairs = queries
            .iter()
            .zip(&candidates)
            .flat_map(|(query, list)| list.iter().map(move |document| (*query, *document)));
        for (found, (query, document)) in found.iter().zip(pairs) {
            assert!((found - plain.score(query, document)).abs() < 1e-5);
        }
    }
}
