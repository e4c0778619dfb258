//! Terms added to a loss, and schedules of their weights.

mod attention_entropy;
mod mean_of_objectives;
mod mk_mmd;
mod nev_ncd;
mod novel_entropy;
mod novel_variance;
mod schedule;
mod sinkhorn;

pub use attention_entropy::{
    AttentionEntropyRegularizer, AttentionEntropyRegularizerConfig, HeadReduction, top_attention_share,
};
pub use mean_of_objectives::mean_of_objectives;
pub use mk_mmd::{MkMmd, MkMmdConfig};
pub use nev_ncd::{NevNcd, NevNcdConfig};
pub use novel_entropy::{NovelEntropy, NovelEntropyConfig};
pub use novel_variance::{NovelVariance, NovelVarianceConfig};
pub use schedule::{adaptation_schedule, cosine_weight_annealing};
pub use sinkhorn::{SinkhornAssignment, SinkhornAssignmentConfig};

use crate::InvalidParameter;
use crate::error::require;
use crate::negatives::{check_classes, require_distinct};
use burn::tensor::{Int, Tensor, TensorData};

/// `Ok` when novel classes are listed, none twice.
fn require_novel(novel: &[usize]) -> Result<(), InvalidParameter> {
    require(!novel.is_empty(), "novel", "empty", "a list of at least one class")?;
    require_distinct("novel", novel)
}

/// The columns of the novel classes, `[n, novel]`.
///
/// # Panics
/// When the batch is empty or a class is out of range.
fn novel_columns(logits: Tensor<2>, novel: &[usize]) -> Tensor<2> {
    let [n, classes] = logits.dims();
    assert!(n > 0, "a loss needs at least one example");
    check_classes(novel, classes);
    let columns: Vec<i64> = novel.iter().map(|&class| class as i64).collect();
    let columns = Tensor::<1, Int>::from_data(TensorData::new(columns, [novel.len()]), &logits.device());
    logits.select(1, columns)
}
