use crate::InvalidParameter;

/// Why nothing can be fitted or measured on a set of rows.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Too few rows to learn from.
    #[error("calibration needs at least {needed} rows, and there are {rows}; give it more held-out rows")]
    TooFewRows {
        /// Rows there are.
        rows: usize,
        /// Rows needed.
        needed: usize,
    },
    /// Two inputs that belong together differ in length.
    #[error("there are {found} {what} for {rows} rows")]
    Shape {
        /// What there is too much or too little of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// A number that is NaN or infinite.
    #[error("row {row} has {what} that is not finite; leave the row out or mend the model")]
    NotFinite {
        /// Row, from 0.
        row: usize,
        /// What is not finite.
        what: &'static str,
    },
    /// A label that is no class.
    #[error("row {row} has the label {label}, but the logits are for {classes} classes, 0 to {}", classes - 1)]
    Label {
        /// Row, from 0.
        row: usize,
        /// The label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// A class without rows, for a map that needs each.
    #[error("no row is of class {class}, and {method} learns a map for every class; add rows, or use a temperature")]
    MissingClass {
        /// The first class without rows.
        class: usize,
        /// What was to be fitted.
        method: &'static str,
    },
    /// A parameter is out of range.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
}
