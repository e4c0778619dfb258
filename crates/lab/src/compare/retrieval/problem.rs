use crate::data::Matrix;
use crate::retrieval::{
    Bm25Config, Collection, Document, Hit, Judgement, RetrievalData, Retriever, SEARCH_DEPTH, StaticEncoding, Texts,
    Vocabulary, untrained_adapter,
};
use rayon::prelude::*;

/// How texts are encoded.
#[derive(Debug, Clone)]
pub enum Encoding {
    /// Word vectors, trained from scratch.
    Static(StaticEncoding),
    /// The vectors of a sentence encoder, with trained maps over them.
    Sentences {
        /// Name of the encoder, for people.
        name: String,
        /// Numbers of a vector.
        dim: usize,
    },
}

impl Encoding {
    /// An untrained retriever.
    pub fn untrained(&self, seed: u64) -> Retriever {
        match self {
            Self::Static(encoding) => encoding.untrained(seed),
            Self::Sentences { dim, .. } => untrained_adapter(*dim),
        }
    }

    /// In words.
    pub fn describe(&self) -> String {
        match self {
            Self::Static(encoding) => format!("static encoder, {} words x {}", encoding.vocabulary.len(), encoding.dim),
            Self::Sentences { name, dim } => format!("{name}, {dim} numbers, a linear map a side"),
        }
    }
}

/// A collection, encoded.
#[derive(Debug, Clone)]
pub struct RetrievalProblem {
    /// Name for people.
    pub name: String,
    /// How texts are encoded.
    pub encoding: Encoding,
    /// The texts, and what BM25 finds.
    pub data: RetrievalData,
    /// Queries with their relevant documents.
    pub judged: Vec<Judgement>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Numbers of a static embedding.
const DIM: usize = 128;
/// From this many documents on, words that occur in one document only are left out: no query can tell them from noise.
const MANY_DOCUMENTS: usize = 1000;

impl RetrievalProblem {
    /// With the static encoder.
    pub fn of_words(collection: &Collection) -> Self {
        let (documents, queries) = texts(collection);
        let min_documents = if documents.len() >= MANY_DOCUMENTS { 2 } else { 1 };
        let encoding = StaticEncoding::learn(&documents, min_documents, DIM);
        let data = RetrievalData {
            documents: encoding.encode(&documents),
            queries: encoding.encode(&queries),
            bm25: bm25(&documents, &queries),
        };
        Self::new(collection, Encoding::Static(encoding), data)
    }

    /// With the vectors of a sentence encoder called `name`.
    ///
    /// # Panics
    /// When there is no vector for each text, or they differ in length.
    pub fn of_sentences(collection: &Collection, name: &str, documents: Matrix, queries: Matrix) -> Self {
        assert_eq!(documents.rows, collection.documents.len(), "there must be a vector for each document");
        assert_eq!(queries.rows, collection.queries.len(), "there must be a vector for each query");
        assert_eq!(documents.cols, queries.cols, "documents and queries must be of one length");
        let (document_texts, query_texts) = texts(collection);
        let encoding = Encoding::Sentences { name: name.into(), dim: documents.cols };
        let data = RetrievalData {
            documents: Texts::Vectors(documents),
            queries: Texts::Vectors(queries),
            bm25: bm25(&document_texts, &query_texts),
        };
        Self::new(collection, encoding, data)
    }

    fn new(collection: &Collection, encoding: Encoding, data: RetrievalData) -> Self {
        Self {
            name: collection.name.clone(),
            encoding,
            data,
            judged: collection.judged(),
            notes: collection.notes.clone(),
        }
    }
}

/// Texts of documents and queries.
fn texts(collection: &Collection) -> (Vec<String>, Vec<String>) {
    (
        collection.documents.iter().map(Document::full_text).collect(),
        collection.queries.iter().map(|query| query.text.clone()).collect(),
    )
}

/// What BM25 finds for each query, over all words.
fn bm25(documents: &[String], queries: &[String]) -> Vec<Vec<Hit>> {
    let words = Vocabulary::learn(documents.iter().map(String::as_str), 1, false);
    let encoded: Vec<Vec<u32>> = documents.iter().map(|text| words.encode(text)).collect();
    let index = Bm25Config::new().build(&encoded);
    queries.par_iter().map(|query| index.top(&words.encode(query), SEARCH_DEPTH, &[])).collect()
}
