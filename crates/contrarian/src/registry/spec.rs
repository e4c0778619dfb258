use super::table::find;
use crate::{InvalidParameter, LogitObjective};
use std::fmt;
use std::str::FromStr;

/// An objective as a person writes it: a name and inline parameters, `focal(gamma=2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectiveSpec {
    /// The registered name.
    pub name: String,
    /// Parameters in the order they were written, values as text.
    pub parameters: Vec<(String, String)>,
}

/// What the registry must know of the data to build an objective.
#[derive(Debug, Clone)]
pub struct TaskContext {
    /// Training examples of each class: gives the number of classes, and `class_weights=balanced` its weights
    /// `n / (k count_c)`.
    pub class_counts: Vec<usize>,
}

/// Why an objective could not be built from its text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegistryError {
    /// Not of the form `name(key=value, ...)`.
    #[error("cannot read objective `{text}`: {reason}")]
    Syntax {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No objective has this name.
    #[error("unknown objective `{name}`{}", did_you_mean(nearest))]
    UnknownObjective {
        /// What was written.
        name: String,
        /// The closest registered name, if any is close.
        nearest: Option<String>,
    },
    /// The objective has no such parameter.
    #[error(
        "objective `{objective}` has no parameter `{name}`{}; it takes {}",
        did_you_mean(nearest),
        list_or_none(known)
    )]
    UnknownParameter {
        /// The objective.
        objective: String,
        /// What was written.
        name: String,
        /// The closest parameter, if any is close.
        nearest: Option<String>,
        /// All parameters it has.
        known: Vec<String>,
    },
    /// A parameter's value is of the wrong type or out of range.
    #[error("objective `{objective}`: {error}")]
    Parameter {
        /// The objective.
        objective: String,
        /// Which parameter and why.
        error: InvalidParameter,
    },
    /// A binary objective on a task with more classes.
    #[error("objective `{objective}` is for two classes, and the target has {classes}; for more classes use {}", alternatives.join(", "))]
    BinaryOnly {
        /// The objective.
        objective: String,
        /// Classes of the task.
        classes: usize,
        /// Objectives that take any number of classes.
        alternatives: Vec<String>,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|n| format!("; did you mean `{n}`?"))
        .unwrap_or_default()
}

fn list_or_none(known: &[String]) -> String {
    if known.is_empty() {
        "none".into()
    } else {
        known.join(", ")
    }
}

impl ObjectiveSpec {
    /// Builds the objective for a task.
    ///
    /// # Errors
    /// An unknown name or parameter, a value out of range, or a binary objective on a task with more than two classes.
    pub fn build(&self, task: &TaskContext) -> Result<Box<dyn LogitObjective>, RegistryError> {
        let _ = (task, find(&self.name));
        todo!()
    }
}

impl FromStr for ObjectiveSpec {
    type Err = RegistryError;

    fn from_str(_text: &str) -> Result<Self, RegistryError> {
        todo!()
    }
}

impl fmt::Display for ObjectiveSpec {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

/// Reads a comma-separated list of objectives; commas inside brackets belong to the objective.
///
/// # Errors
/// On the first objective that cannot be read.
pub fn parse_list(_text: &str) -> Result<Vec<ObjectiveSpec>, RegistryError> {
    todo!()
}

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub fn suggest<'a>(_word: &str, _candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    todo!()
}
