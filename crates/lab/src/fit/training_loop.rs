use super::FitConfig;
use super::clip::clip_global_norm;
use crate::data::Sampler;
use crate::model::{Mlp, Mode};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The training loop: any Burn module, any layout of the data.
///
/// A step is a closure from the model and the indices of the batch's rows to the scalar to minimise, so the rows may be
/// lines of a matrix, images, bags of different length or pairs. The loop owns what is the same for all: the seeded order,
/// the optimiser and its schedule, clipping, early stopping, the check for divergence, and stopping from outside.
///
/// ```no_run
/// use burn::module::Param;
/// use burn::tensor::{Device, Tensor};
/// use contrarian_lab::data::Sampler;
/// use contrarian_lab::fit::{FitConfig, TrainingLoop};
///
/// #[derive(burn::module::Module, Debug)]
/// struct Slope {
///     slope: Param<Tensor<1>>,
/// }
///
/// let device = Device::flex().autodiff();
/// let model = Slope { slope: Param::from_data([0.0], &device) };
/// let (x, y) = ([1.0_f32, 2.0, 3.0], [2.0_f32, 4.0, 6.0]);
/// let config = FitConfig::new().with_learning_rate(0.1);
/// let fitted = TrainingLoop::new(&config, Sampler::Shuffled { rows: 3 }, 0).run(model, |model: &Slope, rows, _| {
///     let column = |values: &[f32; 3]| {
///         let values: Vec<f32> = rows.iter().map(|&row| values[row]).collect();
///         Tensor::<1>::from_floats(values.as_slice(), &device)
///     };
///     (model.slope.val() * column(&x) - column(&y)).square().mean()
/// })?;
/// # Ok::<(), contrarian_lab::fit::FitError>(())
/// ```
pub struct TrainingLoop<'a> {
    /// Budget and optimiser. ([`FitConfig::balanced`] is a choice of the sampler here.)
    pub config: &'a FitConfig,
    /// The rows of an epoch.
    pub sampler: Sampler<'a>,
    /// Seed of the order of rows and of [`Mode::Training`].
    pub seed: u64,
    /// Set from outside to end the fit before its next step.
    pub stop: Option<&'a AtomicBool>,
    /// In place of the configuration's optimiser: for parameters in groups, as weight decay on some only. The rate is the
    /// configuration's.
    pub optimizer: Option<ModuleOptimizer>,
}

/// What happens between steps and epochs, and at which epoch to stop. Every method has a default that does nothing.
pub trait Hooks<M> {
    /// Edits the gradients before the step (before clipping).
    fn on_gradients(&mut self, _model: &M, gradients: GradientsParams) -> GradientsParams {
        gradients
    }

    /// Edits the parameters after every optimiser step: a mask that has to hold under any optimiser, a projection.
    fn after_step(&mut self, model: M) -> M {
        model
    }

    /// Looks at the model, made for inference, after an epoch (counted from 1): learning curves, metrics over training.
    /// The value is the validation score, larger is better, by which [`FitConfig::patience`] stops and chooses.
    fn after_epoch(&mut self, _epoch: usize, _model: &M) -> Option<f64> {
        None
    }
}

/// No hooks.
impl<M> Hooks<M> for () {}

/// A trained model and how it got there.
#[derive(Debug, Clone)]
pub struct Fitted<M = Mlp> {
    /// The model with the best validation score (without early stopping: after the last epoch), for inference.
    pub model: M,
    /// Mean training objective of each epoch.
    pub train_loss: Vec<f64>,
    /// Validation score of each epoch, `None` where there was none.
    pub validation: Vec<Option<f64>>,
    /// Optimiser steps taken.
    pub steps: usize,
    /// Seconds spent training and validating.
    pub seconds: f64,
}

/// Why a fit gave no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// The objective became infinite or NaN.
    #[error("the objective became {value} in epoch {epoch}; a smaller learning rate or clipping may help")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// The value seen.
        value: f64,
    },
    /// A training input is NaN or infinite.
    #[error("row {row}, column {column} of the training inputs is {value}; fill or leave out such rows")]
    Input {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Stopped from outside.
    #[error("stopped before the fit was finished")]
    Stopped,
}

impl<'a> TrainingLoop<'a> {
    /// A loop that nothing stops, with the configuration's optimiser.
    pub fn new(config: &'a FitConfig, sampler: Sampler<'a>, seed: u64) -> Self {
        Self { config, sampler, seed, stop: None, optimizer: None }
    }

