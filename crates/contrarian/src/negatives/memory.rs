use burn::tensor::Tensor;

/// Why a memory of embeddings cannot do what is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Embeddings of another length than the memory's.
    #[error("embeddings have {found} numbers, and the memory's rows have {expected}")]
    Width {
        /// Numbers of an embedding.
        found: usize,
        /// Numbers of a row of the memory.
        expected: usize,
    },
    /// There are not as many embeddings as ids.
    #[error("{rows} embeddings for {ids} ids")]
    Lengths {
        /// Ids named.
        ids: usize,
        /// Embeddings given.
        rows: usize,
    },
    /// An id outside the memory.
    #[error("id {id} is outside the memory of {size} rows; ids begin at 0")]
    Outside {
        /// The id.
        id: usize,
        /// Rows there are.
        size: usize,
    },
    /// An id that comes twice in one batch.
    #[error("id {id} comes twice in one batch, at {first} and {second}; a row can be updated once a batch")]
    Twice {
        /// The id.
        id: usize,
        /// Where it comes first.
        first: usize,
        /// Where it comes again.
        second: usize,
    },
}

/// Checks that rows are as long as the memory's.
pub(super) fn check_width(rows: &Tensor<2>, expected: usize) -> Result<(), MemoryError> {
    let [_, found] = rows.dims();
    if found == expected { Ok(()) } else { Err(MemoryError::Width { found, expected }) }
}
