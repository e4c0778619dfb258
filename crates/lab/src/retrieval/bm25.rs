use super::index::{Hit, best_first};
use burn::config::Config;
use contrarian::InvalidParameter;

/// Configuration of a [BM25 index](Bm25Index).
#[derive(Config, Debug)]
pub struct Bm25Config {
    /// How soon further occurrences of a word stop counting, at least 0.
    #[config(default = 0.9)]
    pub k1: f64,
    /// How much a document's length is corrected for, in `[0, 1]`.
    #[config(default = 0.4)]
    pub b: f64,
}

impl Bm25Config {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if !(self.k1 >= 0.0 && self.k1.is_finite()) {
            return Err(InvalidParameter::new("k1", self.k1, "at least 0 and finite"));
        }
        if !(0.0..=1.0).contains(&self.b) {
            return Err(InvalidParameter::new("b", self.b, "in [0, 1]"));
        }
        Ok(())
    }

    /// Builds the index over the words of the documents.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message, or there is no document.
    pub fn build<D: AsRef<[u32]>>(&self, documents: &[D]) -> Bm25Index {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        assert!(!documents.is_empty(), "BM25 needs at least one document");
        let words = documents.iter().flat_map(AsRef::as_ref).max().map_or(0, |word| *word as usize + 1);
        let mut postings: Vec<Vec<(u32, f64)>> = vec![Vec::new(); words];
        for (document, words) in documents.iter().enumerate() {
            for &word in words.as_ref() {
                let list = &mut postings[word as usize];
                match list.last_mut() {
                    Some((last, count)) if *last == document as u32 => *count += 1.0,
                    _ => list.push((document as u32, 1.0)),
                }
            }
        }
        let n = documents.len() as f64;
        let length = |document: usize| documents[document].as_ref().len() as f64;
        let mean = (0..documents.len()).map(length).sum::<f64>() / n;
        let idf: Vec<f64> = postings.iter().map(|list| idf(n, list.len())).collect();
        for (list, idf) in postings.iter_mut().zip(&idf) {
            for (document, weight) in list {
                // A word that occurs somewhere makes the mean length above 0.
                let norm = self.k1 * (1.0 - self.b + self.b * length(*document as usize) / mean);
                *weight = idf * *weight * (self.k1 + 1.0) / (*weight + norm);
            }
        }
        Bm25Index { documents: documents.len(), postings, idf }
    }
}

fn idf(documents: f64, with: usize) -> f64 {
    let with = with as f64;
    (1.0 + (documents - with + 0.5) / (with + 0.5)).ln()
}

/// Ranking by words in common, over an inverted index.
///
/// ```text
/// score(q, d) = sum_{w in q} idf(w) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|))
/// idf(w)      = ln(1 + (N - df + .5) / (df + .5))
/// ```
///
/// `tf` is how often `w` occurs in `d`, `df` the documents with it, `N` all documents. A word that the query repeats counts each
/// time; one that no document has counts nothing. Each document's part of a word is computed once, so a query costs one addition
/// for each document that has the word.
///
/// Source: Robertson, Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.4, with the idf of
/// Lucene, which is never negative.
#[derive(Debug, Clone)]
pub struct Bm25Index {
    documents: usize,
    postings: Vec<Vec<(u32, f64)>>,
    idf: Vec<f64>,
}

impl Bm25Index {
    /// Documents in the index.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Weight of a word's rareness.
    pub fn idf(&self, word: u32) -> f64 {
        self.idf.get(word as usize).copied().unwrap_or_else(|| idf(self.documents as f64, 0))
    }

    /// The score of every document.
    pub fn scores(&self, query: &[u32]) -> Vec<f64> {
        let mut scores = vec![0.0; self.documents];
        for &word in query {
            for &(document, weight) in self.postings.get(word as usize).map_or(&[][..], Vec::as_slice) {
                scores[document as usize] += weight;
            }
        }
        scores
    }

    /// The `k` best documents without those excluded, best first; documents without any of the words come last, with score 0.
    pub fn top(&self, query: &[u32], k: usize, exclude: &[usize]) -> Vec<Hit> {
        let scores = self.scores(query).into_iter().enumerate();
        let hits = scores.filter(|(document, _)| !exclude.contains(document));
        best_first(hits.map(|(document, score)| Hit { document, score: score as f32 }).collect(), k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let index = Bm25Config::new().build(&[vec![0u32, 0, 1], vec![1], vec![]]);
        // Mean length 4/3. Word 0: df 1, idf ln(1 + 2.5/1.5); tf 2, norm .9 (.6 + .4 * 2.25) = 1.35.
        let idf = (1.0f64 + 2.5 / 1.5).ln();
        let scores = index.scores(&[0, 7, 0]);
        assert!((scores[0] - 2.0 * idf * 2.0 * 1.9 / 3.35).abs() < 1e-12);
        assert_eq!(scores[1..], [0.0, 0.0]);
        assert!((index.idf(0) - idf).abs() < 1e-15 && index.idf(7) > idf);
        let top = index.top(&[1], 2, &[]);
        assert_eq!(top.iter().map(|hit| hit.document).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(index.top(&[1], 5, &[1]).iter().map(|hit| hit.document).collect::<Vec<_>>(), [0, 2]);
    }

    #[test]
    fn no_words_and_no_saturation_are_defined() {
        let empty = Bm25Config::new().build(&[Vec::<u32>::new()]);
        assert_eq!(empty.scores(&[0, 1]), [0.0]);
        let binary = Bm25Config::new().with_k1(0.0).build(&[vec![0u32, 0, 0], vec![0]]);
        let scores = binary.scores(&[0]);
        assert_eq!(scores[0], scores[1]);
        assert!(scores[0] > 0.0 && scores[0].is_finite());
        assert_eq!(Bm25Config::new().with_b(1.5).validate().unwrap_err().field, "b");
    }
}
