use super::bert::Bert;
use super::error::TextError;
use super::fast_bert::FastBert;
use super::folder::SentenceFolder;
use super::tokenizer::TextTokenizer;
use crate::data::Matrix;
use burn::tensor::Device;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tokens that a thread takes at a time: enough that reading the weights does not count, few enough for its cache.
const TOKENS: usize = 256;
/// With fewer tokens, reading the weights takes longer than computing.
const FEWEST_TOKENS: usize = 64;
/// A batch is cut into a multiple of so many equal parts, so that the threads end together. The cuts do not depend on the
/// number of threads, and so neither do the results.
const PARTS: usize = 4;

/// Sentence embeddings of a local sentence-transformers folder: a BERT model, the mean of its tokens' hidden states, and
/// length 1.
///
/// ```no_run
/// # use contrarian_lab::text::{SentenceEncoder, TextError};
/// let encoder = SentenceEncoder::load("all-MiniLM-L6-v2".as_ref())?;
/// let rows = encoder.encode(&["A dog barks.", "A cat sleeps."], 32)?;
/// assert_eq!((rows.rows, rows.cols), (2, encoder.width()));
/// # Ok::<(), TextError>(())
/// ```
///
/// To train the model, take it and its tokenizer from [`load_parts`](Self::load_parts), use [`Bert::embed`], and make an
/// encoder of the result with [`new`](Self::new).
#[derive(Debug)]
pub struct SentenceEncoder {
    tokenizer: TextTokenizer,
    bert: FastBert,
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
        Self::new(tokenizer, &bert)
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
        tokenizer.check_fit(bert.vocabulary(), bert.max_length())?;
        Ok((tokenizer, bert))
    }

    /// An encoder of a tokenizer and a model that is already there, such as one just trained; it keeps a copy.
    ///
    /// # Errors
    /// When the tokenizer has tokens or lengths that the model has no rows for.
    pub fn new(tokenizer: TextTokenizer, bert: &Bert) -> Result<Self, TextError> {
        tokenizer.check_fit(bert.vocabulary(), bert.max_length())?;
        Ok(Self { tokenizer, bert: FastBert::new(bert) })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// Numbers of an embedding.
    pub fn width(&self) -> usize {
        self.bert.width()
    }

    /// The embeddings of all texts, in their order, `batch` texts at a time (1 where it is 0), on all threads.
    ///
    /// # Errors
    /// When the tokenizer refuses a text.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T], batch: usize) -> Result<Matrix, TextError> {
        let mut data = Vec::with_capacity(texts.len() * self.width());
        self.encode_each(texts.iter().map(AsRef::as_ref), batch, &AtomicBool::new(false), |rows| {
            data.extend_from_slice(&rows.data);
            Ok::<(), TextError>(())
        })?;
        Ok(Matrix { rows: texts.len(), cols: self.width(), data })
    }

    /// Hands out the embeddings of the texts in their order, `batch` texts at a time, so that a corpus need not fit memory
    /// and progress can be shown; ends early when `stop` is set. Gives the number of texts handed out.
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
            take(self.embed(&batch)?)?;
            done += batch.len();
        }
        Ok(done)
    }

    fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Matrix, TextError> {
        let tokens = self.tokenizer.encode_all(texts)?;
        let rows: Vec<Vec<f32>> = parts(&tokens).into_par_iter().map(|part| self.bert.embed(part)).collect();
        Ok(Matrix { rows: texts.len(), cols: self.width(), data: rows.concat() })
    }
}

/// Neighbouring texts, cut where the tokens before them pass multiples of an equal share.
fn parts(texts: &[Vec<u32>]) -> Vec<&[Vec<u32>]> {
    let total: usize = texts.iter().map(Vec::len).sum();
    let count = total.div_ceil(TOKENS).next_multiple_of(PARTS).max(PARTS);
    let share = total.div_ceil(count).max(FEWEST_TOKENS);
    let mut parts = Vec::new();
    let (mut begin, mut before) = (0, 0);
    for (place, text) in texts.iter().enumerate() {
        let after = before + text.len();
        if after / share > before / share || place + 1 == texts.len() {
            parts.push(&texts[begin..=place]);
            begin = place + 1;
        }
        before = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_and_about_equal() {
        assert!(parts(&[]).is_empty());
        let texts = |lengths: &[usize]| lengths.iter().map(|&length| vec![0; length]).collect::<Vec<_>>();
        let cut = |lengths: &[usize]| parts(&texts(lengths)).iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!(cut(&[5]), [1]);
        assert_eq!(cut(&[20; 32]), [8; 4]);
        assert_eq!(cut(&[256; 3]), [1; 3]);
        assert_eq!(cut(&[0, 0, 10]), [3]);
        assert_eq!(cut(&[10; 13]), [7, 6]);
    }
}
