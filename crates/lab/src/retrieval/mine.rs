use super::{Collection, Hit, NegativeStrategy};
use crate::metrics::Relevance;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The layout of a file of mined negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MinedFormat {
    /// sentence-transformers: `anchor`, `positive`, `negative_1`, `negative_2`, ..., a line for each positive.
    SentenceTransformers,
    /// FlagEmbedding: `query`, `pos` and `neg`, the last two lists.
    FlagEmbedding,
}

impl FromStr for MinedFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sentence-transformers" => Ok(Self::SentenceTransformers),
            "flag-embedding" => Ok(Self::FlagEmbedding),
            _ => Err(format!("`{text}` is no format; choose sentence-transformers or flag-embedding")),
        }
    }
}

/// How negatives are taken from what a search finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MiningPlan {
    /// Name of the strategy.
    pub strategy: String,
    /// Negatives a query.
    pub count: usize,
    /// Best documents they are drawn from; as many as `count` takes the best.
    pub pool: usize,
    /// A candidate with a score from this part of the best known positive's on is left out as likely relevant; none without.
    pub max_ratio: Option<f64>,
    /// Layout of the file.
    pub format: MinedFormat,
    /// Seed of the draws.
    pub seed: u64,
    /// Collection and encoder, so that a file is only continued by the same work.
    pub source: String,
}

/// A negative this near the positive, as a part of its score, is likely relevant itself.
pub const DEFAULT_MAX_RATIO: f64 = 0.95;

/// The negatives of one query, from what a search found, best first (for random negatives: any documents of the corpus).
pub fn choose_negatives(
    plan: &MiningPlan,
    query: usize,
    hits: &[Hit],
    relevance: &Relevance,
    documents: usize,
) -> Vec<usize> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(plan.seed.wrapping_add(query as u64));
    if plan.strategy == NegativeStrategy::Random.name() {
        let mut found = Vec::new();
        // A draw may hit a relevant document or an earlier one; a small corpus may have too few others.
        for _ in 0..20 * plan.count {
            let document = rng.random_range(0..documents);
            if found.len() < plan.count && relevance.grade(document) == 0 && !found.contains(&document) {
                found.push(document);
            }
        }
        return found;
    }
    let positive =
        hits.iter().filter(|hit| relevance.grade(hit.document) > 0).map(|hit| f64::from(hit.score)).reduce(f64::max);
    let limit = match (plan.max_ratio, positive) {
        (Some(ratio), Some(positive)) if positive > 0.0 => ratio * positive,
        _ => f64::INFINITY,
    };
    let fits = |hit: &&Hit| relevance.grade(hit.document) == 0 && f64::from(hit.score) < limit;
    let candidates: Vec<usize> =
        hits.iter().filter(fits).map(|hit| hit.document).take(plan.pool.max(plan.count)).collect();
    if candidates.len() <= plan.count {
        return candidates;
    }
    let mut places = sample(rng, candidates.len(), plan.count).into_vec();
    places.sort_unstable();
    places.into_iter().map(|at| candidates[at]).collect()
}

/// The lines of one query; none without a negative.
pub fn mined_lines(
    plan: &MiningPlan,
    collection: &Collection,
    query: usize,
    relevance: &Relevance,
    negatives: &[String],
) -> String {
    let text = |document: usize| Value::from(collection.documents[document].full_text());
    if negatives.is_empty() {
        return String::new();
    }
    let asked = Value::from(collection.queries[query].text.clone());
    let mut lines = String::new();
    match plan.format {
        MinedFormat::FlagEmbedding => {
            let positives: Vec<Value> = relevance.documents().map(text).collect();
            lines.push_str(&serde_json::json!({"query": asked, "pos": positives, "neg": negatives}).to_string());
            lines.push('\n');
        }
        MinedFormat::SentenceTransformers => {
            for positive in relevance.documents() {
                let mut line = Map::from_iter([("anchor".into(), asked.clone()), ("positive".into(), text(positive))]);
                for (at, negative) in negatives.iter().enumerate() {
                    line.insert(format!("negative_{}", at + 1), negative.as_str().into());
                }
                // Every line of a table has the same columns: the last negative is repeated where there are too few.
                for at in negatives.len()..plan.count {
                    line.insert(format!("negative_{}", at + 1), negatives[negatives.len() - 1].as_str().into());
                }
                lines.push_str(&Value::Object(line).to_string());
                lines.push('\n');
            }
        }
    }
    lines
}

/// A file of mined negatives that is written query by query and can be continued.
///
/// Beside the file stands `<file>.progress` while it is unfinished: the plan, the queries done and the bytes that belong to them.
#[derive(Debug)]
pub struct MinedFile {
    path: PathBuf,
    file: File,
    progress: Progress,
}

#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    plan: MiningPlan,
    queries: usize,
    bytes: u64,
}

