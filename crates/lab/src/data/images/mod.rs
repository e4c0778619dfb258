//! Labelled images of one size: IDX files, folders of class folders, generated glyphs.

mod folder;
mod glyphs;
mod idx;

pub use glyphs::glyphs;

use super::problem::ordered;
use super::split::MIN_CLASS_ROWS;
use super::{Column, DataError, Dataset, Matrix, Problem, Values};
use image::imageops::{FilterType, resize};
use image::{GrayImage, RgbImage};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

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

/// How to read images.
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
    /// Size of every image.
    pub shape: ImageShape,
    /// Pixels in `[0, 1]`, an image a row, ordered by channel, then row of the image, then column.
    pub pixels: Matrix,
    /// Class of each image.
    pub labels: Vec<usize>,
    /// Class names by label.
    pub classes: Vec<String>,
    /// What was done to the images that a person should know.
    pub notes: Vec<String>,
}

/// Images as they were read: bytes, an image after the other, and the class of each by name.
struct Raw {
    name: String,
    shape: ImageShape,
    bytes: Vec<u8>,
    labels: Vec<String>,
    notes: Vec<String>,
}

/// Reads labelled images: an IDX images file (also gzipped) with its labels file beside it, a folder that holds such files,
/// or a folder with a folder of PNG and JPEG files for each class.
///
/// # Errors
/// When something cannot be read or is no such file, labels and images do not match, or fewer than two classes have the
/// images that splits need.
pub fn load_images(path: &Path, options: &ImageOptions) -> Result<ImageSet, DataError> {
    if let Some((height, width)) = options.size
        && (height == 0 || width == 0 || height > 1024 || width > 1024)
    {
        return Err(error(path, format!("a size of {height} x {width} is not between 1 x 1 and 1024 x 1024")));
    }
    let raw = match (path.is_dir(), idx::images_file(path)?) {
        (true, None) => folder::read(path, options)?,
        (_, found) => idx::read(found.as_deref().unwrap_or(path), options)?,
    };
    raw.checked(path, options.positive.as_deref())
}

fn error(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::Images { path: path.to_path_buf(), reason: reason.into() }
}

/// The images to use when there are more than the limit: a sample that does not depend on anything else, in order.
fn sample(images: usize, limit: Option<usize>) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..images).collect();
    if let Some(limit) = limit.filter(|limit| *limit < images) {
        chosen.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(0));
        chosen.truncate(limit);
        chosen.sort_unstable();
    }
    chosen
}

/// Bytes of an image in another size. Colours lie one pixel after the other here.
fn resized(bytes: Vec<u8>, shape: ImageShape, to: ImageShape) -> Vec<u8> {
    let whole = "the bytes are those of an image of this shape";
    let size = |shape: ImageShape| (shape.width as u32, shape.height as u32);
    let ((width, height), (to_width, to_height)) = (size(shape), size(to));
    match shape == to {
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
    /// Numbers classes; leaves out those that are too rare, as for tables.
    fn checked(mut self, path: &Path, positive: Option<&str>) -> Result<ImageSet, DataError> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for label in &self.labels {
            *counts.entry(label).or_default() += 1;
        }
        match &counts.keys().collect::<Vec<_>>()[..] {
            [] => return Err(error(path, "there is no image in it")),
            [only] => {
                return Err(error(path, format!("every image is of the class `{only}`; two classes are needed")));
            }
            _ => {}
        }
        let rare = |rows: usize| rows < MIN_CLASS_ROWS;
        for (class, rows) in counts.iter().filter(|(_, rows)| rare(**rows)) {
            self.notes.push(format!(
                "class `{class}` has {rows} images, fewer than the {MIN_CLASS_ROWS} that splits need: left out"
            ));
        }
        counts.retain(|_, rows| !rare(*rows));
        if counts.len() < 2 {
            let reason = format!(
                "fewer than two classes have the {MIN_CLASS_ROWS} images that splits need ({})",
                self.notes.join("; ")
            );
            return Err(error(path, reason));
        }
        let classes = ordered(&counts, positive).map_err(|reason| error(path, reason))?;
        let numbers = self.shape.numbers();
        let (mut data, mut labels) = (Vec::with_capacity(self.bytes.len()), Vec::new());
        for (image, label) in self.bytes.chunks(numbers).zip(&self.labels) {
            if let Some(label) = classes.iter().position(|class| class == label) {
                labels.push(label);
                let channels = self.shape.channels;
                let one = |channel: usize| image.iter().skip(channel).step_by(channels);
                data.extend((0..channels).flat_map(one).map(|&byte| f32::from(byte) / 255.0));
            }
        }
        let pixels = Matrix { rows: labels.len(), cols: numbers, data };
        Ok(ImageSet { name: self.name, shape: self.shape, pixels, labels, classes, notes: self.notes })
    }
}

