use super::collection::{Collection, Document, Query, by_id};
use crate::data::DataError;
use crate::metrics::Relevance;
use flate2::read::MultiGzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Fields that may hold the name of an entry, and its text.
const ID: [&str; 3] = ["_id", "id", "doc_id"];
const TEXT: [&str; 3] = ["text", "abstract", "claim"];

/// Loads a folder in BEIR form: `corpus.jsonl` and `queries.jsonl` (each line an object with `_id`, `text` and perhaps `title`), and
/// `qrels/*.tsv` (query, document and grade, with or without a header). Files may be gzipped.
///
/// The original layout of SciFact is read as well: `doc_id` with `abstract`, `claims_*.jsonl` with `claim`, and `qrels_*.tsv` beside
/// them. Names that are numbers, and texts that are lists of sentences, will do.
///
/// Of entries with one name the first is kept; judgements of unknown queries or documents, and queries without a relevant document,
/// are left out. Each is noted.
///
/// # Errors
/// When a file is missing, is not UTF-8, a line is no such object, or nothing is left; line and file are named.
pub fn load_beir(folder: &Path) -> Result<Collection, DataError> {
    let mut notes = Vec::new();
    let corpus = existing(folder, "corpus.jsonl").ok_or_else(|| DataError::Unreadable {
        path: folder.join("corpus.jsonl"),
        reason: "there is no such file, nor corpus.jsonl.gz; a folder in BEIR form has corpus.jsonl, queries.jsonl and qrels/*.tsv".into(),
    })?;
    let entries = read_entries(&corpus, "document", &mut notes)?;
    let documents: Vec<Document> =
        entries.into_iter().map(|Entry { id, title, text }| Document { id, title, text }).collect();
    let empty = documents.iter().filter(|document| document.full_text().trim().is_empty()).count();
    if empty > 0 {
        notes.push(format!("{empty} of {} documents are empty: nothing can find them", documents.len()));
    }
    let mut query_files: Vec<PathBuf> = existing(folder, "queries.jsonl").into_iter().collect();
    if query_files.is_empty() {
        query_files = listed(folder, "claims_", ".jsonl");
    }
    if query_files.is_empty() {
        let reason = "there is no such file, nor queries.jsonl.gz".into();
        return Err(DataError::Unreadable { path: folder.join("queries.jsonl"), reason });
    }
    let mut queries: Vec<Query> = Vec::new();
    for path in &query_files {
        let entries = read_entries(path, "query", &mut notes)?;
        queries.extend(entries.into_iter().map(|Entry { id, text, .. }| Query { id, text }));
    }
    let mut qrels = listed(&folder.join("qrels"), "", ".tsv");
    qrels.extend(listed(folder, "qrels_", ".tsv"));
    if qrels.is_empty() {
        let reason = "there is no file of judgements: qrels/train.tsv, qrels/test.tsv".into();
        return Err(DataError::Unreadable { path: folder.join("qrels"), reason });
    }
    let query_numbers = by_id(queries.iter().map(|query| &query.id));
    let document_numbers = by_id(documents.iter().map(|document| &document.id));
    let mut parts = BTreeMap::new();
    for path in qrels {
        let mut grades: BTreeMap<usize, Vec<(usize, u32)>> = BTreeMap::new();
        let mut unknown: (usize, String) = (0, String::new());
        for judgement in read_qrels(&path)? {
            match (query_numbers.get(judgement.query.as_str()), document_numbers.get(judgement.document.as_str())) {
                (Some(&query), Some(&document)) => grades.entry(query).or_default().push((document, judgement.grade)),
                (query, _) => {
                    let (kind, id) =
                        if query.is_none() { ("query", judgement.query) } else { ("document", judgement.document) };
                    if unknown.0 == 0 {
                        unknown.1 = format!("{kind} `{id}`");
                    }
                    unknown.0 += 1;
                }
            }
        }
        let name = part_name(&path);
        if unknown.0 > 0 {
            let text = format!(
                "{} judgements of {name} name something unknown (first {}); they are left out",
                unknown.0, unknown.1
            );
            notes.push(text);
        }
        let judged: Vec<(usize, Relevance)> =
            grades.into_iter().map(|(query, grades)| (query, Relevance::new(grades))).collect();
        let all = judged.len();
        let with: Vec<_> = judged.into_iter().filter(|(_, relevance)| !relevance.is_empty()).collect();
        if with.len() < all {
            notes.push(format!("{} queries of {name} have no relevant document; they are left out", all - with.len()));
        }
        parts.insert(name, with);
    }
    if parts.values().all(Vec::is_empty) {
        let reason =
            "no query has a relevant document: check that the names in the judgements are those in the files".into();
        return Err(DataError::Unreadable { path: folder.join("qrels"), reason });
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Ok(Collection { name: name.unwrap_or_else(|| "collection".into()), documents, queries, parts, notes })
}

/// Reads a JSON Lines file of texts with names: objects with `_id` and `text`, as in BEIR's `queries.jsonl`.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or a line is no such object; the line is named.
pub fn read_texts(path: &Path) -> Result<Vec<(String, String)>, DataError> {
    let entries = read_entries(path, "text", &mut Vec::new())?;
    Ok(entries.into_iter().map(|Entry { id, text, .. }| (id, text)).collect())
}

struct Entry {
    id: String,
    title: String,
    text: String,
}

fn existing(folder: &Path, name: &str) -> Option<PathBuf> {
    [folder.join(name), folder.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// Files of a folder by prefix and ending, gzipped or not, in the order of their names.
fn listed(folder: &Path, prefix: &str, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let fits = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(prefix) && name.trim_end_matches(".gz").ends_with(ending)
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(fits).collect();
    paths.sort();
    paths
}

/// `qrels/test.tsv` and `qrels_test.tsv` are `test`.
fn part_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    stem.strip_prefix("qrels_").unwrap_or(stem).into()
}

/// The lines of a file, each with its number from 1.
fn lines(path: &Path) -> Result<Vec<(u64, String)>, DataError> {
    let unreadable = |error: std::io::Error| DataError::Unreadable { path: path.into(), reason: error.to_string() };
    let file = File::open(path).map_err(unreadable)?;
    let reader: Box<dyn Read> = match path.extension().is_some_and(|extension| extension == "gz") {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = BufReader::new(reader);
    let (mut found, mut bytes) = (Vec::new(), Vec::new());
    for number in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(unreadable)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| DataError::Line {
            path: path.into(),
            line: number,
            reason: format!("byte {} is not UTF-8; save the file as UTF-8", error.valid_up_to() + 1),
        })?;
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            found.push((number, text.to_string()));
        }
    }
    Ok(found)
}

