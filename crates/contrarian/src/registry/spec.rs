use super::table::{Classes, OBJECTIVES, find};
use crate::{InvalidParameter, LogitObjective};
use serde_json::Value;
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
    #[error("unknown objective `{name}`{}", did_you_mean(nearest.as_deref()))]
    UnknownObjective {
        /// What was written.
        name: String,
        /// The closest registered name, if any is close.
        nearest: Option<String>,
    },
    /// The objective has no such parameter.
    #[error(
        "objective `{objective}` has no parameter `{name}`{}; it takes {}",
        did_you_mean(nearest.as_deref()),
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

/// The end of a message about a name that does not exist: "; did you mean `x`?", or nothing.
pub fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn list_or_none(known: &[String]) -> String {
    if known.is_empty() { "none".into() } else { known.join(", ") }
}

impl ObjectiveSpec {
    /// Builds the objective for a task.
    ///
    /// # Errors
    /// An unknown name or parameter, a value out of range, or a binary objective on a task with more than two classes.
    pub fn build(&self, task: &TaskContext) -> Result<Box<dyn LogitObjective>, RegistryError> {
        let entry = find(&self.name).ok_or_else(|| RegistryError::UnknownObjective {
            name: self.name.clone(),
            nearest: suggest(&self.name, OBJECTIVES.iter().map(|entry| entry.name)),
        })?;
        let classes = task.class_counts.len();
        if entry.classes == Classes::Binary && classes != 2 {
            let any = OBJECTIVES.iter().filter(|entry| entry.classes == Classes::Any);
            let alternatives = any.map(|entry| entry.name.to_string()).collect();
            return Err(RegistryError::BinaryOnly { objective: self.name.clone(), classes, alternatives });
        }
        let config = self.fill((entry.defaults)(), |name, text, default| self.read_for(name, text, default, task))?;
        (entry.build)(config).map_err(|error| self.parameter(error))
    }

    /// The defaults with the parameters that were written in place of theirs.
    pub(super) fn fill(
        &self,
        mut config: Value,
        read: impl Fn(&str, &str, &Value) -> Result<Value, RegistryError>,
    ) -> Result<Value, RegistryError> {
        for (name, text) in &self.parameters {
            let known = config.as_object_mut().expect("configurations are JSON objects");
            let Some(value) = known.get_mut(name) else {
                let known: Vec<String> = known.keys().cloned().collect();
                return Err(RegistryError::UnknownParameter {
                    objective: self.name.clone(),
                    name: name.clone(),
                    nearest: suggest(name, known.iter().map(String::as_str)),
                    known,
                });
            };
            *value = read(name, text, value)?;
        }
        Ok(config)
    }

    /// Reads a value by the type of the default it replaces.
    pub(super) fn read(&self, name: &str, text: &str, default: &Value) -> Result<Value, RegistryError> {
        let wrong = |allowed: &str| self.parameter(InvalidParameter::new(name, format!("`{text}`"), allowed));
        Ok(match default {
            Value::Number(number) if number.is_u64() => {
                text.parse::<u64>().map_err(|_| wrong("a whole number, at least 0"))?.into()
            }
            Value::Number(_) => {
                let number: f64 = text.parse().map_err(|_| wrong("a number"))?;
                serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| wrong("a finite number"))?
            }
            Value::Bool(_) => Value::Bool(text.parse().map_err(|_| wrong("true or false"))?),
            Value::String(_) => Value::String(text.to_string()),
            _ => serde_json::from_str(text).map_err(|_| wrong("a number, a list or null"))?,
        })
    }

    /// [`read`](Self::read) for a task: class weights may be `balanced`, and are as many as there are classes.
    fn read_for(&self, name: &str, text: &str, default: &Value, task: &TaskContext) -> Result<Value, RegistryError> {
        if name != "class_weights" {
            return self.read(name, text, default);
        }
        let wrong = |allowed: &str| self.parameter(InvalidParameter::new(name, format!("`{text}`"), allowed));
        if text == "balanced" {
            return Ok(task.balanced_weights().into());
        }
        let value: Value = serde_json::from_str(text).map_err(|_| wrong("`balanced` or a list such as [1, 10]"))?;
        let classes = task.class_counts.len();
        match value.as_array() {
            Some(list) if list.len() != classes => Err(wrong(&format!("a list of {classes} weights"))),
            _ => Ok(value),
        }
    }

    pub(super) fn parameter(&self, error: InvalidParameter) -> RegistryError {
        RegistryError::Parameter { objective: self.name.clone(), error }
    }
}

