//! Objectives for classification: logits in, one number out.

mod comp_sum;

pub use comp_sum::{CompSumLoss, CompSumLossConfig};
