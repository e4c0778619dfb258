use super::{Column, DataError, Matrix, Table, Values};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From columns to model inputs: medians for missing numbers, standardisation, one-hot texts. Fitted on training rows
/// only, and saved with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableEncoder {
    columns: Vec<Encoder>,
}

/// How one column becomes inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Encoder {
    name: String,
    kind: Kind,
    /// Missing cells among the rows it was fitted on.
    missing: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// `(x - mean) / scale`, a missing x being the median.
    Numeric { median: f64, mean: f64, scale: f64 },
    /// One input a category, then one for all others when some were left out.
    Text { categories: Vec<String>, other: bool },
}

/// Most categories of a text column; rarer ones share one input.
const MAX_CATEGORIES: usize = 50;
/// Stands for a missing text, as a category of its own.
const MISSING: &str = "(missing)";

impl TableEncoder {
    /// Learns medians, scales and categories from the given rows.
    pub fn fit(columns: &[Column], rows: &[usize]) -> Self {
        Self { columns: columns.iter().map(|column| Encoder::fit(column, rows)).collect() }
    }

    /// Number of model inputs.
    pub fn inputs(&self) -> usize {
        self.columns.iter().map(|column| column.kind.width()).sum()
    }

    /// The inputs of the given rows. `columns` are those it was fitted on, or what [`align`](Self::align) gives.
    pub fn transform(&self, columns: &[Column], rows: &[usize]) -> Matrix {
        let cols = self.inputs();
        let mut data = vec![0.0; rows.len() * cols];
        let mut start = 0;
        for (encoder, column) in self.columns.iter().zip(columns) {
            for (index, &row) in rows.iter().enumerate() {
                let place = index * cols + start;
                encoder.kind.write(&column.values, row, &mut data[place..place + encoder.kind.width()]);
            }
            start += encoder.kind.width();
        }
        Matrix { rows: rows.len(), cols, data }
    }

    /// Names of the columns that are read as text.
    pub fn text_columns(&self) -> Vec<String> {
        let text = self.columns.iter().filter(|column| matches!(column.kind, Kind::Text { .. }));
        text.map(|column| column.name.clone()).collect()
    }

    /// What was done to the training rows that a person should know.
    pub fn notes(&self) -> Vec<String> {
        let note = |column: &Encoder| {
            let cells = column.missing;
            match &column.kind {
                Kind::Numeric { median, .. } if cells > 0 => Some(format!(
                    "column `{}`: {cells} missing cells of the training rows take its median {median}",
                    column.name
                )),
                Kind::Text { .. } if cells > 0 => Some(format!(
                    "column `{}`: {cells} missing cells of the training rows are a category of their own",
                    column.name
                )),
                Kind::Text { other: true, .. } => Some(format!(
                    "column `{}`: only its {MAX_CATEGORIES} most frequent categories are told apart",
                    column.name
                )),
                _ => None,
            }
        };
        self.columns.iter().filter_map(note).collect()
    }

