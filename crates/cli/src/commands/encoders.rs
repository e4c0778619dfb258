//! Collections and what encodes their texts, for the commands of retrieval.

use crate::args::GENERATED;
use crate::error::CliError;
use contrarian_lab::compare::RetrievalProblem;
use contrarian_lab::data::Matrix;
use contrarian_lab::retrieval::{Collection, ConceptWorldConfig, SavedRetriever, load_beir};
use std::path::Path;

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
    match encoder.unwrap_or("static") {
        "static" => Ok(RetrievalProblem::of_words(collection)),
        other => Err(CliError::Usage(format!("`{other}` is no encoder; choose static"))),
    }
}

/// The vectors of texts that a saved retriever takes, where it is one over a sentence encoder.
pub fn sentences(retriever: &SavedRetriever, _texts: &[String]) -> Result<Option<Matrix>, CliError> {
    match retriever.sentence_encoder() {
        None => Ok(None),
        Some(encoder) => Err(CliError::Failed(format!("the encoder `{encoder}` cannot be loaded"))),
    }
}