fn read_entries(path: &Path, what: &str, notes: &mut Vec<String>) -> Result<Vec<Entry>, DataError> {
    let (mut entries, mut seen): (Vec<Entry>, HashSet<String>) = (Vec::new(), HashSet::new());
    let mut repeated: (usize, String) = (0, String::new());
    for (line, text) in lines(path)? {
        let wrong = |reason: String| DataError::Line { path: path.into(), line, reason };
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| wrong(format!("this is no JSON ({error}); a line is one object with `_id` and `text`")))?;
        let field = |names: &[&str]| names.iter().find_map(|name| value.get(name)).and_then(as_text);
        let id = field(&ID).ok_or_else(|| wrong(format!("the {what} has no `_id`")))?;
        let text = field(&TEXT).ok_or_else(|| wrong(format!("{what} `{id}` has no `text`")))?;
        if seen.insert(id.clone()) {
            entries.push(Entry { id, title: field(&["title"]).unwrap_or_default(), text });
        } else {
            if repeated.0 == 0 {
                repeated.1 = format!("`{id}` on line {line}");
            }
            repeated.0 += 1;
        }
    }
    if entries.is_empty() {
        return Err(DataError::Unreadable { path: path.into(), reason: format!("there is no {what} in it") });
    }
    if repeated.0 > 0 {
        let (count, first) = repeated;
        notes.push(format!(
            "{}: {count} names occur again (first {first}); the first {what} of a name is kept",
            path.display()
        ));
    }
    Ok(entries)
}

/// A text, a number, or a list of texts joined by spaces.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(parts) => {
            let parts: Option<Vec<&str>> = parts.iter().map(Value::as_str).collect();
            Some(parts?.join(" "))
        }
        _ => None,
    }
}

struct Line {
    query: String,
    document: String,
    grade: u32,
}

