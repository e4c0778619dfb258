use super::{FitConfig, FitError, Fitted, TrainingLoop};
use crate::augment::Augmentation;
use crate::data::{Matrix, Sampler};
use crate::model::{Encoder, EncoderConfig, Mode};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::contrastive::normalize_rows;
use std::sync::atomic::AtomicBool;

/// Self-supervised training of an [`Encoder`]: every step draws rows, makes several random views of each, and minimises an
/// objective of their projections.
///
/// [`FitConfig::batch_size`] rows are drawn a step, without replacement, and [`FitConfig::epochs`] counts steps, so that
/// batches of any size get the same number of them. All views pass the encoder in one batch: batch normalisation sees them
/// together.
pub struct ViewTraining<'a> {
    /// The rows, without labels.
    pub x: &'a Matrix,
    /// How views are made.
    pub augmentation: &'a dyn Augmentation,
    /// Views of a row a step, at least 2.
    pub views: usize,
    /// The model.
    pub encoder: &'a EncoderConfig,
    /// Budget (epochs are steps) and optimiser.
    pub config: &'a FitConfig,
    /// Seed of the weights, the rows drawn and their views.
    pub seed: u64,
    /// Set from outside to end the fit before its next step.
    pub stop: Option<&'a AtomicBool>,
}

/// What an objective is given at a step.
#[derive(Debug, Clone)]
pub struct Views {
    /// Steps taken before.
    pub step: usize,
    /// Projections scaled to length 1, `[views, batch, projection]`.
    pub projections: Tensor<3>,
}

impl Views {
    /// One view of every row, `[batch, projection]`.
    ///
    /// # Panics
    /// When there are not as many views.
    pub fn view(&self, index: usize) -> Tensor<2> {
        let [_, rows, dim] = self.projections.dims();
        self.projections.clone().slice([index..index + 1, 0..rows, 0..dim]).reshape([rows, dim])
    }

    /// The first two views.
    pub fn pair(&self) -> (Tensor<2>, Tensor<2>) {
        (self.view(0), self.view(1))
    }
}

impl ViewTraining<'_> {
    /// Trains a new encoder to minimise `objective`.
    ///
    /// # Errors
    /// When a row is not finite, the objective stops being finite, or on [`stop`](Self::stop).
    ///
    /// # Panics
    /// When the encoder's configuration is invalid or made for other rows, or there are fewer than two views.
    pub fn run(&self, mut objective: impl FnMut(&Views) -> Tensor<1>) -> Result<Fitted<Encoder>, FitError> {
        let x = self.x;
        assert!(self.views >= 2, "an objective of views needs at least two, got {}", self.views);
        assert_eq!(x.cols, self.encoder.inputs, "the encoder is for rows of {} numbers", self.encoder.inputs);
        if let Some(at) = x.data.iter().position(|value| !value.is_finite()) {
            return Err(FitError::Input { row: at / x.cols, column: at % x.cols, value: x.data[at] });
        }
        let device = Device::flex().autodiff();
        let sampler = Sampler::Drawn { rows: x.rows, count: self.config.batch_size };
        let training = TrainingLoop { stop: self.stop, ..TrainingLoop::new(self.config, sampler, self.seed) };
        let mut step = 0;
        training.run(self.encoder.init(&device, self.seed), |model: &Encoder, rows, mode| {
            let Mode::Training(rng) = mode else { unreachable!("a training loop trains") };
            let mut data = Vec::with_capacity(self.views * rows.len() * x.cols);
            for _ in 0..self.views {
                data.extend(self.augmentation.view(x, rows, rng).data);
            }
            let batch = Tensor::from_data(TensorData::new(data, [self.views * rows.len(), x.cols]), &device);
            let unit = normalize_rows(model.project(batch));
            let dim = unit.dims()[1];
            let views = Views { step, projections: unit.reshape([self.views, rows.len(), dim]) };
            step += 1;
            objective(&views)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::VectorAugmentation;
    use crate::data::generate::gaussian_classes;
    use crate::embedding::knn_accuracy;
    use crate::fit::{Examples, transform};
    use crate::metrics::Distance;
    use contrarian::contrastive::NtXentLossConfig;

    const VIEWS: VectorAugmentation = VectorAugmentation { dropout: 0.2, scale: 0.2, noise: 0.5 };

    #[test]
    fn views_are_unit_rows_of_the_asked_number_and_training_brings_them_together() {
        let data = gaussian_classes(200, 8, 12, 2.0, 1.0, 1);
        let encoder = EncoderConfig::new(12).with_width(24).with_features(16).with_projection(6);
        let config = FitConfig::new().with_learning_rate(3e-3).with_batch_size(32).with_epochs(60);
        let training = ViewTraining {
            x: &data.x,
            augmentation: &VIEWS,
            views: 3,
            encoder: &encoder,
            config: &config,
            seed: 5,
            stop: None,
        };
        let objective = NtXentLossConfig::new().init();
        let mut steps = Vec::new();
        let mut run = || {
            training.run(|views| {
                assert_eq!(views.projections.dims(), [3, 32, 6]);
                let lengths = views.view(2).square().sum_dim(1).into_data();
                assert!(lengths.iter::<f32>().all(|length| (length - 1.0).abs() < 1e-4));
                steps.push(views.step);
                let (first, second) = views.pair();
                objective.forward(first, second)
            })
        };
        let fitted = run().unwrap();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (start, end) = (mean(&fitted.train_loss[..10]), mean(&fitted.train_loss[50..]));
        assert!(end < start - 0.2, "{start} to {end}");
        assert_eq!(run().unwrap().train_loss, fitted.train_loss, "the seed decides all");
        assert_eq!(steps, [(0..60).collect::<Vec<_>>(), (0..60).collect()].concat());
        // Features keep what tells the classes apart: chance is 1/8.
        let features = transform(&data.x, |x| fitted.model.features(x));
        let rows = Examples { x: &features, y: &data.y };
        assert!(knn_accuracy(rows, rows, 5, Distance::Cosine).unwrap() > 0.5);
    }

    #[test]
    fn rows_that_are_no_numbers_are_named() {
        let x = Matrix { rows: 2, cols: 2, data: vec![0.0, 1.0, f32::NAN, 1.0] };
        let config = FitConfig::new();
        let encoder = EncoderConfig::new(2);
        let training = ViewTraining {
            x: &x,
            augmentation: &VIEWS,
            views: 2,
            encoder: &encoder,
            config: &config,
            seed: 0,
            stop: None,
        };
        let error = training.run(|views| views.view(0).sum()).unwrap_err();
        assert!(matches!(error, FitError::Input { row: 1, column: 0, .. }), "{error}");
    }
}