impl ImageSet {
    /// The images as labelled rows for a model.
    pub fn dataset(&self) -> Dataset {
        Dataset { x: self.pixels.clone(), y: self.labels.clone(), classes: self.classes.len() }
    }

    /// The images as a table with a numeric column for each pixel (`pixel 0,0,0` is channel, row, column): for models that
    /// know nothing of neighbourhood.
    pub fn problem(&self, target: &str) -> Problem {
        let ImageShape { height, width, .. } = self.shape;
        let column = |index: usize| {
            let (channel, row, column) = (index / (height * width), index / width % height, index % width);
            let values = (0..self.pixels.rows).map(|image| f64::from(self.pixels.row(image)[index])).collect();
            Column { name: format!("pixel {channel},{row},{column}"), values: Values::Numeric(values) }
        };
        Problem {
            name: self.name.clone(),
            target: target.into(),
            features: (0..self.shape.numbers()).map(column).collect(),
            labels: self.labels.clone(),
            classes: self.classes.clone(),
            positive: (self.classes.len() == 2).then_some(1),
            notes: self.notes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn idx(dims: &[usize], bytes: &[u8]) -> Vec<u8> {
        let mut file = vec![0, 0, 8, dims.len() as u8];
        file.extend(dims.iter().flat_map(|&dim| (dim as u32).to_be_bytes()));
        file.extend(bytes);
        file
    }

    /// Twelve images of 3 x 2; image i has the pixels i, i + 1, ...; labels alternate between 3 and 7.
    fn idx_files(folder: &TempDir) -> PathBuf {
        let pixels: Vec<u8> = (0..12).flat_map(|i| i..i + 6).collect();
        let labels: Vec<u8> = (0..12).map(|i| if i % 2 == 0 { 3 } else { 7 }).collect();
        let images = folder.path().join("train-images-idx3-ubyte");
        std::fs::write(&images, idx(&[12, 3, 2], &pixels)).unwrap();
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), idx(&[12], &labels)).unwrap();
        images
    }

    fn gzip(path: &Path) {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&std::fs::read(path).unwrap()).unwrap();
        std::fs::write(path.with_extension("gz"), encoder.finish().unwrap()).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn idx_files_are_read_from_the_file_its_folder_and_gzipped() {
        let folder = tempfile::tempdir().unwrap();
        let images = idx_files(&folder);
        let set = load_images(&images, &ImageOptions::default()).unwrap();
        assert_eq!((set.shape, set.labels.len()), (ImageShape { channels: 1, height: 3, width: 2 }, 12));
        assert_eq!((&set.classes[..], &set.labels[..3]), (&["3".to_string(), "7".into()][..], &[0, 1, 0][..]));
        assert_eq!(set.pixels.row(2)[5], 7.0 / 255.0);
        assert_eq!(load_images(folder.path(), &ImageOptions::default()).unwrap().pixels, set.pixels);
        gzip(&images);
        gzip(&folder.path().join("train-labels-idx1-ubyte"));
        assert_eq!(load_images(folder.path(), &ImageOptions::default()).unwrap().pixels, set.pixels);
        let options =
            ImageOptions { size: Some((6, 4)), limit: Some(11), positive: Some("3".into()), ..Default::default() };
        let set = load_images(folder.path(), &options).unwrap();
        assert_eq!((set.pixels.rows, set.pixels.cols, &set.classes[1][..]), (11, 24, "3"));
    }

