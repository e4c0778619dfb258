//! Text: tokens, a BERT model and sentence embeddings, all from local folders in the Hugging Face layout.

mod bert;
mod bert_config;
mod cache;
mod checkpoint;
mod error;
mod fast_bert;
mod folder;
mod sentence_encoder;
mod tokenizer;

pub use bert::Bert;
pub use bert_config::BertConfig;
pub use cache::{CachedEncoder, EncodeError};
pub use error::TextError;
pub use sentence_encoder::SentenceEncoder;
pub use tokenizer::{TextTokenizer, TokenBatch};

#[cfg(test)]
mod tests;
