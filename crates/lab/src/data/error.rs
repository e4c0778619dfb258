use contrarian::registry::did_you_mean;
use std::path::PathBuf;

/// What is wrong with a person's data: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file is not a table.
    #[error("{}: {reason}", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The images of a file or folder cannot be used.
    #[error("{}: {reason}", path.display())]
    Images {
        /// The file or folder.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Embeddings or their labels cannot be used.
    #[error("{}: {reason}", path.display())]
    Embeddings {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The file has no series that can be used.
    #[error("{}: {reason}", path.display())]
    Series {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Something is wrong with a line.
    #[error("{} line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A name that is not a column.
    #[error("there is no column `{name}`{}; the columns are {}", did_you_mean(nearest.as_deref()), columns.join(", "))]
    NoColumn {
        /// What was asked for.
        name: String,
        /// The nearest column, if any is near.
        nearest: Option<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// The target column cannot be predicted.
    #[error("target `{target}`: {reason}")]
    Target {
        /// The column.
        target: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The columns or images do not fit the model they are given to.
    #[error("the data does not fit the model: {reason}")]
    Mismatch {
        /// What is missing or different.
        reason: String,
    },
    /// There is no such embedded data set.
    #[error("there is no embedded data set `{name}`{}; there are {}", did_you_mean(nearest.as_deref()), known.join(", "))]
    NoDataset {
        /// What was asked for.
        name: String,
        /// The nearest name, if any is near.
        nearest: Option<String>,
        /// The names there are.
        known: Vec<String>,
    },
    /// The rows of a table are no bags.
    #[error("bags: {reason}")]
    Bags {
        /// Why, and where.
        reason: String,
    },
    /// A training set for one-class learning that is none.
    #[error("a training set of one class is needed: {reason}")]
    OneClass {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A split that cannot be made.
    #[error("cannot split the data: {reason}")]
    Split {
        /// Why.
        reason: String,
    },
}
