use super::index::ExactIndex;
use super::{
    Adapter, BagEncoder, Collection, Document, Hit, Retriever, Side, SplitEncoder, Texts, Vectors, VectorsWriter,
    Vocabulary,
};
use crate::compare::Encoding;
use crate::data::Matrix;
use crate::report::{ReportError, write_atomically};
use burn::module::Param;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the folder's layout; a retriever of another version is refused.
const FORMAT: u32 = 1;
const MANIFEST: &str = "retriever.json";
const WEIGHTS: &str = "weights.safetensors";
const WORDS: &str = "words.json";
const VECTORS: &str = "documents.vectors";
const DOCUMENTS: &str = "documents.jsonl";

/// Why a retriever could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum SavedRetrieverError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] ReportError),
    /// The vectors could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Vectors {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder holds no retriever, or a damaged one.
    #[error(
        "{} is not a usable retriever: {reason}; make one with `contrarian compare --beir FOLDER --out ...`, which saves it in the \
         folder `retriever`",
        folder.display()
    )]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What kind of encoder a saved retriever has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Static,
    Split,
    Adapter {
        /// The sentence encoder: a name or a folder, as it was given.
        encoder: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    version: String,
    collection: String,
    objective: String,
    kind: Kind,
    dim: usize,
}

/// A trained retriever with its corpus: what `contrarian search` and `contrarian audit` load.
#[derive(Debug)]
pub struct SavedRetriever {
    manifest: Manifest,
    retriever: Retriever,
    vocabulary: Option<Vocabulary>,
    index: ExactIndex,
    documents: Vec<Document>,
}

/// Saves a retriever with the vectors of the documents, which are mapped when it is loaded.
///
/// # Errors
/// When a file cannot be written.
///
/// # Panics
/// When retriever and encoding are of different kinds.
pub fn save_retriever(
    folder: &Path,
    collection: &Collection,
    encoding: &Encoding,
    retriever: &Retriever,
    documents: &Texts,
    objective: &str,
) -> Result<(), SavedRetrieverError> {
    let io = |path: PathBuf| move |source| SavedRetrieverError::Vectors { path, source };
    std::fs::create_dir_all(folder).map_err(io(folder.into()))?;
    let kind = match (retriever, encoding) {
        (Retriever::Static(_), Encoding::Static(_)) => Kind::Static,
        (Retriever::Split(_), Encoding::Static(_)) => Kind::Split,
        (Retriever::Adapter(_), Encoding::Sentences { name, .. }) => Kind::Adapter { encoder: name.clone() },
        _ => panic!("the retriever must be one of this encoding"),
    };
    let vectors = retriever.embed(Side::Document, documents);
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        collection: collection.name.clone(),
        objective: objective.into(),
        kind,
        dim: vectors.cols,
    };
    let path = folder.join(VECTORS);
    let mut writer = VectorsWriter::create(&path, vectors.cols).map_err(io(path.clone()))?;
    writer.add(&vectors).and_then(|()| writer.finish()).map_err(io(path))?;
    let mut lines = String::new();
    for document in &collection.documents {
        let line = serde_json::json!({"_id": document.id, "title": document.title, "text": document.text});
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    write_atomically(&folder.join(DOCUMENTS), lines.as_bytes())?;
    if let Encoding::Static(encoding) = encoding {
        let words = serde_json::to_vec(encoding.vocabulary.words()).expect("words are texts");
        write_atomically(&folder.join(WORDS), &words)?;
    }
    let weights = folder.join(WEIGHTS);
    let mut store = SafetensorsStore::from_file(&weights).overwrite(true);
    let failed =
        |error: String| SavedRetrieverError::Vectors { path: weights.clone(), source: std::io::Error::other(error) };
    retriever.save_into(&mut store).map_err(|error| failed(error.to_string()))?;
    // Last, so that a folder with a manifest is whole.
    let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest is texts and numbers");
    Ok(write_atomically(&folder.join(MANIFEST), &manifest)?)
}

