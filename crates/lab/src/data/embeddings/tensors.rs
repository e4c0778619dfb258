//! Arrays of a `.safetensors` file.

use super::array::{Array, Kind, shape_text};
use contrarian::registry::{did_you_mean, suggest};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The tensors of a file's bytes.
pub(super) fn read(file: &[u8]) -> Result<SafeTensors<'_>, String> {
    SafeTensors::deserialize(file).map_err(|error| format!("it is no whole .safetensors file ({error}); save it again"))
}

/// The tensor with a name, or else the only one with this number of dimensions; `what` it is for, `option` names it.
pub(super) fn choose<'a>(
    tensors: &SafeTensors<'a>,
    name: Option<&str>,
    dimensions: usize,
    what: &str,
    option: &str,
) -> Result<Array<'a>, String> {
    let mut names = tensors.names();
    names.sort_unstable();
    let listed = || {
        let one = |name: &&str| {
            let shape = tensors.tensor(name).map_or_else(|_| String::new(), |view| shape_text(view.shape()));
            format!("{name} {shape}")
        };
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    if let Some(name) = name {
        let view = tensors.tensor(name).map_err(|_| {
            let hint = did_you_mean(suggest(name, names.iter().copied()).as_deref());
            format!("there is no tensor `{name}`{hint}; there are {}", listed())
        })?;
        return array(name, &view);
    }
    let fits = |name: &&&str| tensors.tensor(name).is_ok_and(|view| view.shape().len() == dimensions);
    match names.iter().filter(fits).collect::<Vec<_>>()[..] {
        [only] => {
            let view = tensors.tensor(only).map_err(|error| error.to_string())?;
            array(only, &view)
        }
        [] => {
            let found = if names.is_empty() { "nothing".into() } else { listed() };
            Err(format!("no tensor in it has {dimensions} dimensions, as {what} have; there is {found}"))
        }
        _ => Err(format!("it has several tensors that could be {what}: {}; name one with {option}", listed())),
    }
}

fn array<'a>(name: &str, view: &TensorView<'a>) -> Result<Array<'a>, String> {
    let kind = match view.dtype() {
        Dtype::F16 => Kind::F16,
        Dtype::BF16 => Kind::BF16,
        Dtype::F32 => Kind::F32,
        Dtype::F64 => Kind::F64,
        Dtype::I8 => Kind::I8,
        Dtype::I16 => Kind::I16,
        Dtype::I32 => Kind::I32,
        Dtype::I64 => Kind::I64,
        Dtype::U8 => Kind::U8,
        Dtype::U16 => Kind::U16,
        Dtype::U32 => Kind::U32,
        Dtype::U64 => Kind::U64,
        Dtype::BOOL => Kind::Bool,
        other => {
            return Err(format!(
                "tensor `{name}` has numbers of type {other:?}, which cannot be read; save 32-bit ones"
            ));
        }
    };
    Ok(Array { shape: view.shape().to_vec(), kind, big_endian: false, fortran: false, bytes: view.data() })
}
