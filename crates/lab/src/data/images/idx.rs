//! The IDX format: two zero bytes, a type, the number of dimensions, the dimensions as big-endian u32, then the numbers.

use super::{ImageOptions, ImageShape, Raw, error, resized, sample};
use crate::data::DataError;
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

const BYTES: u8 = 8;

/// The images file of a folder: the one of the training part if there are several. `None` where there is none.
pub(super) fn images_file(path: &Path) -> Result<Option<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(None);
    }
    let unreadable = |e: std::io::Error| DataError::Unreadable { path: path.to_path_buf(), reason: e.to_string() };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if file.is_file() && name.contains("images") && name.contains("idx3") {
            files.push((!name.starts_with("train"), name, file));
        }
    }
    files.sort();
    Ok(files.into_iter().next().map(|(.., file)| file))
}

pub(super) fn read(images: &Path, options: &ImageOptions) -> Result<Raw, DataError> {
    let (dims, bytes) = numbers(images)?;
    let &[count, height, width] = &dims[..] else {
        return Err(error(
            images,
            format!("it has {} dimensions; images have three (images, height, width)", dims.len()),
        ));
    };
    let labels_path = labels_beside(images)?;
    let (label_dims, labels) = numbers(&labels_path)?;
    if label_dims.len() != 1 || label_dims[0] != count {
        let found = if label_dims.len() == 1 { label_dims[0] } else { 0 };
        return Err(error(&labels_path, format!("it has {found} labels for {count} images in {}", images.display())));
    }
    if height == 0 || width == 0 {
        return Err(error(images, "its images have no pixel"));
    }
    let shape = ImageShape { channels: 1, height, width };
    let (height, width) = options.size.unwrap_or((height, width));
    let to = ImageShape { channels: 1, height, width };
    let chosen = sample(count, options.limit);
    let image =
        |&image: &usize| resized(bytes[image * shape.numbers()..(image + 1) * shape.numbers()].to_vec(), shape, to);
    let mut notes = Vec::new();
    if chosen.len() < count {
        notes.push(format!("{} of {count} images are used, drawn at random", chosen.len()));
    }
    Ok(Raw {
        name: name(images),
        shape: to,
        bytes: chosen.iter().flat_map(image).collect(),
        labels: chosen.iter().map(|&image| labels[image].to_string()).collect(),
        notes,
    })
}

/// The folder's name says more than `train-images-idx3-ubyte`.
fn name(images: &Path) -> String {
    let folder = images.parent().and_then(Path::file_name);
    folder.or(images.file_name()).unwrap_or_default().to_string_lossy().into_owned()
}

/// `train-labels-idx1-ubyte` beside `train-images-idx3-ubyte`, whichever of the two is gzipped.
fn labels_beside(images: &Path) -> Result<PathBuf, DataError> {
    let name = images.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let plain = name.replace("images", "labels").replace("idx3", "idx1");
    let bare = plain.strip_suffix(".gz").unwrap_or(&plain).to_string();
    let candidates = [plain.clone(), bare.clone(), format!("{bare}.gz")];
    let found = candidates.iter().map(|name| images.with_file_name(name)).find(|path| path.is_file() && path != images);
    found.ok_or_else(|| error(images, format!("its labels file `{bare}` (or `{bare}.gz`) is not beside it")))
}

/// Dimensions and bytes of a file.
fn numbers(path: &Path) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let unreadable = |e: std::io::Error| DataError::Unreadable { path: path.to_path_buf(), reason: e.to_string() };
    let mut file = std::fs::read(path).map_err(unreadable)?;
    if file.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        GzDecoder::new(&file[..])
            .read_to_end(&mut unpacked)
            .map_err(|e| error(path, format!("it is a damaged gzip file ({e})")))?;
        file = unpacked;
    }
    let no_idx =
        || error(path, "it is no IDX file of bytes (it should begin with 0, 0, 8 and the number of dimensions)");
    let &[0, 0, BYTES, count] = file.get(..4).unwrap_or_default() else {
        return Err(no_idx());
    };
    let start = 4 + 4 * usize::from(count);
    let header = file.get(4..start).ok_or_else(no_idx)?;
    let dims: Vec<usize> = header.as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes) as usize).collect();
    let expected = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)).ok_or_else(no_idx)?;
    let body = file.split_off(start);
    if body.len() != expected {
        let what = if body.len() < expected { "it is cut off" } else { "it is too long" };
        return Err(error(
            path,
            format!("{what}: the IDX header promises {expected} bytes, and there are {}", body.len()),
        ));
    }
    Ok((dims, body))
}
