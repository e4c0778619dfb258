use super::Case;
use crate::memory;
use burn::tensor::{Gradients, Tensor};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Runs the work once: loss and all gradients.
pub(super) type Step = Box<dyn Fn() -> Outcome>;

/// What one run gave.
pub(super) struct Outcome {
    /// The loss.
    pub loss: f64,
    /// Bytes of the gradients of the inputs.
    pub gradient_bytes: u64,
}

/// An input that a gradient is taken of, whatever its rank.
pub(super) trait Leaf {
    /// Bytes of its gradient.
    fn gradient_bytes(&self, gradients: &Gradients) -> u64;
}

impl<const D: usize> Leaf for Tensor<D> {
    fn gradient_bytes(&self, gradients: &Gradients) -> u64 {
        let gradient = self.grad(gradients).expect("every input of a case gets a gradient");
        gradient.shape().num_elements() as u64 * 4
    }
}

/// The input as a leaf of a graph of its own: every run starts anew.
pub(super) fn leaf<const D: usize>(input: &Tensor<D>) -> Tensor<D> {
    input.clone().detach().require_grad()
}

/// Runs the backward pass.
pub(super) fn backward(loss: Tensor<1>, leaves: &[&dyn Leaf]) -> Outcome {
    let gradients = loss.backward();
    let gradient_bytes = leaves.iter().map(|leaf| leaf.gradient_bytes(&gradients)).sum();
    Outcome { loss: loss.into_scalar::<f64>(), gradient_bytes }
}

/// What a case costs in one form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Milliseconds of loss and gradients, the median of the rounds.
    pub milliseconds: f64,
    /// Milliseconds of every round, in order.
    pub rounds: Vec<f64>,
    /// The most bytes that one run held at once, beyond its inputs and their gradients; `None` where the system does not
    /// tell.
    pub extra_memory: Option<u64>,
    /// Threads that kernels and tensor operations had.
    pub threads: usize,
    /// The loss, to compare with that of another form or another library.
    pub loss: f64,
}

/// Measures a case in this process: memory in a first run, which is also the warm-up, then `rounds` timed ones. The form is
/// the one that the process was started for, see [`Form::environment`](super::Form::environment).
///
/// The process should have done nothing else before: memory that the allocator kept would hide what the case needs.
///
/// # Panics
/// When `rounds` is 0.
pub fn measure(case: &Case, rounds: usize) -> Measurement {
    assert!(rounds > 0, "a median needs a round");
    // Code and threads are no memory of the case.
    (case.family.prepare)(&case.tiny().sizes)();
    let step = (case.family.prepare)(&case.sizes);
    let before = memory::resident();
    let reset = memory::reset_peak();
    let Outcome { loss, gradient_bytes } = step();
    let extra_memory = before.zip(memory::peak()).filter(|_| reset);
    let extra_memory = extra_memory.map(|(before, peak)| peak.saturating_sub(before + gradient_bytes));
    let rounds: Vec<f64> = (0..rounds)
        .map(|_| {
            let started = Instant::now();
            step();
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    Measurement { milliseconds: median(&rounds), rounds, extra_memory, threads: rayon::current_num_threads(), loss }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }
}
