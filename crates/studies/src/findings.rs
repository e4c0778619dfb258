use crate::claim::Judged;
use serde::{Deserialize, Serialize};

/// What a run of a study found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Findings {
    /// The claims with their verdicts, in the order they are registered.
    pub claims: Vec<Judged>,
    /// Measured values, as tables for people.
    pub tables: Vec<Table>,
    /// Measured values, as charts.
    pub charts: Vec<Chart>,
    /// What a reader should know: data used, likely reasons for what did not hold.
    pub notes: Vec<String>,
    /// Every single measurement, one JSON object each (the lines of `metrics.jsonl`).
    pub measurements: Vec<serde_json::Value>,
}

/// A table of text cells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Column names.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

/// A line chart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
}

/// One line of a chart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// The points, left to right.
    pub points: Vec<(f64, f64)>,
}
