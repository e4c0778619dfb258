use super::{DataError, Dataset, Matrix};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::Path;

/// Reads images and labels in the IDX format (`.gz` or plain): one row an image, row-major, grey values scaled to `[0, 1]`.
///
/// IDX is two zero bytes, `0x08` for unsigned bytes, the number of axes, each axis as big-endian `u32`, then the bytes.
///
/// # Errors
/// When a file cannot be read or is no IDX file of bytes, or there are not as many labels as images.
pub fn load_idx(images: &Path, labels: &Path) -> Result<Dataset, DataError> {
    let (axes, pixels) = read(images)?;
    let (label_axes, classes) = read(labels)?;
    let [rows, size @ ..] = &axes[..] else { return Err(wrong(images, "it has no axis".into())) };
    if label_axes != [*rows] {
        return Err(wrong(labels, format!("it has axes {label_axes:?}, but {rows} images need [{rows}] labels")));
    }
    let y: Vec<usize> = classes.into_iter().map(usize::from).collect();
    let data = pixels.into_iter().map(|pixel| f32::from(pixel) / 255.0).collect();
    let classes = y.iter().max().map_or(0, |largest| largest + 1);
    Ok(Dataset { x: Matrix { rows: *rows, cols: size.iter().product(), data }, y, classes })
}

fn wrong(path: &Path, reason: String) -> DataError {
    DataError::NoTable { path: path.into(), reason }
}

/// Axes and bytes of a file.
fn read(path: &Path) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let unreadable = |error: std::io::Error| DataError::Unreadable { path: path.into(), reason: error.to_string() };
    let mut bytes = std::fs::read(path).map_err(unreadable)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut plain).map_err(unreadable)?;
        bytes = plain;
    }
    let [0, 0, 8, axes, rest @ ..] = &bytes[..] else {
        return Err(wrong(path, "it is no IDX file of unsigned bytes (it must start with 0 0 8)".into()));
    };
    let header = 4 * usize::from(*axes);
    let Some((sizes, values)) = rest.split_at_checked(header) else {
        return Err(wrong(path, format!("it ends within its {axes} axes")));
    };
    let axes: Vec<usize> =
        sizes.chunks_exact(4).map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize).collect();
    let wanted = axes.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    if wanted != Some(values.len()) {
        return Err(wrong(path, format!("it holds {} values, but its axes are {axes:?}", values.len())));
    }
    Ok((axes, values.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_labels_are_read_and_bad_files_explained() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let images = file("images", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255, 51, 0]);
        let labels = file("labels", &[0, 0, 8, 1, 0, 0, 0, 2, 1, 4]);
        let data = load_idx(&images, &labels).unwrap();
        assert_eq!((data.x.cols, data.y, data.classes), (2, vec![1, 4], 5));
        assert_eq!(data.x.data, [0.0, 1.0, 0.2, 0.0]);
        let error = |images: &Path, labels: &Path| load_idx(images, labels).unwrap_err().to_string();
        assert!(error(&labels, &images).contains("has axes [2, 1, 2]"));
        assert!(error(&file("text", b"hello"), &labels).contains("no IDX file"));
        assert!(error(&file("short", &[0, 0, 8, 1, 0, 0, 0, 9, 1]), &labels).contains("holds 1 values"));
        assert!(error(&file("cut", &[0, 0, 8, 2, 0]), &labels).contains("ends within"));
        assert!(error(&folder.path().join("none"), &labels).contains("cannot read"));
    }
}
