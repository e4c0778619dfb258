use super::vectors::Vectors;
use crate::data::Matrix;
use contrarian_kernels::top_products;

/// A document found, and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Number of the document.
    pub document: usize,
    /// Its score.
    pub score: f32,
}

/// The `k` best of the hits, best first; equal scores by the lower document.
pub(super) fn best_first(mut hits: Vec<Hit>, k: usize) -> Vec<Hit> {
    // Adding 0 makes -0 a 0, which a total order tells apart.
    let order = |a: &Hit, b: &Hit| (b.score + 0.0).total_cmp(&(a.score + 0.0)).then(a.document.cmp(&b.document));
    if (1..hits.len()).contains(&k) {
        hits.select_nth_unstable_by(k - 1, order);
    }
    hits.truncate(k);
    hits.sort_unstable_by(order);
    hits
}

/// Exact search by inner products: every document is looked at.
///
/// Documents may be held in memory or mapped from a file ([`Vectors`]). Time is that of the matrix product; memory is that of the hits.
#[derive(Debug)]
pub struct ExactIndex {
    documents: Vectors,
}

impl ExactIndex {
    /// An index over the vectors of documents.
    pub fn new(documents: impl Into<Vectors>) -> Self {
        Self { documents: documents.into() }
    }

    /// The vectors of the documents.
    pub fn documents(&self) -> &Vectors {
        &self.documents
    }

    /// The `k` documents with the largest inner products with each query, best first; all of them where there are fewer. A NaN
    /// counts as the least score.
    ///
    /// # Panics
    /// When queries and documents have different numbers of columns.
    pub fn search(&self, queries: &Matrix, k: usize) -> Vec<Vec<Hit>> {
        assert_eq!(queries.cols, self.documents.cols(), "queries and documents need the same number of columns");
        let found = top_products(&queries.data, self.documents.data(), queries.cols, k).expect("both are whole rows");
        let hits = |row: Vec<(usize, f32)>| row.into_iter().map(|(document, score)| Hit { document, score }).collect();
        found.into_iter().map(hits).collect()
    }

    /// As [`search`](Self::search), without the documents that `exclude` names for each query.
    ///
    /// # Panics
    /// As `search`, and when there is no list for each query.
    pub fn search_excluding(&self, queries: &Matrix, k: usize, exclude: &[&[usize]]) -> Vec<Vec<Hit>> {
        assert_eq!(queries.rows, exclude.len(), "there must be a list of excluded documents for each query");
        let most = exclude.iter().map(|list| list.len()).max().unwrap_or(0);
        let mut found = self.search(queries, k + most);
        for (hits, exclude) in found.iter_mut().zip(exclude) {
            hits.retain(|hit| !exclude.contains(&hit.document));
            hits.truncate(k);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(cols: usize, data: &[f32]) -> Matrix {
        Matrix { rows: data.len() / cols, cols, data: data.to_vec() }
    }

    fn documents(found: &[Hit]) -> Vec<usize> {
        found.iter().map(|hit| hit.document).collect()
    }

    #[test]
    fn the_best_come_first_and_ties_by_number() {
        let index = ExactIndex::new(matrix(2, &[1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 5.0]));
        let found = index.search(&matrix(2, &[1.0, 0.0, 0.0, -1.0]), 3);
        assert_eq!(documents(&found[0]), [1, 0, 2]);
        assert_eq!(documents(&found[1]), [0, 1, 2]);
        assert_eq!(found[0][0].score, 2.0);
        let found = index.search_excluding(&matrix(2, &[1.0, 0.0]), 2, &[&[1, 2]]);
        assert_eq!(documents(&found[0]), [0, 3]);
    }

    #[test]
    fn sorting_hits_breaks_ties_by_number() {
        let hit = |document, score| Hit { document, score };
        let found = best_first(vec![hit(3, 0.0), hit(1, -0.0), hit(2, 1.0), hit(0, -1.0)], 3);
        assert_eq!(documents(&found), [2, 1, 3]);
        assert!(best_first(vec![], 3).is_empty() && best_first(vec![hit(0, 1.0)], 0).is_empty());
    }
}
