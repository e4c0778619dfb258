//! Adversarial training: inner maximisers that take any objective.

mod pgd;

pub use pgd::{Norm, PgdConfig, kl_to_clean, margin_shift};
