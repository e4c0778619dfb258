use super::error::{TextError, read};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

/// A text's tokens, by the `tokenizer.json` of a model's folder.
///
/// Truncation and padding of that file are not used: texts are cut to the length given here, and a
/// [batch](TextTokenizer::batch) is padded to its longest text.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    path: PathBuf,
    tokenizer: Tokenizer,
    max_length: usize,
    padding: u32,
}

/// Token numbers of several texts, each padded to the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// Number of texts.
    pub texts: usize,
    /// Tokens of each, with padding.
    pub length: usize,
    /// The numbers, text by text.
    pub ids: Vec<u32>,
    /// Whether a token is one of the text's, and no padding.
    pub mask: Vec<bool>,
}

impl TextTokenizer {
    /// Reads `tokenizer.json` in `folder`; texts are cut to `max_length` tokens, with those that mark start and end.
    ///
    /// # Errors
    /// When the file cannot be read or is no tokenizer, or when `max_length` leaves no room for text.
    pub fn from_folder(folder: &Path, max_length: usize) -> Result<Self, TextError> {
        let path = folder.join("tokenizer.json");
        let bytes = read(&path)?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| {
            TextError::model(&path, format!("it is no tokenizer ({error}); it must be of Hugging Face's fast kind"))
        })?;
        let marks = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        if max_length <= marks {
            let reason =
                format!("a length of {max_length} leaves no room for text beside {marks} marks of start and end");
            return Err(TextError::model(&path, reason));
        }
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(truncation)).map_err(|error| TextError::model(&path, error.to_string()))?;
        let padding = tokenizer.token_to_id("[PAD]").unwrap_or(0);
        Ok(Self { path, tokenizer, max_length, padding })
    }

    /// Checks that the tokens fit a model with tables of so many word pieces and positions.
    ///
    /// # Errors
    /// When the vocabulary is empty or has a token beyond its table, or when texts may be longer than there are positions.
    pub fn check_fit(&self, words: usize, positions: usize) -> Result<(), TextError> {
        let reason = match self.tokenizer.get_vocab(true).into_iter().max_by_key(|(_, id)| *id) {
            None => "its vocabulary is empty".into(),
            Some((token, id)) if id as usize >= words => format!(
                "token `{token}` has the number {id}, but the model's table has {words} rows; tokenizer and model belong to different models"
            ),
            Some(_) if self.max_length > positions => format!(
                "texts may have {} tokens, but the model has {positions} positions; cut them there",
                self.max_length
            ),
            Some(_) => return Ok(()),
        };
        Err(TextError::model(&self.path, reason))
    }

    /// The token numbers of a text, with start and end.
    ///
    /// # Errors
    /// When the tokenizer refuses the text, such as a word that is unknown where the vocabulary has no token for that.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        match self.tokenizer.encode_fast(text, true) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => {
                Err(TextError::Tokenize { start: text.chars().take(40).collect(), reason: error.to_string() })
            }
        }
    }

    /// The token numbers of several texts, on all threads.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn encode_all<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<u32>>, TextError> {
        texts.par_iter().map(|text| self.encode(text.as_ref())).collect()
    }

    /// The token numbers of several texts, padded to the longest.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<TokenBatch, TextError> {
        let tokens = self.encode_all(texts)?;
        let length = tokens.iter().map(Vec::len).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for tokens in &tokens {
            ids.extend_from_slice(tokens);
            ids.resize(ids.len() + length - tokens.len(), self.padding);
            mask.extend((0..length).map(|place| place < tokens.len()));
        }
        Ok(TokenBatch { texts: tokens.len(), length, ids, mask })
    }
}

impl TokenBatch {
    /// The numbers as a tensor, `[texts, length]`.
    pub fn ids(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i64> = self.ids.iter().map(|&id| i64::from(id)).collect();
        Tensor::from_data(TensorData::new(ids, [self.texts, self.length]), device)
    }

    /// 1 for tokens of the text and 0 for padding, `[texts, length]`.
    pub fn mask(&self, device: &Device) -> Tensor<2> {
        let mask: Vec<f32> = self.mask.iter().map(|&real| f32::from(u8::from(real))).collect();
        Tensor::from_data(TensorData::new(mask, [self.texts, self.length]), device)
    }
}
