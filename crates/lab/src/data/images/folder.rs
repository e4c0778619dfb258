//! A folder with a folder of PNG and JPEG files for each class.

use super::{ImageOptions, ImageShape, Raw, error, resized, sample};
use crate::data::DataError;
use image::ImageReader;
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

pub(super) fn read(path: &Path, options: &ImageOptions) -> Result<Raw, DataError> {
    let classes = entries(path)?.into_iter().filter(|entry| entry.is_dir()).collect::<Vec<_>>();
    if classes.is_empty() {
        let reason = "it has neither IDX files nor a folder for each class with PNG or JPEG files in it";
        return Err(error(path, reason));
    }
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for folder in classes {
        let class = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let all = entries(&folder)?;
        let images: Vec<PathBuf> = all.iter().filter(|file| is_image(file)).cloned().collect();
        if images.len() < all.len() {
            notes.push(format!(
                "class `{class}`: {} entries are no PNG or JPEG files: left out",
                all.len() - images.len()
            ));
        }
        files.extend(images.into_iter().map(|file| (file, class.clone())));
    }
    let chosen = sample(files.len(), options.limit);
    if chosen.len() < files.len() {
        notes.push(format!("{} of {} images are used, drawn at random", chosen.len(), files.len()));
    }
    let channels = if options.rgb { 3 } else { 1 };
    let mut shape = options.size.map(|(height, width)| ImageShape { channels, height, width });
    let (mut bytes, mut labels, mut different) = (Vec::new(), Vec::new(), 0);
    for (file, class) in chosen.into_iter().map(|index| &files[index]) {
        let (own, pixels) = decode(file, channels)?;
        let to = *shape.get_or_insert(own);
        different += usize::from(own != to);
        bytes.extend(resized(pixels, own, to));
        labels.push(class.clone());
    }
    let Some(shape) = shape.filter(|_| !labels.is_empty()) else {
        return Err(error(path, "there is no image in the folders of its classes"));
    };
    if different > 0 {
        notes.push(format!("{different} images are resized to {} x {}", shape.height, shape.width));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Raw { name, shape, bytes, labels, notes })
}

/// Entries of a folder in the order of their names, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |e: std::io::Error| DataError::Unreadable { path: folder.to_path_buf(), reason: e.to_string() };
    let paths = std::fs::read_dir(folder).map_err(unreadable)?.map(|entry| Ok(entry.map_err(unreadable)?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, DataError>>()?;
    paths.retain(|path| !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn is_image(file: &Path) -> bool {
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
