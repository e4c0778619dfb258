//! The IDX format: two zero bytes, a type, the number of dimensions, the dimensions as big-endian u32, then the numbers.

use super::raw::{Raw, check_size, resized, sample};
use super::{ImageOptions, ImageShape, error, unreadable};
use crate::data::DataError;
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

const BYTES: u8 = 8;

/// The images files of a folder, that of the training part first.
pub(super) fn images_files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = unreadable(folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(&unreadable)? {
        let file = entry.map_err(&unreadable)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if file.is_file() && name.contains("images") && name.contains("idx3") {
            files.push((!name.starts_with("train"), name, file));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(.., file)| file).collect())
}

pub(super) fn read_labelled(file: &Path, options: &ImageOptions, mut notes: Vec<String>) -> Result<Raw, DataError> {
    let stack = Stack::read(file)?;
    let labels_path = labels_beside(file)?;
    let (dims, labels) = numbers(&labels_path)?;
    if dims != [stack.count] {
        let found = if let [found] = dims[..] { found } else { 0 };
        let reason = format!("it has {found} labels for {} images in {}", stack.count, file.display());
        return Err(error(&labels_path, reason));
    }
    if options.rgb {
        notes.push("IDX images are grey, and read as such".into());
    }
    let chosen = sample(stack.count, options.limit, &mut notes);
    let (height, width) = options.size.unwrap_or((stack.shape.height, stack.shape.width));
    check_size(file, height, width)?;
    let shape = ImageShape { channels: 1, height, width };
    Ok(Raw {
        shape,
        bytes: chosen.iter().flat_map(|&image| stack.image(image, shape)).collect(),
        names: Vec::new(),
        labels: chosen.iter().map(|&image| labels[image].to_string()).collect(),
        classes: Vec::new(),
        notes,
    })
}

pub(super) fn read_unlabelled(file: &Path, shape: ImageShape, mut notes: Vec<String>) -> Result<Raw, DataError> {
    let stack = Stack::read(file)?;
    if (stack.shape.height, stack.shape.width) != (shape.height, shape.width) {
        notes.push(format!("{} images are resized to {} x {} pixels", stack.count, shape.height, shape.width));
    }
    Ok(Raw {
        shape,
        bytes: (0..stack.count).flat_map(|image| stack.image(image, shape)).collect(),
        names: (0..stack.count).map(|image| image.to_string()).collect(),
        labels: Vec::new(),
        classes: Vec::new(),
        notes,
    })
}

/// The images of a file.
struct Stack {
    count: usize,
    shape: ImageShape,
    bytes: Vec<u8>,
}

impl Stack {
    fn read(file: &Path) -> Result<Self, DataError> {
        let (dims, bytes) = numbers(file)?;
        let &[count, height, width] = &dims[..] else {
            let reason = format!("it has {} dimensions; images have three (images, height, width)", dims.len());
            return Err(error(file, reason));
        };
        if height == 0 || width == 0 {
            return Err(error(file, "its images have no pixel"));
        }
        Ok(Self { count, shape: ImageShape { channels: 1, height, width }, bytes })
    }

    /// One image in a shape; in colour, all channels are alike.
    fn image(&self, index: usize, shape: ImageShape) -> Vec<u8> {
        let numbers = self.shape.numbers();
        let grey = resized(self.bytes[index * numbers..(index + 1) * numbers].to_vec(), self.shape, shape);
        match shape.channels {
            1 => grey,
            channels => grey.into_iter().flat_map(|byte| std::iter::repeat_n(byte, channels)).collect(),
        }
    }
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
    let mut file = std::fs::read(path).map_err(unreadable(path))?;
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
        let reason = format!("{what}: the IDX header promises {expected} bytes, and there are {}", body.len());
        return Err(error(path, reason));
    }
    Ok((dims, body))
}
