//! Adversarial training: inner maximisers that take any objective, and features that a second network cannot read.

mod domain_adversarial;
mod gradient_reversal;
mod pgd;

pub use domain_adversarial::{DomainAdversarialLoss, DomainAdversarialLossConfig};
pub use gradient_reversal::gradient_reversal;
pub use pgd::{Norm, PgdConfig, kl_to_clean, margin_shift};
