//! Milliseconds a training step of an output layer over many classes, alone or under a small network.
//!
//! `output_layers <factored|dense> <layer|network> <classes> <dim> <batch> <steps>` prints the median, the mean with all upkeep
//! in it, and the peak memory of the process in MB. The network is that of word models: nine embeddings of 32 numbers next
//! to each other, a rectified layer, then the output layer; only the embeddings of the batch's words are touched.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData, activation};
use contrarian_kernels::{FactoredOutputLayer, LinearSoftmax, ZLoss};
use contrarian_lab::memory;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::error::Error;
use std::time::Instant;

const RATE: f32 = 0.1;
const WORDS: usize = 9;
const EMBEDDING: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [layer, what, numbers @ ..] = &arguments[..] else { return Err("see the head of the file".into()) };
    let numbers = numbers.iter().map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [classes, dim, batch, steps] = numbers[..] else { return Err("four numbers expected".into()) };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut output = match layer.as_str() {
        "factored" => {
            Output::Factored(Box::new(FactoredOutputLayer::new(classes, dim, || rng.random_range(-0.001..0.001))?))
        }
        "dense" => Output::Dense((0..classes * dim).map(|_| rng.random_range(-0.001..0.001)).collect()),
        other => return Err(format!("unknown layer `{other}`").into()),
    };
    let mut network = (what == "network").then(|| Network::new(classes, dim, &mut rng));
    let mut times = Vec::new();
    for _ in 0..steps {
        let targets: Vec<usize> = (0..batch).map(|_| rng.random_range(0..classes)).collect();
        let words: Vec<usize> = (0..batch * WORDS).map(|_| rng.random_range(0..classes)).collect();
        let hidden: Vec<f32> = (0..batch * dim).map(|_| rng.random_range(-1.0f32..1.0).max(0.0)).collect();
        let started = Instant::now();
        match &mut network {
            Some(network) => network.step(&words, &targets, &mut output)?,
            None => drop(output.step(&hidden, &targets, dim)?),
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    times.sort_by(f64::total_cmp);
    println!("{} {mean} {}", times[times.len() / 2], memory::peak().map_or(f64::NAN, |bytes| bytes as f64 / 1e6));
    Ok(())
}

enum Output {
    /// With the Z-loss.
    Factored(Box<FactoredOutputLayer<f32>>),
    /// Weights `[classes, dim]`, with cross-entropy.
    Dense(Vec<f32>),
}

impl Output {
    /// A step of gradient descent on the mean loss; gives the gradient in the hidden vectors.
    fn step(&mut self, hidden: &[f32], targets: &[usize], dim: usize) -> Result<Vec<f32>, Box<dyn Error>> {
        let share = 1.0 / targets.len() as f32;
        match self {
            Self::Factored(layer) => {
                let loss = ZLoss { a: 1.0, b: 0.0, eps: 1e-12 };
                let step = layer.step(hidden, targets, &loss, f64::from(RATE * share))?;
                Ok(step.grad_hidden.into_iter().map(|g| g * share).collect())
            }
            Self::Dense(weight) => {
                let found = LinearSoftmax::new(hidden, weight, dim, targets).value_and_gradient()?;
                let part = weight.len().div_ceil(std::thread::available_parallelism()?.get());
                std::thread::scope(|threads| {
                    for (weight, gradient) in weight.chunks_mut(part).zip(found.weight.chunks(part)) {
                        threads.spawn(move || weight.iter_mut().zip(gradient).for_each(|(w, g)| *w -= RATE * g));
                    }
                });
                Ok(found.hidden)
            }
        }
    }
}

struct Network {
    /// `[classes, EMBEDDING]`.
    embeddings: Vec<f32>,
    layer: Linear,
}

impl Network {
    fn new(classes: usize, dim: usize, rng: &mut Xoshiro256PlusPlus) -> Self {
        let layer = LinearConfig::new(WORDS * EMBEDDING, dim).init(&Device::flex().autodiff());
        Self { embeddings: (0..classes * EMBEDDING).map(|_| rng.random_range(-0.1..0.1)).collect(), layer }
    }

    fn step(&mut self, words: &[usize], targets: &[usize], output: &mut Output) -> Result<(), Box<dyn Error>> {
        let batch = targets.len();
        let rows: Vec<f32> = words
            .iter()
            .flat_map(|&word| &self.embeddings[word * EMBEDDING..(word + 1) * EMBEDDING])
            .copied()
            .collect();
        let data = TensorData::new(rows, [batch, WORDS * EMBEDDING]);
        let input = Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad();
        let hidden = activation::relu(self.layer.forward(input.clone()));
        let [_, dim] = hidden.dims();
        let gradient = output.step(&hidden.to_data().try_to_vec()?, targets, dim)?;
        let gradient = Tensor::from_data(TensorData::new(gradient, [batch, dim]), &hidden.device());
        let gradients = (hidden * gradient).sum().backward();
        let rows: Vec<f32> = input.grad(&gradients).ok_or("the input has a gradient")?.into_data().try_to_vec()?;
        for (&word, gradient) in words.iter().zip(rows.chunks(EMBEDDING)) {
            let row = &mut self.embeddings[word * EMBEDDING..(word + 1) * EMBEDDING];
            row.iter_mut().zip(gradient).for_each(|(x, g)| *x -= RATE * g);
        }
        let gradients = GradientsParams::from_grads(gradients, &self.layer);
        self.layer = SgdConfig::new().init().step(f64::from(RATE), self.layer.clone(), gradients);
        Ok(())
    }
}
