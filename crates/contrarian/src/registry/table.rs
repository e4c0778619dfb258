use super::ObjectiveConfig;
use crate::classification::CompSumLossConfig;
use crate::{InvalidParameter, LogitObjective};
use serde_json::Value;

/// How many classes an objective can be trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classes {
    /// Two or more.
    Any,
    /// Exactly two; it sees the score `logit_1 - logit_0`.
    Binary,
}

/// One objective that can be built by name.
#[derive(Debug)]
pub struct ObjectiveEntry {
    /// Name on the command line, `comp-sum`.
    pub name: &'static str,
    /// One line: what it is.
    pub summary: &'static str,
    /// The formula, in plain text.
    pub formula: &'static str,
    /// Paper and equation.
    pub source: &'static str,
    /// The paper's slug, when it is one of ours.
    pub paper: Option<&'static str>,
    /// The Rust configuration type, `CompSumLossConfig`.
    pub config: &'static str,
    /// Which tasks it is for.
    pub classes: Classes,
    /// Name and meaning of each parameter; defaults come from [`defaults`](Self::defaults).
    pub parameters: &'static [(&'static str, &'static str)],
    /// Default values by parameter name, as a JSON object.
    pub defaults: fn() -> Value,
    pub(crate) build: fn(Value) -> Result<Box<dyn LogitObjective>, InvalidParameter>,
}

/// Every objective, in the order they are listed.
pub static OBJECTIVES: &[ObjectiveEntry] = &[];

/// The objective with this name.
pub fn find(name: &str) -> Option<&'static ObjectiveEntry> {
    OBJECTIVES.iter().find(|entry| entry.name == name)
}

fn _build<C: ObjectiveConfig>(_v: Value) -> Result<Box<dyn LogitObjective>, InvalidParameter> {
    let _ = CompSumLossConfig::new;
    todo!()
}
