/// Why a kernel refused its input. Nothing has been computed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A slice has not the length that the sizes ask for.
    #[error("`{name}` has {found} numbers, but must have {expected} ({shape})")]
    Length {
        /// Name of the argument.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The length it must have.
        expected: usize,
        /// Where that length comes from.
        shape: String,
    },
    /// An argument outside its range.
    #[error("`{name}` is {value}, but must be {allowed}")]
    Value {
        /// Name of the argument.
        name: &'static str,
        /// The rejected value, with its place where it is one of many.
        value: String,
        /// The legal range, completing "must be ...".
        allowed: String,
    },
    /// Sizes whose product does not fit a machine word, or memory that the system does not give.
    #[error("cannot allocate {what}: {sizes} numbers do not fit memory")]
    Memory {
        /// What the memory is for.
        what: &'static str,
        /// The sizes, as a product.
        sizes: String,
    },
}

impl KernelError {
    pub(crate) fn value(name: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Value { name, value: value.to_string(), allowed: allowed.into() }
    }
}

/// Checks that `slice` is a `[rows, columns]` matrix.
pub(crate) fn check_matrix<T>(name: &'static str, slice: &[T], rows: usize, columns: usize) -> Result<(), KernelError> {
    let expected = elements(name, &[rows, columns])?;
    let shape = format!("{rows} x {columns}");
    if slice.len() == expected {
        Ok(())
    } else {
        Err(KernelError::Length { name, found: slice.len(), expected, shape })
    }
}

/// Checks that `slice` has one number for each of `count` things.
pub(crate) fn check_vector<T>(name: &'static str, slice: &[T], count: usize, of: &str) -> Result<(), KernelError> {
    let shape = format!("one for every {of}");
    if slice.len() == count {
        Ok(())
    } else {
        Err(KernelError::Length { name, found: slice.len(), expected: count, shape })
    }
}

/// Checks that every index lies below `end`.
pub(crate) fn check_indices(name: &'static str, indices: &[usize], end: usize) -> Result<(), KernelError> {
    match indices.iter().position(|&index| index >= end) {
        None => Ok(()),
        Some(at) => Err(KernelError::value(name, format!("{} at {at}", indices[at]), format!("below {end}"))),
    }
}

/// A vector of zeros of the given size.
///
/// # Errors
/// [`KernelError::Memory`] where the size overflows or the memory is not to be had.
pub(crate) fn zeros<T: crate::Real>(what: &'static str, sizes: &[usize]) -> Result<Vec<T>, KernelError> {
    let count = elements(what, sizes)?;
    let memory = |_| KernelError::Memory { what, sizes: product(sizes) };
    // `vec![0; n]` gives zeroed pages without touching them, but aborts where there is no memory: ask first.
    Vec::<T>::new().try_reserve_exact(count).map_err(memory)?;
    Ok(vec![T::ZERO; count])
}

/// The product of sizes, where it fits.
pub(crate) fn elements(what: &'static str, sizes: &[usize]) -> Result<usize, KernelError> {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        // A slice may not have more than isize::MAX bytes, and no number here has more than 8.
        .filter(|&count| count <= isize::MAX as usize / 8)
        .ok_or_else(|| KernelError::Memory { what, sizes: product(sizes) })
}

fn product(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ")
}
