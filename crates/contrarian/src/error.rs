use std::fmt;

/// A parameter outside its legal range: which one, its value, and what is allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("parameter `{field}` is {value}, but must be {allowed}")]
pub struct InvalidParameter {
    /// Name of the configuration field.
    pub field: String,
    /// The rejected value, as text.
    pub value: String,
    /// The legal range, completing "must be ...".
    pub allowed: String,
}

impl InvalidParameter {
    /// Names the field, the value that was rejected and the legal range (completing "must be ...").
    pub fn new(field: &str, value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.to_string(), allowed: allowed.into() }
    }
}

/// `Ok` when `holds`, else an [`InvalidParameter`]: the one-line check of the `validate` methods.
///
/// Comparisons with NaN are false, so writing the condition as what must hold also rejects NaN.
pub(crate) fn require(
    holds: bool,
    field: &str,
    value: impl fmt::Display,
    allowed: &str,
) -> Result<(), InvalidParameter> {
    if holds { Ok(()) } else { Err(InvalidParameter::new(field, value, allowed)) }
}
