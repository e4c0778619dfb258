//! Calibrating a trained classifier: the maps of [`contrarian::calibration`] fitted to its logits on held-out rows, in one
//! form that can be saved and applied.

mod calibrator;
mod method;
mod of_model;
mod page;
mod post_hoc;
mod result;
mod score;
#[cfg(test)]
mod tests;
mod training_table;

pub use calibrator::{Calibrator, Outputs};
pub use method::{CalibrateError, Method, UnknownMethod};
pub use of_model::{CalibrateConfig, MIN_CALIBRATION_ROWS, SavedCalibrator, calibrate};
pub use page::calibration_html;
pub use post_hoc::{PostHocCalibrator, PostHocConfig};
pub use result::{Calibration, MethodResult, UNCALIBRATED};
pub(crate) use score::top_label;
pub use score::{CalibrationScore, score};
pub use training_table::TrainingTable;
