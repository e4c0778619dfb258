use crate::report::findings_html;
use crate::study::{Preset, Study, StudyRun, find};
use contrarian_lab::report::write_atomically;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Why a run's files could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RunFolderError {
    /// A file could not be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A configuration could not be read.
    #[error("cannot run from {}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// `config.toml`: enough to run the study again.
#[derive(Serialize, Deserialize)]
struct RunConfig {
    paper: String,
    preset: String,
    version: String,
    settings: toml::Table,
}

/// Writes `config.toml`, `metrics.jsonl`, `findings.json` and `report.html` into `folder`, and gives the report's path.
///
/// # Errors
/// When a file cannot be written; the others are still tried, and the first failure is reported.
pub fn write_run(folder: &Path, run: &StudyRun) -> Result<PathBuf, RunFolderError> {
    let config = RunConfig {
        paper: run.id.clone(),
        preset: run.preset.clone(),
        version: run.version.clone(),
        settings: run.settings.clone(),
    };
    let mut metrics = String::new();
    for measurement in &run.findings.measurements {
        let _ = writeln!(metrics, "{measurement}");
    }
    let report = folder.join("report.html");
    let files: [(PathBuf, Result<String, String>); 4] = [
        (folder.join("config.toml"), toml::to_string(&config).map_err(|error| error.to_string())),
        (folder.join("metrics.jsonl"), Ok(metrics)),
        (folder.join("findings.json"), serde_json::to_string_pretty(run).map_err(|error| error.to_string())),
        (report.clone(), Ok(findings_html(run))),
    ];
    let mut outcome = Ok(report);
    for (path, text) in files {
        let written = text.and_then(|text| write_atomically(&path, text.as_bytes()).map_err(|error| error.to_string()));
        if let Err(reason) = written
            && outcome.is_ok()
        {
            outcome = Err(RunFolderError::Write { path, reason });
        }
    }
    outcome
}

/// Reads a `config.toml` back: the study, its preset and its settings.
///
/// # Errors
/// When the file cannot be read, is not such a configuration, or names an unknown study.
pub fn read_config(path: &Path) -> Result<(&'static Study, Preset, toml::Table), RunFolderError> {
    let error = |reason: String| RunFolderError::Config { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
    let config: RunConfig = toml::from_str(&text).map_err(|e| error(e.to_string()))?;
    let study = find(&config.paper).ok_or_else(|| error(format!("there is no study `{}`", config.paper)))?;
    Ok((study, config.preset.parse().map_err(error)?, config.settings))
}
