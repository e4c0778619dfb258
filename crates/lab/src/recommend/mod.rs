//! Recommendation from what users chose: interactions, factor models, and how good the first items are.

mod factors;
mod graph;
mod interactions;
mod metrics;
mod objective;
mod taste_world;

pub use factors::{FactorsConfig, MatrixFactors, train_factors};
pub use graph::NormalizedGraph;
pub use interactions::{Interactions, UserSplit, inject_noise, load_interactions, split_users};
pub use metrics::{LossOverlap, loss_overlap, ndcg_at_k, recall_at_k, top_items};
pub use objective::RecommenderObjective;
pub use taste_world::TasteWorld;
