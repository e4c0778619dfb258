//! Multiple-instance learning: one label for a bag of instances.
//!
//! [`Bags`] holds bags of different length, padded, with a mask; every model gives for a bag in a padded batch what it gives
//! for the bag alone.

mod attention_dropout;
mod attention_mil;
mod bags;
mod init;
mod multi_head_mil;
mod pool;
mod subsampling;

pub use attention_dropout::AttentionDropout;
pub use attention_mil::{AttentionMil, AttentionMilConfig, GatedAttentionMil, GatedAttentionMilConfig};
pub use bags::{BagError, BagMask, Bags};
pub use multi_head_mil::{MultiHeadAttentionMil, MultiHeadAttentionMilConfig};
pub use pool::{BagModel, BagOutput, MaxPoolMil, MeanPoolMil, PoolMilConfig, attention_pool};
pub use subsampling::InstanceSubsampling;
