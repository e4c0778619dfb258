//! The training loop: optimisers, schedules, early stopping.
//!
//! One loop serves every study and `contrarian compare`: a step is a closure from the model and a batch to the scalar to
//! minimise, [`objective_step`] makes one from any [`LogitObjective`](contrarian::LogitObjective).

mod adam;
mod clip;
mod config;
mod run;

pub use config::{FitConfig, OptimizerKind, Schedule};
pub use run::{Batch, Examples, Fit, FitError, Fitted, Validation, objective_step, predict};
