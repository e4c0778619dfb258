//! A trained model with everything needed to apply it: `train`, `save`, `load`, `predict`.
//!
//! A saved model is a folder of two files: `weights.safetensors`, and `model.json` with the kind of network, the columns or
//! the shape of the images, encodings, scaling, classes, objective, threshold and versions.

mod manifest;
mod predictions;

pub use manifest::Manifest;
pub use predictions::RowPredictions;

use crate::calibration::{CalibrateError, Outputs, TrainingTable};
use crate::compare::check_sampling;
use crate::data::{DataError, Matrix, Preprocessor, Problem, Table, Transform, UnlabelledImages, hold_out};
use crate::fit::{Examples, Fit, FitConfig, FitError, Validation, logits, objective_step, predict, softmax};
use crate::metrics::{Decision, Metric, Predictions, best_threshold, evaluate};
use crate::model::{Architecture, Network};
use crate::parallel;
use crate::report::write_atomically;
use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use contrarian::InvalidParameter;
use contrarian::registry::{ObjectiveSpec, RegistryError, TaskContext};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Version of the folder's layout; a model of another version is refused.
pub const FORMAT: u32 = 2;

const MANIFEST: &str = "model.json";
const WEIGHTS: &str = "weights.safetensors";

/// How to train a model for saving.
#[derive(Debug, Clone)]
pub struct TrainConfig {
    /// Objective to minimise.
    pub objective: ObjectiveSpec,
    /// Metric for early stopping and for the threshold.
    pub metric: Metric,
    /// Part of the rows held out for early stopping and for the threshold.
    pub validation: f64,
    /// Seed of the split, the weights and the batches.
    pub seed: u64,
    /// The model.
    pub model: Architecture,
    /// Optimiser and budget.
    pub fit: FitConfig,
    /// Texts that meant a missing value when the data was read, remembered for later files.
    pub missing: Vec<String>,
}

/// A model that can be applied to new tables, or to new images.
#[derive(Debug)]
pub struct SavedModel {
    /// What is known about it.
    pub manifest: Manifest,
    model: Network,
}

/// Why a model could not be trained, saved, loaded or applied.
#[derive(Debug, thiserror::Error)]
pub enum SavedModelError {
    /// The objective does not exist, or not for this data.
    #[error(transparent)]
    Objective(#[from] RegistryError),
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] InvalidParameter),
    /// The data does not fit.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Training failed.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The model could not be calibrated, or its calibration not applied.
    #[error(transparent)]
    Calibration(#[from] CalibrateError),
    /// A file of the folder could not be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The folder holds no model, or a damaged one.
    #[error("{} is not a usable model: {reason}; train it again with `contrarian train`", folder.display())]
    Damaged {
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Saved by another version.
    #[error(
        "{} was saved in format {found} by contrarian {version}, and this version reads format {FORMAT}; train it again",
        folder.display()
    )]
    Version {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
        /// Version that saved it.
        version: String,
    },
}

impl SavedModelError {
    /// The training error, if it is one.
    pub fn fit(&self) -> Option<&FitError> {
        match self {
            Self::Fit(error) | Self::Calibration(CalibrateError::Fit(error)) => Some(error),
            _ => None,
        }
    }
}

