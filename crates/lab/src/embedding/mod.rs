//! What embeddings are worth: probes on frozen features, clusters, principal components, and every score of a set.
//!
//! [`evaluate()`] gives all [`EmbeddingMetric`]s of a matrix of embeddings; the parts stand alone too.

mod evaluate;
mod few_shot;
mod k_means;
mod metric;
mod principal;
mod probes;
mod space;

pub(crate) use evaluate::unit_rows;
pub use evaluate::{EmbeddingScores, EvaluationRows, Settings, evaluate};
pub use few_shot::{FewShot, few_shot};
pub use k_means::{KMeans, k_means};
pub use metric::{EmbeddingMetric, UnknownEmbeddingMetric};
pub use principal::PrincipalComponents;
pub use probes::{knn_accuracy, knn_predict, linear_probe};
pub use space::{Space, SweepRow, mean_penalty_entropy, temperature_sweep};

/// The rows of the reference values: 60 rows of 6 numbers in four classes, and one row alone in a fifth. Every number is exact
/// in f32. `tests/reference/embeddings.py` makes the same.
#[cfg(test)]
pub(crate) fn reference_rows() -> (crate::data::Matrix, Vec<usize>) {
    let labels: Vec<usize> = (0..61).map(|i| if i == 60 { 4 } else { i % 4 }).collect();
    let noise = |i: usize, j: usize| ((i * i * 31 + j * j * 17 + i * j * 7 + i) % 101) as f32 / 64.0;
    let center = |c: usize, j: usize| ((c * 5 + j * 3) % 7) as f32 / 4.0;
    let data = (0..61 * 6).map(|at| noise(at / 6, at % 6) + center(labels[at / 6], at % 6)).collect();
    (crate::data::Matrix { rows: 61, cols: 6, data }, labels)
}
