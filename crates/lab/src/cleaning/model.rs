use crate::data::{Dataset, Matrix, Sampler};
use crate::fit::{Examples, FitConfig, FitError, TrainingLoop, transform};
use crate::model::{Classifier, Mode, linear};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use contrarian::InvalidParameter;
use contrarian::classification::CrossEntropyLossConfig;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use std::sync::atomic::AtomicBool;

/// A small classifier whose last hidden layer is an embedding: `inputs - 64 - 32 - classes`.
///
/// ```text
/// embedding = W2 relu(W1 x)
/// logits    = W3 relu(embedding)
/// ```
///
/// each `W` with a bias.
#[derive(Module, Debug)]
pub struct CleaningModel {
    hidden: Linear,
    embedding: Linear,
    output: Linear,
}

const HIDDEN: usize = 64;
const EMBEDDING: usize = 32;

impl CleaningModel {
    /// A model with weights and biases uniform in `+-1/sqrt(fan-in)`, drawn from `seed` alone.
    pub fn new(inputs: usize, classes: usize, device: &Device, seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Self {
            hidden: linear(inputs, HIDDEN, device, &mut rng),
            embedding: linear(HIDDEN, EMBEDDING, device, &mut rng),
            output: linear(EMBEDDING, classes, device, &mut rng),
        }
    }

    fn embed(&self, x: Tensor<2>) -> Tensor<2> {
        self.embedding.forward(activation::relu(self.hidden.forward(x)))
    }

    /// Embeddings of every row, `[rows, 32]`, of a model made for inference.
    pub fn embeddings(&self, x: &Matrix) -> Matrix {
        transform(x, |x| self.embed(x))
    }
}

impl Classifier for CleaningModel {
    fn logits(&self, x: Tensor<2>, _: &mut Mode) -> Tensor<2> {
        self.output.forward(activation::relu(self.embed(x)))
    }
}

/// How long a [cleaning model](CleaningModel) is trained: a number of steps whatever the number of rows, so that a cleaned set
/// is learned from as long as the whole. Short, as later steps learn the wrong labels by heart.
#[derive(Config, Debug)]
pub struct CleaningBudget {
    /// Steps of Adam, at least 1.
    #[config(default = 400)]
    pub steps: usize,
    /// Rows a step, at least 1; all, where there are fewer.
    #[config(default = 128)]
    pub batch_size: usize,
    /// Learning rate, above 0.
    #[config(default = 3e-3)]
    pub learning_rate: f64,
}

impl CleaningBudget {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if self.steps == 0 {
            return Err(InvalidParameter::new("steps", 0, "at least 1"));
        }
        self.fit().validate()
    }

    fn fit(&self) -> FitConfig {
        let config = FitConfig::new().with_learning_rate(self.learning_rate);
        // An epoch of the sampler is one batch.
        config.with_batch_size(self.batch_size).with_epochs(self.steps)
    }

    /// Trains a fresh model with cross-entropy; weights and batches are drawn from `seed` alone.
    ///
    /// # Errors
    /// When an input is not finite, training diverges, or `stop` is set.
    ///
    /// # Panics
    /// When there is no row, or a label is not below the number of classes.
    pub fn train(&self, data: &Dataset, seed: u64, stop: Option<&AtomicBool>) -> Result<CleaningModel, FitError> {
        assert!(!data.y.is_empty(), "a model needs rows to learn from");
        if let Some(at) = data.x.data.iter().position(|value| !value.is_finite()) {
            return Err(FitError::Input { row: at / data.x.cols, column: at % data.x.cols, value: data.x.data[at] });
        }
        let device = Device::flex().autodiff();
        let model = CleaningModel::new(data.x.cols, data.classes, &device, seed);
        let examples = Examples { x: &data.x, y: &data.y };
        let (config, objective) = (self.fit(), CrossEntropyLossConfig::new().init());
        let sampler = Sampler::Drawn { rows: data.y.len(), count: self.batch_size };
        let fitted = TrainingLoop { stop, ..TrainingLoop::new(&config, sampler, seed) };
        let fitted = fitted.run(model, |model: &CleaningModel, rows, mode| {
            let batch = examples.batch(rows, &device);
            objective.forward(model.logits(batch.x, mode), batch.labels)
        })?;
        Ok(fitted.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::predict;

    #[test]
    fn it_learns_in_its_steps_and_repeats_exactly() {
        let data: Vec<f32> = (0..400).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        let y: Vec<usize> = data.chunks(2).map(|row| usize::from(row[0] > 0.0)).collect();
        let data = Dataset { x: Matrix { rows: 200, cols: 2, data }, y, classes: 2 };
        let budget = CleaningBudget::new().with_steps(100).with_batch_size(64);
        let model = budget.train(&data, 1, None).unwrap();
        let probabilities = predict(&model, &data.x);
        let right = probabilities.chunks(2).zip(&data.y).filter(|(p, y)| usize::from(p[1] > 0.5) == **y).count();
        assert!(right > 190, "{right}");
        assert_eq!(probabilities, predict(&budget.train(&data, 1, None).unwrap(), &data.x));
        assert_eq!(model.embeddings(&data.x).cols, EMBEDDING);
        let stop = AtomicBool::new(true);
        assert_eq!(budget.train(&data, 1, Some(&stop)).unwrap_err(), FitError::Stopped);
    }

    #[test]
    fn bad_values_are_named() {
        assert_eq!(CleaningBudget::new().with_steps(0).validate().unwrap_err().field, "steps");
        assert_eq!(CleaningBudget::new().with_learning_rate(-1.0).validate().unwrap_err().field, "learning_rate");
    }
}
