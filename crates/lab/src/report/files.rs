use super::comparison_html;
use crate::compare::Comparison;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {reason}; choose another folder with --out or free some space", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The files of a report.
#[derive(Debug, Clone)]
pub struct Written {
    /// For people.
    pub html: PathBuf,
    /// Everything, for machines.
    pub json: PathBuf,
    /// One line an objective, split and metric, for spreadsheets.
    pub csv: PathBuf,
}

/// Writes `report.html`, `comparison.json` and `results.csv` into a folder, creating it if need be.
///
/// # Errors
/// The first file that could not be written; the others are still tried.
pub fn write_comparison(folder: &Path, comparison: &Comparison) -> Result<Written, ReportError> {
    let written = Written {
        html: folder.join("report.html"),
        json: folder.join("comparison.json"),
        csv: folder.join("results.csv"),
    };
    let json = serde_json::to_string_pretty(comparison).map_err(|error| error.to_string());
    let files = [
        (&written.json, json),
        (&written.csv, csv(comparison)),
        (&written.html, Ok(comparison_html(comparison))),
    ];
    let mut failure = None;
    for (path, text) in files {
        let outcome = text.and_then(|text| write_file(path, &text).map_err(|error| error.to_string()));
        if let (Err(reason), None) = (outcome, &failure) {
            failure = Some(ReportError {
                path: path.clone(),
                reason,
            });
        }
    }
    failure.map_or(Ok(written), Err)
}

/// Writes a whole file or none: into a neighbour first, which then takes its place.
///
/// # Errors
/// When the folder cannot be created or the file not be written; nothing half-written is left under the name.
pub fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || {
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().inspect_err(|_| {
        // Best effort: the error that matters is the first.
        let _ = std::fs::remove_file(&partial);
    })
}

fn csv(comparison: &Comparison) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut lines = vec![["row", "objective", "decision", "metric", "split", "value"].map(String::from)];
    for result in &comparison.results {
        let tuned = if result.tuned_threshold { "tuned" } else { "half" };
        for (metric, summary) in &result.metrics {
            for (split, value) in summary.values.iter().enumerate() {
                let (split, value) = ((split + 1).to_string(), value.to_string());
                let (name, objective) = (result.name.clone(), result.objective.clone());
                lines.push([name, objective, tuned.into(), metric.clone(), split, value]);
            }
        }
    }
    for line in lines {
        writer.write_record(line).map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report.html");
        write_file(&path, "old").unwrap();
        // A folder under the neighbour's name makes the write fail, as a full disk would.
        std::fs::create_dir(folder.path().join("deep/report.html.partial")).unwrap();
        assert!(write_file(&path, "new").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
