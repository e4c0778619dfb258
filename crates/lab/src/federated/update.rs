use super::training::{FederatedTrainingConfig, MmdTarget};
use crate::data::{Dataset, Matrix, Sampler};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::adversarial::{DomainAdversarialLossConfig, gradient_reversal};
use contrarian::classification::CrossEntropyLossConfig;
use contrarian::contrastive::normalize_rows;
use contrarian::regularization::{MkMmdConfig, adaptation_schedule};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// A network with features, a head for their classes and one for their domain.
pub trait DomainModel: Module {
    /// Features of a batch.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, dim]`
    fn features(&self, x: Tensor<2>) -> Tensor<2>;

    /// Logits of the classes.
    ///
    /// # Shapes
    /// - features: `[batch, dim]`
    /// - output: `[batch, classes]`
    fn classify(&self, features: Tensor<2>) -> Tensor<2>;

    /// Logits of source (column 0) and target (column 1).
    ///
    /// # Shapes
    /// - features: `[batch, dim]`
    /// - output: `[batch, 2]`
    fn discriminate(&self, features: Tensor<2>) -> Tensor<2>;
}

/// Most probable class of every row.
pub(super) fn decide<M: DomainModel>(model: &M, x: &Matrix) -> Vec<usize> {
    let model = model.valid();
    let logits = model.classify(model.features(rows_of(x, &(0..x.rows).collect::<Vec<_>>(), &Device::flex())));
    logits.argmax(1).into_data().iter::<i64>().map(|class| class as usize).collect()
}

/// Endless batches of a set's rows, each pass in a new order.
pub(super) struct Stream {
    rows: usize,
    order: Vec<usize>,
    rng: Xoshiro256PlusPlus,
}

impl Stream {
    /// The generator is seeded by the next number of `seeds`.
    pub(super) fn new(rows: usize, seeds: &mut Xoshiro256PlusPlus) -> Self {
        Self { rows, order: Vec::new(), rng: Xoshiro256PlusPlus::seed_from_u64(seeds.random()) }
    }

    /// The next rows: `size` of them, or all where there are fewer.
    pub(super) fn next(&mut self, size: usize) -> Vec<usize> {
        let size = size.min(self.rows);
        if self.order.len() < size {
            self.order = Sampler::Shuffled { rows: self.rows }.epoch(&mut self.rng);
        }
        self.order.split_off(self.order.len() - size)
    }
}

/// One step of a client: the loss of a batch of its rows and one of target rows.
///
/// Labelled and unlabelled rows go through the network together, so that batch normalisation sees one batch.
pub(super) fn client_loss<M: DomainModel>(
    config: &FederatedTrainingConfig,
    progress: f64,
    (model, global): (&M, &M),
    (source, rows): (&Dataset, &[usize]),
    (target, target_rows): (&Matrix, &[usize]),
) -> Tensor<1> {
    let device = Device::flex().autodiff();
    let cross_entropy = CrossEntropyLossConfig::new().init();
    let (x, labels) = (rows_of(&source.x, rows, &device), labels_of(source, rows, &device));
    if config.adversary == 0.0 && config.mmd == 0.0 {
        return cross_entropy.forward(model.classify(model.features(x)), labels);
    }
    let alpha = adaptation_schedule(progress, config.gamma);
    let y = rows_of(target, target_rows, &device);
    let (n, m) = (rows.len(), target_rows.len());
    let split = |x: Tensor<2>| (x.clone().narrow(0, 0, n), x.narrow(0, n, m));
    let features = model.features(Tensor::cat(vec![x, y.clone()], 0));
    let (of_source, of_target) = split(features.clone());
    let mut loss = cross_entropy.forward(model.classify(of_source.clone()), labels);
    if config.adversary > 0.0 {
        let (source, target) = split(model.discriminate(gradient_reversal(features, alpha)));
        loss = loss + DomainAdversarialLossConfig::new().init().forward(source, target).mul_scalar(config.adversary);
    }
    if config.mmd > 0.0 {
        let of_target = match config.mmd_target {
            MmdTarget::Client => of_target,
            MmdTarget::Global => Tensor::from_inner(global.features(y.inner())),
        };
        let unit = |x: Tensor<2>| if config.unit_features { normalize_rows(x) } else { x };
        let mmd = MkMmdConfig::new().init().forward(unit(of_source), unit(of_target));
        loss = loss + mmd.mul_scalar(alpha * config.mmd);
    }
    loss
}

/// One step of an optimiser; the model, and the loss before it.
pub(super) fn step<M: Module>(model: M, optimizer: &mut ModuleOptimizer, rate: f64, loss: Tensor<1>) -> (M, f64) {
    let value = f64::from(loss.clone().into_scalar::<f32>());
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    (optimizer.step(rate, model, gradients), value)
}

pub(super) fn rows_of(x: &Matrix, rows: &[usize], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.gather(rows).data, [rows.len(), x.cols]), device)
}

fn labels_of(set: &Dataset, rows: &[usize], device: &Device) -> Tensor<1, Int> {
    labels(rows.iter().map(|&row| set.y[row]), device)
}

pub(super) fn labels(labels: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let labels: Vec<i64> = labels.map(|label| label as i64).collect();
    let count = labels.len();
    Tensor::from_data(TensorData::new(labels, [count]), device)
}
