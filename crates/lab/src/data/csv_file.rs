use super::{Column, DataError, Table, Values};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// How to read a CSV file.
#[derive(Debug, Clone, Default)]
pub struct CsvOptions {
    /// Columns to read as text whatever their cells look like.
    pub categorical: Vec<String>,
    /// Texts that mean a missing cell, besides those that always do.
    pub missing: Vec<String>,
    /// Field delimiter; `None` takes whichever of comma, semicolon and tab the header has most of.
    pub delimiter: Option<u8>,
}

/// Texts that always mean a missing cell (compared without regard to case).
const MISSING: [&str; 6] = ["", "na", "n/a", "nan", "null", "?"];

/// A column is numeric in intent when this part of its cells are numbers; the others are then errors, not categories.
const NUMERIC_INTENT: f64 = 0.8;

/// Reads a CSV file with a header, gzipped if its name ends in `.gz`. Fields are trimmed; a column is numeric when every
/// cell that is not missing is a number.
///
/// # Errors
/// When the file cannot be read, is empty or has only a header; on a ragged line, a repeated column name, text that is not
/// UTF-8, an infinite number, and text in a column that is otherwise numeric. Each names the line.
pub fn load_csv(path: &Path, options: &CsvOptions) -> Result<Table, DataError> {
    let bytes = read(path)?;
    let mut records = Records::open(path, &bytes, options.delimiter)?;
    let mut cells: Vec<Vec<(u64, String)>> = vec![Vec::new(); records.names.len()];
    while let Some((line, fields)) = records.next()? {
        for (column, field) in cells.iter_mut().zip(fields) {
            column.push((line, field));
        }
    }
    let names = records.names;
    if cells.first().is_none_or(Vec::is_empty) {
        let reason = "there is a header but no row below it".into();
        return Err(DataError::NoTable { path: path.into(), reason });
    }

    let mut table =
        Table { name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into()), columns: Vec::new() };
    for (name, cells) in names.into_iter().zip(cells) {
        let values = column(path, &name, cells, options)?;
        table.columns.push(Column { name, values });
    }
    for name in &options.categorical {
        table.position(name)?;
    }
    Ok(table)
}

/// The lines of a table with a header, one at a time.
pub(crate) struct Records<'a> {
    path: &'a Path,
    /// The columns, each with a name of its own.
    pub names: Vec<String>,
    reader: csv::Reader<&'a [u8]>,
}

impl<'a> Records<'a> {
    /// Reads the header; without a delimiter, fields are parted by whichever of comma, semicolon and tab it has most of.
    pub fn open(path: &'a Path, bytes: &'a [u8], delimiter: Option<u8>) -> Result<Self, DataError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            let reason = "the file is empty; a table with a header line is needed".into();
            return Err(DataError::NoTable { path: path.into(), reason });
        }
        let header = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = |delimiter: u8| header.iter().filter(|&&byte| byte == delimiter).count();
        // max_by_key takes the last of equals, so the comma, the usual one, stands last.
        let sniffed = [b'\t', b';', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',');
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter.unwrap_or(sniffed))
            .flexible(true)
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        let mut records = Self { path, names: Vec::new(), reader };
        if let Some((_, names)) = records.record()? {
            check_names(path, &names)?;
            records.names = names;
        }
        Ok(records)
    }

    /// The next line's number and fields, as many as there are columns.
    pub fn next(&mut self) -> Result<Option<(u64, Vec<String>)>, DataError> {
        let found = self.record()?;
        if let Some((line, fields)) = &found
            && fields.len() != self.names.len()
        {
            let reason = format!(
                "it has {} fields, and the header has {}; a field with the delimiter in it must be quoted",
                fields.len(),
                self.names.len()
            );
            return Err(DataError::Line { path: self.path.into(), line: *line, reason });
        }
        Ok(found)
    }

    fn record(&mut self) -> Result<Option<(u64, Vec<String>)>, DataError> {
        let line = self.reader.position().line();
        let error = |line: u64, reason: String| DataError::Line { path: self.path.into(), line, reason };
        let mut record = csv::ByteRecord::new();
        if !self.reader.read_byte_record(&mut record).map_err(|e| error(line, e.to_string()))? {
            return Ok(None);
        }
        let line = record.position().map_or(line, csv::Position::line);
        let fields: Result<Vec<String>, _> = record.iter().map(|field| String::from_utf8(field.to_vec())).collect();
        let fields =
            fields.map_err(|_| error(line, "the text is not UTF-8; save the file as UTF-8 and try again".into()))?;
        Ok(Some((line, fields)))
    }
}

/// The bytes of a file, unpacked where its name ends in `.gz`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |error: std::io::Error| DataError::Unreadable { path: path.into(), reason: error.to_string() };
    if path.is_dir() {
        return Err(DataError::Unreadable { path: path.into(), reason: "it is a folder; name a file".into() });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).map_err(unreadable)?;
    Ok(unpacked)
}

fn check_names(path: &Path, names: &[String]) -> Result<(), DataError> {
    let error = |reason: String| Err(DataError::Line { path: path.into(), line: 1, reason });
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return error(format!("column {} has no name; the first line must name every column", index + 1));
        }
        if let Some(first) = names[..index].iter().position(|other| other == name) {
            return error(format!("columns {} and {} are both called `{name}`; rename one", first + 1, index + 1));
        }
    }
    Ok(())
}