    /// Trains `model` (made on an autodiff device) to minimise `step`, a function of the model and the batch's rows.
    ///
    /// # Errors
    /// When the objective stops being finite, or on [`stop`](Self::stop).
    pub fn run<M: Module>(
        &self,
        model: M,
        step: impl FnMut(&M, &[usize], &mut Mode) -> Tensor<1>,
    ) -> Result<Fitted<M>, FitError> {
        self.run_with(model, step, &mut ())
    }

    /// [`run`](Self::run) with hooks between steps and epochs.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_with<M: Module>(
        &self,
        mut model: M,
        mut step: impl FnMut(&M, &[usize], &mut Mode) -> Tensor<1>,
        hooks: &mut impl Hooks<M>,
    ) -> Result<Fitted<M>, FitError> {
        let started = Instant::now();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut optimizer = self.optimizer.clone().unwrap_or_else(|| self.config.optimizer());
        let mut steps = 0;
        let (mut train_loss, mut validation) = (Vec::new(), Vec::new());
        let mut best: Option<(f64, M)> = None;
        let mut since_best = 0;

        for epoch in 0..self.config.epochs {
            let rate = self.config.learning_rate_at(epoch);
            let order = self.sampler.epoch(&mut rng);
            let mut sum = 0.0;
            for rows in batches(&order, self.config.batch_size) {
                if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                    return Err(FitError::Stopped);
                }
                let loss = step(&model, rows, &mut Mode::Training(&mut rng));
                let value = f64::from(loss.clone().into_scalar::<f32>());
                if !value.is_finite() {
                    return Err(FitError::Diverged { epoch: epoch + 1, value });
                }
                sum += value * rows.len() as f64;
                let gradients = GradientsParams::from_grads(loss.backward(), &model);
                let mut gradients = hooks.on_gradients(&model, gradients);
                if let Some(max_norm) = self.config.clip_norm {
                    gradients = clip_global_norm(&model, gradients, max_norm);
                }
                model = hooks.after_step(optimizer.step(rate, model, gradients));
                steps += 1;
            }
            train_loss.push(sum / order.len() as f64);

            let current = model.valid();
            let score = hooks.after_epoch(epoch + 1, &current);
            validation.push(score);
            if let (Some(patience), Some(score)) = (self.config.patience, score) {
                if best.as_ref().is_none_or(|(so_far, _)| score > *so_far) {
                    best = Some((score, current));
                    since_best = 0;
                } else {
                    since_best += 1;
                    if since_best >= patience {
                        break;
                    }
                }
            }
        }
        let model = best.map_or_else(|| model.valid(), |(_, model)| model);
        Ok(Fitted { model, train_loss, validation, steps, seconds: started.elapsed().as_secs_f64() })
    }
}