fn read_qrels(path: &Path) -> Result<Vec<Line>, DataError> {
    let mut judgements = Vec::new();
    for (at, (line, text)) in lines(path)?.into_iter().enumerate() {
        let wrong = |reason: String| DataError::Line { path: path.into(), line, reason };
        let cells: Vec<&str> =
            if text.contains('\t') { text.split('\t').collect() } else { text.split_whitespace().collect() };
        // BEIR has three columns; TREC has an unused one after the query.
        let (query, document, grade) = match cells[..] {
            [query, document, grade] | [query, _, document, grade] => (query.trim(), document.trim(), grade.trim()),
            _ => {
                return Err(wrong(format!(
                    "{} columns; a line is query, document and grade with tabs between",
                    cells.len()
                )));
            }
        };
        match grade.parse::<f64>() {
            // Grades below 0 mean not relevant, as in trec_eval.
            Ok(grade) if grade.fract() == 0.0 && grade <= f64::from(u32::MAX) => {
                let judgement = Line { query: query.into(), document: document.into(), grade: grade.max(0.0) as u32 };
                judgements.push(judgement);
            }
            // The header.
            Err(_) if at == 0 => {}
            _ => return Err(wrong(format!("grade `{grade}` is no whole number"))),
        }
    }
    Ok(judgements)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("qrels")).unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    const CORPUS: &[u8] = b"{\"_id\":\"a\",\"title\":\"T\",\"text\":\"one\"}\n\n{\"_id\":\"b\",\"text\":\"\"}\n{\"_id\":\"a\",\"text\":\"again\"}\n";
    const QUERIES: &[u8] = b"\xef\xbb\xbf{\"_id\":7,\"text\":\"asks\"}\r\n{\"_id\":\"8\",\"text\":\"more\"}";
    const QRELS: &[u8] = b"query-id\tcorpus-id\tscore\n7\ta\t2\n7\tnone\t1\n9\ta\t1\n8\tb\t0\n";

    #[test]
    fn a_folder_is_read_and_its_faults_are_noted() {
        let folder = folder(&[("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", QRELS)]);
        let collection = load_beir(folder.path()).unwrap();
        assert_eq!(collection.documents.len(), 2);
        assert_eq!(collection.documents[0].full_text(), "T one");
        assert_eq!(collection.queries[0], Query { id: "7".into(), text: "asks".into() });
        assert_eq!(collection.parts["test"], [(0, Relevance::new([(0, 2)]))]);
        let notes = collection.notes.join("\n");
        for expected in [
            "1 of 2 documents are empty",
            "`a` on line 4",
            "2 judgements of test",
            "document `none`",
            "1 queries of test",
        ] {
            assert!(notes.contains(expected), "{expected}: {notes}");
        }
    }

    #[test]
    fn broken_files_are_named_with_their_line() {
        let error = |files: &[(&str, &[u8])]| load_beir(folder(files).path()).unwrap_err().to_string();
        let good: [(&str, &[u8]); 3] =
            [("corpus.jsonl", CORPUS), ("queries.jsonl", QUERIES), ("qrels/test.tsv", QRELS)];
        let with = |at: usize, bytes: &'static [u8]| {
            let mut files = good;
            files[at].1 = bytes;
            error(&files)
        };
        assert!(with(0, b"{\"_id\":\"a\",\"text\":\"x\"}\n{broken").contains("corpus.jsonl line 2: this is no JSON"));
        assert!(with(0, b"{\"text\":\"x\"}").contains("line 1: the document has no `_id`"));
        assert!(with(0, b"{\"_id\":\"a\",\"text\":null}").contains("document `a` has no `text`"));
        assert!(with(0, b"").contains("no document"));
        assert!(with(1, b"{\"_id\":1,\"text\":\"\xff\"}").contains("queries.jsonl line 1: byte 18 is not UTF-8"));
        assert!(with(2, b"7\ta\tyes\n7\ta\tno\n").contains("test.tsv line 2: grade `no`"));
        assert!(with(2, b"7 a\n").contains("2 columns"));
        assert!(with(2, b"1\ta\t1\n").contains("no query has a relevant document"));
        assert!(error(&good[..2]).contains("no file of judgements"));
        assert!(error(&good[1..]).contains("corpus.jsonl"));
    }

    #[test]
    fn the_layout_of_scifact_is_read() {
        let folder = folder(&[
            ("corpus.jsonl", b"{\"doc_id\": 4, \"title\": \"T\", \"abstract\": [\"One.\", \"Two.\"]}\n"),
            ("claims_dev.jsonl", b"{\"id\": 1, \"claim\": \"so\"}"),
            ("claims_train.jsonl", b"{\"id\": 2, \"claim\": \"no\"}"),
            ("qrels_dev.tsv", b"1\t4\t1\n"),
        ]);
        let collection = load_beir(folder.path()).unwrap();
        assert_eq!(collection.documents[0].full_text(), "T One. Two.");
        assert_eq!((collection.queries.len(), collection.parts["dev"].len()), (2, 1));
    }
}
