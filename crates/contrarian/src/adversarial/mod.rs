//! Adversarial training: inner maximisers that take any objective.

mod pgd;

pub use pgd::{Norm, PgdConfig, margin_shift};
