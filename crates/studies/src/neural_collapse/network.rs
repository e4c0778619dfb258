use crate::support::Measured;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use contrarian::diagnostics::{
    DeepLinearHead, DeepLinearHeadConfig, NeuralCollapse, NeuralCollapseMetrics, UnconstrainedFeatureObjective,
    UnconstrainedFeatureObjectiveConfig, UnconstrainedLoss,
};
use contrarian_lab::data::{Dataset, Sampler};
use contrarian_lab::fit::{Batch, Examples, FitConfig, Hooks, OptimizerKind, Schedule, TrainingLoop};
use contrarian_lab::model::{Mlp, MlpConfig, Mode};

/// Width of the last features and of the hidden layers.
const WIDTH: usize = 64;
/// As the paper's experiments.
const RATE: f64 = 0.1;
const DECAY: f64 = 5e-4;

/// Names of `log10 NC1` over training.
pub const CURVE: [&str; 11] = [
    "log10 NC1 at 0%",
    "log10 NC1 at 10%",
    "log10 NC1 at 20%",
    "log10 NC1 at 30%",
    "log10 NC1 at 40%",
    "log10 NC1 at 50%",
    "log10 NC1 at 60%",
    "log10 NC1 at 70%",
    "log10 NC1 at 80%",
    "log10 NC1 at 90%",
    "log10 NC1 at 100%",
];

/// What is trained on a data set.
#[derive(Clone, Copy)]
pub struct Arm {
    pub head_depth: usize,
    pub loss: UnconstrainedLoss,
    pub schedule: Schedule,
}

/// A nonlinear network under a deep linear head without bias.
#[derive(Module, Debug)]
struct Network {
    body: Mlp,
    head: DeepLinearHead,
}

impl Network {
    fn new(inputs: usize, classes: usize, head_depth: usize, device: &Device, seed: u64) -> Self {
        let dims = [vec![WIDTH; head_depth], vec![classes]].concat();
        Self {
            body: MlpConfig::new(inputs, WIDTH).with_width(WIDTH).with_depth(2).init(device, seed),
            head: DeepLinearHeadConfig::new(dims).init(device, seed),
        }
    }

    fn features(&self, x: Tensor<2>, mode: &mut Mode) -> Tensor<2> {
        self.body.logits(x, mode)
    }
}

/// Trains on the data and measures the collapse of the training set at the start and after every tenth of the epochs.
///
/// # Errors
/// When the fit diverges or the metrics are undefined; the text says why.
pub fn measure(data: &Dataset, arm: Arm, batch_size: usize, epochs: usize, seed: u64) -> Result<Measured, String> {
    let device = Device::flex().autodiff();
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::Sgd { momentum: 0.9, nesterov: false })
        .with_learning_rate(RATE)
        .with_weight_decay(DECAY)
        .with_schedule(arm.schedule)
        .with_batch_size(batch_size)
        .with_epochs(epochs);
    // The optimiser decays all weights alike, so the objective itself decays none.
    let objective = UnconstrainedFeatureObjectiveConfig::new()
        .with_loss(arm.loss)
        .with_weight_decay(0.0)
        .with_feature_decay(0.0)
        .with_depth(arm.head_depth)
        .init();
    let examples = Examples { x: &data.x, y: &data.y };
    let network = Network::new(data.x.cols, data.classes, arm.head_depth, &device, seed);
    let mut watch = Watch {
        metrics: NeuralCollapseMetrics::new(data.classes).map_err(|error| error.to_string())?,
        all: examples.batch(&(0..data.y.len()).collect::<Vec<_>>(), &Device::flex()),
        epochs,
        measured: Measured::new(),
        last: Err("the fit has no epoch".into()),
    };
    watch.look(0, &network.valid());
    let sampler = Sampler::Shuffled { rows: data.y.len() };
    let step = |model: &Network, rows: &[usize], mode: &mut Mode| {
        let batch = examples.batch(rows, &device);
        loss(&objective, model, batch, mode)
    };
    TrainingLoop::new(&config, sampler, seed).run_with(network, step, &mut watch).map_err(|error| error.to_string())?;
    let end = watch.last?;
    let mut measured = watch.measured;
    measured.extend([
        ("NC2 weights, orthogonal", end.nc2_weight_orthogonal),
        ("NC2 weights, simplex", end.nc2_weight_etf),
        ("NC3, orthogonal", end.nc3_orthogonal),
        ("NC3, simplex", end.nc3_etf),
        ("NC4", end.nc4_disagreement),
    ]);
    Ok(measured)
}

fn loss(objective: &UnconstrainedFeatureObjective, model: &Network, batch: Batch, mode: &mut Mode) -> Tensor<1> {
    let weights: Vec<Tensor<2>> = model.head.weights.iter().map(Param::val).collect();
    objective.forward(model.features(batch.x, mode), batch.labels, &weights, None)
}

/// Measures the collapse between epochs.
struct Watch {
    metrics: NeuralCollapseMetrics,
    all: Batch,
    epochs: usize,
    measured: Measured,
    last: Result<NeuralCollapse, String>,
}

impl Watch {
    fn look(&mut self, epoch: usize, model: &Network) {
        let tenths = CURVE.len() - 1;
        let Some(point) = (0..=tenths).find(|tenth| tenth * self.epochs / tenths == epoch) else { return };
        let Batch { x, labels, .. } = self.all.clone();
        let features = model.features(x, &mut Mode::Inference);
        self.last =
            self.metrics.compute(features, labels, model.head.product(), None).map_err(|error| error.to_string());
        let nc1 = self.last.as_ref().map_or(f64::NAN, |found| found.nc1);
        self.measured.insert(CURVE[point], nc1.log10());
    }
}

impl Hooks<Network> for Watch {
    fn after_epoch(&mut self, epoch: usize, model: &Network) -> Option<f64> {
        self.look(epoch, model);
        None
    }
}