/// Trains a model on all rows but a stratified validation part, which chooses the epoch and the threshold.
///
/// `progress` is told of every finished epoch (done, at most).
///
/// # Errors
/// When the objective cannot be built for the data, the data cannot be split, or training diverges or is stopped.
pub fn train(
    problem: &Problem,
    config: &TrainConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<SavedModel, SavedModelError> {
    parallel::pool(parallel::available_threads()).install(|| train_here(problem, config, progress, stop))
}

fn train_here(
    problem: &Problem,
    config: &TrainConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<SavedModel, SavedModelError> {
    let classes = problem.classes.len();
    let [train, held_out] = hold_out(&problem.labels, config.validation, config.seed)?;
    let labels = |rows: &[usize]| rows.iter().map(|&row| problem.labels[row]).collect::<Vec<_>>();
    let preprocessor = Preprocessor::fit(&problem.features, &train);
    let (train_x, train_y) = (preprocessor.transform(&problem.features, &train), labels(&train));
    let (held_x, held_y) = (preprocessor.transform(&problem.features, &held_out), labels(&held_out));

    let training_table = preprocessor.image_shape().is_none().then(|| {
        let all: Vec<usize> = (0..problem.labels.len()).collect();
        let x = preprocessor.transform(&problem.features, &all);
        TrainingTable::new(&x, &problem.labels, config.validation, config.seed)
    });

    let mut class_counts = vec![0; classes];
    for &label in &train_y {
        class_counts[label] += 1;
    }
    let objective = config.objective.build(&TaskContext { class_counts })?;
    check_sampling(objective.as_ref(), &config.objective, &config.fit)?;
    let shape = config.model.network(preprocessor.inputs(), preprocessor.image_shape(), classes)?;
    let predictions = |probabilities: Vec<f64>| Predictions { probabilities, classes, labels: held_y.clone() };
    let epoch = AtomicUsize::new(0);
    let score = |probabilities: &[f64]| {
        progress(epoch.fetch_add(1, Ordering::Relaxed) + 1, config.fit.epochs);
        let value = evaluate(config.metric, &predictions(probabilities.to_vec()), Decision::Argmax)?;
        Some(if config.metric.higher_is_better() { value } else { -value })
    };
    let mut state = objective.initial_state(train_y.len(), config.seed);
    let fitted = Fit {
        train: Examples { x: &train_x, y: &train_y },
        config: &config.fit,
        seed: config.seed,
        validation: Some(Validation { x: &held_x, score: &score }),
        stop: Some(stop),
    }
    .run(shape.init(&Device::flex().autodiff(), config.seed), objective_step(objective.as_ref(), &mut state))?;

    let held_out = predictions(predict(&fitted.model, &held_x));
    let threshold = (classes == 2).then(|| best_threshold(config.metric, &held_out));
    let decision = threshold.map_or(Decision::Argmax, Decision::Threshold);
    let validation_metrics = Metric::REPORTED
        .into_iter()
        .filter_map(|metric| Some((metric.to_string(), evaluate(metric, &held_out, decision)?)))
        .collect();
    Ok(SavedModel {
        manifest: Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            data: problem.name.clone(),
            target: problem.target.clone(),
            classes: problem.classes.clone(),
            missing: config.missing.clone(),
            preprocessor,
            model: shape,
            objective: config.objective.to_string(),
            threshold,
            metric: config.metric.to_string(),
            training_rows: train_y.len(),
            validation_metrics,
            training_table,
            calibrator: None,
            weights_crc32: 0,
        },
        model: fitted.model,
    })
}

impl SavedModel {
    /// Writes the folder, creating it if need be.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), SavedModelError> {
        let failed = |path: &Path, reason: String| SavedModelError::Write { path: path.to_path_buf(), reason };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error.to_string()))?;
        let weights = folder.join(WEIGHTS);
        let mut store = SafetensorsStore::from_file(&weights).overwrite(true);
        self.model.save_into(&mut store).map_err(|error| failed(&weights, error.to_string()))?;
        let weights_crc32 = crc32(&std::fs::read(&weights).map_err(|error| failed(&weights, error.to_string()))?);
        let manifest = Manifest { weights_crc32, ..self.manifest.clone() };
        write_manifest(folder, &manifest)
    }

    /// Writes what is known about the model into the folder it was loaded from, beside the weights that are there.
    ///
    /// # Errors
    /// When the file cannot be written; the old one is whole then.
    pub fn save_manifest(&self, folder: &Path) -> Result<(), SavedModelError> {
        write_manifest(folder, &self.manifest)
    }

    /// The logits for encoded rows, and for a transformed copy of them by each transform.
    pub fn outputs(&self, x: &Matrix, transforms: &[Transform], seed: u64) -> Outputs {
        let copy = |(index, transform): (usize, &Transform)| {
            logits(&self.model, &transform.apply(x, seed.wrapping_add(index as u64)))
        };
        let copies = transforms.iter().enumerate().map(copy).collect();
        Outputs { logits: logits(&self.model, x), copies }
    }

    /// The rows of a table that have a target, encoded, with their labels.
    ///
    /// # Errors
    /// When a column is missing or of another type, or a target is no class of the model.
    pub fn labelled(&self, table: &Table) -> Result<Labelled, SavedModelError> {
        let manifest = &self.manifest;
        let encoder = manifest.table_encoder()?;
        let target = &table.columns[table.position(&manifest.target)?].values;
        let (columns, mut notes) = encoder.align(table)?;
        // The target is used here, so it is not among the columns that are ignored.
        notes.retain(|note| !note.ends_with(&format!(": {}", manifest.target)));
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for row in 0..table.rows() {
            let Some(text) = target.text(row) else { continue };
            let Some(label) = manifest.classes.iter().position(|class| *class == text) else {
                let classes = manifest.classes.join(", ");
                let reason = format!(
                    "row {} is `{text}`, but the model knows the classes {classes}; correct or leave out such rows",
                    row + 1
                );
                return Err(DataError::Target { target: manifest.target.clone(), reason }.into());
            };
            rows.push(row);
            labels.push(label);
        }
        if rows.len() < table.rows() {
            notes.push(format!("{} rows without a target are left out", table.rows() - rows.len()));
        }
        Ok(Labelled { x: encoder.transform(&columns, &rows), labels, notes })
    }

    /// Reads a folder that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of another version.
    pub fn load(folder: &Path) -> Result<Self, SavedModelError> {
        let damaged = |reason: String| SavedModelError::Damaged { folder: folder.to_path_buf(), reason };
        let read = |name: &str| {
            std::fs::read(folder.join(name)).map_err(|error| damaged(format!("{name} cannot be read ({error})")))
        };
        let text = read(MANIFEST)?;
        // The version first: a manifest of another format need not have our fields.
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| damaged(format!("{MANIFEST} is no valid JSON ({error})")))?;
        match value["format"].as_u64() {
            Some(format) if format == u64::from(FORMAT) => {}
            Some(format) => {
                let version = value["version"].as_str().unwrap_or("unknown").to_string();
                let found = u32::try_from(format).unwrap_or(u32::MAX);
                return Err(SavedModelError::Version { folder: folder.to_path_buf(), found, version });
            }
            None => return Err(damaged(format!("{MANIFEST} names no format"))),
        }
        let manifest: Manifest =
            serde_json::from_value(value).map_err(|error| damaged(format!("{MANIFEST} is incomplete ({error})")))?;
        let (inputs, outputs) = (manifest.preprocessor.inputs(), manifest.classes.len());
        if (manifest.model.inputs(), manifest.model.outputs()) != (inputs, outputs) || !manifest.images_fit() {
            return Err(damaged(format!("the model in {MANIFEST} does not fit its columns or images and classes")));
        }
        manifest.model.validate().map_err(|error| damaged(format!("{MANIFEST}: {error}")))?;
        let calibrator = manifest.calibrator.as_ref().map(|saved| &saved.calibrator);
        if calibrator.is_some_and(|calibrator| !calibrator.suits(manifest.classes.len())) {
            return Err(damaged(format!("the calibration in {MANIFEST} does not fit its classes")));
        }
        if crc32(&read(WEIGHTS)?) != manifest.weights_crc32 {
            return Err(damaged(format!("{WEIGHTS} is not the file that was saved (its checksum differs)")));
        }
        let mut model = manifest.model.init(&Device::flex(), 0);
        let mut store = SafetensorsStore::from_file(folder.join(WEIGHTS));
        model.load_from(&mut store).map_err(|error| damaged(format!("{WEIGHTS} does not fit the model ({error})")))?;
        Ok(Self { manifest, model: model.valid() })
    }

    /// Applies the model to a table with the training columns; other columns are ignored.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn predict(&self, table: &Table) -> Result<RowPredictions, SavedModelError> {
        let encoder = self.manifest.table_encoder()?;
        let (columns, notes) = encoder.align(table)?;
        let rows: Vec<usize> = (0..table.rows()).collect();
        self.predict_rows(&encoder.transform(&columns, &rows), None, notes)
    }

    /// Applies the model to images of the shape it was trained on ([`Manifest::image_shape`]).
    ///
    /// # Errors
    /// When the model was trained on a table, or on images of another shape.
    pub fn predict_images(&self, images: UnlabelledImages) -> Result<RowPredictions, SavedModelError> {
        let shape = self.manifest.image_shape()?;
        let UnlabelledImages { images, names, notes } = images;
        let Preprocessor::Images(scaler) = &self.manifest.preprocessor else { unreachable!("it has an image shape") };
        if images.shape != shape {
            return Err(mismatch(format!("it has {}, and the model knows {shape}", images.shape)));
        }
        let rows: Vec<usize> = (0..names.len()).collect();
        self.predict_rows(&scaler.transform(&images, &rows), Some(names), notes)
    }

    fn predict_rows(
        &self,
        x: &Matrix,
        names: Option<Vec<String>>,
        notes: Vec<String>,
    ) -> Result<RowPredictions, SavedModelError> {
        let own = softmax(&logits(&self.model, x));
        let probabilities = match &self.manifest.calibrator {
            Some(calibrator) => calibrator.apply(self, x)?,
            None => own.clone(),
        };
        // The threshold was chosen for the model's own probabilities: calibration leaves those decisions alone.
        let decide = |(own, p): (&[f64], &[f64])| match self.manifest.threshold {
            Some(threshold) => usize::from(own[1] >= threshold),
            None => (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap_or(0),
        };
        let classes = self.manifest.classes.len();
        let decisions = own.chunks(classes).zip(probabilities.chunks(classes)).map(decide).collect();
        Ok(RowPredictions {
            names,
            target: self.manifest.target.clone(),
            classes: self.manifest.classes.clone(),
            decisions,
            probabilities,
            notes,
        })
    }
}

fn mismatch(reason: String) -> SavedModelError {
    DataError::Mismatch { reason }.into()
}

fn write_manifest(folder: &Path, manifest: &Manifest) -> Result<(), SavedModelError> {
    let path = folder.join(MANIFEST);
    let failed = |reason: String| SavedModelError::Write { path: path.clone(), reason };
    let text = serde_json::to_string_pretty(manifest).map_err(|error| failed(error.to_string()))?;
    write_atomically(&path, text.as_bytes()).map_err(|error| failed(error.to_string()))
}

/// Rows with labels, ready for the model.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Encoded rows.
    pub x: Matrix,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// What was done to the table that a person should know.
    pub notes: Vec<String>,
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
