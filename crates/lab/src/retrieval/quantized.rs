use super::Vectors;
use super::index::{Hit, best_first};
use crate::data::Matrix;
use contrarian_kernels::QuantizedRows;
use rayon::prelude::*;

/// Search in two steps: candidates by products of 8-bit vectors, then the candidates in full.
///
/// Scores are exact; a hit may be missing where the first step left it out. With twice as many candidates as hits, and at least 64,
/// the recall on 100,000 random vectors of 384 numbers is above .999 (`bench/retrieval/search.py`).
#[derive(Debug)]
pub struct QuantizedIndex {
    documents: Vectors,
    rows: QuantizedRows,
}

/// Candidates for each hit, and the fewest there are.
const CANDIDATES: (usize, usize) = (2, 64);

impl QuantizedIndex {
    /// An index over the vectors of documents; a quarter of their memory beside them.
    pub fn new(documents: impl Into<Vectors>) -> Self {
        let documents = documents.into();
        let rows = QuantizedRows::new(documents.data(), documents.cols().max(1)).expect("vectors are whole rows");
        Self { documents, rows }
    }

    /// About the `k` documents with the largest inner products with each query, best first.
    ///
    /// # Panics
    /// When queries and documents have different numbers of columns.
    pub fn search(&self, queries: &Matrix, k: usize) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols, self.documents.cols(), "queries and documents need the same number of columns");
        let candidates = (CANDIDATES.0 * k).max(CANDIDATES.1);
        let found = self.rows.top(&queries.data, if k == 0 { 0 } else { candidates }).expect("queries are whole rows");
        let in_full = |(query, candidates): (usize, Vec<usize>)| {
            let query = queries.row(query);
            let score = |document| dot(query, self.documents.row(document));
            best_first(candidates.into_iter().map(|document| Hit { document, score: score(document) }).collect(), k)
        };
        found.into_par_iter().enumerate().map(in_full).collect()
    }
}

/// In sixteen partial sums, which the compiler turns into vector code.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::ExactIndex;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand_distr::{Distribution, StandardNormal};

    fn matrix(rows: usize, cols: usize, seed: u64) -> Matrix {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        Matrix { rows, cols, data: (0..rows * cols).map(|_| StandardNormal.sample(rng)).collect() }
    }

    #[test]
    fn nearly_all_hits_are_those_of_exact_search_with_their_scores() {
        let (documents, queries) = (matrix(3000, 50, 1), matrix(40, 50, 2));
        let exact = ExactIndex::new(documents.clone()).search(&queries, 30);
        let found = QuantizedIndex::new(documents).search(&queries, 30);
        let mut held = 0;
        for (exact, found) in exact.iter().zip(&found) {
            assert_eq!(found.len(), 30);
            for hit in found {
                if let Some(same) = exact.iter().find(|other| other.document == hit.document) {
                    held += 1;
                    assert!((same.score - hit.score).abs() < 1e-4);
                }
            }
        }
        assert!(f64::from(held) / 1200.0 > 0.99, "{held} of 1200");
    }

    #[test]
    fn small_sets_are_whole() {
        let index = QuantizedIndex::new(matrix(3, 4, 0));
        assert_eq!(index.search(&matrix(1, 4, 1), 10)[0].len(), 3);
        assert!(index.search(&matrix(1, 4, 1), 0)[0].is_empty());
    }
}
