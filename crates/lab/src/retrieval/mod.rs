//! Retrieval: collections of documents and queries, encoders of texts, search, and how good a ranking is.
//!
//! A text is a list of word numbers here, those of a [`Vocabulary`]. Scores are inner products unless said otherwise, and equal
//! scores are ranked by the lower document number everywhere.

mod bag_encoder;
mod beir;
mod bm25;
mod collection;
mod concept_world;
mod encoder;
mod hnsw;
mod index;
mod max_sim;
mod mine;
mod objective;
mod quantized;
mod rerank;
mod retriever;
mod saved;
mod training;
mod trec;
mod vectors;
mod vocabulary;

pub use bag_encoder::{BagEncoder, BagEncoderConfig};
pub use beir::{load_beir, read_texts};
pub use bm25::{Bm25Config, Bm25Index};
pub use collection::{Collection, Document, Judgement, Query};
pub use concept_world::{ConceptQuery, ConceptWorld, ConceptWorldConfig};
pub use encoder::{StaticEncoding, untrained_adapter};
pub use hnsw::{HnswConfig, HnswIndex};
pub use index::{ExactIndex, Hit};
pub use max_sim::{MaxSimRanker, PlainRanker};
pub use mine::{DEFAULT_MAX_RATIO, MinedFile, MinedFormat, MiningPlan, choose_negatives, mined_lines};
pub use objective::{NegativeStrategy, RetrievalLoss, RetrievalObjective};
pub use quantized::QuantizedIndex;
pub use rerank::rerank;
pub use retriever::{Adapter, Retriever, Side, SplitEncoder, Texts};
pub use saved::{SavedRetriever, SavedRetrieverError, save_retriever};
pub use training::{
    RetrievalBudget, RetrievalData, SEARCH_DEPTH, TrainedRetriever, retrieval_scores, score_pools, search_judged,
    train_retriever,
};
pub use trec::{NamedJudgements, Run, TrecScores, read_judgements, trec_eval};
pub use vectors::{Vectors, VectorsWriter};
pub use vocabulary::Vocabulary;