/// Consecutive batches. A last batch of one row joins the one before: batch normalisation and the objectives over sets
/// mean nothing for a single row.
fn batches(order: &[usize], size: usize) -> impl Iterator<Item = &[usize]> {
    let full = order.len() / size;
    let rest = order.len() % size;
    let count = if rest > 1 || full == 0 { full + usize::from(rest > 0) } else { full };
    (0..count).map(move |index| {
        let end = if index + 1 == count { order.len() } else { (index + 1) * size };
        &order[index * size..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::OptimizerKind;
    use burn::module::Param;
    use burn::tensor::{Device, TensorData};

    /// Two weights and no layers: `w . x`.
    #[derive(Module, Debug)]
    struct Weights {
        w: Param<Tensor<1>>,
    }

    fn start() -> Weights {
        Weights { w: Param::from_data([0.5, 0.5], &Device::flex().autodiff()) }
    }

    fn values(model: &Weights) -> Vec<f32> {
        model.w.val().into_data().try_to_vec().unwrap()
    }

    /// Rows of different length: each is a bag of numbers, and the target of a bag is its mean and twice its length.
    const BAGS: [&[f32]; 4] = [&[1.0, 3.0], &[-1.0], &[2.0, 2.0, 2.0], &[0.5, -0.5, 1.0, -1.0]];

    fn step(model: &Weights, rows: &[usize], _: &mut Mode) -> Tensor<1> {
        let device = Device::flex().autodiff();
        let features = rows.iter().flat_map(|&row| {
            let bag = BAGS[row];
            [bag.iter().sum::<f32>() / bag.len() as f32, bag.len() as f32]
        });
        let features = TensorData::new(features.collect::<Vec<f32>>(), [rows.len(), 2]);
        let features = Tensor::<2>::from_data(features, &device);
        let target = features.clone() * Tensor::<1>::from_floats([1.0, 2.0], &device).unsqueeze();
        let error = features * model.w.val().unsqueeze() - target;
        error.sum_dim(1).square().mean()
    }

    fn config() -> FitConfig {
        let sgd = OptimizerKind::Sgd { momentum: 0.9, nesterov: false };
        FitConfig::new().with_optimizer(sgd).with_learning_rate(0.01).with_batch_size(2).with_epochs(200)
    }

    const SAMPLER: Sampler = Sampler::Shuffled { rows: 4 };

    #[test]
    fn any_module_is_fitted_from_rows_of_any_layout() {
        let fitted = TrainingLoop::new(&config(), SAMPLER, 1).run(start(), step).unwrap();
        let [first, second] = values(&fitted.model)[..] else { panic!("two weights") };
        // The problem is solved exactly by (1, 2); 400 steps contract the error below f32's rounding.
        assert!((first - 1.0).abs() < 1e-3 && (second - 2.0).abs() < 1e-3, "{first}, {second}");
        assert_eq!((fitted.steps, fitted.train_loss.len(), fitted.validation.len()), (400, 200, 200));
        assert!(fitted.validation.iter().all(Option::is_none));
    }

    /// Keeps the second weight at zero, as a pruning mask would, and counts what it is told.
    #[derive(Default)]
    struct Mask {
        epochs: Vec<usize>,
        steps: usize,
        score: Option<fn(usize) -> f64>,
    }

    impl Hooks<Weights> for Mask {
        fn after_step(&mut self, model: Weights) -> Weights {
            self.steps += 1;
            let mask = Tensor::from_floats([1.0, 0.0], &Device::flex());
            Weights { w: model.w.map(|w| Tensor::from_inner(w.inner() * mask).require_grad()) }
        }

        fn after_epoch(&mut self, epoch: usize, model: &Weights) -> Option<f64> {
            assert_eq!(values(model)[1], 0.0);
            self.epochs.push(epoch);
            self.score.map(|score| score(epoch))
        }
    }

    #[test]
    fn an_edit_after_each_step_holds_under_any_optimiser() {
        for optimizer in [OptimizerKind::Adam, OptimizerKind::AdamW, config().optimizer] {
            let config = config().with_optimizer(optimizer).with_weight_decay(0.01).with_epochs(20);
            let mut mask = Mask::default();
            let fitted = TrainingLoop::new(&config, SAMPLER, 1).run_with(start(), step, &mut mask).unwrap();
            let weights = values(&fitted.model);
            assert_eq!(weights[1], 0.0);
            assert!(weights[0] > 0.55, "the other weight learns: {weights:?}");
            assert_eq!((mask.epochs, mask.steps), ((1..=20).collect(), 40));
        }
    }

    #[test]
    fn the_score_of_the_hook_stops_and_chooses() {
        let config = config().with_patience(Some(3));
        let mut mask = Mask { score: Some(|epoch| -(epoch as f64 - 4.0).abs()), ..Mask::default() };
        let fitted = TrainingLoop::new(&config, SAMPLER, 1).run_with(start(), step, &mut mask).unwrap();
        assert_eq!(fitted.validation.len(), 7);
        let four = config.with_epochs(4).with_patience(None);
        let to_four = TrainingLoop::new(&four, SAMPLER, 1).run_with(start(), step, &mut Mask::default()).unwrap();
        assert_eq!(values(&fitted.model), values(&to_four.model));
    }

    /// Takes the gradient away.
    struct Frozen;

    impl Hooks<Weights> for Frozen {
        fn on_gradients(&mut self, _: &Weights, _: GradientsParams) -> GradientsParams {
            GradientsParams::new()
        }
    }

    #[test]
    fn edited_gradients_are_the_ones_that_count() {
        let fitted = TrainingLoop::new(&config(), SAMPLER, 1).run_with(start(), step, &mut Frozen).unwrap();
        assert_eq!(values(&fitted.model), [0.5, 0.5]);
    }

    #[test]
    fn a_lone_last_row_joins_the_batch_before() {
        let order: Vec<usize> = (0..9).collect();
        let sizes = |size| batches(&order, size).map(<[usize]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(4), [4, 5]);
        assert_eq!(sizes(3), [3, 3, 3]);
        assert_eq!(sizes(7), [7, 2]);
        assert_eq!(sizes(100), [9]);
        assert_eq!(batches(&order[..1], 4).map(<[usize]>::len).collect::<Vec<_>>(), [1]);
    }
}
