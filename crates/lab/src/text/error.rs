use std::path::{Path, PathBuf};

/// Why a text model could not be loaded or applied: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file of a model's folder cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file of a model's folder cannot be used.
    #[error("{}: {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// A text that the tokenizer refuses.
    #[error("the tokenizer cannot split the text that begins `{start}`: {reason}")]
    Tokenize {
        /// How the text begins.
        start: String,
        /// Why.
        reason: String,
    },
}

impl TextError {
    pub(super) fn model(path: &Path, reason: impl Into<String>) -> Self {
        Self::Model { path: path.into(), reason: reason.into() }
    }
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    std::fs::read(path).map_err(|error| TextError::Unreadable { path: path.into(), reason: error.to_string() })
}

/// What a JSON file holds.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, TextError> {
    serde_json::from_slice(&read(path)?).map_err(|error| TextError::model(path, error.to_string()))
}