impl TaskContext {
    /// `n / (k count_c)`: every class then has the same total weight. A class without examples counts as having one.
    fn balanced_weights(&self) -> Vec<f64> {
        let n: usize = self.class_counts.iter().sum();
        let k = self.class_counts.len() as f64;
        self.class_counts.iter().map(|&count| n as f64 / (k * count.max(1) as f64)).collect()
    }
}

impl FromStr for ObjectiveSpec {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let text = text.trim();
        let error = |reason: &str| RegistryError::Syntax { text: text.into(), reason: reason.into() };
        let (name, inside) = match text.split_once('(') {
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(|| error("the bracket is not closed at the end"))?;
                (name.trim(), inside)
            }
            None => (text, ""),
        };
        if name.is_empty() {
            return Err(error("there is no name"));
        }
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in split_outside_brackets(inside).map_err(|reason| error(&reason))? {
            let (key, value) = part.split_once('=').ok_or_else(|| error("parameters are written name=value"))?;
            let (key, value) = (key.trim().to_string(), value.trim().to_string());
            if parameters.iter().any(|(known, _)| *known == key) {
                return Err(error(&format!("`{key}` is given twice")));
            }
            parameters.push((key, value));
        }
        Ok(Self { name: name.into(), parameters })
    }
}

impl fmt::Display for ObjectiveSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.parameters.is_empty() {
            let parameters: Vec<String> = self.parameters.iter().map(|(key, value)| format!("{key}={value}")).collect();
            write!(f, "({})", parameters.join(", "))?;
        }
        Ok(())
    }
}

/// Reads a comma-separated list of objectives; commas inside brackets belong to the objective.
///
/// # Errors
/// On the first objective that cannot be read, and on an empty list.
pub fn parse_list(text: &str) -> Result<Vec<ObjectiveSpec>, RegistryError> {
    let error = |reason: String| RegistryError::Syntax { text: text.into(), reason };
    let parts = split_outside_brackets(text).map_err(error)?;
    if parts.is_empty() {
        return Err(error("the list is empty".into()));
    }
    parts.into_iter().map(str::parse).collect()
}

/// Splits at commas that are in no bracket; blank text has no parts.
fn split_outside_brackets(text: &str) -> Result<Vec<&str>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1).ok_or("a bracket is closed that was not opened")?,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err("a bracket is not closed".into());
    }
    parts.push(text[start..].trim());
    Ok(parts)
}

/// The candidate nearest to `word`, if one is near enough to be what was meant.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase();
    let scored = candidates.into_iter().map(|c| (strsim::jaro_winkler(&word, &c.to_lowercase()), c));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score > 0.75).then(|| best.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(classes: usize) -> TaskContext {
        TaskContext { class_counts: (1..=classes).map(|c| c * 10).collect() }
    }

    fn error(text: &str, classes: usize) -> String {
        match text.parse::<ObjectiveSpec>().and_then(|spec| spec.build(&task(classes))) {
            Ok(objective) => panic!("{text} was built: {objective:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lists_split_outside_brackets_and_print_as_they_are_read() {
        let list = parse_list(" focal( gamma = 1.5,class_weights=[1, 2] ), mae,any-loss(metric=f1)").unwrap();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["focal(gamma=1.5, class_weights=[1, 2])", "mae", "any-loss(metric=f1)"]);
        assert_eq!(parse_list(&texts.join(", ")).unwrap(), list);
        assert!(list.iter().all(|spec| spec.build(&task(2)).is_ok()));
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, says) in [
            ("", "there is no name"),
            ("focal(gamma=1", "not closed"),
            ("focal(gamma)", "name=value"),
            ("focal(gamma=1, gamma=2)", "given twice"),
            ("focal(gamma=1))", "not opened"),
            ("focl", "did you mean `focal`?"),
            ("focal(gama=2)", "did you mean `gamma`?"),
            ("focal(gamma=two)", "must be a number"),
            ("focal(gamma=nan)", "must be a finite number"),
            ("focal(gamma=-1)", "`gamma` is -1, but must be finite and at least 0"),
            ("focal(class_weights=[1])", "a list of 2 weights"),
            ("focal(class_weights=[1, 0])", "above 0 for every class"),
            ("focal(class_weights=equal)", "`balanced` or a list"),
            ("any-loss(metric=f7)", "f_beta"),
            ("dice(squared=maybe)", "true or false"),
            ("mae(q=1)", "it takes none"),
        ] {
            let message = error(text, 2);
            assert!(message.contains(says), "{text}: {message}");
        }
        let message = error("dice", 3);
        assert!(message.contains("for two classes, and the target has 3") && message.contains("multiclass-dice"));
    }

    #[test]
    fn balanced_weights_give_every_class_the_same_total() {
        let weights = TaskContext { class_counts: vec![90, 10] }.balanced_weights();
        assert_eq!(weights, [100.0 / 180.0, 5.0]);
    }
}
