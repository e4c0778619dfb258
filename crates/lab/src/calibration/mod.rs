//! Calibrating a trained classifier: the maps of [`contrarian::calibration`] fitted to its logits on held-out rows, in one
//! form that can be saved and applied.

mod calibrator;
mod method;
mod of_model;
mod post_hoc;
mod score;

pub use calibrator::{Calibrator, Outputs};
pub use method::{CalibrateError, Method, UnknownMethod};
pub use of_model::{
    CalibrateConfig, Calibration, MIN_CALIBRATION_ROWS, MethodResult, SavedCalibrator, UNCALIBRATED, calibrate,
};
pub use post_hoc::{PostHocCalibrator, PostHocConfig};
pub(crate) use score::top_label;
pub use score::{CalibrationScore, score};
