use super::{SeriesSet, SeriesShape, Spectrum, normalise_windows};
use crate::data::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
    StandardNormal.sample(rng)
}

/// Series of two channels and 64 samples, class `k` of six a sine of `k + 2` cycles (dbpm).
///
/// ```text
/// x_c(t) = a sin(2 pi (k + 2) t / 64 + phase + c (0.5 + 0.3 k)) + N(0, 0.7^2),    a uniform in [0.8, 1.2]
/// ```
pub fn waves(rows: usize, seed: u64) -> SeriesSet {
    const CLASSES: usize = 6;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let shape = SeriesShape { channels: 2, samples: 64 };
    let mut data = Vec::with_capacity(rows * shape.numbers());
    let mut labels = Vec::with_capacity(rows);
    for _ in 0..rows {
        let class = rng.random_range(0..CLASSES);
        let (phase, amplitude) = (TAU * rng.random::<f64>(), rng.random_range(0.8..1.2));
        for channel in 0..shape.channels {
            let shift = phase + channel as f64 * (0.5 + 0.3 * class as f64);
            for t in 0..shape.samples {
                let angle = TAU * (class + 2) as f64 * t as f64 / shape.samples as f64 + shift;
                data.push((amplitude * angle.sin() + 0.7 * normal(rng)) as f32);
            }
        }
        labels.push(class);
    }
    let x = Matrix { rows, cols: shape.numbers(), data };
    let classes = (0..CLASSES).map(|class| format!("{} cycles", class + 2)).collect();
    SeriesSet { name: "waves".into(), shape, x, labels, classes }
}

/// Where recordings of brain signals come from: electrodes, amplifier and mains differ (eeg-transfer).
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingDomain {
    /// How the channels see the sources, row by row.
    mixing: Vec<f64>,
    gain: f64,
    interference: f64,
}

/// Recordings cut into windows, each recording with a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Recordings {
    /// Size of a window.
    pub shape: SeriesShape,
    /// A window a row, ordered by channel, then time.
    pub x: Matrix,
    /// The recording of each window.
    pub recordings: Vec<usize>,
    /// Class of each recording.
    pub labels: Vec<usize>,
}

const SHAPE: SeriesShape = SeriesShape { channels: 8, samples: 192 };
const RATE: f64 = 64.0;
const WINDOWS: usize = 2;

impl RecordingDomain {
    /// A domain whose mixing matrix `I + 0.25 N(0, 1)` comes from `seed`; its channels are `gain` times as large as the usual,
    /// with an interference of 16 Hz of this amplitude.
    pub fn new(seed: u64, gain: f64, interference: f64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let c = SHAPE.channels;
        let entry = |at: usize| f64::from(u8::from(at / c == at % c)) + 0.25 * normal(rng);
        Self { mixing: (0..c * c).map(entry).collect(), gain, interference }
    }

    /// Recordings of 8 channels at 64 Hz, two normalised windows of 192 samples each; every other recording is pathological
    /// (class 1).
    ///
    /// Sources: noise with a power falling as `f^-0.8` from 0.7 Hz on and variance 1; an alpha rhythm of amplitude 0.6 to 1.2
    /// that rises over the channels, at 10 Hz, in pathological recordings at 8.5 (deviation 0.8); a slow wave of 1.5 to 4 Hz
    /// and amplitude 0.5 to 1.3 around one channel, 0.35 of that in normal recordings. They are mixed, each channel has a gain
    /// of 0.7 to 1.4 in a recording, and the windows are [normalised](normalise_windows).
    pub fn recordings(&self, count: usize, seed: u64) -> Recordings {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let x = Matrix { rows: count * WINDOWS, cols: SHAPE.numbers(), data: Vec::new() };
        let mut set = Recordings { shape: SHAPE, x, recordings: Vec::new(), labels: Vec::new() };
        for recording in 0..count {
            let label = recording % 2;
            self.add(&mut set.x.data, label == 1, rng);
            set.labels.push(label);
            set.recordings.extend([recording; WINDOWS]);
        }
        normalise_windows(&mut set.x, SHAPE, 20.0);
        set
    }

