use super::comparison_html;
use crate::compare::{Comparison, ObjectiveResult, Summary};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// Where the files of a report are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The report for people.
    pub html: PathBuf,
    /// Everything the comparison found.
    pub json: PathBuf,
    /// One line an objective, split and metric.
    pub csv: PathBuf,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder could not be created.
    #[error("cannot create the folder {}: {source}; {}", path.display(), advice(source))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}; {}", path.display(), advice(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The results could not be put into a format.
    #[error("cannot write the results as {format}: {reason}")]
    Encode {
        /// The format.
        format: &'static str,
        /// What the encoder says.
        reason: String,
    },
    /// More than one file could not be written.
    #[error("{}", lines(.0))]
    Several(Vec<ReportError>),
}

/// Writes `report.html`, `comparison.json` and `results.csv` into `dir`, creating it where it is missing. Each file
/// appears whole or not at all, and one that fails does not keep the others from being written.
///
/// # Errors
///
/// When the folder cannot be created or a file cannot be written.
pub fn write_comparison(dir: &Path, comparison: &Comparison) -> Result<Written, ReportError> {
    fs::create_dir_all(dir).map_err(|source| ReportError::Folder { path: dir.to_owned(), source })?;
    let written =
        Written { html: dir.join("report.html"), json: dir.join("comparison.json"), csv: dir.join("results.csv") };
    // The numbers first: where space is short, they matter most.
    let json = serde_json::to_vec_pretty(comparison)
        .map_err(|error| ReportError::Encode { format: "JSON", reason: error.to_string() })
        .and_then(|bytes| write_atomically(&written.json, &bytes));
    let csv = results_csv(comparison).and_then(|text| write_atomically(&written.csv, text.as_bytes()));
    let html = write_atomically(&written.html, comparison_html(comparison).as_bytes());
    let mut errors: Vec<ReportError> = [html, json, csv].into_iter().filter_map(Result::err).collect();
    match errors.len() {
        0 => Ok(written),
        1 => Err(errors.remove(0)),
        _ => Err(ReportError::Several(errors)),
    }
}

/// Writes a file by way of a temporary one beside it: a reader sees the old file or the new one, never a part.
///
/// # Errors
///
/// When the file cannot be written; the temporary one is gone then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let result = fill(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    result.map_err(|source| {
        // A leftover is only untidy; the first error is the one to report.
        let _ = fs::remove_file(&temporary);
        ReportError::Write { path: path.to_owned(), source }
    })
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The results with one line an objective, decision rule, metric and split; a value that is no number is left empty.
///
/// # Errors
///
/// When the CSV encoder refuses.
pub fn results_csv(comparison: &Comparison) -> Result<String, ReportError> {
    let encode = |reason: String| ReportError::Encode { format: "CSV", reason };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["row", "objective", "decision", "split", "metric", "value"];
    writer.write_record(header).map_err(|error| encode(error.to_string()))?;
    let plain = if comparison.data.classes.len() == 2 { "one_half" } else { "largest_probability" };
    for row in &comparison.results {
        let own = if row.tuned_threshold { "validation_threshold" } else { plain };
        let mut tables: Vec<(&str, &BTreeMap<String, Summary>)> = vec![(own, &row.metrics)];
        if !row.tuned_threshold {
            tables.push(("validation_threshold", &row.metrics_at_tuned_threshold));
        }
        for (decision, metrics) in tables {
            for (metric, summary) in metrics {
                for (split, value) in numbered(comparison, row, &summary.values) {
                    let split = split.map_or_else(String::new, |split| split.to_string());
                    let value = if value.is_finite() { value.to_string() } else { String::new() };
                    let record = [row.name.as_str(), &row.objective, decision, &split, metric, &value];
                    writer.write_record(record).map_err(|error| encode(error.to_string()))?;
                }
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| encode(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| encode(error.to_string()))
}

/// Values with their split, from 1. The results hold one value a split that gave one, so the splits that failed are
/// skipped; where even then the counts do not match, the split is left open.
fn numbered(comparison: &Comparison, row: &ObjectiveResult, values: &[f64]) -> Vec<(Option<usize>, f64)> {
    let failed: BTreeSet<usize> = comparison
        .failures
        .iter()
        .filter(|failure| failure.objective == row.name || failure.objective == row.objective)
        .map(|failure| failure.split)
        .collect();
    let splits = comparison.settings.splits;
    let numbers: Vec<usize> = if values.len() == splits {
        (1..=splits).collect()
    } else {
        (1..=splits).filter(|split| !failed.contains(split)).collect()
    };
    let known = numbers.len() == values.len();
    values.iter().enumerate().map(|(index, value)| (known.then(|| numbers[index]), *value)).collect()
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a folder you may write to",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space or choose a folder on another disk",
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => "a file is in the way: choose another folder",
        ErrorKind::IsADirectory => "a folder is in the way: move it or choose another one",
        _ => "choose another folder or try again",
    }
}

fn lines(errors: &[ReportError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
