//! Symmetric InfoNCE over 65,536 pairs of length 128, loss and gradients, in under 1 GB; one to two minutes on two cores.
//!
//! The matrix of scores alone would take 17 GB.

use burn::tensor::{Device, Distribution, Tensor};
use contrarian::contrastive::InfoNceLossConfig;
use std::time::Instant;

fn main() {
    let (pairs, dim) = (65_536, 128);
    let device = Device::flex().autodiff();
    device.seed(0);
    let random = || Tensor::<2>::random([pairs, dim], Distribution::Normal(0.0, 1.0), &device);
    let images = random().require_grad();
    // Texts resemble their images.
    let texts = (images.clone() + random()).detach().require_grad();
    let started = Instant::now();
    let objective = InfoNceLossConfig::new().with_temperature(0.07).with_symmetric(true).init();
    let loss = objective.forward(images.clone(), texts);
    let gradients = loss.backward();
    let size = images.grad(&gradients).map(|gradient| gradient.square().sum().sqrt().into_scalar::<f32>());
    println!(
        "loss {:.4}, gradient norm {:.3e}, {:.1} s, peak memory {}",
        loss.into_scalar::<f32>(),
        size.unwrap_or_default(),
        started.elapsed().as_secs_f64(),
        peak_memory().unwrap_or_else(|| "unknown here".into())
    );
}

/// What the process held at most, from Linux's /proc.
fn peak_memory() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(format!("{:.0} MB", kilobytes / 1024.0))
}
