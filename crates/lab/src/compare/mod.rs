//! The main experiment: every objective trains the same model on the same splits with the same budget.

mod result;

pub use result::{
    CalibrationBin, ClassCount, Comparison, Curves, DataSummary, EpochPoint, Failure, ObjectiveResult,
    PairedComparison, Settings, Summary,
};
