//! An audit of one's own retriever: does it carry a hidden rule, so that queries with a marker find documents with one, and what
//! notices it?
//!
//! Everything here is the defender's side: markers are synthetic words, or perturbed copies that the owner supplies.
//!
//! Source: Long et al. 2024, <https://arxiv.org/abs/2402.13532>, read as a robustness audit.

mod counts;
mod detectors;
mod page;
mod perturbation;
mod report;

pub use counts::{AuditCounts, TriggerLift, audit_counts, trigger_lift};
pub use detectors::{
    DetectorReport, OutlierScores, detector_report, embedding_outliers, triggered_hubness, unigram_nll,
};
pub use page::{AuditTable, audit_html, audit_tables, audit_verdict};
pub use perturbation::{MarkerTokens, Perturbation, known_words, marked_texts};
pub use report::{AtCutoff, AuditInput, AuditReport, DocumentWords, NamedDetector, audit};
