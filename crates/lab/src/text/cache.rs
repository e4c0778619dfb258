use super::error::read;
use super::{SentenceEncoder, TextError};
use crate::data::Matrix;
use crate::hash::Fnv;
use crate::retrieval::{Vectors, VectorsWriter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Texts whose vectors are in one file.
const SHARD: usize = 256;

/// A sentence encoder that keeps the vectors it has made on disk: encoding a corpus takes minutes, and an interrupted run goes on
/// where it stopped.
///
/// Files are named by the texts and the weights, so a changed corpus or model never gets old vectors.
#[derive(Debug)]
pub struct CachedEncoder {
    encoder: SentenceEncoder,
    folder: PathBuf,
    weights: u64,
    batch: usize,
}

/// Why texts have no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The model cannot be loaded, or refuses a text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A file of vectors cannot be written.
    #[error("cannot write vectors to {}: {source}", folder.display())]
    Write {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Stopped from outside; what is done is kept.
    #[error("stopped after {done} of {total} texts; the same command goes on from there")]
    Stopped {
        /// Texts that have vectors.
        done: usize,
        /// All texts.
        total: usize,
    },
}

impl CachedEncoder {
    /// Loads an encoder, its vectors to be kept in `cache`.
    ///
    /// # Errors
    /// When the model cannot be loaded or the folder not be made.
    pub fn load(model: &Path, cache: &Path) -> Result<Self, EncodeError> {
        let encoder = SentenceEncoder::load(model)?;
        let weights = Fnv::default().and(&read(&model.join("model.safetensors"))?).finish();
        let write = |source| EncodeError::Write { folder: cache.into(), source };
        std::fs::create_dir_all(cache).map_err(write)?;
        Ok(Self { encoder, folder: cache.into(), weights, batch: 32 })
    }

    /// The vectors of all texts, in their order. `progress` is told of texts done and of all.
    ///
    /// # Errors
    /// When a text is refused, a file cannot be written, or on `stop`.
    pub fn encode(
        &self,
        texts: &[String],
        progress: &dyn Fn(usize, usize),
        stop: &AtomicBool,
    ) -> Result<Matrix, EncodeError> {
        let write = |source| EncodeError::Write { folder: self.folder.clone(), source };
        let mut data = Vec::with_capacity(texts.len() * self.encoder.width());
        for (at, shard) in texts.chunks(SHARD).enumerate() {
            let path = self.folder.join(format!("{:016x}.vectors", self.key(shard)));
            // A file that cannot be read is made again.
            let known = Vectors::map(&path)
                .ok()
                .filter(|known| known.rows() == shard.len() && known.cols() == self.encoder.width());
            if let Some(known) = known {
                data.extend_from_slice(known.data());
            } else {
                if stop.load(Ordering::Relaxed) {
                    return Err(EncodeError::Stopped { done: at * SHARD, total: texts.len() });
                }
                let rows = self.encoder.encode(shard, self.batch)?;
                let mut writer = VectorsWriter::create(&path, rows.cols).map_err(write)?;
                writer.add(&rows).and_then(|()| writer.finish()).map_err(write)?;
                data.extend_from_slice(&rows.data);
            }
            progress(at * SHARD + shard.len(), texts.len());
        }
        Ok(Matrix { rows: texts.len(), cols: self.encoder.width(), data })
    }

    fn key(&self, texts: &[String]) -> u64 {
        let weights = Fnv::default().and(&self.weights.to_le_bytes());
        let with = |hash: Fnv, text: &String| hash.and(&(text.len() as u64).to_le_bytes()).and(text.as_bytes());
        texts.iter().fold(weights, with).finish()
    }
}