    #[test]
    fn bad_idx_files_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let images = idx_files(&folder);
        let labels = folder.path().join("train-labels-idx1-ubyte");
        let fails = |says: &str| {
            let error = load_images(&images, &ImageOptions::default()).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("idx"), "{says}: {error}");
        };
        std::fs::write(&labels, idx(&[11], &[1; 11])).unwrap();
        fails("11 labels for 12 images");
        std::fs::write(&labels, idx(&[12], &[1; 12])).unwrap();
        fails("every image is of the class `1`");
        std::fs::write(&labels, idx(&[12], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])).unwrap();
        fails("class `2` has 1 images");
        std::fs::remove_file(&labels).unwrap();
        fails("labels file");
        std::fs::write(&images, &idx(&[12, 3, 2], &[0; 72])[..50]).unwrap();
        fails("cut off");
        std::fs::write(&images, "not an IDX file").unwrap();
        fails("no IDX file");
        let unknown = ImageOptions { positive: Some("8".into()), ..Default::default() };
        let images = idx_files(&folder);
        assert!(load_images(&images, &unknown).unwrap_err().to_string().contains("no class `8`"));
        assert!(load_images(Path::new("nowhere"), &unknown).unwrap_err().to_string().contains("cannot read nowhere"));
    }

    fn png_folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (class, base) in [("ant", 10), ("bee", 200)] {
            let class = folder.path().join(class);
            std::fs::create_dir(&class).unwrap();
            for i in 0..6u8 {
                // The last is larger, and a JPEG.
                let size = if i == 5 { 8 } else { 4 };
                let image = RgbImage::from_fn(size, size, |_, _| image::Rgb([base + i, 0, 0]));
                image.save(class.join(format!("{i}.{}", if i == 5 { "jpg" } else { "PNG" }))).unwrap();
            }
        }
        std::fs::write(folder.path().join("README.md"), "about").unwrap();
        folder
    }

    #[test]
    fn folders_of_classes_are_read_in_grey_and_colour() {
        let folder = png_folder();
        let grey = load_images(folder.path(), &ImageOptions::default()).unwrap();
        assert_eq!(
            (grey.shape, &grey.classes[..]),
            (ImageShape { channels: 1, height: 4, width: 4 }, &["ant".to_string(), "bee".into()][..])
        );
        assert_eq!(grey.labels, [[0; 6], [1; 6]].concat());
        let rgb =
            load_images(folder.path(), &ImageOptions { rgb: true, size: Some((2, 2)), ..Default::default() }).unwrap();
        assert_eq!(rgb.shape, ImageShape { channels: 3, height: 2, width: 2 });
        // Red first, all four pixels of it; then green and blue.
        let bee = rgb.pixels.row(6);
        assert!(
            bee[..4].iter().all(|v| (v - 200.0 / 255.0).abs() < 0.01) && bee[4..].iter().all(|&v| v == 0.0),
            "{bee:?}"
        );
    }

    #[test]
    fn bad_folders_are_explained() {
        let folder = png_folder();
        let fails = |says: &str| {
            let error = load_images(folder.path(), &ImageOptions::default()).unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        };
        std::fs::write(folder.path().join("ant/3.PNG"), "text").unwrap();
        fails("3.PNG");
        std::fs::remove_dir_all(folder.path().join("ant")).unwrap();
        fails("every image is of the class `bee`");
        std::fs::remove_dir_all(folder.path().join("bee")).unwrap();
        fails("a folder for each class");
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        fails("no image");
    }

    #[test]
    fn real_digits_have_their_known_mean() {
        let Some(data) = std::env::var_os("CONTRARIAN_DATA") else {
            println!("skipped: CONTRARIAN_DATA names no folder of real data");
            return;
        };
        let set = load_images(&PathBuf::from(data).join("mnist"), &ImageOptions::default()).unwrap();
        assert_eq!((set.labels.len(), set.classes.len(), set.pixels.cols), (60_000, 10, 784));
        let mean = set.pixels.data.iter().map(|&v| f64::from(v)).sum::<f64>() / set.pixels.data.len() as f64;
        // The mean and count of the data folder's README.
        assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
        assert_eq!(set.labels.iter().filter(|&&label| label == 4).count(), 5842);
    }
}
