use super::bert::Bert;
use super::error::TextError;
use super::folder::SentenceFolder;
use super::tokenizer::TextTokenizer;
use crate::data::Matrix;
use burn::tensor::Device;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Sentence embeddings of a local sentence-transformers folder: a BERT model, the mean of its tokens' hidden states, and
/// length 1.
#[derive(Debug)]
pub struct SentenceEncoder {
    tokenizer: TextTokenizer,
    bert: Bert,
    width: usize,
}

impl SentenceEncoder {
    /// Reads a folder with `config.json`, `model.safetensors` and `tokenizer.json`; where `modules.json` is there as well, it
    /// must say BERT, the mean and nothing else (rows are scaled to length 1 whether or not it asks for that). Texts are cut
    /// to the tokens that `sentence_bert_config.json` allows, or else to those that the model has positions for.
    ///
    /// # Errors
    /// When a file is missing or damaged, files do not fit together, or the model is of a kind that is not supported.
    pub fn load(folder: &Path) -> Result<Self, TextError> {
        let (tokenizer, bert) = Self::load_parts(folder, &Device::flex())?;
        Ok(Self::new(tokenizer, &bert))
    }

    /// The tokenizer and the model of a folder as [`load`](Self::load) reads it, for training.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_parts(folder: &Path, device: &Device) -> Result<(TextTokenizer, Bert), TextError> {
        let folder = SentenceFolder::read(folder)?;
        let bert = Bert::load(&folder.model, device)?;
        let longest = folder.max_length.unwrap_or(usize::MAX).min(bert.max_length());
        let tokenizer = TextTokenizer::from_folder(&folder.model, longest)?;
        tokenizer.check_vocabulary(bert.vocabulary())?;
        Ok((tokenizer, bert))
    }

    /// An encoder of a tokenizer and a model that is already there, such as one just trained.
    pub fn new(tokenizer: TextTokenizer, bert: &Bert) -> Self {
        Self { tokenizer, bert: bert.clone(), width: bert.width() }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Numbers of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The embeddings of all texts, in their order, `batch` at a time.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T], batch: usize) -> Result<Matrix, TextError> {
        let mut data = Vec::with_capacity(texts.len() * self.width);
        self.encode_each(texts.iter().map(AsRef::as_ref), batch, &AtomicBool::new(false), |rows| {
            data.extend_from_slice(&rows.data);
            Ok::<(), TextError>(())
        })?;
        Ok(Matrix { rows: texts.len(), cols: self.width, data })
    }

    /// Hands out the embeddings of the texts in their order, `batch` at a time, so that a corpus need not fit memory; ends
    /// early when `stop` is set. Gives the number of texts handed out.
    ///
    /// # Errors
    /// When the tokenizer refuses a text, and what `take` gives.
    pub fn encode_each<T, E>(
        &self,
        texts: impl IntoIterator<Item = T>,
        batch: usize,
        stop: &AtomicBool,
        mut take: impl FnMut(Matrix) -> Result<(), E>,
    ) -> Result<usize, E>
    where
        T: AsRef<str> + Sync,
        E: From<TextError>,
    {
        let mut texts = texts.into_iter();
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            let batch: Vec<T> = texts.by_ref().take(batch.max(1)).collect();
            if batch.is_empty() {
                break;
            }
            take(self.rows(&batch)?)?;
            done += batch.len();
        }
        Ok(done)
    }

    fn rows<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Matrix, TextError> {
        let device = Device::flex();
        let tokens = self.tokenizer.batch(texts)?;
        let rows = self.bert.embed(tokens.ids(&device), tokens.mask(&device));
        let data = rows.into_data().try_to_vec::<f32>().expect("embeddings are f32");
        Ok(Matrix { rows: texts.len(), cols: self.width, data })
    }
}