    fn add(&self, data: &mut Vec<f32>, pathological: bool, rng: &mut Xoshiro256PlusPlus) {
        let SeriesShape { channels, samples } = SHAPE;
        let alpha = rng.random_range(0.6..1.2);
        let alpha_rate = if pathological { 8.5 } else { 10.0 } + 0.8 * normal(rng);
        let slow = rng.random_range(0.5..1.3) * if pathological { 1.0 } else { 0.35 };
        let slow_rate = rng.random_range(1.5..4.0);
        let focus = rng.random_range(0..channels) as f64;
        let gains: Vec<f64> = (0..channels).map(|_| self.gain * rng.random_range(0.7..1.4)).collect();
        for _ in 0..WINDOWS {
            let [alpha_phase, slow_phase, mains_phase] = [0; 3].map(|_| TAU * rng.random::<f64>());
            let wave = |rate: f64, phase: f64, t: usize| (TAU * rate * t as f64 / RATE + phase).sin();
            let sources: Vec<Vec<f64>> = (0..channels)
                .map(|c| {
                    let alpha = alpha * c as f64 / (channels - 1) as f64;
                    let slow = slow * (-(c as f64 - focus).powi(2) / 4.0).exp();
                    let rhythm = |t| alpha * wave(alpha_rate, alpha_phase, t) + slow * wave(slow_rate, slow_phase, t);
                    background(samples, rng).into_iter().enumerate().map(|(t, noise)| noise + rhythm(t)).collect()
                })
                .collect();
            for (weights, gain) in self.mixing.chunks(channels).zip(&gains) {
                data.extend((0..samples).map(|t| {
                    let mixed: f64 = weights.iter().zip(&sources).map(|(weight, source)| weight * source[t]).sum();
                    (gain * mixed + self.interference * wave(16.0, mains_phase, t)) as f32
                }));
            }
        }
    }
}

/// Noise with a power of `f^-0.8`, flat below 0.7 Hz, of variance 1.
fn background(samples: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let noise = Spectrum::from_fn(samples, |frequency| {
        let hertz = frequency as f64 * RATE / samples as f64;
        let amplitude = hertz.max(0.7).powf(-0.4);
        let (re, im) = (amplitude * normal(rng), amplitude * normal(rng));
        // The mean and the highest frequency are real.
        if frequency == 0 || 2 * frequency == samples { (re, 0.0) } else { (re, im) }
    });
    let noise: Vec<f64> = noise.series().into_iter().map(f64::from).collect();
    let mean = noise.iter().sum::<f64>() / samples as f64;
    let deviation = (noise.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / samples as f64).sqrt();
    noise.into_iter().map(|v| (v - mean) / deviation).collect()
}

impl Recordings {
    /// Class of each window.
    pub fn window_labels(&self) -> Vec<usize> {
        self.recordings.iter().map(|&recording| self.labels[recording]).collect()
    }

    /// The first recordings with their windows.
    pub fn first(&self, count: usize) -> Self {
        let rows: Vec<usize> = (0..self.x.rows).filter(|&row| self.recordings[row] < count).collect();
        Self {
            shape: self.shape,
            x: self.x.gather(&rows),
            recordings: rows.iter().map(|&row| self.recordings[row]).collect(),
            labels: self.labels.iter().take(count).copied().collect(),
        }
    }

    /// These recordings, then others of the same shape.
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn with(mut self, other: &Self) -> Self {
        assert_eq!(self.shape, other.shape, "recordings of one shape are needed");
        let before = self.labels.len();
        self.x.data.extend_from_slice(&other.x.data);
        self.x.rows += other.x.rows;
        self.recordings.extend(other.recordings.iter().map(|recording| recording + before));
        self.labels.extend_from_slice(&other.labels);
        self
    }
}
