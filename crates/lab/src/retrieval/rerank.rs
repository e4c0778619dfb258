use super::index::{Hit, best_first};

/// Ranks the first `depth` documents found for each query again, by a scorer that looks at query and document together.
///
/// `score` is given the number of a query and of its documents, best first, and gives a score for each; equal ones are ranked by the lower
/// document. Documents behind the first `depth` are dropped.
///
/// ```
/// use contrarian_lab::retrieval::{Hit, rerank};
///
/// let found = vec![vec![Hit { document: 4, score: 0.9 }, Hit { document: 7, score: 0.8 }]];
/// let again = rerank(&found, 10, |_, documents| documents.iter().map(|at| *at as f32).collect());
/// assert_eq!(again[0][0].document, 7);
/// ```
///
/// # Panics
/// When `score` gives another number of scores than there are documents.
pub fn rerank(found: &[Vec<Hit>], depth: usize, score: impl Fn(usize, &[usize]) -> Vec<f32>) -> Vec<Vec<Hit>> {
    let again = |(query, hits): (usize, &Vec<Hit>)| {
        let documents: Vec<usize> = hits.iter().take(depth).map(|hit| hit.document).collect();
        let scores = score(query, &documents);
        assert_eq!(scores.len(), documents.len(), "a reranker gives each document a score");
        best_first(documents.into_iter().zip(scores).map(|(document, score)| Hit { document, score }).collect(), depth)
    };
    found.iter().enumerate().map(again).collect()
}