    /// Picks the columns of a new table that this was fitted on; other columns are ignored and noted.
    ///
    /// # Errors
    /// When a column is missing, or is text where it was numeric.
    pub fn align(&self, table: &Table) -> Result<(Vec<Column>, Vec<String>), DataError> {
        let find = |encoder: &Encoder| table.columns.iter().find(|column| column.name == encoder.name);
        let missing: Vec<&str> = self.columns.iter().filter(|e| find(e).is_none()).map(|e| e.name.as_str()).collect();
        if !missing.is_empty() {
            let reason = format!("it lacks the columns {} that the model was trained on", missing.join(", "));
            return Err(DataError::Mismatch { reason });
        }
        let mut columns = Vec::new();
        for encoder in &self.columns {
            let column = find(encoder).expect("missing columns were reported above").clone();
            columns.push(match (&encoder.kind, column.values) {
                (Kind::Numeric { .. }, Values::Text(cells)) if cells.iter().any(Option::is_some) => {
                    let first = cells.iter().enumerate().find_map(|(row, cell)| Some((row + 1, cell.as_ref()?)));
                    let (row, cell) = first.expect("some cell is text");
                    let reason = format!(
                        "column `{}` was numeric in training, and is text here (row {row}: `{cell}`)",
                        encoder.name
                    );
                    return Err(DataError::Mismatch { reason });
                }
                // A column of nothing but missing cells has no type of its own.
                (Kind::Numeric { .. }, Values::Text(cells)) => {
                    Column { name: column.name, values: Values::Numeric(vec![f64::NAN; cells.len()]) }
                }
                (_, values) => Column { name: column.name, values },
            });
        }
        let known = |column: &&Column| self.columns.iter().any(|encoder| encoder.name == column.name);
        let extra: Vec<&str> =
            table.columns.iter().filter(|column| !known(column)).map(|column| column.name.as_str()).collect();
        let notes = match extra.is_empty() {
            true => Vec::new(),
            false => vec![format!("columns the model does not use are ignored: {}", extra.join(", "))],
        };
        Ok((columns, notes))
    }
}

impl Encoder {
    fn fit(column: &Column, rows: &[usize]) -> Self {
        let name = column.name.clone();
        match &column.values {
            Values::Numeric(values) => {
                let mut seen: Vec<f64> = rows.iter().map(|&row| values[row]).filter(|v| !v.is_nan()).collect();
                seen.sort_by(f64::total_cmp);
                let missing = rows.len() - seen.len();
                let median = match seen.len() {
                    0 => 0.0,
                    n => f64::midpoint(seen[(n - 1) / 2], seen[n / 2]),
                };
                // Scaled before it is summed: cells near the largest f64 must not overflow.
                let filled: Vec<f64> =
                    rows.iter().map(|&row| if values[row].is_nan() { median } else { values[row] }).collect();
                let size = filled.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
                let n = filled.len().max(1) as f64;
                let mean = filled.iter().map(|v| v / size).sum::<f64>() / n;
                let variance = filled.iter().map(|v| (v / size - mean).powi(2)).sum::<f64>() / n;
                let scale = match variance.sqrt() * size {
                    // Constant in training: the input is then 0 there, and small changes later stay small.
                    scale if scale <= size * 1e-12 => size.max(1.0),
                    scale => scale,
                };
                Self { name, kind: Kind::Numeric { median, mean: mean * size, scale }, missing }
            }
            Values::Text(values) => {
                let missing = rows.iter().filter(|&&row| values[row].is_none()).count();
                let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                for &row in rows {
                    *counts.entry(values[row].as_deref().unwrap_or(MISSING)).or_default() += 1;
                }
                let mut categories: Vec<(&str, usize)> = counts.into_iter().collect();
                categories.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
                let other = categories.len() > MAX_CATEGORIES;
                categories.truncate(MAX_CATEGORIES);
                let mut categories: Vec<String> = categories.into_iter().map(|(text, _)| text.to_string()).collect();
                categories.sort();
                Self { name, kind: Kind::Text { categories, other }, missing }
            }
        }
    }
}

impl Kind {
    fn width(&self) -> usize {
        match self {
            Self::Numeric { .. } => 1,
            Self::Text { categories, other } => categories.len() + usize::from(*other),
        }
    }

