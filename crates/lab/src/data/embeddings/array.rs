//! An array as it lies in a file, and its way to numbers and names.

use crate::data::Matrix;
use half::{bf16, f16};

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F16,
    BF16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    /// So many characters, padded with zeros.
    Text(usize),
    /// So many bytes, padded with zeros.
    Bytes(usize),
}

impl Kind {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::Text(characters) => characters.saturating_mul(4),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// An array of a file.
#[derive(Debug)]
pub(super) struct Array<'a> {
    pub shape: Vec<usize>,
    pub kind: Kind,
    pub big_endian: bool,
    /// The first index runs fastest.
    pub fortran: bool,
    /// The elements: as many as the shape has.
    pub bytes: &'a [u8],
}

impl Array<'_> {
    /// A matrix of an array with two dimensions. What f32 cannot hold becomes infinite.
    pub fn matrix(&self) -> Result<Matrix, String> {
        let &[rows, cols] = &self.shape[..] else {
            return Err(format!(
                "its shape is {}, but embeddings have two dimensions (rows, numbers): reshape it",
                shape_text(&self.shape)
            ));
        };
        let data = self.numbers(|x| x)?;
        if !self.fortran || cols == 0 {
            return Ok(Matrix { rows, cols, data });
        }
        let by_row = (0..rows * cols).map(|at| data[(at % cols) * rows + at / cols]).collect();
        Ok(Matrix { rows, cols, data: by_row })
    }

    /// The names of an array of labels; `None` where a number is missing (NaN).
    pub fn names(&self) -> Result<Vec<Option<String>>, String> {
        match self.shape[..] {
            [_] | [_, 1] => {}
            [_, classes] if classes > 1 => {
                return Err(format!(
                    "its shape is {}, but labels have one dimension; of one-hot rows take the argmax",
                    shape_text(&self.shape)
                ));
            }
            _ => {
                return Err(format!("its shape is {}, but labels have one dimension", shape_text(&self.shape)));
            }
        }
        Ok(match self.kind {
            Kind::I8 => self.texts(i8::from_le_bytes),
            Kind::I16 => self.texts(i16::from_le_bytes),
            Kind::I32 => self.texts(i32::from_le_bytes),
            Kind::I64 => self.texts(i64::from_le_bytes),
            Kind::U8 | Kind::Bool => self.texts(u8::from_le_bytes),
            Kind::U16 => self.texts(u16::from_le_bytes),
            Kind::U32 => self.texts(u32::from_le_bytes),
            Kind::U64 => self.texts(u64::from_le_bytes),
            Kind::Text(0) | Kind::Bytes(0) => vec![Some(String::new()); self.shape[0]],
            Kind::Text(characters) => {
                let letters = self.each(|code| char::from_u32(u32::from_le_bytes(code)).unwrap_or('\u{fffd}'));
                let text = |word: &[char]| word.iter().collect::<String>().trim_end_matches('\0').to_string();
                letters.chunks(characters).map(|word| Some(text(word))).collect()
            }
            Kind::Bytes(bytes) => {
                let text = |word: &[u8]| String::from_utf8_lossy(word).trim_end_matches('\0').to_string();
                self.bytes.chunks(bytes).map(|word| Some(text(word))).collect()
            }
            Kind::F16 | Kind::BF16 | Kind::F32 | Kind::F64 => {
                let values: Vec<f64> = match self.kind {
                    Kind::F64 => self.each(f64::from_le_bytes),
                    _ => self.numbers(f64::from)?,
                };
                if let Some((row, value)) =
                    values.iter().enumerate().find(|(_, v)| !v.is_nan() && (v.fract() != 0.0 || v.is_infinite()))
                {
                    return Err(format!("label {row} is {value}; labels are whole numbers or texts"));
                }
                // Adding zero makes the negative zero a zero.
                values.iter().map(|v| (!v.is_nan()).then(|| (v + 0.0).to_string())).collect()
            }
        })
    }

    fn texts<const N: usize, T: ToString>(&self, decode: impl Fn([u8; N]) -> T) -> Vec<Option<String>> {
        self.each(|bytes| Some(decode(bytes).to_string()))
    }

    fn numbers<T>(&self, to: impl Fn(f32) -> T) -> Result<Vec<T>, String> {
        Ok(match self.kind {
            Kind::F16 => self.each(|b| to(f16::from_le_bytes(b).to_f32())),
            Kind::BF16 => self.each(|b| to(bf16::from_le_bytes(b).to_f32())),
            Kind::F32 => self.each(|b| to(f32::from_le_bytes(b))),
            Kind::F64 => self.each(|b| to(f64::from_le_bytes(b) as f32)),
            Kind::I8 => self.each(|b| to(f32::from(i8::from_le_bytes(b)))),
            Kind::I16 => self.each(|b| to(f32::from(i16::from_le_bytes(b)))),
            Kind::I32 => self.each(|b| to(i32::from_le_bytes(b) as f32)),
            Kind::I64 => self.each(|b| to(i64::from_le_bytes(b) as f32)),
            Kind::U8 | Kind::Bool => self.each(|b| to(f32::from(u8::from_le_bytes(b)))),
            Kind::U16 => self.each(|b| to(f32::from(u16::from_le_bytes(b)))),
            Kind::U32 => self.each(|b| to(u32::from_le_bytes(b) as f32)),
            Kind::U64 => self.each(|b| to(u64::from_le_bytes(b) as f32)),
            Kind::Text(_) | Kind::Bytes(_) => return Err("it holds texts, but embeddings are numbers".into()),
        })
    }

    /// Every part of `N` bytes, the least significant first.
    fn each<const N: usize, T>(&self, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
        let ordered = |&(mut bytes): &[u8; N]| {
            if self.big_endian {
                bytes.reverse();
            }
            decode(bytes)
        };
        self.bytes.as_chunks::<N>().0.iter().map(ordered).collect()
    }
}

/// `(3, 4)`, as NumPy writes it.
pub(super) fn shape_text(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => format!("({})", shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}
