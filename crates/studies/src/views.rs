//! What the studies of objectives over views share: images without labels to train on, and the space that comes out.

use crate::study::{Context, StudyError};
use crate::support::Measured;
use burn::tensor::{DType, Device, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian::contrastive::normalize_rows;
use contrarian_lab::augment::ImageAugmentation;
use contrarian_lab::data::{Dataset, Glyphs, ImageOptions, ImageSet, MIN_CLASS_ROWS, Matrix, hold_out, load_images};
use contrarian_lab::embedding::Space;
use contrarian_lab::fit::{Examples, FitConfig, ViewTraining, Views};
use contrarian_lab::model::{Encoder, EncoderConfig};
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// Checks what these studies' settings have in common.
///
/// # Errors
/// Names the first value outside its range.
pub fn check(study: &'static str, [classes, per_class]: [usize; 2], fits: &[&FitConfig]) -> Result<(), StudyError> {
    let at_least = |field: &str, value: usize, least: usize| match value >= least {
        true => Ok(()),
        false => Err(InvalidParameter::new(field, value, format!("at least {least}"))),
    };
    let all = || {
        at_least("classes", classes, 2)?;
        at_least("images_per_class", per_class, MIN_CLASS_ROWS)?;
        for fit in fits {
            at_least("steps", fit.epochs, 1)?;
            at_least("batch_size", fit.batch_size, 2)?;
            fit.validate()?;
        }
        Ok(())
    };
    all().map_err(|error| invalid(study, &error))
}

/// A setting outside its range.
pub fn invalid(study: &'static str, error: &InvalidParameter) -> StudyError {
    StudyError::Settings { study, reason: error.to_string() }
}

/// Neighbours that vote.
pub const NEIGHBOURS: usize = 5;

/// Numbers that [`ViewTask::measure`] gives.
pub const SPACE: [&str; 3] = ["5-NN", "-uniformity", "tolerance"];

/// Images to train on, others to judge by, and how views are made.
pub struct ViewTask {
    /// Two thirds of every class; labels serve the neighbours only.
    pub train: Dataset,
    /// The last third.
    pub test: Dataset,
    /// How views are made.
    pub augmentation: ImageAugmentation,
    encoder: EncoderConfig,
}

impl ViewTask {
    /// Images cut by `seed`, with the usual views of small images.
    ///
    /// # Errors
    /// When a class is too small to be cut.
    pub fn new(images: ImageSet, seed: u64) -> Result<Self, String> {
        let augmentation = ImageAugmentation::new(images.images.shape);
        let data = images.into_dataset();
        let parts = hold_out(&data.y, 1.0 / 3.0, seed).map_err(|error| error.to_string())?;
        let [train, test] = parts.map(|rows| data.select(&rows));
        let encoder = EncoderConfig::new(data.x.cols);
        Ok(Self { train, test, augmentation, encoder })
    }

    /// Generated glyphs; data and cut both follow the seed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn glyphs(classes: usize, per_class: usize, seed: u64) -> Result<Self, String> {
        Self::new(Glyphs { classes, per_class, ..Glyphs::default() }.generate(seed), seed)
    }

    /// Training on rows `x` with `views` views a step; the epochs of `config` are steps.
    pub fn training<'a>(&'a self, x: &'a Matrix, views: usize, config: &'a FitConfig, seed: u64) -> ViewTraining<'a> {
        ViewTraining { x, augmentation: &self.augmentation, views, encoder: &self.encoder, config, seed, stop: None }
    }

    /// An encoder trained on the training rows with pairs of views.
    ///
    /// # Errors
    /// When the fit fails.
    pub fn fit_pairs(
        &self,
        config: &FitConfig,
        seed: u64,
        objective: impl FnMut(&Views) -> Tensor<1>,
    ) -> Result<Encoder, String> {
        let fitted = self.training(&self.train.x, 2, config, seed).run(objective);
        fitted.map(|fitted| fitted.model).map_err(|error| error.to_string())
    }

    /// The numbers of [`SPACE`] on the test rows; all training rows are the neighbours' memory.
    ///
    /// # Errors
    /// When the encoder gives no numbers.
    pub fn measure(&self, encoder: &Encoder) -> Result<Measured, String> {
        let [train, test] = self.examples();
        numbers(Space::of(encoder, train, test, NEIGHBOURS).map_err(|error| error.to_string())?)
    }

    /// Training and test rows with their labels.
    pub fn examples(&self) -> [Examples<'_>; 2] {
        [&self.train, &self.test].map(|part| Examples { x: &part.x, y: &part.y })
    }
}

/// The numbers of [`SPACE`].
///
/// # Errors
/// When one is undefined.
pub fn numbers(space: Space) -> Result<Measured, String> {
    let defined =
        |number: &str, value: Option<f64>| value.ok_or_else(|| format!("{number} is undefined on these rows"));
    Ok(Measured::from([
        (SPACE[0], defined(SPACE[0], space.knn)?),
        (SPACE[1], -defined(SPACE[1], space.uniformity)?),
        (SPACE[2], defined(SPACE[2], space.tolerance)?),
    ]))
}

/// Title of the table of [`digits`].
pub const DIGITS: &str = "MNIST digits averaged down to 14 x 14 (mean ± s.d. over seeds; descriptive)";

/// Real images beside the generated ones: 1800 digits of MNIST's test part, averaged down to 14 x 14, in the place of the
/// 1797 digits of UCI. `None` where the data folder has no MNIST.
///
/// # Errors
/// When it is there and cannot be read.
pub fn digits(context: &Context) -> Result<Option<ImageSet>, StudyError> {
    let file = context.data.as_ref().map(|data| data.join("mnist/t10k-images-idx3-ubyte.gz"));
    let Some(file) = file.filter(|file| file.exists()) else { return Ok(None) };
    let options = ImageOptions { size: Some((14, 14)), limit: Some(1800), ..ImageOptions::default() };
    let unusable = |reason: String| StudyError::Data { name: "mnist", reason };
    load_images(&file, &options).map(Some).map_err(|error| unusable(error.to_string()))
}

/// Said where [`digits`] gives none.
pub const NO_DIGITS: &str = "Real digits are left out: there is no MNIST in the data folder.";

/// Random directions in f64, for what must hold exactly: rows of length 1.
pub fn directions(rows: usize, dim: usize, device: &Device, rng: &mut Xoshiro256PlusPlus) -> Tensor<2> {
    let values: Vec<f64> = (0..rows * dim).map(|_| StandardNormal.sample(rng)).collect();
    normalize_rows(Tensor::from_data(TensorData::new(values, [rows, dim]), (device, DType::F64)))
}
