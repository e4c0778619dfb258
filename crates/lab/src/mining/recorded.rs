use super::generator::{GeneratorError, TextGenerator, TextRequest};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A line of a file of texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    query_id: String,
    text: String,
    /// The query's words, where they were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    /// Who wrote the text, where it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// Texts by query, in memory and in a file of JSON lines.
#[derive(Debug)]
pub(super) struct Answers {
    path: PathBuf,
    known: HashMap<String, Answer>,
    /// Where new ones go; none for a file that is only read.
    file: Option<File>,
}

impl Answers {
    /// Reads a file; of a query with several lines the last counts.
    fn read(path: &Path) -> Result<Self, GeneratorError> {
        let text = std::fs::read_to_string(path).map_err(|error| at(path, error.to_string()))?;
        Ok(Self { path: path.into(), known: parse(path, &text)?, file: None })
    }

    /// Reads a file to go on with, or starts one. A last line that was cut off while being written is removed.
    pub(super) fn resume(path: &Path, model: &str) -> Result<Self, GeneratorError> {
        let problem = |error: std::io::Error| at(path, error.to_string());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(problem(error)),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|error| at(path, error.to_string()))?;
        let mut known = parse(path, text)?;
        if let Some(other) = known.values().filter_map(|answer| answer.model.as_deref()).find(|by| *by != model) {
            return Err(at(path, format!("holds texts by {other}; give {model} a file of its own")));
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(problem)?;
        if let Ok(last) = serde_json::from_slice::<Answer>(&bytes[whole..]) {
            // Whole but for the end of the line, as editors leave it.
            known.insert(last.query_id.clone(), last);
            file.write_all(b"\n").map_err(problem)?;
        } else {
            file.set_len(whole as u64).map_err(problem)?;
        }
        Ok(Self { path: path.into(), known, file: Some(file) })
    }

    /// The text of a query, if there is one.
    pub(super) fn get(&self, request: &TextRequest) -> Result<Option<&str>, GeneratorError> {
        let query = || request.query_id.clone();
        match self.known.get(&request.query_id) {
            None => Ok(None),
            Some(answer) if answer.query.as_ref().is_some_and(|words| *words != request.query) => {
                Err(GeneratorError::Changed { query: query(), path: self.path.clone() })
            }
            Some(answer) if answer.text.trim().is_empty() => Err(GeneratorError::Empty { query: query() }),
            Some(answer) => Ok(Some(&answer.text)),
        }
    }

    /// Keeps a text, on the disk before this returns.
    pub(super) fn add(&mut self, request: &TextRequest, text: &str, model: &str) -> Result<(), GeneratorError> {
        let answer = Answer {
            query_id: request.query_id.clone(),
            text: text.into(),
            query: Some(request.query.clone()),
            model: Some(model.into()),
        };
        let mut line = serde_json::to_vec(&answer).expect("texts are JSON");
        line.push(b'\n');
        self.known.insert(request.query_id.clone(), answer);
        let file = self.file.as_mut().expect("opened to go on with");
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(|error| at(&self.path, error.to_string()))
    }
}

fn at(path: &Path, reason: String) -> GeneratorError {
    GeneratorError::File { path: path.into(), reason }
}

fn parse(path: &Path, text: &str) -> Result<HashMap<String, Answer>, GeneratorError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let answer: Answer = serde_json::from_str(line).map_err(|error| {
                let wanted = r#"a line is {"query_id": "...", "text": "..."}"#;
                at(path, format!("line {}: {error}; {wanted}", number + 1))
            })?;
            Ok((answer.query_id.clone(), answer))
        })
        .collect()
}

/// Texts that another program wrote: a file of JSON lines, each with a `query_id` and a `text`.
///
/// Where a line also has the `query`, it must be the one that is asked for. What [`ChatGenerator`](super::ChatGenerator) records is
/// such a file.
#[derive(Debug)]
pub struct RecordedGenerator {
    answers: Answers,
}

impl RecordedGenerator {
    /// Reads the file; of a query with several lines the last counts.
    ///
    /// # Errors
    /// When it cannot be read, or a line is none of this form (with its number).
    pub fn open(path: &Path) -> Result<Self, GeneratorError> {
        Ok(Self { answers: Answers::read(path)? })
    }
}

impl TextGenerator for RecordedGenerator {
    fn generate(&self, request: &TextRequest) -> Result<String, GeneratorError> {
        let missing = || GeneratorError::Missing { query: request.query_id.clone(), path: self.answers.path.clone() };
        self.answers.get(request)?.map(String::from).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, query: &str) -> TextRequest {
        TextRequest { query_id: id.into(), query: query.into(), positive: None }
    }

    #[test]
    fn texts_come_from_their_lines_and_bad_lines_have_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let lines = "{\"query_id\":\"a\",\"text\":\"old\"}\n\n{\"query_id\":\"a\",\"text\":\"new\",\"score\":1}\n\
                     {\"query_id\":\"b\",\"text\":\" \"}\n{\"query_id\":\"c\",\"text\":\"x\",\"query\":\"blue whale\"}\n";
        std::fs::write(&path, lines).unwrap();
        let recorded = RecordedGenerator::open(&path).unwrap();
        assert_eq!(recorded.generate(&request("a", "any")).unwrap(), "new");
        assert_eq!(recorded.generate(&request("c", "blue whale")).unwrap(), "x");
        assert!(matches!(recorded.generate(&request("b", "")), Err(GeneratorError::Empty { .. })));
        assert!(matches!(recorded.generate(&request("c", "red fox")), Err(GeneratorError::Changed { .. })));
        let error = recorded.generate(&request("d", "")).unwrap_err().to_string();
        assert!(error.contains("query d") && error.contains("texts.jsonl"), "{error}");
        std::fs::write(&path, "{\"query_id\":\"a\",\"text\":\"x\"}\n{\"text\":1}\n").unwrap();
        let error = RecordedGenerator::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("query_id"), "{error}");
        assert!(RecordedGenerator::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_file_is_gone_on_with_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        Answers::resume(&path, "m").unwrap().add(&request("a", "q"), "one", "m").unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for (tail, known) in [("{\"query_id\":\"b\",\"te", false), ("{\"query_id\":\"b\",\"text\":\"two\"}", true)] {
            std::fs::write(&path, format!("{whole}{tail}")).unwrap();
            let mut answers = Answers::resume(&path, "m").unwrap();
            assert_eq!(answers.get(&request("a", "q")).unwrap(), Some("one"));
            assert_eq!(answers.get(&request("b", "q")).unwrap().is_some(), known);
            answers.add(&request("c", "q"), "three", "m").unwrap();
            let recorded = RecordedGenerator::open(&path).unwrap();
            assert_eq!(recorded.generate(&request("c", "q")).unwrap(), "three");
        }
        let error = Answers::resume(&path, "other").unwrap_err().to_string();
        assert!(error.contains("texts by m"), "{error}");
    }
}
