//! The main experiment: every objective trains the same model on the same splits with the same budget.

mod collect;
mod curve;
mod embeddings;
mod recommend;
mod result;
mod retrieval;
mod run;

pub use embeddings::{EmbeddingCompareConfig, EmbeddingProblem, HoldOut, NO_TRAINING, compare_embeddings};
pub use recommend::{MOST_POPULAR, RECOMMENDER_METRICS, RecommenderCompareConfig, compare_recommenders};
pub use result::{
    CalibrationBin, ClassCount, Comparison, ComparisonKind, Curves, DataSummary, EpochPoint, Failure, ObjectiveResult,
    PairedComparison, Settings, Summary,
};
pub use retrieval::{
    BM25, Encoding, RETRIEVAL_METRICS, RetrievalCompareConfig, RetrievalProblem, UNTRAINED, compare_retrieval,
    train_for_search,
};
pub(crate) use run::check_sampling;
pub use run::{CompareConfig, CompareError, compare};

use contrarian::registry::ObjectiveSpec;

/// Name of the honest control's row: the baseline, deciding at the threshold chosen on validation. It removes most of
/// the gain of many losses for imbalanced data, so every comparison of two classes shows it.
pub fn control_name(baseline: &ObjectiveSpec) -> String {
    format!("{baseline}, threshold tuned")
}
