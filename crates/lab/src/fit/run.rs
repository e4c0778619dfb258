use super::FitConfig;
use super::training_loop::{FitError, Fitted, Hooks, TrainingLoop};
use crate::data::{Matrix, Sampler};
use crate::model::{Classifier, Mode};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::{LogitBatch, LogitObjective, ObjectiveState};
use std::sync::atomic::AtomicBool;

/// Labelled rows.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// Inputs, one row an example.
    pub x: &'a Matrix,
    /// Class of each row.
    pub y: &'a [usize],
}

/// One mini-batch on the training device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Inputs `[batch, inputs]`.
    pub x: Tensor<2>,
    /// Classes `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Which training rows these are, `[batch]`.
    pub ids: Tensor<1, Int>,
}

/// How a model is judged between epochs.
pub struct Validation<'a> {
    /// Inputs of the validation part.
    pub x: &'a Matrix,
    /// Score of the class probabilities (row-major, `rows x classes`), larger is better; `None` if undefined.
    pub score: &'a (dyn Fn(&[f64]) -> Option<f64> + Sync),
}

/// One fit of a classifier to labelled rows: the [`TrainingLoop`] for matrices, with validation by class probabilities.
pub struct Fit<'a> {
    /// Training rows.
    pub train: Examples<'a>,
    /// Budget and optimiser.
    pub config: &'a FitConfig,
    /// Seed of the batch order and of dropout.
    pub seed: u64,
    /// Early stopping and the learning curve; without it the last model is kept.
    pub validation: Option<Validation<'a>>,
    /// Set from outside to end the fit before its next step.
    pub stop: Option<&'a AtomicBool>,
}

/// The step of an objective: logits of the batch, then its loss. `state` is carried from step to step.
pub fn objective_step<'a, M: Classifier>(
    objective: &'a dyn LogitObjective,
    state: &'a mut ObjectiveState,
) -> impl FnMut(&M, Batch, &mut Mode) -> Tensor<1> + 'a {
    move |model, batch, mode| {
        let logits = model.logits(batch.x, mode);
        objective.loss(LogitBatch { logits, labels: batch.labels, ids: Some(batch.ids) }, state)
    }
}

impl Fit<'_> {
    /// Trains `model` (made on an autodiff device) to minimise `step`.
    ///
    /// # Errors
    /// When an input is not finite, the objective stops being finite, or on [`stop`](Self::stop).
    pub fn run<M: Classifier>(
        &self,
        model: M,
        mut step: impl FnMut(&M, Batch, &mut Mode) -> Tensor<1>,
    ) -> Result<Fitted<M>, FitError> {
        // Found here it has a place; later it would only be an objective that diverged.
        let x = self.train.x;
        if let Some(at) = x.data.iter().position(|value| !value.is_finite()) {
            return Err(FitError::Input { row: at / x.cols, column: at % x.cols, value: x.data[at] });
        }
        let device = Device::flex().autodiff();
        let sampler = match self.config.balanced {
            true => Sampler::Balanced { labels: self.train.y },
            false => Sampler::Shuffled { rows: self.train.y.len() },
        };
        let training = TrainingLoop { stop: self.stop, ..TrainingLoop::new(self.config, sampler, self.seed) };
        let step = |model: &M, rows: &[usize], mode: &mut Mode| step(model, self.train.batch(rows, &device), mode);
        training.run_with(model, step, &mut Validated(self.validation.as_ref()))
    }
}

/// The hook that scores the validation part.
struct Validated<'a>(Option<&'a Validation<'a>>);

impl<M: Classifier> Hooks<M> for Validated<'_> {
    fn after_epoch(&mut self, _: usize, model: &M) -> Option<f64> {
        self.0.and_then(|rule| (rule.score)(&predict(model, rule.x)))
    }
}

impl Examples<'_> {
    /// The batch of these rows.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn batch(&self, rows: &[usize], device: &Device) -> Batch {
        let ints = |values: Vec<i64>| {
            Tensor::<1, Int>::from_data(TensorData::new(values, [rows.len()]), &device.clone().inner())
        };
        Batch {
            x: tensor(self.x.gather(rows), device),
            labels: ints(rows.iter().map(|&row| self.y[row] as i64).collect()),
            ids: ints(rows.iter().map(|&row| row as i64).collect()),
        }
    }
}

fn tensor(x: Matrix, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.data, [x.rows, x.cols]), device)
}

/// Rows and numbers a chunk of [`transform`]: keeps the activations of a large table and of large images out of memory.
const CHUNK_ROWS: usize = 4096;
const CHUNK_NUMBERS: usize = 1 << 18;

/// What a function of batches makes of every row, chunk by chunk on the CPU. For a model made for inference: its logits, its
/// features.
///
/// # Panics
/// When the function's output does not have a row for each of its input, or is not f32.
pub fn transform(x: &Matrix, function: impl Fn(Tensor<2>) -> Tensor<2>) -> Matrix {
    let device = Device::flex();
    let mut all = Matrix { rows: x.rows, cols: 0, data: Vec::new() };
    let chunk = (CHUNK_NUMBERS / x.cols.max(1)).clamp(1, CHUNK_ROWS);
    for start in (0..x.rows).step_by(chunk) {
        let rows: Vec<usize> = (start..x.rows.min(start + chunk)).collect();
        let output = function(tensor(x.gather(&rows), &device));
        assert_eq!(output.dims()[0], rows.len(), "a row of output for each of input");
        all.cols = output.dims()[1];
        all.data.extend(output.into_data().try_to_vec::<f32>().expect("models are f32"));
    }
    all
}