impl MinedFile {
    /// Opens the file: at its beginning, or where an interrupted run with the same plan has stopped.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, plan: &MiningPlan) -> io::Result<Self> {
        let known = std::fs::read(progress_path(path)).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<Progress>(&bytes).ok());
        let progress = known
            .filter(|known| known.plan == *plan && path.metadata().is_ok_and(|file| file.len() >= known.bytes))
            .unwrap_or(Progress { plan: plan.clone(), queries: 0, bytes: 0 });
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        // What a killed run wrote after its last note is written again.
        file.set_len(progress.bytes)?;
        let mut opened = Self { path: path.into(), file, progress };
        io::Seek::seek(&mut opened.file, io::SeekFrom::End(0))?;
        Ok(opened)
    }

    /// Queries that are done.
    pub fn queries_done(&self) -> usize {
        self.progress.queries
    }

    /// Adds the lines of the next `queries` queries.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, lines: &str, queries: usize) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())?;
        self.file.flush()?;
        self.progress.queries += queries;
        self.progress.bytes += lines.len() as u64;
        std::fs::write(progress_path(&self.path), serde_json::to_vec(&self.progress).map_err(io::Error::other)?)
    }

    /// All queries are done: nothing is left to continue.
    ///
    /// # Errors
    /// When the note beside the file cannot be removed.
    pub fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let note = progress_path(&self.path);
        if note.exists() { std::fs::remove_file(note) } else { Ok(()) }
    }
}

fn progress_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".progress");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::ConceptWorldConfig;

    fn plan(strategy: &str) -> MiningPlan {
        MiningPlan {
            strategy: strategy.into(),
            count: 2,
            pool: 2,
            max_ratio: None,
            format: MinedFormat::FlagEmbedding,
            seed: 0,
            source: "test".into(),
        }
    }

    #[test]
    fn negatives_are_the_best_that_are_not_known_to_be_relevant() {
        let hits: Vec<Hit> = (0..6).map(|document| Hit { document, score: 1.0 - document as f32 / 10.0 }).collect();
        let relevance = Relevance::binary([1]);
        let chosen = |plan: &MiningPlan| choose_negatives(plan, 0, &hits, &relevance, 6);
        assert_eq!(chosen(&plan("dense")), [0, 2]);
        // The positive scores .9: what scores from .81 on is left out.
        assert_eq!(chosen(&MiningPlan { max_ratio: Some(0.9), ..plan("filtered") }), [2, 3]);
        let drawn = chosen(&MiningPlan { pool: 5, ..plan("dense") });
        assert!(drawn.len() == 2 && !drawn.contains(&1));
        let random = choose_negatives(&plan("random"), 3, &[], &relevance, 3);
        assert_eq!(random.len(), 2);
        assert!(!random.contains(&1));
    }

    #[test]
    fn lines_are_what_the_libraries_read() {
        let collection =
            Collection::generated(&ConceptWorldConfig::new().with_topics(1).with_documents(5).with_train(1), 0);
        let relevance = Relevance::binary([0, 2]);
        let text = |document: usize| collection.documents[document].full_text();
        let lines = |plan: &MiningPlan, negatives: &[usize]| -> Vec<Value> {
            let negatives: Vec<String> = negatives.iter().map(|&negative| text(negative)).collect();
            let lines = mined_lines(plan, &collection, 0, &relevance, &negatives);
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let flag = lines(&plan("bm25"), &[3, 4]);
        assert_eq!(
            (flag.len(), flag[0]["pos"][1].as_str().unwrap(), flag[0]["neg"][0].as_str().unwrap()),
            (1, &*text(2), &*text(3))
        );
        let triples = lines(&MiningPlan { format: MinedFormat::SentenceTransformers, ..plan("bm25") }, &[3]);
        assert_eq!(triples.len(), 2);
        assert_eq!(triples[1]["positive"].as_str().unwrap(), text(2));
        assert_eq!(triples[0]["negative_1"], triples[0]["negative_2"]);
        assert!(lines(&plan("bm25"), &[]).is_empty());
        assert!("parquet".parse::<MinedFormat>().is_err());
    }

    #[test]
    fn an_interrupted_file_is_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mined.jsonl");
        let mut file = MinedFile::open(&path, &plan("bm25")).unwrap();
        file.add("one\n", 1).unwrap();
        drop(file);
        // A run that was killed while it wrote.
        std::fs::write(&path, "one\ntw").unwrap();
        let mut file = MinedFile::open(&path, &plan("bm25")).unwrap();
        assert_eq!(file.queries_done(), 1);
        file.add("two\n", 1).unwrap();
        file.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        // Finished, or of another plan: from the beginning.
        assert_eq!(MinedFile::open(&path, &plan("bm25")).unwrap().queries_done(), 0);
        let mut file = MinedFile::open(&path, &plan("bm25")).unwrap();
        file.add("one\n", 1).unwrap();
        assert_eq!(MinedFile::open(&path, &plan("dense")).unwrap().queries_done(), 0);
    }
}
