//! Images of one size: IDX files, folders of PNG and JPEG files, generated glyphs.

mod folder;
mod glyphs;
mod idx;
mod raw;
mod scaler;
#[cfg(test)]
mod tests;

pub use glyphs::Glyphs;
#[cfg(test)]
pub(crate) use glyphs::nearest_mean_accuracy;
pub use scaler::PixelScaler;

use super::{DataError, Dataset, Features, Matrix, Problem};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Size of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageShape {
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
}

impl ImageShape {
    /// Numbers an image has.
    pub fn numbers(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl std::fmt::Display for ImageShape {
    /// `grey images of 28 x 28 pixels` (height first).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let colour = if self.channels == 1 { "grey" } else { "colour" };
        write!(f, "{colour} images of {} x {} pixels", self.height, self.width)
    }
}

/// Images of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// Size of every image.
    pub shape: ImageShape,
    /// Pixels in `[0, 1]` (generated ones may be beyond), an image a row, ordered by channel, then row of the image, then
    /// column.
    pub pixels: Matrix,
}

/// How to read labelled images.
#[derive(Debug, Clone, Default)]
pub struct ImageOptions {
    /// Height and width every image is resized to; without it those of the first image.
    pub size: Option<(usize, usize)>,
    /// Read colours; without it images become grey. (IDX files are grey.)
    pub rgb: bool,
    /// Most images to use, a random sample; without it all.
    pub limit: Option<usize>,
    /// The class that is label 1 when there are two; without it the rarer one.
    pub positive: Option<String>,
}

/// Labelled images.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// Name of the data.
    pub name: String,
    /// The images.
    pub images: Images,
    /// Class of each image.
    pub labels: Vec<usize>,
    /// Class names by label.
    pub classes: Vec<String>,
    /// What was done to the images that a person should know.
    pub notes: Vec<String>,
}

impl ImageSet {
    /// The pixels as labelled rows.
    pub fn into_dataset(self) -> Dataset {
        Dataset { x: self.images.pixels, y: self.labels, classes: self.classes.len() }
    }

    /// The images as a problem; `target` says what their classes are.
    pub fn into_problem(self, target: &str) -> Problem {
        Problem {
            name: self.name,
            target: target.into(),
            features: Features::Images(self.images),
            labels: self.labels,
            positive: (self.classes.len() == 2).then_some(1),
            classes: self.classes,
            notes: self.notes,
        }
    }
}

/// Images to apply a model to.
#[derive(Debug, Clone, PartialEq)]
pub struct UnlabelledImages {
    /// The images.
    pub images: Images,
    /// Name of each: its file below the folder, or its place in the IDX file, from 0.
    pub names: Vec<String>,
    /// What was done to the images that a person should know.
    pub notes: Vec<String>,
}

/// Reads labelled images: an IDX images file (also gzipped) with its labels file beside it, a folder that holds such files,
/// or a folder with a folder of PNG and JPEG files for each class. Classes with too few images to split are left out and
/// noted.
///
/// # Errors
/// When something cannot be read or is no such file, labels and images do not match, or fewer than two classes have the
/// images that splits need.
pub fn load_images(path: &Path, options: &ImageOptions) -> Result<ImageSet, DataError> {
    if let Some((height, width)) = options.size {
        raw::check_size(path, height, width)?;
    }
    let raw = match Source::of(path)? {
        Source::Idx { file, notes } => idx::read_labelled(&file, options, notes)?,
        Source::Folder => folder::read_labelled(path, options)?,
        Source::Image => return Err(error(path, "it is one image; a folder with a folder for each class is needed")),
    };
    raw.labelled(path, options.positive.as_deref())
}

/// Reads images without labels, and brings them to a shape: an IDX images file (also gzipped), a folder that holds one, a
/// folder of PNG and JPEG files (also in folders below it), or one such file.
///
/// # Errors
/// When something cannot be read or is no such file, or there is no image.
pub fn load_unlabelled_images(path: &Path, shape: ImageShape) -> Result<UnlabelledImages, DataError> {
    let raw = match Source::of(path)? {
        Source::Idx { file, notes } => idx::read_unlabelled(&file, shape, notes)?,
        Source::Folder => folder::read_unlabelled(path, shape)?,
        Source::Image => folder::read_one(path, shape)?,
    };
    raw.unlabelled(path)
}

/// What a path leads to.
enum Source {
    /// An IDX images file, and what to say about the choice of it.
    Idx { file: PathBuf, notes: Vec<String> },
    /// A folder without IDX files.
    Folder,
    /// One PNG or JPEG file.
    Image,
}

impl Source {
    fn of(path: &Path) -> Result<Self, DataError> {
        if !path.is_dir() {
            return Ok(match folder::is_image(path) {
                true => Self::Image,
                false => Self::Idx { file: path.to_path_buf(), notes: Vec::new() },
            });
        }
        let files = idx::images_files(path)?;
        let Some(file) = files.first().cloned() else { return Ok(Self::Folder) };
        let name = file.file_name().unwrap_or_default().display();
        let notes = match files.len() {
            1 => Vec::new(),
            n => {
                vec![format!("{} has {n} IDX images files: {name} is read; name another to read that", path.display())]
            }
        };
        Ok(Self::Idx { file, notes })
    }
}

fn error(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Images { path: path.to_path_buf(), reason: reason.into() }
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> DataError + '_ {
    |error| DataError::Unreadable { path: path.to_path_buf(), reason: error.to_string() }
}
