//! Median seconds of loss and gradients, f32: the Mann-Whitney loss over 1,000 x 100,000 scores and the Plackett-Luce loss
//! over 4096 x 1000 logits, the teacher's sort included. The PyTorch side is `bench/kernels/ranking.py`.
//!
//! ```text
//! cargo run --release -p contrarian-kernels --example ranking_steps
//! ```

use contrarian_kernels::KernelError;
use contrarian_kernels::pairwise::{PairReduction, mann_whitney, pairwise_hinge, pairwise_squared_hinge};
use contrarian_kernels::plackett_luce::{RankWeights, plackett_luce_distillation};
use std::hint::black_box;
use std::time::Instant;

const REPEATS: usize = 9;

fn main() -> Result<(), KernelError> {
    let mut state = 1u64;
    let (positives, negatives) = (normal(&mut state, 1_000, 1.0), normal(&mut state, 100_000, 0.0));
    let mean = PairReduction::MeanPairs;
    for temperature in [1.0, 0.01] {
        let seconds = median(|| mann_whitney(&positives, &negatives, temperature, mean))?;
        println!("mann_whitney 1000 x 100000, temperature {temperature}: {seconds:.5} s");
    }
    println!("pairwise_hinge 1000 x 100000: {:.5} s", median(|| pairwise_hinge(&positives, &negatives, 1.0, mean))?);
    let squared = median(|| pairwise_squared_hinge(&positives, &negatives, 1.0, mean))?;
    println!("pairwise_squared_hinge 1000 x 100000: {squared:.5} s");

    let (rows, items) = (4096, 1000);
    let (student, teacher) = (normal(&mut state, rows * items, 0.0), normal(&mut state, rows * items, 0.0));
    let labels: Vec<usize> = (0..rows).map(|row| row * 7919 % items).collect();
    let weights = RankWeights::Teacher { temperature: 1.0 };
    let seconds = median(|| plackett_luce_distillation(&student, &teacher, rows, items, &labels, weights))?;
    println!("plackett_luce 4096 x 1000: {seconds:.5} s");
    Ok(())
}

fn median<T>(step: impl Fn() -> Result<T, KernelError>) -> Result<f64, KernelError> {
    black_box(step()?);
    let mut seconds = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        let started = Instant::now();
        black_box(step()?);
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[REPEATS / 2])
}

/// Nearly normal numbers, as sums of twelve uniform ones.
fn normal(state: &mut u64, count: usize, middle: f32) -> Vec<f32> {
    let mut uniform = || {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| middle - 6.0 + (0..12).map(|_| uniform()).sum::<f32>()).collect()
}
