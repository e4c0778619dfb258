use super::Settings;
use crate::claim::Evidence;
use crate::findings::{Chart, Findings, Series, Table};
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements, mean};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::{TwoLevelSoftmax, TwoLevelSoftmaxConfig};
use contrarian_kernels::{FactoredOutputLayer, KernelError, LinearSoftmax, ZLoss};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::time::Instant;

const DIM: usize = 64;
const BATCH: usize = 64;
const RATE: f32 = 0.1;
/// Steps whose median counts; the first is not among them.
const STEPS: usize = 11;
const LAYERS: [&str; 3] = ["factored", "softmax", "two-level softmax"];
/// The sizes that the claims speak of.
const FEW: usize = 1_000;
const MANY: usize = 100_000;

/// Part 2: seconds a step as the classes grow. One measurement at a time, so that none disturbs another.
pub fn scaling(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 4], StudyError> {
    let name = |layer: &str, classes: usize| format!("{layer}, {classes} classes");
    let arms: Vec<(String, (&str, usize))> = s
        .timed_classes
        .iter()
        .flat_map(|&classes| LAYERS.map(|layer| (name(layer, classes), (layer, classes))))
        .collect();
    let alone =
        Context { threads: 1, data: None, stop: context.stop, progress: context.progress, record: context.record };
    let measured = Measurements::collect(&alone, "scaling", &arms, s.timed_rounds, |&(layer, classes), seed| {
        measure(layer, classes, seed)
    })?;
    findings.measurements.extend(measured.lines());
    let seconds = |layer: &str, classes: usize| measured.values(&name(layer, classes), "seconds");
    let row = |&classes: &usize| {
        let times = LAYERS.map(|layer| format!("{:.2}", 1e3 * mean(&seconds(layer, classes))));
        std::iter::once(classes.to_string()).chain(times).collect()
    };
    findings.tables.push(Table {
        title: format!("milliseconds a step, dim {DIM}, batch {BATCH}, one thread"),
        columns: std::iter::once("classes").chain(LAYERS).map(String::from).collect(),
        rows: s.timed_classes.iter().map(row).collect(),
    });
    let line = |layer: &str| {
        let point = |&classes: &usize| ((classes as f64).log10(), (1e3 * mean(&seconds(layer, classes))).log10());
        Series { name: layer.into(), points: s.timed_classes.iter().map(point).collect() }
    };
    findings.charts.push(Chart {
        title: "Time of a step".into(),
        x_label: "log10 classes".into(),
        y_label: "log10 milliseconds".into(),
        series: LAYERS.iter().map(|layer| line(layer)).collect(),
    });
    findings.notes.push(
        "The two-level softmax updates all its weights in a step here, through Burn's SGD; one in PyTorch that touches only the \
         clusters of its batch is timed by bench/kernels/output_layers.py."
            .into(),
    );
    if !(s.timed_classes.contains(&FEW) && s.timed_classes.contains(&MANY)) {
        let why = format!("timed_classes lacks {FEW} or {MANY}");
        return Ok([(); 4].map(|()| Evidence::Untested(why.clone())));
    }
    let ratio = |over: (&str, usize), under: (&str, usize)| -> Vec<f64> {
        seconds(over.0, over.1).iter().zip(seconds(under.0, under.1)).map(|(a, b)| a / b).collect()
    };
    let above = |ratios: Vec<f64>, bound: f64| {
        Evidence::margins(&ratios.into_iter().map(|ratio| ratio - bound).collect::<Vec<_>>())
    };
    let flat: Vec<f64> = ratio((LAYERS[0], MANY), (LAYERS[0], FEW)).into_iter().map(|ratio| 4.0 - ratio).collect();
    Ok([
        Evidence::margins(&flat),
        above(ratio((LAYERS[1], MANY), (LAYERS[1], FEW)), 20.0),
        above(ratio((LAYERS[1], MANY), (LAYERS[0], MANY)), 10.0),
        above(ratio((LAYERS[2], MANY), (LAYERS[0], MANY)), 1.0),
    ])
}

/// Seconds of the median step.
fn measure(layer: &str, classes: usize, seed: u64) -> Result<Measured, String> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let failed = |error: KernelError| error.to_string();
    let mut layer = match layer {
        "factored" => {
            let init = || rng.random_range(-0.001f32..0.001);
            Layer::Factored(Box::new(FactoredOutputLayer::new(classes, DIM, init).map_err(failed)?))
        }
        "softmax" => Layer::Dense((0..classes * DIM).map(|_| rng.random_range(-0.001..0.001)).collect()),
        _ => {
            let config = TwoLevelSoftmaxConfig::new(DIM, classes);
            config.validate().map_err(|error| error.to_string())?;
            Layer::TwoLevel(Box::new(config.init(&Device::flex().autodiff(), seed)))
        }
    };
    let mut times = Vec::new();
    for _ in 0..=STEPS {
        let hidden: Vec<f32> = (0..BATCH * DIM).map(|_| rng.random_range(-1.0f32..1.0).max(0.0)).collect();
        let targets: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..classes)).collect();
        let started = Instant::now();
        layer = layer.step(hidden, &targets).map_err(failed)?;
        times.push(started.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(Measured::from([("seconds", times[STEPS / 2])]))
}

enum Layer {
    Factored(Box<FactoredOutputLayer<f32>>),
    /// Weights `[classes, DIM]`.
    Dense(Vec<f32>),
    TwoLevel(Box<TwoLevelSoftmax>),
}

impl Layer {
    /// A step of gradient descent on the mean loss, with the gradient in the hidden vectors.
    fn step(mut self, hidden: Vec<f32>, targets: &[usize]) -> Result<Self, KernelError> {
        match &mut self {
            Self::Factored(layer) => {
                let loss = ZLoss { a: 1.0, b: 0.0, eps: 1e-12 };
                layer.step(&hidden, targets, &loss, f64::from(RATE) / BATCH as f64)?;
            }
            Self::Dense(weight) => {
                let found = LinearSoftmax::new(&hidden, weight, DIM, targets).value_and_gradient()?;
                weight.iter_mut().zip(&found.weight).for_each(|(w, g)| *w -= RATE * g);
            }
            Self::TwoLevel(layer) => {
                let device = Device::flex().autodiff();
                let labels: Vec<i64> = targets.iter().map(|&target| target as i64).collect();
                let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &device);
                let hidden = Tensor::from_data(TensorData::new(hidden, [BATCH, DIM]), &device).require_grad();
                let gradients = layer.forward(hidden, labels).backward();
                let gradients = GradientsParams::from_grads(gradients, &**layer);
                **layer = SgdConfig::new().init().step(f64::from(RATE), (**layer).clone(), gradients);
            }
        }
        Ok(self)
    }
}