/// Logits of every row.
pub fn logits(model: &impl Classifier, x: &Matrix) -> Matrix {
    transform(x, |x| model.logits(x, &mut Mode::Inference))
}

/// Class probabilities (softmax of the logits), row-major, in f64.
pub fn predict(model: &impl Classifier, x: &Matrix) -> Vec<f64> {
    softmax(&logits(model, x))
}

/// Softmax of every row, row-major, in f64.
pub fn softmax(logits: &Matrix) -> Vec<f64> {
    let mut probabilities = Vec::with_capacity(logits.data.len());
    for row in logits.data.chunks(logits.cols.max(1)) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights = row.iter().map(|&logit| f64::from(logit - max).exp());
        let total: f64 = weights.clone().sum();
        probabilities.extend(weights.map(|weight| weight / total));
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mlp, MlpConfig};
    use burn::tensor::activation::log_softmax;

    fn cross_entropy(model: &Mlp, batch: Batch, mode: &mut Mode) -> Tensor<1> {
        let rows = batch.labels.dims()[0];
        let log_p = log_softmax(model.logits(batch.x, mode), 1);
        log_p.gather(1, batch.labels.reshape([rows, 1])).mean().neg()
    }

    /// Two classes told apart by the sign of the first column.
    fn toy(rows: usize) -> (Matrix, Vec<usize>) {
        let data: Vec<f32> = (0..rows * 2).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        let y = data.chunks(2).map(|row| usize::from(row[0] > 0.0)).collect();
        (Matrix { rows, cols: 2, data }, y)
    }

    fn accuracy(probabilities: &[f64], y: &[usize]) -> f64 {
        let right = probabilities.chunks(2).zip(y).filter(|(p, y)| usize::from(p[1] > 0.5) == **y).count();
        right as f64 / y.len() as f64
    }

    fn toy_fit(seed: u64, patience: Option<usize>, stop: Option<&AtomicBool>) -> Result<Fitted, FitError> {
        let (x, y) = toy(200);
        let config = FitConfig::new().with_learning_rate(0.01).with_epochs(20).with_patience(patience);
        let score = |p: &[f64]| Some(accuracy(p, &y));
        let model = MlpConfig::new(2, 2).with_width(16).with_dropout(0.1).init(&Device::flex().autodiff(), seed);
        Fit {
            train: Examples { x: &x, y: &y },
            config: &config,
            seed,
            validation: Some(Validation { x: &x, score: &score }),
            stop,
        }
        .run(model, cross_entropy)
    }

    #[test]
    fn it_learns_and_repeats_exactly() {
        let fitted = toy_fit(1, None, None).unwrap();
        assert!(fitted.validation.last().unwrap().unwrap() > 0.9, "{:?}", fitted.validation);
        assert_eq!(fitted.steps, 20 * 7);
        let elsewhere = std::thread::spawn(|| toy_fit(1, None, None).unwrap()).join().unwrap();
        assert_eq!(fitted.train_loss, elsewhere.train_loss);
    }

    #[test]
    fn matrix_products_give_the_same_numbers_on_any_number_of_threads() {
        let (x, y) = toy(1024);
        let config = FitConfig::new().with_batch_size(512).with_epochs(4);
        let losses = |threads: usize| {
            let model = MlpConfig::new(2, 2).with_width(256).init(&Device::flex().autodiff(), 1);
            let train = Examples { x: &x, y: &y };
            let fit = Fit { train, config: &config, seed: 1, validation: None, stop: None };
            crate::parallel::pool(threads).install(|| fit.run(model, cross_entropy)).unwrap().train_loss
        };
        assert_eq!(losses(1), losses(2));
    }

    #[test]
    fn early_stopping_keeps_the_best_model() {
        let fitted = toy_fit(2, Some(2), None).unwrap();
        let (x, y) = toy(200);
        let best = fitted.validation.iter().flatten().copied().fold(0.0, f64::max);
        assert_eq!(accuracy(&predict(&fitted.model, &x), &y), best);
    }

    #[test]
    fn stopping_and_divergence_are_errors() {
        let stop = AtomicBool::new(true);
        assert_eq!(toy_fit(1, None, Some(&stop)).unwrap_err(), FitError::Stopped);
        let (x, y) = toy(8);
        let config = FitConfig::new();
        let fit = Fit { train: Examples { x: &x, y: &y }, config: &config, seed: 0, validation: None, stop: None };
        let model = MlpConfig::new(2, 2).init(&Device::flex().autodiff(), 0);
        let error = fit.run(model, |m, b, mode| cross_entropy(m, b, mode).mul_scalar(f64::INFINITY)).unwrap_err();
        assert!(matches!(error, FitError::Diverged { epoch: 1, .. }));
    }

    #[test]
    fn inputs_that_are_not_finite_are_named() {
        for value in [f32::NAN, f32::INFINITY] {
            let (mut x, y) = toy(8);
            x.data[5] = value;
            let config = FitConfig::new();
            let fit = Fit { train: Examples { x: &x, y: &y }, config: &config, seed: 0, validation: None, stop: None };
            let error = fit.run(MlpConfig::new(2, 2).init(&Device::flex().autodiff(), 0), cross_entropy).unwrap_err();
            assert!(error.to_string().contains("row 2, column 1"), "{error}");
        }
    }
}
