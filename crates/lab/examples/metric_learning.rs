//! Our side of `bench/metric-learning`: epochs of a projection head (384 to 128, 8 batches, Adam) under one loss.
//!
//! `metric_learning <loss> <batch> <classes> <epochs>` prints the loss of the first batch before any step, the last loss, and the milliseconds
//! of each epoch after one to warm up. `<epochs>` 0 only gives the first.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::{AngularMargin, ArcFaceLossConfig, CosFaceLossConfig};
use contrarian::contrastive::{
    CircleLossConfig, MultiSimilarityLossConfig, NtXentLossConfig, PairContrastiveLossConfig, SupConLossConfig,
    TripletLossConfig,
};
use contrarian_lab::fit::FitConfig;
use contrarian_lab::parallel::pool;
use serde_json::json;
use std::error::Error;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// As in run.py.
const INPUTS: usize = 384;
const DIM: usize = 128;
const BATCHES: usize = 8;
const RATE: f64 = 1e-3;

#[derive(Module, Debug)]
struct Head {
    projection: Linear,
    /// Class weights of the losses that have them.
    classes: Param<Tensor<2>>,
}

type Loss = Box<dyn Fn(&Head, Tensor<2>, Tensor<1, Int>) -> Tensor<1> + Send>;

/// The loss of a name, with pytorch-metric-learning's parameters (its default margin of triplets is 0.05, FaceNet's 0.2).
fn loss(name: &str) -> Result<Loss, String> {
    Ok(match name {
        "nt-xent" => {
            let loss = NtXentLossConfig::new().with_temperature(0.07).init();
            Box::new(move |_, x, _| {
                // The label of a row is its item: the second half are the second views of the first.
                let (n, half) = (x.dims()[0], x.dims()[0] / 2);
                loss.forward(x.clone().slice([0..half, 0..DIM]), x.slice([half..n, 0..DIM]))
            })
        }
        "sup-con" => {
            let loss = SupConLossConfig::new().with_temperature(0.1).init();
            Box::new(move |_, x, y| loss.forward(x, y))
        }
        "triplet" => {
            let loss = TripletLossConfig::new().with_margin(0.2).init();
            Box::new(move |_, x, y| loss.forward(x, y))
        }
        "pairs" => {
            let loss = PairContrastiveLossConfig::new().init();
            Box::new(move |_, x, y| loss.forward(x, y))
        }
        "circle" => {
            let loss = CircleLossConfig::new().init();
            Box::new(move |_, x, y| loss.forward(x, y))
        }
        "multi-similarity" => {
            let loss = MultiSimilarityLossConfig::new().init();
            Box::new(move |_, x, y| loss.forward(x, y))
        }
        "arc-face" => {
            let config = ArcFaceLossConfig::new().with_margin(28.6_f64.to_radians());
            let loss = config.with_angles(AngularMargin::Monotone).init();
            Box::new(move |head, x, y| loss.forward(x, head.classes.val(), y))
        }
        "cos-face" => {
            let loss = CosFaceLossConfig::new().init();
            Box::new(move |head, x, y| loss.forward(x, head.classes.val(), y))
        }
        _ => return Err(format!("no loss is called `{name}`")),
    })
}

/// `count` numbers, uniform in `[-scale, scale)`: the top bits of SplitMix64 over a counter, as in run.py.
fn uniform(stream: u64, count: usize, scale: f32) -> Vec<f32> {
    let number = |index: usize| {
        let z = ((stream << 40) + index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * scale
    };
    (0..count).map(number).collect()
}

fn matrix(stream: u64, rows: usize, columns: usize, scale: f32, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(uniform(stream, rows * columns, scale), [rows, columns]), device)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, numbers @ ..] = arguments.as_slice() else {
        return Err("no arguments".into());
    };
    let loss = loss(name)?;
    let numbers = numbers.iter().map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [rows, classes, epochs] = numbers[..] else {
        return Err("three numbers expected: batch, classes, epochs".into());
    };
    let report = pool(2).install(move || {
        let device = Device::flex().autodiff();
        let y: Vec<i64> = (0..rows).map(|row| (row % classes) as i64).collect();
        let y = Tensor::<1, Int>::from_data(TensorData::new(y, [rows]), &device);
        let centers = matrix(0, classes, INPUTS, 1.0, &device).repeat_dim(0, rows / classes);
        let noise = matrix(1, BATCHES * rows, INPUTS, 1.0, &device);
        let batch = |index: usize| centers.clone() + noise.clone().slice([index * rows..(index + 1) * rows, 0..INPUTS]);
        let batches: Vec<Tensor<2>> = (0..BATCHES).map(batch).collect();
        let bound = 1.0 / (INPUTS as f32).sqrt();
        let mut head = Head {
            projection: Linear {
                weight: Param::from_tensor(matrix(2, INPUTS, DIM, bound, &device)),
                bias: Some(Param::from_tensor(matrix(3, 1, DIM, bound, &device).reshape([DIM]))),
            },
            classes: Param::from_tensor(matrix(4, classes, DIM, 1.0, &device)),
        };
        let mut optimizer = FitConfig::new().optimizer();
        let first = loss(&head, head.projection.forward(batches[0].clone()), y.clone()).into_scalar::<f32>();
        let mut last = first;
        let mut milliseconds = Vec::new();
        for epoch in 0..if epochs == 0 { 0 } else { epochs + 1 } {
            let started = Instant::now();
            for x in &batches {
                let value = loss(&head, head.projection.forward(x.clone()), y.clone());
                last = value.clone().into_scalar::<f32>();
                let gradients = GradientsParams::from_grads(value.backward(), &head);
                head = optimizer.step(RATE, head, gradients);
            }
            if epoch > 0 {
                milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        json!({ "first": first, "last": last, "milliseconds": milliseconds })
    });
    println!("{report}");
    Ok(())
}
