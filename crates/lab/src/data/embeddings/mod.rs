//! Embeddings with labels: `.npy`, `.safetensors` and CSV files.

mod array;
mod npy;
mod tensors;
#[cfg(test)]
mod tests;

use super::problem::{ordered, usual_target};
use super::{Column, CsvOptions, DataError, Dataset, Matrix, Table, Values, load_csv};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Where the parts of an embedding set are.
#[derive(Debug, Clone, Default)]
pub struct EmbeddingOptions {
    /// File with the labels; without it they are in the file of the embeddings.
    pub labels: Option<PathBuf>,
    /// Column of a CSV file, or tensor of a `.safetensors` file, with the labels. Without it: the only column, a column with
    /// a usual name (`label`, `class`, ...), the only tensor of one dimension.
    pub target: Option<String>,
    /// Tensor of a `.safetensors` file with the embeddings; without it the only one of two dimensions.
    pub tensor: Option<String>,
}

/// Vectors with a class each.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingSet {
    /// Name of the data.
    pub name: String,
    /// The vectors, one a row, finite. A row may be all zeros.
    pub x: Matrix,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// Class names by label, at least two: numbers in their order, or texts in theirs; of two the rarer is last.
    pub classes: Vec<String>,
    /// What a person should know about the data.
    pub notes: Vec<String>,
}

impl EmbeddingSet {
    /// The vectors as labelled rows.
    pub fn into_dataset(self) -> Dataset {
        Dataset { x: self.x, y: self.labels, classes: self.classes.len() }
    }
}

/// Reads embeddings and their labels.
///
/// Embeddings are the rows of a two-dimensional `.npy` array or `.safetensors` tensor, or the columns of a CSV file; whole and
/// floating-point numbers of every size become f32. Labels are whole numbers or texts. Rows without a label are left out and
/// noted; rows of zeros and classes with one example are noted.
///
/// # Errors
/// When a file cannot be read, is cut off, or has another number of dimensions than it should; when an embedding is not
/// finite; when there are not as many labels as rows, or fewer than two classes. Each says where and what to do.
pub fn load_embeddings(path: &Path, options: &EmbeddingOptions) -> Result<EmbeddingSet, DataError> {
    let (x, names) = match &options.labels {
        Some(labels) => (read(path, Want::Embeddings, options)?.0, read(labels, Want::Labels, options)?.1),
        None => read(path, Want::Both, options)?,
    };
    let (x, names) = (x.expect("embeddings were asked for"), names.expect("labels were asked for"));
    check_numbers(path, &x)?;
    if names.len() != x.rows {
        let labels = options.labels.as_deref().unwrap_or(path);
        // The first line of a CSV file counts as its header, so a file without one is a label short.
        let hint = match format_of(labels) {
            Some(Format::Csv) if names.len() + 1 == x.rows => " (the first line is the header)",
            _ => "",
        };
        let reason = format!("it has {} labels{hint} for the {} rows of {}", names.len(), x.rows, path.display());
        return Err(error(labels, reason));
    }
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    EmbeddingSet::from_names(name, x, &names).map_err(|reason| error(options.labels.as_deref().unwrap_or(path), reason))
}

impl EmbeddingSet {
    /// Numbers the classes of as many names as there are rows; `None` is a row without a label.
    fn from_names(name: String, mut x: Matrix, names: &[Option<String>]) -> Result<Self, String> {
        let mut notes = Vec::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in names.iter().flatten() {
            *counts.entry(name).or_default() += 1;
        }
        match counts.len() {
            0 => return Err("no row has a label".into()),
            1 => {
                return Err(format!(
                    "every row is of the class `{}`; two classes are needed",
                    counts.keys().next().copied().unwrap_or_default()
                ));
            }
            _ => {}
        }
        let kept: Vec<usize> = (0..names.len()).filter(|&row| names[row].is_some()).collect();
        if kept.len() < names.len() {
            notes.push(format!("{} rows without a label are left out", names.len() - kept.len()));
            x = x.gather(&kept);
        }
        let zeros = (0..x.rows).filter(|&row| x.row(row).iter().all(|v| *v == 0.0)).count();
        if zeros > 0 {
            notes.push(format!(
                "{zeros} of {} rows are all zeros: they have no direction, and their cosine similarity to every row counts \
                 as 0",
                x.rows
            ));
        }
        let alone: Vec<&str> = counts.iter().filter(|(_, rows)| **rows == 1).map(|(class, _)| *class).collect();
        if let Some(first) = alone.first() {
            notes.push(format!(
                "{} classes have one example (`{first}`{}): they have no positive pair, and retrieval does not ask for them",
                alone.len(),
                if alone.len() > 1 { ", ..." } else { "" }
            ));
        }
        let classes = ordered(&counts, None)?;
        let label_of: HashMap<&str, usize> = classes.iter().enumerate().map(|(i, class)| (class.as_str(), i)).collect();
        let labels = names.iter().flatten().map(|name| label_of[name.as_str()]).collect();
        Ok(Self { name, x, labels, classes, notes })
    }
}

/// Embeddings and labels of one file.
type Parts = (Option<Matrix>, Option<Vec<Option<String>>>);

/// What is asked for from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Embeddings,
    Labels,
    Both,
}

impl Want {
    fn embeddings(self) -> bool {
        self != Self::Labels
    }

    fn labels(self) -> bool {
        self != Self::Embeddings
    }
}

