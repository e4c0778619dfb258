//! Images as they were read, and their way to numbers.

use super::{ImageSet, ImageShape, Images, UnlabelledImages, error};
use crate::data::problem::ordered;
use crate::data::split::MIN_CLASS_ROWS;
use crate::data::{DataError, Matrix};
use image::imageops::{FilterType, resize};
use image::{GrayImage, RgbImage};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::path::Path;

/// Images of one shape: bytes, an image after the other, the channels of a pixel together.
pub(super) struct Raw {
    pub shape: ImageShape,
    pub bytes: Vec<u8>,
    /// Name of each image where it is asked for.
    pub names: Vec<String>,
    /// Class of each image, where there are classes.
    pub labels: Vec<String>,
    /// Every class, also those without an image.
    pub classes: Vec<String>,
    pub notes: Vec<String>,
}

const MAX_SIDE: usize = 1024;

/// Refuses sizes that no network here is made for, and that would fill the memory.
pub(super) fn check_size(path: &Path, height: usize, width: usize) -> Result<(), DataError> {
    let fits = |side: usize| (1..=MAX_SIDE).contains(&side);
    match fits(height) && fits(width) {
        true => Ok(()),
        false => Err(error(
            path,
            format!(
                "a size of {height} x {width} pixels is not between 1 x 1 and {MAX_SIDE} x {MAX_SIDE}: give a size to \
                 bring the images to"
            ),
        )),
    }
}

/// The images to use when there are more than the limit: a sample that does not depend on anything else, in order.
pub(super) fn sample(images: usize, limit: Option<usize>, notes: &mut Vec<String>) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..images).collect();
    if let Some(limit) = limit.filter(|limit| *limit < images) {
        chosen.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(0));
        chosen.truncate(limit);
        chosen.sort_unstable();
        notes.push(format!("{limit} of {images} images are used, drawn at random"));
    }
    chosen
}

/// Bytes of an image in another size.
pub(super) fn resized(bytes: Vec<u8>, shape: ImageShape, to: ImageShape) -> Vec<u8> {
    let whole = "the bytes are those of an image of this shape";
    let size = |shape: ImageShape| (shape.width as u32, shape.height as u32);
    let ((width, height), (to_width, to_height)) = (size(shape), size(to));
    match (width, height) == (to_width, to_height) {
        true => bytes,
        false if shape.channels == 1 => {
            let image = GrayImage::from_raw(width, height, bytes).expect(whole);
            resize(&image, to_width, to_height, FilterType::Triangle).into_raw()
        }
        false => {
            let image = RgbImage::from_raw(width, height, bytes).expect(whole);
            resize(&image, to_width, to_height, FilterType::Triangle).into_raw()
        }
    }
}

impl Raw {
    /// Numbers of the images that are kept, channel by channel.
    fn images(&self, keep: impl Fn(usize) -> bool) -> Images {
        let channels = self.shape.channels;
        let mut pixels = Matrix { rows: 0, cols: self.shape.numbers(), data: Vec::with_capacity(self.bytes.len()) };
        for (_, image) in self.bytes.chunks(pixels.cols).enumerate().filter(|(index, _)| keep(*index)) {
            let one = |channel: usize| image.iter().skip(channel).step_by(channels);
            pixels.data.extend((0..channels).flat_map(one).map(|&byte| f32::from(byte) / 255.0));
            pixels.rows += 1;
        }
        Images { shape: self.shape, pixels }
    }

    pub fn unlabelled(self, path: &Path) -> Result<UnlabelledImages, DataError> {
        if self.names.is_empty() {
            return Err(error(path, "there is no image in it"));
        }
        Ok(UnlabelledImages { images: self.images(|_| true), names: self.names, notes: self.notes })
    }

    /// Numbers classes; leaves out those that are too rare, as for tables.
    pub fn labelled(mut self, path: &Path, positive: Option<&str>) -> Result<ImageSet, DataError> {
        let mut counts: BTreeMap<&str, usize> = self.classes.iter().map(|class| (class.as_str(), 0)).collect();
        for label in &self.labels {
            *counts.entry(label).or_default() += 1;
        }
        if self.labels.is_empty() {
            return Err(error(path, "there is no image in it"));
        }
        let rare: Vec<String> = counts
            .iter()
            .filter(|(_, images)| **images < MIN_CLASS_ROWS)
            .map(|(class, images)| {
                format!(
                    "class `{class}` has {images} images, fewer than the {MIN_CLASS_ROWS} that splits need: left out"
                )
            })
            .collect();
        counts.retain(|_, images| *images >= MIN_CLASS_ROWS);
        if counts.len() < 2 {
            let found = match counts.keys().next() {
                None => format!("no class has the {MIN_CLASS_ROWS} images that splits need"),
                Some(only) if rare.is_empty() => format!("every image is of the class `{only}`"),
                Some(only) => format!("only the class `{only}` has the {MIN_CLASS_ROWS} images that splits need"),
            };
            let rare = if rare.is_empty() { String::new() } else { format!(" ({})", rare.join("; ")) };
            return Err(error(path, format!("{found}; two classes are needed{rare}")));
        }
        self.notes.extend(rare);
        let classes = ordered(&counts, positive).map_err(|reason| error(path, reason))?;
        let label = |index: usize| classes.iter().position(|class| *class == self.labels[index]);
        let images = self.images(|index| label(index).is_some());
        let labels = (0..self.labels.len()).filter_map(label).collect();
        Ok(ImageSet { name: name(path), images, labels, classes, notes: self.notes })
    }
}

/// The folder's name says more than `train-images-idx3-ubyte`.
fn name(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = if whole.is_dir() { Some(whole.as_path()) } else { whole.parent() };
    folder.and_then(Path::file_name).map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned())
}
