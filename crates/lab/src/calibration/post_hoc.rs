use super::{CalibrateError, Outputs};
use crate::data::Sampler;
use crate::fit::{Examples, FitConfig, TrainingLoop};
use crate::parallel;
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::calibration::{
    CalibrationError, TemperatureNet, TemperatureNetConfig, TemperatureObjective, TransformConsistencyFeaturesConfig,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// How to learn a [`PostHocCalibrator`].
#[derive(Debug, Clone)]
pub struct PostHocConfig {
    /// What the temperatures minimise.
    pub objective: TemperatureObjective,
    /// Classes followed through the transformed copies; no more than there are classes. 0 learns one temperature for all
    /// rows.
    pub top_k: usize,
    /// Optimiser and budget.
    pub fit: FitConfig,
}

impl Default for PostHocConfig {
    /// The balanced correctness-aware loss over 4 classes; Adam at 0.005 for 30 epochs of batches of 500, which balanced
    /// weights need.
    fn default() -> Self {
        let fit = FitConfig::new().with_learning_rate(5e-3).with_batch_size(500).with_epochs(30);
        Self { objective: TemperatureObjective::CorrectnessAware, top_k: 4, fit }
    }
}

/// A temperature for every row, from what transformed copies of its input say. The prediction does not change.
///
/// ```text
/// p_i = softmax(l_i / T_i),   T_i = net(features of the copies of i)
/// ```
///
/// Source: Liu et al. 2024, <https://arxiv.org/abs/2404.13016>.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PostHocCalibrator {
    top_k: usize,
    hidden: Layer,
    output: Layer,
    min: f64,
    max: f64,
    /// Part of the calibration rows whose temperature is at a bound.
    pub clamped: f64,
}

/// A linear layer as plain numbers, for saving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layer {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Layer {
    fn of(layer: &Linear) -> Self {
        let bias = layer.bias.as_ref().map_or_else(Vec::new, |bias| numbers(bias.val()));
        Self { weight: numbers(layer.weight.val()), bias }
    }

    fn linear(&self, device: &Device) -> Linear {
        let outputs = self.bias.len();
        let weight = TensorData::new(self.weight.clone(), [self.weight.len() / outputs, outputs]);
        Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(self.bias.as_slice(), device)) }
    }
}

pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("the lab's tensors are f32")
}

impl PostHocCalibrator {
    /// Learns the temperatures from a classifier's outputs on held-out rows and their labels.
    ///
    /// # Errors
    /// With fewer than two rows, outputs that are not finite, copies that do not match, fewer than `top_k` classes, or when
    /// training fails or is stopped.
    pub fn fit(
        outputs: &Outputs,
        labels: &[usize],
        config: &PostHocConfig,
        seed: u64,
        stop: Option<&AtomicBool>,
    ) -> Result<Self, CalibrateError> {
        config.fit.validate()?;
        let rows = outputs.logits.rows;
        if rows < 2 {
            return Err(CalibrationError::TooFewRows { rows, needed: 2 }.into());
        }
        let features = features(outputs, config.top_k)?;
        let device = Device::flex().autodiff();
        let net = TemperatureNetConfig::new(features.dims()[1]);
        let data = Examples { x: &outputs.logits, y: labels };
        let step = |net: &TemperatureNet, rows: &[usize], _: &mut crate::model::Mode| {
            let batch = data.batch(rows, &device);
            // The features are those of a frozen classifier: they carry no gradient.
            let chosen = features.clone().select(0, batch.ids);
            config.objective.loss(batch.x, batch.labels, net.forward(Tensor::from_inner(chosen)))
        };
        let training = TrainingLoop { stop, ..TrainingLoop::new(&config.fit, Sampler::Shuffled { rows }, seed) };
        let train = || training.run(net.init(&device, seed), step);
        let net = match rayon::current_thread_index() {
            Some(_) => train(),
            None => parallel::pool(1).install(train),
        }?
        .model;
        Ok(Self {
            top_k: config.top_k,
            clamped: net.clamped_share(features.clone()),
            hidden: Layer::of(&net.hidden),
            output: Layer::of(&net.output),
            min: net.min,
            max: net.max,
        })
    }

    /// The temperature of every row.
    ///
    /// # Errors
    /// When the outputs have no such copies or classes as it was fitted on.
    pub fn temperatures(&self, outputs: &Outputs) -> Result<Tensor<1>, CalibrateError> {
        let device = Device::flex();
        let net = TemperatureNet {
            hidden: self.hidden.linear(&device),
            output: self.output.linear(&device),
            min: self.min,
            max: self.max,
        };
        let features = features(outputs, self.top_k)?;
        let (found, needed) = (features.dims()[1], self.hidden.weight.len() / self.hidden.bias.len());
        if found != needed {
            return Err(CalibrationError::Shape { what: "features of transformed copies", found, rows: needed }.into());
        }
        Ok(net.forward(features))
    }

    /// Whether it can be applied to so many classes: for one that comes from a file.
    pub(super) fn suits(&self, classes: usize) -> bool {
        let hidden = self.hidden.bias.len();
        self.top_k <= classes
            && hidden > 0
            && self.hidden.weight.len().is_multiple_of(hidden)
            && (self.output.weight.len(), self.output.bias.len()) == (hidden, 1)
            && 0.0 < self.min
            && self.min < self.max
    }

    /// Whether it reads transformed copies.
    pub fn needs_copies(&self) -> bool {
        self.top_k > 0
    }
}

/// The features of every row; one constant when no class is followed.
fn features(outputs: &Outputs, top_k: usize) -> Result<Tensor<2>, CalibrateError> {
    let rows = outputs.logits.rows;
    if top_k == 0 {
        return Ok(Tensor::ones([rows, 1], &Device::flex()));
    }
    let found = outputs.copies.len();
    if found == 0 || outputs.copies.iter().any(|copy| copy.rows != rows || copy.cols != outputs.logits.cols) {
        return Err(CalibrationError::Shape { what: "usable transformed copies", found, rows }.into());
    }
    let copies = outputs.copies.iter().map(|copy| Outputs::tensor(copy).unsqueeze::<3>()).collect();
    let features = TransformConsistencyFeaturesConfig::new().with_top_k(top_k).init();
    Ok(features.forward(Outputs::tensor(&outputs.logits), Tensor::cat(copies, 0))?)
}
