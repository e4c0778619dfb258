//! What an experiment with training objectives needs and no paper owns: data, models, the fit loop, metrics, statistics
//! and reports.

pub mod audit;
pub mod augment;
pub mod bench;
pub mod calibration;
pub mod cleaning;
pub mod compare;
pub mod data;
pub mod embedding;
pub mod federated;
pub mod fit;
mod hash;
pub mod memory;
pub mod metrics;
pub mod mining;
pub mod model;
pub mod parallel;
pub mod probe;
pub mod recommend;
pub mod report;
pub mod retrieval;
pub mod saved;
pub mod stats;
pub mod text;