    /// Writes the inputs of one cell; `place` is zeroed. A category that training has not seen stays all zero unless
    /// there is an input for others.
    fn write(&self, values: &Values, row: usize, place: &mut [f32]) {
        match self {
            Self::Numeric { median, mean, scale } => {
                let Values::Numeric(values) = values else {
                    unreachable!("columns are aligned before they are encoded")
                };
                let value = if values[row].is_nan() { *median } else { values[row] };
                // Divided first, and held within what f32 and a network can carry.
                place[0] = (value / scale - mean / scale).clamp(-1e6, 1e6) as f32;
            }
            Self::Text { categories, other } => {
                let cell = values.text(row);
                let text = cell.as_deref().unwrap_or(MISSING);
                match categories.binary_search_by(|category| category.as_str().cmp(text)) {
                    Ok(index) => place[index] = 1.0,
                    Err(_) if *other => place[categories.len()] = 1.0,
                    Err(_) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(name: &str, values: &[f64]) -> Column {
        Column { name: name.into(), values: Values::Numeric(values.to_vec()) }
    }

    fn text(name: &str, cells: &[&str]) -> Column {
        let cells = cells.iter().map(|c| Some((*c).to_string()).filter(|c| !c.is_empty())).collect();
        Column { name: name.into(), values: Values::Text(cells) }
    }

    #[test]
    fn only_training_rows_are_learned_from() {
        let columns = [numeric("x", &[1.0, 3.0, f64::NAN, 1000.0]), text("c", &["a", "b", "", "z"])];
        let encoder = TableEncoder::fit(&columns, &[0, 1, 2]);
        assert_eq!(encoder.inputs(), 1 + 3);
        let all = encoder.transform(&columns, &[0, 1, 2, 3]);
        // Median 2 fills the gap: mean 2, standard deviation sqrt(2/3).
        let sd = (2.0f32 / 3.0).sqrt();
        for (row, expected) in [(0, -1.0 / sd), (1, 1.0 / sd), (2, 0.0), (3, 998.0 / sd)] {
            assert!((all.row(row)[0] - expected).abs() < 1e-3, "row {row}: {}", all.row(row)[0]);
        }
        assert_eq!(&all.row(2)[1..], [1.0, 0.0, 0.0], "missing is a category");
        assert_eq!(&all.row(3)[1..], [0.0, 0.0, 0.0], "an unseen category is nothing");
        assert_eq!(encoder.notes().len(), 2);
    }

    #[test]
    fn constants_and_huge_cells_stay_finite() {
        let columns = [numeric("same", &[5.0; 4]), numeric("huge", &[1e308, -1e308, 1e308, 0.0])];
        let encoded = TableEncoder::fit(&columns, &[0, 1, 2]).transform(&columns, &[0, 1, 2, 3]);
        assert!(encoded.data.iter().all(|v| v.is_finite()), "{:?}", encoded.data);
        assert_eq!(encoded.row(0)[0], 0.0);
    }

    #[test]
    fn rare_categories_share_an_input() {
        let cells: Vec<String> = (0..120).map(|i| format!("c{:03}", i % 60)).collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let rows: Vec<usize> = (0..120).collect();
        let encoder = TableEncoder::fit(&[text("c", &cells)], &rows);
        assert_eq!(encoder.inputs(), MAX_CATEGORIES + 1);
        let encoded = encoder.transform(&[text("c", &["c059", "new"])], &[0, 1]);
        assert!((0..2).all(|row| encoded.row(row)[MAX_CATEGORIES] == 1.0));
    }

    #[test]
    fn a_new_table_is_aligned_by_name() {
        let encoder = TableEncoder::fit(&[numeric("x", &[1.0, 2.0]), text("c", &["a", "b"])], &[0, 1]);
        let table = |columns: Vec<Column>| Table { name: "t".into(), columns };
        let (columns, notes) =
            encoder.align(&table(vec![text("c", &["a"]), numeric("extra", &[0.0]), numeric("x", &[2.0])])).unwrap();
        assert_eq!(encoder.transform(&columns, &[0]).data, [1.0, 1.0, 0.0]);
        assert!(notes[0].contains("extra"));
        let error = encoder.align(&table(vec![numeric("y", &[1.0])])).unwrap_err().to_string();
        assert!(error.contains("x, c"), "{error}");
        let error = encoder.align(&table(vec![text("x", &["", "q"]), text("c", &["a", "a"])])).unwrap_err().to_string();
        assert!(error.contains("row 2: `q`"), "{error}");
    }
}
