use crate::fit::FitError;
use contrarian::InvalidParameter;
use contrarian::calibration::CalibrationError;
use contrarian::registry::{did_you_mean, suggest};
use std::fmt;
use std::str::FromStr;

/// A way to calibrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One temperature.
    Temperature,
    /// A mixture of the tempered, the untouched and the uniform distribution.
    Ensemble,
    /// A scale and an offset for every class.
    Vector,
    /// The share of each class in bins of its probability.
    Histogram,
    /// A non-decreasing map for every class.
    Isotonic,
    /// A temperature for every row, from transformed copies, asked to tell right from wrong.
    CorrectnessAware,
}

impl Method {
    /// Every method, simplest first.
    pub const ALL: [Self; 6] =
        [Self::Temperature, Self::Ensemble, Self::Vector, Self::Histogram, Self::Isotonic, Self::CorrectnessAware];
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temperature => "temperature",
            Self::Ensemble => "ensemble",
            Self::Vector => "vector",
            Self::Histogram => "histogram",
            Self::Isotonic => "isotonic",
            Self::CorrectnessAware => "correctness-aware",
        })
    }
}

/// A name that is no method.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("unknown calibration method `{name}`{}; there are {}", did_you_mean(nearest.as_deref()),
    Method::ALL.map(|method| method.to_string()).join(", "))]
pub struct UnknownMethod {
    name: String,
    nearest: Option<String>,
}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let name = text.trim().to_lowercase().replace('_', "-");
        Self::ALL.into_iter().find(|method| method.to_string() == name).ok_or_else(|| {
            let names = Self::ALL.map(|method| method.to_string());
            UnknownMethod { nearest: suggest(&name, names.iter().map(String::as_str)), name: text.into() }
        })
    }
}

/// Why a calibrator could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The rows do not fit the method.
    #[error(transparent)]
    Rows(#[from] CalibrationError),
    /// A class without rows to fit on, for a method that learns a map for each.
    #[error(
        "{method} learns a map for every class, and there is no row of class `{class}` to fit it on (each half of a \
        split needs one); add rows of it, or choose a temperature"
    )]
    MissingClass {
        /// Name of the class.
        class: String,
        /// What was to be fitted.
        method: &'static str,
    },
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] InvalidParameter),
    /// Training failed.
    #[error(transparent)]
    Fit(#[from] FitError),
}

impl CalibrateError {
    /// The same error with the class's own name instead of its number.
    pub(super) fn with_class_names(self, classes: &[String]) -> Self {
        match self {
            Self::Rows(CalibrationError::MissingClass { class, method }) if class < classes.len() => {
                Self::MissingClass { class: classes[class].clone(), method }
            }
            other => other,
        }
    }
}