fn read(path: &Path, want: Want, options: &EmbeddingOptions) -> Result<Parts, DataError> {
    let Some(format) = format_of(path) else {
        let reason = "a file that ends in .npy, .safetensors, .csv or .csv.gz is needed (an .npz archive holds several arrays: \
                      save the one to use with numpy.save)";
        return Err(error(path, reason));
    };
    if format == Format::Csv {
        return columns(path, want, options.target.as_deref());
    }
    let failed = |reason: String| error(path, reason);
    let file = std::fs::read(path)
        .map_err(|error| DataError::Unreadable { path: path.to_path_buf(), reason: error.to_string() })?;
    if format == Format::Npy {
        if want == Want::Both {
            let reason = "an .npy file holds the embeddings alone; name a file with their labels with --labels";
            return Err(error(path, reason));
        }
        let array = npy::read(&file).map_err(failed)?;
        let x = want.embeddings().then(|| array.matrix()).transpose().map_err(failed)?;
        return Ok((x, want.labels().then(|| array.names()).transpose().map_err(failed)?));
    }
    let tensors = tensors::read(&file).map_err(failed)?;
    let x = || tensors::choose(&tensors, options.tensor.as_deref(), 2, "embeddings", "--tensor")?.matrix();
    let names = || tensors::choose(&tensors, options.target.as_deref(), 1, "labels", "--target")?.names();
    let x = want.embeddings().then(x).transpose().map_err(failed)?;
    Ok((x, want.labels().then(names).transpose().map_err(failed)?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Tensors,
    Csv,
}

/// The format a file's name tells.
fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".npy"]) {
        return Some(Format::Npy);
    }
    if ends(&[".safetensors"]) {
        return Some(Format::Tensors);
    }
    ends(&[".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt"]).then_some(Format::Csv)
}

fn columns(path: &Path, want: Want, target: Option<&str>) -> Result<Parts, DataError> {
    let mut table = load_csv(path, &CsvOptions::default())?;
    if headless(&table) {
        let reason = "its first line looks like numbers of a row; a header that names every column is needed";
        return Err(error(path, reason));
    }
    let mut labels = None;
    if want.labels() {
        let position = match (target, &table.columns[..]) {
            (Some(name), _) => table.position(name)?,
            (None, [_]) if want == Want::Labels => 0,
            (None, _) => usual_target(&table).ok_or_else(|| {
                let names: Vec<&str> = table.columns.iter().take(8).map(|column| column.name.as_str()).collect();
                let more = if table.columns.len() > names.len() { ", ..." } else { "" };
                let reason = format!(
                    "which column holds the labels? name it with --target, or a file with --labels; the columns are {}{more}",
                    names.join(", ")
                );
                error(path, reason)
            })?,
        };
        labels = Some(names(path, &table.columns.remove(position))?);
    }
    Ok((want.embeddings().then(|| matrix(path, &table)).transpose()?, labels))
}

/// Whether the names of the columns are numbers, and not just counted.
fn headless(table: &Table) -> bool {
    let numbers: Vec<f64> = table.columns.iter().map_while(|column| column.name.parse().ok()).collect();
    let counted = |from: f64| numbers.iter().enumerate().all(|(index, number)| *number == from + index as f64);
    numbers.len() == table.columns.len() && !counted(0.0) && !counted(1.0)
}

fn names(path: &Path, column: &Column) -> Result<Vec<Option<String>>, DataError> {
    if let Values::Numeric(values) = &column.values
        && let Some((row, value)) = values.iter().enumerate().find(|(_, value)| value.fract() != 0.0 && !value.is_nan())
    {
        let reason =
            format!("column `{}`, row {row}: {value} is no label; labels are whole numbers or texts", column.name);
        return Err(error(path, reason));
    }
    Ok((0..column.values.len()).map(|row| column.values.text(row)).collect())
}

fn matrix(path: &Path, table: &Table) -> Result<Matrix, DataError> {
    let mut columns = Vec::with_capacity(table.columns.len());
    for column in &table.columns {
        match &column.values {
            Values::Numeric(values) => columns.push(values),
            Values::Text(_) => {
                let reason = format!(
                    "column `{}` holds texts, but embeddings are numbers: remove it, or name it as the labels with --target",
                    column.name
                );
                return Err(error(path, reason));
            }
        }
    }
    let (rows, cols) = (table.rows(), columns.len());
    let data = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row] as f32)).collect();
    Ok(Matrix { rows, cols, data })
}

/// Refuses empty embeddings and such that are not finite.
fn check_numbers(path: &Path, x: &Matrix) -> Result<(), DataError> {
    if x.rows == 0 || x.cols == 0 {
        return Err(error(
            path,
            format!("it has {} rows of {} numbers; there is nothing to learn from", x.rows, x.cols),
        ));
    }
    let mut wrong = x.data.iter().enumerate().filter(|(_, value)| !value.is_finite());
    let Some((at, value)) = wrong.next() else { return Ok(()) };
    let others = wrong.count();
    let (row, column) = (at / x.cols, at % x.cols);
    let more = if others > 0 { format!(", and {others} more numbers are not finite") } else { String::new() };
    Err(error(
        path,
        format!("row {row}, column {column} (from 0) is {value} as a 32-bit number{more}; fill or leave out such rows"),
    ))
}

fn error(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Embeddings { path: path.to_path_buf(), reason: reason.into() }
}
