use contrarian::InvalidParameter;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use std::path::PathBuf;

/// What a negative is to be written for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRequest {
    /// Name of the query in files.
    pub query_id: String,
    /// The query.
    pub query: String,
    /// A text that answers it, for generators that are shown one.
    pub positive: Option<String>,
}

/// A writer of hard negatives: it sees a query, perhaps its positive, and never the collection.
pub trait TextGenerator: Sync {
    /// A text that looks like an answer to the query and is none.
    ///
    /// # Errors
    /// When there is no text for this query; others may have one.
    fn generate(&self, request: &TextRequest) -> Result<String, GeneratorError>;
}

/// Why there is no generated text.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// A file of texts cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A setting out of range.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// The environment variable for the key is not set.
    #[error("the environment variable {0} holds no key for the endpoint; set it, or configure no `key_variable`")]
    Key(String),
    /// The file has no text for the query.
    #[error("query {query}: {} has no text for it", path.display())]
    Missing {
        /// The query.
        query: String,
        /// The file.
        path: PathBuf,
    },
    /// The file's text was written for another query of this name.
    #[error("query {query}: the text in {} was written for other words; use a new file or the old queries", path.display())]
    Changed {
        /// The query.
        query: String,
        /// The file.
        path: PathBuf,
    },
    /// An answer without a text.
    #[error("query {query}: the answer is empty")]
    Empty {
        /// The query.
        query: String,
    },
    /// An answer that is not in the form of the protocol.
    #[error("query {query}: the answer cannot be read: {reason}")]
    Unreadable {
        /// The query.
        query: String,
        /// What is wrong.
        reason: String,
    },
    /// The endpoint gave no answer.
    #[error("query {query}: {reason}, asked {asked} time(s)")]
    Failed {
        /// The query.
        query: String,
        /// The last reason.
        reason: String,
        /// How often it was asked.
        asked: usize,
    },
    /// The stop flag was set.
    #[error("query {query}: stopped before it was answered")]
    Stopped {
        /// The query.
        query: String,
    },
}

/// A generator of random numbers for a query, the same in whatever order queries come.
pub(super) fn of_query(seed: u64, query_id: &str) -> Xoshiro256PlusPlus {
    let hash = crate::hash::Fnv::default().and(query_id.as_bytes()).finish();
    Xoshiro256PlusPlus::seed_from_u64(seed ^ hash)
}
