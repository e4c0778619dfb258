use super::Mode;
use crate::data::{Matrix, SeriesShape};
use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Tensor, activation};
use contrarian::InvalidParameter;

/// A network that classifies windows of a series of several channels.
pub trait SeriesNetwork: Module {
    /// What each stage gives, input side first. The last stage gives the logits `[batch, classes, places]`: a window longer
    /// than the network needs has several predictions.
    ///
    /// # Shapes
    /// - x: `[batch, channels, samples]`
    ///
    /// # Panics
    /// When the window is shorter than [`shortest`](Self::shortest), with that number.
    fn stages(&self, x: Tensor<3>, mode: &mut Mode) -> Vec<Tensor<3>>;

    /// The parameters of each layer group, input side first; the last is the head.
    fn groups(&self) -> Vec<ParamGroup>;

    /// Samples of the shortest window that gives a prediction.
    fn shortest(&self) -> usize;

    /// Logits of windows, the last of the [`stages`](Self::stages).
    ///
    /// # Panics
    /// As [`stages`](Self::stages).
    fn logits(&self, x: Tensor<3>, mode: &mut Mode) -> Tensor<3> {
        self.stages(x, mode).pop().expect("a network has a stage")
    }

    /// Log-probabilities of every window, row by row with a column a class: the mean of the log-softmax over the window's
    /// predictions. For a network for inference.
    ///
    /// # Panics
    /// When the rows are not of this shape, or as [`stages`](Self::stages).
    fn log_probabilities(&self, x: &Matrix, shape: SeriesShape) -> Vec<f64> {
        let mut all = Vec::new();
        for start in (0..x.rows).step_by(CHUNK) {
            let rows: Vec<usize> = (start..x.rows.min(start + CHUNK)).collect();
            let logits = self.logits(shape.tensor(x.gather(&rows), &Device::flex()), &mut Mode::Inference);
            all.extend(activation::log_softmax(logits, 1).mean_dim(2).into_data().iter::<f64>());
        }
        all
    }
}

/// Windows a chunk of [`SeriesNetwork::log_probabilities`].
const CHUNK: usize = 64;

/// Checks that a window is long enough.
pub(super) fn require_samples(samples: usize, shortest: usize) -> Result<(), InvalidParameter> {
    match samples >= shortest {
        true => Ok(()),
        false => Err(InvalidParameter::new("samples", samples, format!("at least {shortest} for this network"))),
    }
}

/// Checks sizes that must not be 0.
pub(super) fn require_sizes(sizes: &[(&str, usize)]) -> Result<(), InvalidParameter> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        Some((field, size)) => Err(InvalidParameter::new(field, size, "at least 1")),
        None => Ok(()),
    }
}

/// Checks the rate of a dropout.
pub(super) fn require_dropout(dropout: f64) -> Result<(), InvalidParameter> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(InvalidParameter::new("dropout", dropout, "in [0, 1)")),
    }
}
