//! Terms added to a loss, and schedules of their weights.

mod attention_entropy;
mod mk_mmd;
mod schedule;

pub use attention_entropy::{
    AttentionEntropyRegularizer, AttentionEntropyRegularizerConfig, HeadReduction, top_attention_share,
};
pub use mk_mmd::{MkMmd, MkMmdConfig};
pub use schedule::{adaptation_schedule, cosine_weight_annealing};
