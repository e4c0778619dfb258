//! Seconds a step of the factored output layer with the Z-loss.
//!
//! `factored_steps <classes> <dim> <batch> <steps>` prints the median seconds a step, and the mean with all upkeep in it.

use contrarian_kernels::{FactoredOutputLayer, ZLoss};
use std::error::Error;
use std::time::Instant;

/// Uniform numbers in (-1, 1).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((u128::from(self.0) * end as u128) >> 64) as usize
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = arguments.iter().map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [classes, dim, batch, steps] = numbers[..] else { return Err("four numbers expected".into()) };
    let mut noise = Noise(1);
    let mut times = Vec::new();
    let mut output = FactoredOutputLayer::new(classes, dim, || 0.001 * noise.next())?;
    for _ in 0..steps {
        let hidden: Vec<f32> = (0..batch * dim).map(|_| noise.next().max(0.0)).collect();
        let targets: Vec<usize> = (0..batch).map(|_| noise.below(classes)).collect();
        let started = Instant::now();
        output.step(&hidden, &targets, &ZLoss { a: 1.0, b: 0.0, eps: 1e-12 }, 0.1 / batch as f64)?;
        times.push(started.elapsed().as_secs_f64());
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    times.sort_by(f64::total_cmp);
    println!("{} {mean}", times[times.len() / 2]);
    Ok(())
}
