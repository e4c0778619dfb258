//! NumPy's format: six magic bytes, a version, the length of the header, the header (a Python dictionary with `descr`,
//! `fortran_order` and `shape`), then the elements. <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use super::array::{Array, Kind, shape_text};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// The array of a file's bytes.
pub(super) fn read(file: &[u8]) -> Result<Array<'_>, String> {
    let no_header = || "its header is cut off or damaged; save the array again with numpy.save".to_string();
    let rest = file.strip_prefix(MAGIC).ok_or("it is no .npy file (it should begin with \\x93NUMPY)")?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        [0 | 4.., ..] => return Err(format!("it has version {} of the format, but 1 to 3 are known", rest[0])),
        _ => return Err(no_header()),
    };
    let (header, bytes) = rest.split_at_checked(length).ok_or_else(no_header)?;
    let header = std::str::from_utf8(header).map_err(|_| no_header())?;

    let kind_text = value(header, "descr").ok_or_else(no_header)?;
    let fortran = match value(header, "fortran_order") {
        Some(text) if text.starts_with("True") => true,
        Some(text) if text.starts_with("False") => false,
        _ => return Err(no_header()),
    };
    let (big_endian, kind) = kind(kind_text)?;
    let shape = shape(value(header, "shape").ok_or_else(no_header)?).ok_or_else(no_header)?;
    let expected =
        shape.iter().try_fold(kind.size(), |product, &dim| product.checked_mul(dim)).ok_or_else(no_header)?;
    if bytes.len() != expected {
        let what = match bytes.len() < expected {
            true => "it is cut off",
            false => "it is too long (one array a file can be read)",
        };
        return Err(format!(
            "{what}: an array of shape {} has {expected} bytes, and there are {}",
            shape_text(&shape),
            bytes.len()
        ));
    }
    Ok(Array { shape, kind, big_endian, fortran, bytes })
}

/// What follows a key of the header.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let after = quoted.iter().find_map(|key| header.split_once(key.as_str()).map(|(_, after)| after))?;
    Some(after.trim_start().strip_prefix(':')?.trim_start())
}

/// Byte order and kind of `'<f4'`.
fn kind(text: &str) -> Result<(bool, Kind), String> {
    let unquoted = text.strip_prefix(['\'', '"']).and_then(|text| text.split(['\'', '"']).next());
    let Some(code) = unquoted else {
        return Err("its elements are records of several fields; save one plain array".into());
    };
    let (order, code) = match code.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), code)) => (order, code),
        _ => ("<", code),
    };
    let digits = code.trim_start_matches(|c: char| !c.is_ascii_digit());
    let width = || digits.parse::<usize>().ok();
    let kind = match code {
        "f2" => Kind::F16,
        "f4" => Kind::F32,
        "f8" => Kind::F64,
        "i1" => Kind::I8,
        "i2" => Kind::I16,
        "i4" => Kind::I32,
        "i8" => Kind::I64,
        "u1" => Kind::U8,
        "u2" => Kind::U16,
        "u4" => Kind::U32,
        "u8" => Kind::U64,
        "b1" => Kind::Bool,
        _ if code.starts_with('U') && width().is_some() => Kind::Text(width().unwrap_or_default()),
        _ if code.starts_with('S') && width().is_some() => Kind::Bytes(width().unwrap_or_default()),
        _ if code.starts_with('O') => {
            let reason = "its elements are Python objects, which are not read; save numbers or texts: \
                          numpy.save(path, labels.astype(str))";
            return Err(reason.into());
        }
        _ => return Err(format!("its elements are of type `{code}`; numbers, and texts for labels, can be read")),
    };
    Ok((order == ">", kind))
}

/// The sizes in `(3, 4)`.
fn shape(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.split_once(')')?.0;
    let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.trim_end_matches('L').parse().ok()).collect()
}
