use crate::data::DataError;
use crate::metrics::{Gain, Relevance};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

/// Judgements by name, as in a qrels file: query, document, grade.
pub type NamedJudgements = BTreeMap<String, BTreeMap<String, i64>>;

/// A run: the documents that a system found for each query, with its scores.
///
/// The file has a line a document, `query Q0 document rank score system`. As in trec_eval the scores make the order, not the
/// ranks, and of equal scores the document with the greater name comes first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// What was found for each query, best first.
    pub queries: BTreeMap<String, Vec<(String, f64)>>,
}

impl Run {
    /// A run from what was found, in any order.
    pub fn new(queries: BTreeMap<String, Vec<(String, f64)>>) -> Self {
        let mut run = Self { queries };
        for found in run.queries.values_mut() {
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        }
        run
    }

    /// Reads a run file.
    ///
    /// # Errors
    /// When it cannot be read, or a line is not of this form; the line is named.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let mut queries: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
        for_lines(path, |cells| {
            let [query, _, document, _, score, _] = cells else {
                return Err(format!("{} columns; a line is `query Q0 document rank score system`", cells.len()));
            };
            let score: f64 = score.parse().map_err(|_| format!("score `{score}` is no number"))?;
            queries.entry((*query).into()).or_default().push(((*document).into(), score));
            Ok(())
        })?;
        Ok(Self::new(queries))
    }

    /// The run as the text of a file, `system` being its name.
    pub fn to_text(&self, system: &str) -> String {
        let mut text = String::new();
        for (query, found) in &self.queries {
            for (at, (document, score)) in found.iter().enumerate() {
                let _ = writeln!(text, "{query} Q0 {document} {} {score} {system}", at + 1);
            }
        }
        text
    }
}

/// Reads a qrels file: `query 0 document grade`.
///
/// # Errors
/// When it cannot be read, or a line is not of this form; the line is named.
pub fn read_judgements(path: &Path) -> Result<NamedJudgements, DataError> {
    let mut judgements = NamedJudgements::new();
    for_lines(path, |cells| {
        let [query, _, document, grade] = cells else {
            return Err(format!("{} columns; a line is `query 0 document grade`", cells.len()));
        };
        let grade = grade.parse().map_err(|_| format!("grade `{grade}` is no whole number"))?;
        judgements.entry((*query).into()).or_default().insert((*document).into(), grade);
        Ok(())
    })?;
    Ok(judgements)
}

fn for_lines(path: &Path, mut take: impl FnMut(&[&str]) -> Result<(), String>) -> Result<(), DataError> {
    let unreadable = |error: std::io::Error| DataError::Unreadable { path: path.into(), reason: error.to_string() };
    let text = String::from_utf8(std::fs::read(path).map_err(unreadable)?)
        .map_err(|error| DataError::NoTable { path: path.into(), reason: format!("this is not UTF-8 ({error})") })?;
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        take(&cells).map_err(|reason| DataError::Line { path: path.into(), line: at as u64 + 1, reason })?;
    }
    Ok(())
}

/// What trec_eval measures of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct TrecScores {
    /// `ndcg_cut_10`.
    pub ndcg_10: f64,
    /// `ndcg_cut_100`.
    pub ndcg_100: f64,
    /// `recip_rank`.
    pub reciprocal_rank: f64,
    /// `map`.
    pub average_precision: f64,
    /// `P_10`.
    pub precision_10: f64,
    /// `recall_100`.
    pub recall_100: f64,
    /// `Rprec`.
    pub r_precision: f64,
}

/// The scores of every query that the run answers and the judgements know, as `trec_eval -q` gives them.
pub fn trec_eval(run: &Run, judgements: &NamedJudgements) -> BTreeMap<String, TrecScores> {
    let of_query = |(query, found): (&String, &Vec<(String, f64)>)| {
        let judged = judgements.get(query)?;
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut number = |name| {
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        };
        let relevance = Relevance::new(judged.iter().map(|(name, grade)| (number(name), (*grade).max(0) as u32)));
        let ranking: Vec<usize> = found.iter().map(|(name, _)| number(name)).collect();
        let scores = TrecScores {
            ndcg_10: relevance.ndcg(&ranking, 10, Gain::Linear),
            ndcg_100: relevance.ndcg(&ranking, 100, Gain::Linear),
            reciprocal_rank: relevance.reciprocal_rank(&ranking, ranking.len()),
            average_precision: relevance.average_precision(&ranking),
            precision_10: relevance.precision(&ranking, 10),
            recall_100: relevance.recall(&ranking, 100),
            r_precision: relevance.precision(&ranking, relevance.len()),
        };
        Some((query.clone(), scores))
    };
    run.queries.iter().filter_map(of_query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trec_eval")
    }

    /// trec_eval's own quick test: every measure of every query, to the four places that it prints.
    #[test]
    fn all_scores_are_those_of_trec_eval() {
        let run = Run::read(&folder().join("results.test")).unwrap();
        let judgements = read_judgements(&folder().join("qrels.test")).unwrap();
        let found = trec_eval(&run, &judgements);
        let printed = std::fs::read_to_string(folder().join("out.test.aq")).unwrap();
        let mut checked = 0;
        for line in printed.lines() {
            let [measure, query, value] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
            let of = |scores: &TrecScores| match measure {
                "ndcg_cut_10" => Some(scores.ndcg_10),
                "ndcg_cut_100" => Some(scores.ndcg_100),
                "recip_rank" => Some(scores.reciprocal_rank),
                "map" => Some(scores.average_precision),
                "P_10" => Some(scores.precision_10),
                "recall_100" => Some(scores.recall_100),
                "Rprec" => Some(scores.r_precision),
                _ => None,
            };
            let ours = match query {
                "all" => found.values().map(&of).sum::<Option<f64>>().map(|sum| sum / found.len() as f64),
                query => of(&found[query]),
            };
            if let Some(ours) = ours {
                let theirs: f64 = value.parse().unwrap();
                assert!((ours - theirs).abs() <= 0.5e-4 + 1e-9, "{measure} of {query}: {ours}, trec_eval {theirs}");
                checked += 1;
            }
        }
        // Seven measures of three queries and of all.
        assert_eq!(checked, 28);
    }

    #[test]
    fn a_run_is_written_and_read() {
        let of = |found: &[(&str, f64)]| found.iter().map(|(name, score)| ((*name).into(), *score)).collect();
        let run = Run::new(BTreeMap::from([("q".into(), of(&[("a", 1.0), ("b", 1.0), ("c", 2.5)]))]));
        assert_eq!(run.queries["q"].iter().map(|found| found.0.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), run.to_text("ours")).unwrap();
        assert_eq!(Run::read(file.path()).unwrap(), run);
        std::fs::write(file.path(), "q Q0 a 1 high ours\n").unwrap();
        assert!(Run::read(file.path()).unwrap_err().to_string().contains("line 1: score `high`"));
        std::fs::write(file.path(), "q 0 a\n").unwrap();
        assert!(read_judgements(file.path()).unwrap_err().to_string().contains("3 columns"));
    }
}
