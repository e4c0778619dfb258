use super::error::{TextError, read};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

/// The bytes of a `.safetensors` file.
pub(super) struct CheckpointFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl CheckpointFile {
    pub fn read(path: &Path) -> Result<Self, TextError> {
        Ok(Self { path: path.into(), bytes: read(path)? })
    }

    pub fn tensors(&self) -> Result<Checkpoint<'_>, TextError> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| {
            TextError::model(&self.path, format!("it is no whole .safetensors file ({error}); download it again"))
        })?;
        Ok(Checkpoint { path: &self.path, tensors })
    }
}

/// The tensors of a `.safetensors` file, by name, with or without the prefix `bert.`.
pub(super) struct Checkpoint<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Checkpoint<'_> {
    /// The numbers of a tensor that must be there, of 32 bits and of this shape.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TextError> {
        let error = |reason: String| TextError::model(self.path, reason);
        let view = self.find(name).ok_or_else(|| {
            error(format!("there is no tensor `{name}`, nor `bert.{name}`; is it a BERT model with the layers that config.json says?"))
        })?;
        if view.dtype() != Dtype::F32 {
            return Err(error(format!("tensor `{name}` is of type {:?}; save the model in float32", view.dtype())));
        }
        if view.shape() != shape {
            return Err(error(format!(
                "tensor `{name}` has the shape {:?}, but by config.json it must be {shape:?}",
                view.shape()
            )));
        }
        let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks are of 4 bytes"));
        Ok(view.data().chunks_exact(4).map(number).collect())
    }

    fn find(&self, name: &str) -> Option<TensorView<'_>> {
        self.tensors.tensor(name).or_else(|_| self.tensors.tensor(&format!("bert.{name}"))).ok()
    }
}
