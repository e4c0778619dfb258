use crate::InvalidParameter;

/// Why a model could not be pruned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PruneError {
    /// A parameter of the rule is outside its range.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// The module has nothing that may be removed.
    #[error("nothing to prune: the module has no weight matrix among the parameters chosen")]
    NothingToPrune,
    /// A masked parameter does not occur in the model.
    #[error(
        "the model has no parameter `{path}` that the masks belong to; prune a model that comes from the masked one"
    )]
    Missing {
        /// Where the parameter was.
        path: String,
    },
    /// A parameter has no gradient.
    #[error("parameter `{path}` has no gradient; take the gradients of a loss that depends on it")]
    NoGradient {
        /// Where the parameter is.
        path: String,
    },
    /// Two things that belong together have different sizes.
    #[error("parameter `{path}` has shape {expected:?}, got {found:?}")]
    Shape {
        /// Where the parameter is.
        path: String,
        /// Its shape.
        expected: Vec<usize>,
        /// What was given.
        found: Vec<usize>,
    },
    /// A score by which entries are compared is not a number.
    #[error("parameter `{path}`: the score of entry {index} is NaN, and cannot be compared with the others")]
    NotANumber {
        /// Where the parameter is.
        path: String,
        /// Flat index of the entry.
        index: usize,
    },
}
