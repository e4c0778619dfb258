//! Folders of PNG and JPEG files.

use super::raw::{Raw, check_size, resized, sample};
use super::{ImageOptions, ImageShape, error, unreadable};
use crate::data::DataError;
use image::ImageReader;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

pub(super) fn read_labelled(path: &Path, options: &ImageOptions) -> Result<Raw, DataError> {
    let folders = entries(path)?.into_iter().filter(|entry| entry.is_dir()).collect::<Vec<_>>();
    if folders.is_empty() {
        let reason = "it has neither IDX files nor a folder for each class with PNG or JPEG files in it";
        return Err(error(path, reason));
    }
    let (mut files, mut classes, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for folder in folders {
        let class = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (images, others): (Vec<PathBuf>, Vec<PathBuf>) = entries(&folder)?.into_iter().partition(|f| is_image(f));
        if !others.is_empty() {
            notes.push(format!("class `{class}`: {} entries are no PNG or JPEG files: left out", others.len()));
        }
        files.extend(images.into_iter().map(|file| (file, class.clone())));
        classes.push(class);
    }
    let chosen = sample(files.len(), options.limit, &mut notes);
    let (files, labels): (Vec<PathBuf>, Vec<String>) = chosen.into_iter().map(|index| files[index].clone()).unzip();
    let channels = if options.rgb { 3 } else { 1 };
    let shape = options.size.map(|(height, width)| ImageShape { channels, height, width });
    let (shape, bytes) = decode_all(&files, channels, shape, &mut notes)?;
    Ok(Raw { shape, bytes, names: Vec::new(), labels, classes, notes })
}

pub(super) fn read_unlabelled(path: &Path, shape: ImageShape) -> Result<Raw, DataError> {
    let mut files = Vec::new();
    for entry in entries(path)? {
        if entry.is_dir() {
            files.extend(entries(&entry)?.into_iter().filter(|file| is_image(file)));
        } else if is_image(&entry) {
            files.push(entry);
        }
    }
    let name = |file: &PathBuf| {
        let below = file.strip_prefix(path).unwrap_or(file);
        below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    };
    let names = files.iter().map(name).collect();
    unlabelled(&files, names, shape)
}

pub(super) fn read_one(file: &Path, shape: ImageShape) -> Result<Raw, DataError> {
    unlabelled(&[file.to_path_buf()], vec![file.display().to_string()], shape)
}

fn unlabelled(files: &[PathBuf], names: Vec<String>, shape: ImageShape) -> Result<Raw, DataError> {
    let mut notes = Vec::new();
    let (shape, bytes) = decode_all(files, shape.channels, Some(shape), &mut notes)?;
    Ok(Raw { shape, bytes, names, labels: Vec::new(), classes: Vec::new(), notes })
}

/// The images in one shape, that of the first where none is given.
fn decode_all(
    files: &[PathBuf],
    channels: usize,
    mut shape: Option<ImageShape>,
    notes: &mut Vec<String>,
) -> Result<(ImageShape, Vec<u8>), DataError> {
    let (mut bytes, mut different) = (Vec::new(), 0);
    for file in files {
        let (own, pixels) = decode(file, channels)?;
        if shape.is_none() {
            check_size(file, own.height, own.width)?;
        }
        let to = *shape.get_or_insert(own);
        different += usize::from(own != to);
        bytes.extend(resized(pixels, own, to));
    }
    // Without a file no shape is asked for again: that there is no image is an error of the caller's.
    let shape = shape.unwrap_or(ImageShape { channels, height: 1, width: 1 });
    if different > 0 {
        notes.push(format!("{different} images are resized to {} x {} pixels", shape.height, shape.width));
    }
    Ok((shape, bytes))
}

/// Entries of a folder in the order of their names, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = unreadable(folder);
    let paths = std::fs::read_dir(folder).map_err(&unreadable)?.map(|entry| Ok(entry.map_err(&unreadable)?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, DataError>>()?;
    paths.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    paths.sort();
    Ok(paths)
}

pub(super) fn is_image(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    file.is_file() && ENDINGS.contains(&ending.as_str())
}

fn decode(file: &Path, channels: usize) -> Result<(ImageShape, Vec<u8>), DataError> {
    let broken = |reason: String| error(file, format!("it cannot be read as an image ({reason}); mend or remove it"));
    // By content: an ending can be wrong.
    let reader =
        ImageReader::open(file).and_then(ImageReader::with_guessed_format).map_err(|e| broken(e.to_string()))?;
    let image = reader.decode().map_err(|e| broken(e.to_string()))?;
    let shape = ImageShape { channels, height: image.height() as usize, width: image.width() as usize };
    Ok((shape, if channels == 1 { image.into_luma8().into_raw() } else { image.into_rgb8().into_raw() }))
}
