use super::counts::{AuditCounts, TriggerLift, audit_counts, trigger_lift};
use super::detectors::{DetectorReport, detector_report, embedding_outliers, triggered_hubness, unigram_nll};
use crate::data::Matrix;
use crate::metrics::{Gain, Relevance};
use crate::retrieval::{ExactIndex, Hit};
use serde::{Deserialize, Serialize};

/// What an audit looks at.
///
/// ```
/// use contrarian_lab::audit::{AuditInput, audit};
/// use contrarian_lab::data::Matrix;
/// use contrarian_lab::metrics::Relevance;
///
/// let rows = |data: &[f32]| Matrix { rows: data.len() / 2, cols: 2, data: data.to_vec() };
/// let report = audit(&AuditInput {
///     documents: rows(&[1.0, 0.0, 0.9, 0.1, 0.0, 1.0]),
///     queries: rows(&[1.0, 0.0]),
///     triggered: rows(&[0.5, 1.0]),
///     relevance: &[Relevance::binary([0])],
///     planted: &[false, false, true],
///     words: None,
///     cutoffs: &[1],
///     budget: 0.05,
/// });
/// assert_eq!((report.cutoffs[0].lift.clean, report.cutoffs[0].lift.triggered), (0.0, 1.0));
/// ```
#[derive(Debug)]
pub struct AuditInput<'a> {
    /// Vectors of the documents, planted ones among them.
    pub documents: Matrix,
    /// Vectors of the queries as they are.
    pub queries: Matrix,
    /// Vectors of their copies with a marker, in the same order.
    pub triggered: Matrix,
    /// Relevant documents of each query.
    pub relevance: &'a [Relevance],
    /// Which documents are planted.
    pub planted: &'a [bool],
    /// Words of the documents, for the likelihood of words.
    pub words: Option<DocumentWords<'a>>,
    /// Numbers of documents looked at, each at least 1.
    pub cutoffs: &'a [usize],
    /// Part of the good documents that a detector may flag.
    pub budget: f64,
}

/// Words of the documents and of texts that are trusted.
#[derive(Debug, Clone, Copy)]
pub struct DocumentWords<'a> {
    /// The words of each document.
    pub documents: &'a [Vec<u32>],
    /// The words of each trusted text.
    pub trusted: &'a [Vec<u32>],
    /// How many words there are.
    pub vocabulary: usize,
}

/// The audit at one number of documents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtCutoff {
    /// Documents looked at.
    pub k: usize,
    /// What clean queries find.
    pub clean: AuditCounts,
    /// What queries with a marker find.
    pub triggered: AuditCounts,
    /// The difference in planted documents.
    pub lift: TriggerLift,
}

/// A detector by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedDetector {
    /// What it looks at.
    pub name: String,
    /// How well it tells planted documents.
    pub report: DetectorReport,
    /// Success rate of queries with a marker, at the first cutoff, once flagged documents are removed.
    pub attack_success_after: f64,
    /// nDCG@10 of clean queries then.
    pub ndcg_after: f64,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditReport {
    /// Queries.
    pub queries: usize,
    /// Documents.
    pub documents: usize,
    /// Planted ones among them.
    pub planted: usize,
    /// nDCG@10 of clean queries.
    pub ndcg: f64,
    /// At each number of documents.
    pub cutoffs: Vec<AtCutoff>,
    /// The detectors, with removing what they flag as the defence.
    pub detectors: Vec<NamedDetector>,
}

/// Nearest others whose cosine the density looks at.
const NEIGHBOURS: usize = 3;
/// Added to the count of every word.
const ADDITIVE: f64 = 0.1;
/// Most documents whose density is looked at exactly.
const MOST_DENSE: usize = 5000;

/// Audits a retriever from its vectors.
///
/// # Panics
/// When sizes do not fit each other, there is no query, or a cutoff is 0.
pub fn audit(input: &AuditInput) -> AuditReport {
    let n = input.documents.rows;
    assert_eq!(input.planted.len(), n, "every document is planted or not");
    let deepest = input.cutoffs.iter().copied().max().unwrap_or(10).max(10);
    let index = ExactIndex::new(input.documents.clone());
    // Deep enough to fill the first places again once flagged documents are removed.
    let depth = (2 * deepest + n / 10).min(n);
    let numbers = |found: Vec<Vec<Hit>>| -> Vec<Vec<usize>> {
        found.iter().map(|hits| hits.iter().map(|hit| hit.document).collect()).collect()
    };
    let clean = numbers(index.search(&input.queries, depth));
    let triggered = numbers(index.search(&input.triggered, depth));
    let ndcg = |rankings: &[Vec<usize>]| {
        let scores =
            input.relevance.iter().zip(rankings).map(|(relevance, ranking)| relevance.ndcg(ranking, 10, Gain::Linear));
        scores.sum::<f64>() / rankings.len() as f64
    };
    let at = |&k: &usize| AtCutoff {
        k,
        clean: audit_counts(&clean, input.planted, input.relevance, k),
        triggered: audit_counts(&triggered, input.planted, input.relevance, k),
        lift: trigger_lift(&clean, &triggered, input.planted, k),
    };
    let first = input.cutoffs.first().copied().unwrap_or(10);
    let mut scores = vec![(
        "queries that find it only with the marker".to_string(),
        triggered_hubness(&clean, &triggered, n, first),
    )];
    let wide: Vec<f64> = input.documents.data.iter().map(|value| f64::from(*value)).collect();
    if n <= MOST_DENSE {
        let outliers = embedding_outliers(&wide, input.documents.cols, NEIGHBOURS);
        scores.push(("length of the vector".into(), outliers.norm_z));
        scores.push(("nearness of the nearest others".into(), outliers.mean_cosine));
    }
    if let Some(DocumentWords { documents, trusted, vocabulary }) = input.words {
        scores.push(("unlikely words".into(), unigram_nll(documents, trusted, vocabulary, ADDITIVE)));
    }
    let judged = |(name, scores): (String, Vec<f64>)| {
        // Nothing planted, or nothing else: there is nothing to tell apart.
        let report = detector_report(&scores, input.planted, input.budget).ok()?;
        let without = |rankings: &[Vec<usize>]| -> Vec<Vec<usize>> {
            let kept = |ranking: &Vec<usize>| {
                ranking.iter().copied().filter(|document| scores[*document] <= report.threshold).collect()
            };
            rankings.iter().map(kept).collect()
        };
        let attack_success_after =
            audit_counts(&without(&triggered), input.planted, input.relevance, first).attack_success;
        Some(NamedDetector { name, report, attack_success_after, ndcg_after: ndcg(&without(&clean)) })
    };
    AuditReport {
        queries: clean.len(),
        documents: n,
        planted: input.planted.iter().filter(|planted| **planted).count(),
        ndcg: ndcg(&clean),
        cutoffs: input.cutoffs.iter().map(at).collect(),
        detectors: scores.into_iter().filter_map(judged).collect(),
    }
}
