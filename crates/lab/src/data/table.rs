use super::DataError;
use contrarian::registry::suggest;

/// A table as it was read: named columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Where it comes from, for messages.
    pub name: String,
    /// The columns, in the file's order.
    pub columns: Vec<Column>,
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// The cells.
    pub values: Values,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Finite numbers; NaN is a missing cell.
    Numeric(Vec<f64>),
    /// Texts; `None` is a missing cell.
    Text(Vec<Option<String>>),
}

impl Values {
    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of these rows, in this order.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numeric(values) => Self::Numeric(rows.iter().map(|&row| values[row]).collect()),
            Self::Text(values) => Self::Text(rows.iter().map(|&row| values[row].clone()).collect()),
        }
    }

    /// The cell as text; `None` when it is missing. Whole numbers are written without a fraction.
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            Self::Numeric(values) => Some(values[row]).filter(|v| !v.is_nan()).map(|v| v.to_string()),
            Self::Text(values) => values[row].clone(),
        }
    }
}

impl Table {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// Position of a column.
    ///
    /// # Errors
    /// When there is none of this name; the nearest is suggested.
    pub fn position(&self, name: &str) -> Result<usize, DataError> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let columns: Vec<String> = self.columns.iter().map(|column| column.name.clone()).collect();
            DataError::NoColumn {
                name: name.into(),
                nearest: suggest(name, columns.iter().map(String::as_str)),
                columns,
            }
        })
    }
}
