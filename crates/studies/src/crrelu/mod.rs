//! CRReLU: the entropy theory exactly, its accuracy against seven activations, and what it does to dead units.

mod models;
mod theory;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Findings, Table};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor};
use contrarian::activation::ActivationKind;
use contrarian::classification::CrossEntropyLossConfig;
use contrarian::diagnostics::dead_unit_fraction;
use contrarian_lab::data::Dataset;
use contrarian_lab::data::Sampler;
use contrarian_lab::data::generate::teacher_network;
use contrarian_lab::fit::{Examples, FitConfig, OptimizerKind, TrainingLoop, predict};
use contrarian_lab::metrics::{Decision, Metric, Predictions};
use contrarian_lab::model::{Classifier, Mode};
use contrarian_lab::stats::Sides;
use models::{PlainNetwork, ResidualNetwork};
use serde::{Deserialize, Serialize};

const SMALL: &str = "a residual network of three blocks on labels of a random network, instead of vision transformers on \
                     CIFAR and ImageNet, which are out of reach here";
const BEST: &str = "better than the other corrections of ReLU with ViT and variants on CIFAR-10, CIFAR-100 and ImageNet-1K, \
                    and than GELU in fine-tuning GPT-2 (abstract)";

const CLAIMS: &[Claim] = &[
    Claim {
        id: "worst-is-the-distribution-function",
        statement: "on [0, 1] under a standard normal, the normal distribution function has entropy 0 (to 1e-6) and every \
                    other activation tried less",
        reported: "the input's own distribution function is the worst activation with boundary conditions",
        differs: "",
        test: Test::Always,
    },
    Claim {
        id: "step-lowers-entropy",
        statement: "a step of 1e-3 along the correction lowers the entropy of leaky ReLU, softplus and tanh, by what the \
                    first variation says to 1%",
        reported: "the correction is the direction of steepest descent of the entropy",
        differs: "",
        test: Test::Always,
    },
    Claim {
        id: "over-relu",
        statement: "accuracy of CRReLU exceeds that of ReLU",
        reported: BEST,
        differs: SMALL,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Two },
    },
    Claim {
        id: "over-gelu",
        statement: "accuracy of CRReLU exceeds that of GELU",
        reported: BEST,
        differs: SMALL,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Two },
    },
];

pub const STUDY: Study = Study {
    id: "crrelu",
    title: "A Method on Searching Better Activation Functions",
    authors: "Sun, Wu, Xia et al. 2024",
    arxiv: "2405.12954",
    summary: "Three parts. The entropy of an activation's output and the step that lowers it, by quadrature. Eight \
              activations in the same residual network on labels of a random network. Dead units of a plain deep network \
              that starts with most of its units off, with ReLU and CRReLU (descriptive).",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_rows: usize,
    test_rows: usize,
    epochs: usize,
    batch_size: usize,
    learning_rate: f64,
    weight_decay: f64,
    grid_points: usize,
    activations: Vec<ActivationKind>,
    dead_unit_epochs: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        use ActivationKind::{CrRelu, Elu, Gelu, Mish, PRelu, Relu, Selu, Silu};
        let base = Self {
            seeds: 5,
            train_rows: 4000,
            test_rows: 5000,
            epochs: 15,
            batch_size: 128,
            learning_rate: 1e-3,
            weight_decay: 0.05,
            grid_points: 400_001,
            activations: vec![Relu, Gelu, Elu, Selu, PRelu, Silu, Mish, CrRelu],
            dead_unit_epochs: 10,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                train_rows: 300,
                test_rows: 300,
                epochs: 2,
                grid_points: 40_001,
                activations: vec![Relu, CrRelu],
                dead_unit_epochs: 1,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn data(&self, seed: u64) -> [Dataset; 2] {
        teacher_network(self.train_rows + self.test_rows, INPUTS, 32, CLASSES, 0.3, seed)
            .parts([self.train_rows, self.test_rows])
    }
}

const INPUTS: usize = 16;
const CLASSES: usize = 10;
/// A unit is dead when its activation has a derivative below this on every training row.
const DEAD_BELOW: f64 = 1e-6;

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    if s.grid_points < 1001 {
        let reason = format!("`grid_points` is {}, but must be at least 1001", s.grid_points);
        return Err(StudyError::Settings { study: STUDY.id, reason });
    }
    let named = |kinds: &[ActivationKind]| kinds.iter().map(|&kind| (kind.to_string(), kind)).collect::<Vec<_>>();
    let accuracy = Measurements::collect(context, "accuracy", &named(&s.activations), s.seeds, |&kind, seed| {
        train(&s, kind, seed)
    })?;
    let dead_arms = named(&[ActivationKind::Relu, ActivationKind::CrRelu]);
    let dead = Measurements::collect(context, "dead units", &dead_arms, s.seeds, |&kind, seed| dead(&s, kind, seed))?;

    let mut findings = Findings::default();
    let (worst, entropies) = theory::bounded_entropies();
    let (step, steps) = theory::descent_steps(s.grid_points);
    let against = |control: &str| match ["crrelu", control].iter().all(|name| accuracy.arms().any(|arm| arm == *name)) {
        true => Evidence::paired(&accuracy.values("crrelu", "accuracy"), &accuracy.values(control, "accuracy")),
        false => Evidence::Untested(format!("this run does not train both crrelu and {control}")),
    };
    let evidence = [worst, step, against("relu"), against("gelu")];
    findings.claims = CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect();
    findings.tables.push(entropies);
    findings.tables.push(steps);
    findings
        .tables
        .push(accuracy.table("Residual network: test accuracy (mean ± s.d. over seeds)", &["accuracy", "seconds"]));
    if s.activations.contains(&ActivationKind::CrRelu) {
        findings.tables.push(learned_epsilons(&accuracy));
    }
    findings.tables.push(
        dead.table("Plain network of six layers, biases start at -0.5 (descriptive)", &["dead units", "accuracy"]),
    );
    findings.measurements = accuracy.lines();
    findings.measurements.extend(dead.lines());
    findings.notes.push(
        "Dead units: the bump gives CRReLU a slope below 0, so fewer dead units follow nearly from its definition. What is \
         measured is whether that changes accuracy."
            .into(),
    );
    findings.notes.push(
        "Differences between the smooth activations are of the size of the seeds' noise at this scale; a gain of tenths of \
         a percent on image data can neither be seen nor ruled out here."
            .into(),
    );
    Ok(findings)
}

