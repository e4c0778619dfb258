use super::post_hoc::numbers;
use super::{CalibrateError, Method, PostHocCalibrator, PostHocConfig};
use crate::data::{Matrix, Sampler};
use crate::fit::{Examples, FitConfig, TrainingLoop};
use crate::model::Mode;
use burn::module::Param;
use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation};
use contrarian::calibration::{
    CalibrationError, EnsembleTemperatureScaling, HistogramBinning, HistogramBinningConfig, IsotonicCalibration,
    TemperatureScaling, VectorScaling, VectorScalingConfig,
};
use contrarian::classification::CrossEntropyLossConfig;
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// What a classifier says about rows: its logits, and those of transformed copies of the inputs (none where no method reads
/// them).
#[derive(Debug, Clone)]
pub struct Outputs {
    /// Logits, one row an input.
    pub logits: Matrix,
    /// Logits of each transformed copy.
    pub copies: Vec<Matrix>,
}

impl Outputs {
    /// The rows with these indices, in this order.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn gather(&self, rows: &[usize]) -> Self {
        let copies = self.copies.iter().map(|copy| copy.gather(rows)).collect();
        Self { logits: self.logits.gather(rows), copies }
    }

    pub(super) fn tensor(logits: &Matrix) -> Tensor<2> {
        Tensor::from_data(TensorData::new(logits.data.clone(), [logits.rows, logits.cols]), &Device::flex())
    }

    pub(super) fn check(&self) -> Result<(), CalibrationError> {
        match self.logits.data.iter().position(|value| !value.is_finite()) {
            Some(place) => Err(CalibrationError::NotFinite { row: place / self.logits.cols, what: "a logit" }),
            None => Ok(()),
        }
    }
}

/// A fitted map from a classifier's outputs to probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibrator {
    /// One temperature.
    Temperature(TemperatureScaling),
    /// A mixture of the tempered, the untouched and the uniform distribution.
    Ensemble(EnsembleTemperatureScaling),
    /// A scale and an offset for every class.
    Vector {
        /// Scales by class.
        scale: Vec<f32>,
        /// Offsets by class.
        bias: Vec<f32>,
    },
    /// The share of each class in bins of its probability.
    Histogram(HistogramBinning),
    /// A non-decreasing map for every class.
    Isotonic(IsotonicCalibration),
    /// A temperature for every row.
    CorrectnessAware(PostHocCalibrator),
}

/// Rows a step of vector scaling, and its learning rate: full batches for most calibration sets.
const VECTOR_BATCH: usize = 512;
const VECTOR_RATE: f64 = 0.01;

impl Calibrator {
    /// Fits a method to a classifier's outputs on held-out rows.
    ///
    /// # Errors
    /// With too few rows, outputs that are not finite, a class without rows where the method needs each, and when training
    /// fails or is stopped.
    pub fn fit(
        method: Method,
        outputs: &Outputs,
        labels: &[usize],
        seed: u64,
        stop: Option<&AtomicBool>,
    ) -> Result<Self, CalibrateError> {
        outputs.check()?;
        let logits = || Outputs::tensor(&outputs.logits);
        let given: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
        let targets = || Tensor::<1, Int>::from_data(TensorData::from(given.as_slice()), &Device::flex());
        Ok(match method {
            Method::Temperature => Self::Temperature(TemperatureScaling::fit(logits(), targets())?),
            Method::Ensemble => Self::Ensemble(EnsembleTemperatureScaling::fit(logits(), targets())?),
            Method::Histogram => Self::Histogram(HistogramBinningConfig::new().fit(logits(), targets())?),
            Method::Isotonic => Self::Isotonic(IsotonicCalibration::fit(logits(), targets())?),
            Method::Vector => vector(outputs, labels, seed, stop)?,
            Method::CorrectnessAware => {
                let base = PostHocConfig::default();
                let (epochs, _) = FitConfig::budget_for(labels.len(), base.fit.batch_size);
                let fit = base.fit.with_epochs(epochs.min(300));
                let config = PostHocConfig { top_k: base.top_k.min(outputs.logits.cols), fit, ..base };
                Self::CorrectnessAware(PostHocCalibrator::fit(outputs, labels, &config, seed, stop)?)
            }
        })
    }

