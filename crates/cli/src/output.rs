use crate::error::CliError;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Prints to standard output; a closed pipe comes back as an error instead of a panic.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// A plain table; columns from `numeric_from` on are right-aligned.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, numeric_from: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(numeric_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// `runs/<kind>/<UTC time>` unless the person named a folder. Created now and proven writable, so that a run of minutes
/// does not end at a folder nobody can write to.
pub fn run_folder(given: Option<&Path>, kind: &str) -> Result<PathBuf, CliError> {
    let folder = given.map_or_else(|| Path::new("runs").join(kind).join(timestamp()), Path::to_path_buf);
    let failed = |error: std::io::Error| {
        let folder = folder.display();
        CliError::Failed(format!("cannot write to the folder {folder}: {error}; choose another with --out"))
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let probe = folder.join(".contrarian-write-test");
    std::fs::write(&probe, b"").map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)?;
    Ok(folder)
}

/// The time in UTC as `2026-11-24T10-15-43Z`, fit for a folder's name and sortable as text.
fn timestamp() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-")
}

/// The day in UTC, `2026-11-24`.
pub fn today() -> String {
    timestamp().chars().take("2026-11-24".len()).collect()
}

/// A p-value as people write it.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "<0.001".into() } else { format!("{p:.3}") }
}
