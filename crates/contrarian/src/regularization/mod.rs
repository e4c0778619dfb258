//! Terms added to a loss, and schedules of their weights.

mod attention_entropy;
mod schedule;

pub use attention_entropy::{
    AttentionEntropyRegularizer, AttentionEntropyRegularizerConfig, HeadReduction, top_attention_share,
};
pub use schedule::cosine_weight_annealing;