fn column(path: &Path, name: &str, cells: Vec<(u64, String)>, options: &CsvOptions) -> Result<Values, DataError> {
    let is_missing = |text: &str| {
        MISSING.iter().any(|missing| text.eq_ignore_ascii_case(missing)) || options.missing.iter().any(|m| m == text)
    };
    let text_column = |cells: Vec<(u64, String)>| {
        Values::Text(cells.into_iter().map(|(_, text)| Some(text).filter(|text| !is_missing(text))).collect())
    };
    if options.categorical.iter().any(|categorical| categorical == name) {
        return Ok(text_column(cells));
    }
    let mut numbers = Vec::with_capacity(cells.len());
    let mut first_text = None;
    let (mut numeric, mut texts) = (0usize, 0usize);
    for (line, text) in &cells {
        numbers.push(match text.parse::<f64>() {
            _ if is_missing(text) => f64::NAN,
            Ok(number) if number.is_finite() => {
                numeric += 1;
                number
            }
            Ok(_) => {
                let reason = format!(
                    "column `{name}`: `{text}` is infinite; correct the cell, or read it as missing with --missing {text}"
                );
                return Err(DataError::Line { path: path.into(), line: *line, reason });
            }
            Err(_) => {
                texts += 1;
                first_text.get_or_insert((*line, text.clone()));
                f64::NAN
            }
        });
    }
    match first_text {
        None => Ok(Values::Numeric(numbers)),
        Some((line, text)) if numeric as f64 >= NUMERIC_INTENT * (numeric + texts) as f64 => {
            let reason = format!(
                "column `{name}`: `{text}` is not a number, but {numeric} of {} cells are; correct the cell, read it as \
                 missing with --missing {text}, or read the whole column as text with --categorical {name}",
                numeric + texts
            );
            Err(DataError::Line { path: path.into(), line, reason })
        }
        Some(_) => Ok(text_column(cells)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &[u8], options: &CsvOptions) -> Result<Table, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        load_csv(&path, options).map_err(|error| error.to_string())
    }

    #[test]
    fn types_missing_cells_and_delimiters_are_found() {
        let table = load(b"\xef\xbb\xbfa;b;c\n1; x ;\n?;NaN;2.5\n", &CsvOptions::default()).unwrap();
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        let Values::Numeric(a) = &table.columns[0].values else { panic!("a is numeric") };
        assert!(a[0] == 1.0 && a[1].is_nan());
        assert_eq!(table.columns[1].values, Values::Text(vec![Some("x".into()), None]));
        assert_eq!(table.columns[2].values.text(1).as_deref(), Some("2.5"));
        assert_eq!(table.rows(), 2);
    }

    #[test]
    fn gzip_is_transparent_and_the_comma_is_the_default() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        encoder.write_all(b"a,b\n1,\"x, y\"\n").unwrap();
        encoder.finish().unwrap();
        let table = load_csv(&path, &CsvOptions::default()).unwrap();
        assert_eq!(table.columns[1].values, Values::Text(vec![Some("x, y".into())]));
    }

    #[test]
    fn mistakes_name_the_line_and_the_way_out() {
        let numbers: String = (0..9).map(|i| format!("{i},1\n")).collect();
        let mostly = format!("a,b\n{numbers}oops,2\n");
        for (text, says) in [
            (b"".as_slice(), vec!["the file is empty"]),
            (b"a,b\n", vec!["no row below it"]),
            (b"a,b\n1,2\n3\n", vec!["line 3", "1 fields", "header has 2"]),
            (b"a,b,a\n1,2,3\n", vec!["line 1", "columns 1 and 3 are both called `a`"]),
            (b"a,,c\n1,2,3\n", vec!["line 1", "column 2 has no name"]),
            (b"a,b\n1,2\n\xff,3\n", vec!["line 3", "not UTF-8"]),
            (b"a,b\n1,2\n1,-inf\n", vec!["line 3", "column `b`", "infinite", "--missing -inf"]),
            (mostly.as_bytes(), vec!["line 11", "`oops` is not a number", "--categorical a", "--missing oops"]),
        ] {
            let error = load(text, &CsvOptions::default()).unwrap_err();
            assert!(says.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn the_ways_out_work() {
        let numbers: String = (0..9).map(|i| format!("{i},1\n")).collect();
        let text = format!("a,b\n{numbers}oops,2\n");
        let missing = CsvOptions { missing: vec!["oops".into()], ..CsvOptions::default() };
        assert!(matches!(load(text.as_bytes(), &missing).unwrap().columns[0].values, Values::Numeric(_)));
        let categorical = CsvOptions { categorical: vec!["a".into()], ..CsvOptions::default() };
        assert!(matches!(load(text.as_bytes(), &categorical).unwrap().columns[0].values, Values::Text(_)));
        let unknown =
            CsvOptions { categorical: vec!["aa".into()], missing: vec!["oops".into()], ..CsvOptions::default() };
        assert!(load(text.as_bytes(), &unknown).unwrap_err().contains("no column `aa`"));
    }
}
