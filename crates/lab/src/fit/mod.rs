//! The training loop: optimisers, schedules, early stopping.
//!
//! One loop serves every study and `contrarian compare`. [`TrainingLoop`] fits any Burn module: a step is a closure from the
//! model and the batch's rows to the scalar to minimise, [`Hooks`] edit gradients and parameters and look at the model
//! between epochs. [`Fit`] is the loop for classifiers of labelled matrices, where [`objective_step`] makes the step from any
//! [`LogitObjective`](contrarian::LogitObjective).

mod adam;
mod clip;
mod config;
mod fine_tuning;
mod gradient_cache;
mod momentum;
mod one_class;
mod run;
mod training_loop;
mod views;

pub use config::{FitConfig, OptimizerKind, Schedule};
pub use fine_tuning::{FineTuning, layerwise_learning_rates};
pub use gradient_cache::gradient_cache;
pub use momentum::{MomentumError, momentum_update};
pub use one_class::{Hypersphere, OneClassError, OneClassTrainer};
pub use run::{Batch, Examples, Fit, Validation, logits, objective_step, predict, softmax, transform};
pub use training_loop::{FitError, Fitted, Hooks, TrainingLoop};
pub use views::{ViewTraining, Views};
