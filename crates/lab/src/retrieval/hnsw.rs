use super::Vectors;
use super::index::{Hit, best_first};
use crate::data::Matrix;
use burn::config::Config;
use contrarian::InvalidParameter;
use hnsw_rs::prelude::{DistL2, Hnsw};
use rayon::prelude::*;

/// Configuration of a [graph index](HnswIndex).
#[derive(Config, Debug)]
pub struct HnswConfig {
    /// Neighbours of a node, in `2..=256`.
    #[config(default = 16)]
    pub connections: usize,
    /// Candidates looked at for each node when the graph is built, at least 1.
    #[config(default = 200)]
    pub construction: usize,
    /// Candidates looked at in a search, at least 1; more find more.
    #[config(default = 200)]
    pub search: usize,
}

impl HnswConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if !(2..=256).contains(&self.connections) {
            return Err(InvalidParameter::new("connections", self.connections, "in 2..=256"));
        }
        for (field, value) in [("construction", self.construction), ("search", self.search)] {
            if value == 0 {
                return Err(InvalidParameter::new(field, value, "at least 1"));
            }
        }
        Ok(())
    }

    /// Builds the graph over vectors of length 1, document by document, so that it is the same every time.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn build(&self, documents: impl Into<Vectors>) -> HnswIndex {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let documents = documents.into();
        let graph = Hnsw::new(self.connections, documents.rows().max(1), 16, self.construction, DistL2 {});
        for row in 0..documents.rows() {
            graph.insert((documents.row(row), row));
        }
        HnswIndex { graph, documents, search: self.search }
    }
}

/// Approximate search in a graph of neighbours (HNSW): a query costs about the logarithm of the documents instead of all of them.
///
/// Vectors must have length 1, where the nearest have the largest inner products. Scores are exact; a hit may be missing. Building takes
/// many searches' time: it pays where many queries come one by one.
///
/// Source: Malkov, Yashunin 2016, <https://arxiv.org/abs/1603.09320>, by the crate `hnsw_rs`.
pub struct HnswIndex {
    graph: Hnsw<'static, f32, DistL2>,
    documents: Vectors,
    search: usize,
}

impl std::fmt::Debug for HnswIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HnswIndex")
            .field("documents", &self.documents.rows())
            .field("search", &self.search)
            .finish_non_exhaustive()
    }
}

impl HnswIndex {
    /// About the `k` nearest documents of each query, best first.
    ///
    /// # Panics
    /// When queries and documents have different numbers of columns.
    pub fn search(&self, queries: &Matrix, k: usize) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols, self.documents.cols(), "queries and documents need the same number of columns");
        let of_query = |query: usize| {
            let query = queries.row(query);
            let found = self.graph.search(query, k, self.search.max(k));
            let hit = |document: usize| {
                let pairs = query.iter().zip(self.documents.row(document));
                Hit { document, score: pairs.map(|(a, b)| a * b).sum() }
            };
            best_first(found.into_iter().map(|found| hit(found.d_id)).collect(), k)
        };
        (0..queries.rows).into_par_iter().map(of_query).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::ExactIndex;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand_distr::{Distribution, StandardNormal};

    fn directions(rows: usize, cols: usize, seed: u64) -> Matrix {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut data: Vec<f32> = (0..rows * cols).map(|_| StandardNormal.sample(rng)).collect();
        for row in data.chunks_mut(cols) {
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            for x in row {
                *x /= length;
            }
        }
        Matrix { rows, cols, data }
    }

    #[test]
    fn most_of_the_nearest_are_found() {
        let (documents, queries) = (directions(2000, 12, 1), directions(50, 12, 2));
        let exact = ExactIndex::new(documents.clone()).search(&queries, 10);
        let index = HnswConfig::new().build(documents);
        let found = index.search(&queries, 10);
        let held = exact.iter().zip(&found).map(|(exact, found)| {
            exact.iter().filter(|hit| found.iter().any(|other| other.document == hit.document)).count()
        });
        let recall = held.sum::<usize>() as f64 / 500.0;
        assert!(recall > 0.95, "{recall}");
        assert_eq!(found, index.search(&queries, 10));
    }

    #[test]
    fn small_sets_and_settings() {
        let index = HnswConfig::new().build(directions(3, 4, 0));
        assert_eq!(index.search(&directions(1, 4, 1), 9)[0].len(), 3);
        assert_eq!(HnswConfig::new().with_connections(1).validate().unwrap_err().field, "connections");
        assert_eq!(HnswConfig::new().with_search(0).validate().unwrap_err().field, "search");
    }
}