    /// Probabilities of every class, row-major.
    ///
    /// # Errors
    /// When the outputs are not finite, or have not the copies or classes that it was fitted on.
    pub fn apply(&self, outputs: &Outputs) -> Result<Vec<f64>, CalibrateError> {
        outputs.check()?;
        let logits = Outputs::tensor(&outputs.logits).cast(DType::F64);
        let p = match self {
            Self::Temperature(map) => map.apply(logits),
            Self::Ensemble(map) => map.apply(logits),
            Self::Histogram(map) => map.apply(logits),
            Self::Isotonic(map) => map.apply(logits),
            Self::Vector { scale, bias } => {
                let param = |values: &[f32]| Param::from_data(values, &Device::flex());
                let map = VectorScaling { scale: param(scale), bias: param(bias) };
                activation::softmax(map.forward(Outputs::tensor(&outputs.logits)).cast(DType::F64), 1)
            }
            Self::CorrectnessAware(map) => {
                let [rows, classes] = logits.dims();
                let temperature = map.temperatures(outputs)?.cast(DType::F64);
                activation::softmax(logits / temperature.reshape([rows, 1]).expand([rows, classes]), 1)
            }
        };
        Ok(p.into_data().try_to_vec().expect("they are f64"))
    }

    /// Whether it can be applied to so many classes: for one that comes from a file.
    pub fn suits(&self, classes: usize) -> bool {
        let finite = |values: &[f32]| values.len() == classes && values.iter().all(|value| value.is_finite());
        let positive = |temperature: f64| temperature > 0.0 && temperature.is_finite();
        match self {
            Self::Temperature(map) => positive(map.temperature),
            Self::Ensemble(map) => {
                positive(map.temperature) && map.weights.iter().all(|weight| (0.0..=1.0).contains(weight))
            }
            Self::Vector { scale, bias } => finite(scale) && finite(bias),
            Self::Histogram(map) => map.suits(classes),
            Self::Isotonic(map) => map.suits(classes),
            Self::CorrectnessAware(map) => map.suits(classes),
        }
    }

    /// Which method this is.
    pub fn method(&self) -> Method {
        match self {
            Self::Temperature(_) => Method::Temperature,
            Self::Ensemble(_) => Method::Ensemble,
            Self::Vector { .. } => Method::Vector,
            Self::Histogram(_) => Method::Histogram,
            Self::Isotonic(_) => Method::Isotonic,
            Self::CorrectnessAware(_) => Method::CorrectnessAware,
        }
    }
}

fn vector(
    outputs: &Outputs,
    labels: &[usize],
    seed: u64,
    stop: Option<&AtomicBool>,
) -> Result<Calibrator, CalibrateError> {
    let (rows, classes) = (outputs.logits.rows, outputs.logits.cols);
    if rows < 2 {
        return Err(CalibrationError::TooFewRows { rows, needed: 2 }.into());
    }
    if let Some(class) = (0..classes).find(|class| !labels.contains(class)) {
        return Err(CalibrationError::MissingClass { class, method: "vector scaling" }.into());
    }
    let (epochs, _) = FitConfig::budget_for(rows, VECTOR_BATCH);
    let config =
        FitConfig::new().with_learning_rate(VECTOR_RATE).with_batch_size(VECTOR_BATCH).with_epochs(epochs.min(500));
    let device = Device::flex().autodiff();
    let cross_entropy = CrossEntropyLossConfig::new().init();
    let data = Examples { x: &outputs.logits, y: labels };
    let training = TrainingLoop { stop, ..TrainingLoop::new(&config, Sampler::Shuffled { rows }, seed) };
    let start = VectorScalingConfig::new(classes).init(&device);
    let fitted = training.run(start, |map: &VectorScaling, rows, _: &mut Mode| {
        let batch = data.batch(rows, &device);
        cross_entropy.forward(map.forward(batch.x), batch.labels)
    })?;
    Ok(Calibrator::Vector { scale: numbers(fitted.model.scale.val()), bias: numbers(fitted.model.bias.val()) })
}