/// The names under which the epsilons of the three blocks are measured.
const EPSILONS: [&str; models::BLOCKS] = ["epsilon of block 1", "epsilon of block 2", "epsilon of block 3"];

fn train(s: &Settings, kind: ActivationKind, seed: u64) -> Result<Measured, String> {
    let [train, test] = s.data(seed);
    let device = Device::flex().autodiff();
    let model = ResidualNetwork::new(INPUTS, CLASSES, kind, &device, seed);
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::AdamW)
        .with_learning_rate(s.learning_rate)
        .with_weight_decay(s.weight_decay)
        .with_batch_size(s.batch_size)
        .with_epochs(s.epochs);
    // Decay would pull the activations' own parameters towards ReLU.
    let undecayed = AdamWConfig::new().with_weight_decay(0.0).with_epsilon(1e-8).build();
    let optimizer = config.optimizer().with_group(model.activation_parameters(), undecayed, None);
    let started = std::time::Instant::now();
    let fitted = fit(&config, &train, seed, model, Some(optimizer))?;
    let seconds = started.elapsed().as_secs_f64();
    let mut measured = Measured::from([("accuracy", accuracy(&fitted, &test)), ("seconds", seconds)]);
    measured.extend(EPSILONS.into_iter().zip(fitted.epsilons()));
    Ok(measured)
}

fn dead(s: &Settings, kind: ActivationKind, seed: u64) -> Result<Measured, String> {
    let [train, test] = s.data(seed);
    let device = Device::flex().autodiff();
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::Sgd { momentum: 0.0, nesterov: false })
        .with_learning_rate(0.1)
        .with_batch_size(s.batch_size)
        .with_epochs(s.dead_unit_epochs);
    let fitted = fit(&config, &train, seed, PlainNetwork::new(INPUTS, CLASSES, kind, &device, seed), None)?;
    let rows: Vec<usize> = (0..train.y.len()).collect();
    let x = Examples { x: &train.x, y: &train.y }.batch(&rows, &Device::flex()).x;
    let dead = fitted.hidden_inputs(x).into_iter().map(|(activation, inputs)| {
        dead_unit_fraction(|x| activation.forward(x), inputs, DEAD_BELOW).map_err(|error| error.to_string())
    });
    let dead = dead.collect::<Result<Vec<f64>, String>>()?;
    Ok(Measured::from([("dead units", mean(&dead)), ("accuracy", accuracy(&fitted, &test))]))
}

fn fit<M: Classifier>(
    config: &FitConfig,
    train: &Dataset,
    seed: u64,
    model: M,
    optimizer: Option<burn::optim::ModuleOptimizer>,
) -> Result<M, String> {
    let device = Device::flex().autodiff();
    let objective = CrossEntropyLossConfig::new().init();
    let step = |model: &M, rows: &[usize], mode: &mut Mode| -> Tensor<1> {
        let batch = Examples { x: &train.x, y: &train.y }.batch(rows, &device);
        objective.forward(model.logits(batch.x, mode), batch.labels)
    };
    let sampler = Sampler::Shuffled { rows: train.y.len() };
    let training = TrainingLoop { optimizer, ..TrainingLoop::new(config, sampler, seed) };
    training.run(model, step).map(|fitted| fitted.model).map_err(|error| error.to_string())
}

fn accuracy(model: &impl Classifier, data: &Dataset) -> f64 {
    let predictions =
        Predictions { probabilities: predict(model, &data.x), classes: data.classes, labels: data.y.clone() };
    crate::support::metric(Metric::Accuracy, &predictions, Decision::Argmax)
}

/// Mean and extremes of the learned epsilon of each block, and how often it is positive.
fn learned_epsilons(measured: &Measurements) -> Table {
    let row = |name: &'static str| {
        let values = measured.values("crrelu", name);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let positive = values.iter().filter(|&&v| v > 0.0).count();
        vec![
            name.to_string(),
            format!("{:.4}", mean(&values)),
            format!("{least:.4}"),
            format!("{most:.4}"),
            format!("{positive} of {}", values.len()),
        ]
    };
    Table {
        title: "Learned epsilon of CRReLU, which starts at 0.01 (descriptive)".into(),
        columns: ["", "mean", "least", "most", "positive"].map(String::from).to_vec(),
        rows: EPSILONS.map(row).to_vec(),
    }
}