impl SavedRetriever {
    /// Loads a folder that [`save_retriever`] wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged or of another version; the file is named.
    pub fn load(folder: &Path) -> Result<Self, SavedRetrieverError> {
        let damaged = |reason: String| SavedRetrieverError::Damaged { folder: folder.into(), reason };
        let read = |name: &str| std::fs::read(folder.join(name)).map_err(|error| damaged(format!("{name}: {error}")));
        let broken = |name: &str, error: serde_json::Error| damaged(format!("{name} is broken ({error})"));
        let manifest: Manifest = serde_json::from_slice(&read(MANIFEST)?).map_err(|error| broken(MANIFEST, error))?;
        if manifest.format != FORMAT {
            let (found, version) = (manifest.format, &manifest.version);
            return Err(damaged(format!(
                "it is of format {found} (contrarian {version}), and this version reads {FORMAT}"
            )));
        }
        let vectors = Vectors::map(&folder.join(VECTORS)).map_err(|error| damaged(error.to_string()))?;
        let text = String::from_utf8(read(DOCUMENTS)?).map_err(|error| damaged(format!("{DOCUMENTS}: {error}")))?;
        let documents: Vec<Document> = text
            .lines()
            .map(|line| serde_json::from_str::<Line>(line).map(Document::from))
            .collect::<Result<_, _>>()
            .map_err(|error| broken(DOCUMENTS, error))?;
        if documents.len() != vectors.rows() || vectors.cols() != manifest.dim {
            let sizes = format!("{} vectors of {} numbers", vectors.rows(), vectors.cols());
            return Err(damaged(format!("{sizes} do not fit {} documents of {}", documents.len(), manifest.dim)));
        }
        let vocabulary = if let Kind::Adapter { .. } = manifest.kind {
            None
        } else {
            let words = serde_json::from_slice(&read(WORDS)?).map_err(|error| broken(WORDS, error))?;
            Some(Vocabulary::from_words(words))
        };
        let words = vocabulary.as_ref().map_or(0, Vocabulary::len).max(1);
        let mut retriever = manifest.kind.zeros(words, manifest.dim);
        let mut store = SafetensorsStore::from_file(folder.join(WEIGHTS));
        retriever
            .load_from(&mut store)
            .map_err(|error| damaged(format!("{WEIGHTS} does not fit the retriever ({error})")))?;
        Ok(Self { manifest, retriever, vocabulary, index: ExactIndex::new(vectors), documents })
    }

    /// The sentence encoder whose vectors the retriever takes, as it was given; `None` for a static one.
    pub fn sentence_encoder(&self) -> Option<&str> {
        match &self.manifest.kind {
            Kind::Adapter { encoder } => Some(encoder),
            _ => None,
        }
    }

    /// The retriever in words: objective and collection.
    pub fn describe(&self) -> String {
        format!("{} on {}", self.manifest.objective, self.manifest.collection)
    }

    /// The documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The index of the documents.
    pub fn index(&self) -> &ExactIndex {
        &self.index
    }

    /// Vectors of texts. A retriever over a sentence encoder takes `sentences`, the vectors it gives for them.
    ///
    /// # Panics
    /// When such a retriever is given none.
    pub fn embed(&self, side: Side, texts: &[String], sentences: Option<Matrix>) -> Matrix {
        let texts = match &self.vocabulary {
            Some(vocabulary) => Texts::Words(texts.iter().map(|text| vocabulary.encode(text)).collect()),
            None => Texts::Vectors(sentences.expect("a retriever over a sentence encoder takes its vectors")),
        };
        self.retriever.embed(side, &texts)
    }

    /// The `k` best documents of each query, by its vector.
    pub fn search(&self, queries: &Matrix, k: usize) -> Vec<Vec<Hit>> {
        self.index.search(queries, k)
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: String,
    title: String,
    text: String,
}

impl From<Line> for Document {
    fn from(Line { id, title, text }: Line) -> Self {
        Self { id, title, text }
    }
}

impl Kind {
    /// A retriever of this kind to load weights into.
    fn zeros(&self, words: usize, dim: usize) -> Retriever {
        let device = Device::flex();
        let table = || BagEncoder { table: Param::from_tensor(Tensor::zeros([words, dim], &device)), normalize: true };
        match self {
            Self::Static => Retriever::Static(table()),
            Self::Split => Retriever::Split(SplitEncoder { queries: table(), documents: table() }),
            Self::Adapter { .. } => Retriever::Adapter(Adapter::new(dim, &device)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::RetrievalProblem;
    use crate::retrieval::ConceptWorldConfig;

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_named() {
        let config = ConceptWorldConfig::new().with_topics(1).with_documents(30).with_train(20).with_test(5);
        let collection = Collection::generated(&config, 0);
        let problem = RetrievalProblem::of_words(&collection);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for retriever in [problem.encoding.untrained(3), problem.encoding.untrained(3).split()] {
            save_retriever(path, &collection, &problem.encoding, &retriever, &problem.data.documents, "mnr").unwrap();
            let loaded = SavedRetriever::load(path).unwrap();
            assert_eq!((loaded.describe().as_str(), loaded.sentence_encoder()), ("mnr on generated", None));
            assert_eq!(loaded.documents(), collection.documents);
            let query = [collection.queries[0].text.clone()];
            let vectors = loaded.embed(Side::Query, &query, None);
            let expected = retriever.embed(Side::Query, &problem.data.queries.gather(&[0]));
            assert_eq!(vectors, expected);
            assert_eq!(loaded.search(&vectors, 3)[0].len(), 3);
        }
        for (file, expected) in [(WEIGHTS, WEIGHTS), (WORDS, WORDS), (VECTORS, "vectors"), (MANIFEST, MANIFEST)] {
            let whole = std::fs::read(path.join(file)).unwrap();
            std::fs::write(path.join(file), b"broken").unwrap();
            let message = SavedRetriever::load(path).unwrap_err().to_string();
            assert!(message.contains(expected), "{file}: {message}");
            std::fs::write(path.join(file), whole).unwrap();
        }
        let message = SavedRetriever::load(&path.join("none")).unwrap_err().to_string();
        assert!(message.contains("is not a usable retriever"), "{message}");
    }
}
