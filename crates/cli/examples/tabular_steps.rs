//! Our side of `bench/tabular`: optimiser steps a second of the MLP that `contrarian compare` trains.
//!
//! `tabular_steps <folder> <rows> <inputs> <classes> <batch> <width> <steps>` reads `x.f32` and `y.u32` (little-endian,
//! row-major) and prints the microseconds a step.

use burn::tensor::Device;
use contrarian::registry::{ObjectiveSpec, TaskContext};
use contrarian_lab::data::Matrix;
use contrarian_lab::fit::{Examples, Fit, FitConfig, objective_step};
use contrarian_lab::model::MlpConfig;
use contrarian_lab::parallel::pool;
use std::error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers @ ..] = arguments.as_slice() else {
        return Err("no arguments".into());
    };
    let numbers = numbers.iter().map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [rows, inputs, classes, batch, width, steps] = numbers[..] else {
        return Err("six numbers expected".into());
    };
    let words = |name: &str| -> Result<Vec<[u8; 4]>, Box<dyn Error>> {
        Ok(std::fs::read(format!("{folder}/{name}"))?.as_chunks::<4>().0.to_vec())
    };
    let x = Matrix { rows, cols: inputs, data: words("x.f32")?.into_iter().map(f32::from_le_bytes).collect() };
    let y: Vec<usize> = words("y.u32")?.into_iter().map(|word| u32::from_le_bytes(word) as usize).collect();

    let objective = "cross-entropy".parse::<ObjectiveSpec>()?;
    let objective = objective.build(&TaskContext { class_counts: vec![rows / classes; classes] })?;
    let run = |steps: usize| {
        let config = FitConfig::new().with_batch_size(batch).with_epochs(steps.div_ceil(rows / batch));
        let model = MlpConfig::new(inputs, classes).with_width(width).init(&Device::flex().autodiff(), 0);
        let mut state = objective.initial_state(rows, 0);
        let train = Examples { x: &x, y: &y };
        Fit { train, config: &config, seed: 0, validation: None, stop: None }
            .run(model, objective_step(objective.as_ref(), &mut state))
    };
    let fitted = pool(2).install(|| run(steps / 10).and_then(|_| run(steps)))?;
    println!("{}", fitted.seconds / fitted.steps as f64 * 1e6);
    Ok(())
}
