use super::{Augmentation, add_noise, scale};
use crate::data::SeriesShape;
use crate::data::series::Spectrum;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{SliceRandom, index};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::TAU;

/// A random change of a series of several channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SeriesChange {
    /// Each channel times a number of its own, normal around 1. With a deviation near 1 many channels change their sign.
    ChannelScaling {
        /// Standard deviation of the factor, at least 0.
        deviation: f64,
    },
    /// Normal noise on every number.
    Jitter {
        /// Standard deviation of the noise, at least 0.
        deviation: f64,
    },
    /// Between one and `most` pieces, cut at random samples, in random order; the same for all channels.
    SegmentPermutation {
        /// Most pieces, at least 1.
        most: usize,
    },
    /// Pieces of one length (the last may be shorter) in random order; the same for all channels.
    EqualSegments {
        /// Pieces, at least 1.
        pieces: usize,
    },
    /// Last sample first.
    TimeReverse,
    /// All numbers negated.
    SignFlip,
    /// Channels set to 0.
    ChannelDropout {
        /// Probability of each, in `[0, 1]`.
        probability: f64,
    },
    /// One factor for the whole series, uniform in `[1 - by, 1 + by]`.
    AmplitudeScaling {
        /// Farthest from 1, in `[0, 1]`.
        by: f64,
    },
    /// A stretch of all channels faded out and in again.
    ///
    /// ```text
    /// x(t) (1 - s(t - start) s(start + length - t)),    s(u) = 1 / (1 + exp(-u / fade))
    /// ```
    SmoothTimeMask {
        /// Samples of the stretch; where it begins is uniform over the places where it fits.
        length: usize,
        /// Samples over which it fades, above 0.
        fade: f64,
    },
    /// Every frequency keeps its power and gets another phase, the same in all channels: what the channels have in common
    /// stays.
    ///
    /// ```text
    /// X_f e^(i p_f),    p_f uniform in [0, 2 pi magnitude)
    /// ```
    ///
    /// The mean stays as it is, as does the highest frequency of an even number of samples.
    PhaseSurrogate {
        /// Part of the circle that phases are drawn from, in `[0, 1]`.
        magnitude: f64,
    },
}

/// Views of series: changes one after the other, each with its probability.
///
/// ```
/// use contrarian_lab::augment::{Augmentation, SeriesAugmentation, SeriesChange};
/// use contrarian_lab::data::SeriesShape;
/// use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
///
/// let views = SeriesAugmentation::new(SeriesShape { channels: 1, samples: 4 })
///     .then(0.5, SeriesChange::TimeReverse)
///     .then(1.0, SeriesChange::Jitter { deviation: 0.1 });
/// let mut series = [1.0, 2.0, 3.0, 4.0];
/// views.change(&mut series, &mut Xoshiro256PlusPlus::seed_from_u64(1));
/// assert_ne!(series, [1.0, 2.0, 3.0, 4.0]);
/// ```
///
/// Source of the choice: Lan et al. 2023, <https://arxiv.org/abs/2302.03357> (scaling, jitter, segments), and Rommel et al.
/// 2022, <https://arxiv.org/abs/2206.14483> (the others, for brain signals).
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesAugmentation {
    shape: SeriesShape,
    steps: Vec<(f64, SeriesChange)>,
}

impl SeriesAugmentation {
    /// Views of series of this shape that change nothing yet.
    pub fn new(shape: SeriesShape) -> Self {
        Self { shape, steps: Vec::new() }
    }

    /// With one more change, made to a view with this probability.
    pub fn then(mut self, probability: f64, change: SeriesChange) -> Self {
        self.steps.push((probability, change));
        self
    }

    fn make(&self, change: SeriesChange, x: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        let samples = self.shape.samples;
        match change {
            SeriesChange::ChannelScaling { deviation } => {
                for channel in x.chunks_exact_mut(samples) {
                    let normal: f64 = StandardNormal.sample(rng);
                    let factor = (1.0 + deviation * normal) as f32;
                    for value in channel.iter_mut() {
                        *value *= factor;
                    }
                }
            }
            SeriesChange::Jitter { deviation } => add_noise(x, deviation, rng),
            SeriesChange::SegmentPermutation { most } => {
                let pieces = rng.random_range(1..=most.min(samples));
                let mut cuts: Vec<usize> =
                    index::sample(rng, samples - 1, pieces - 1).into_iter().map(|at| at + 1).collect();
                cuts.sort_unstable();
                self.permute(&cuts, x, rng);
            }
            SeriesChange::EqualSegments { pieces } => {
                let length = samples.div_ceil(pieces);
                let cuts: Vec<usize> = (1..pieces).map(|piece| piece * length).filter(|cut| *cut < samples).collect();
                self.permute(&cuts, x, rng);
            }
            SeriesChange::TimeReverse => x.chunks_exact_mut(samples).for_each(<[f32]>::reverse),
            SeriesChange::SignFlip => {
                for value in x.iter_mut() {
                    *value = -*value;
                }
            }
            SeriesChange::ChannelDropout { probability } => {
                for channel in x.chunks_exact_mut(samples) {
                    if rng.random_bool(probability) {
                        channel.fill(0.0);
                    }
                }
            }
            SeriesChange::AmplitudeScaling { by } => scale(x, by, rng),
            SeriesChange::SmoothTimeMask { length, fade } => {
                let start = rng.random_range(0..=samples.saturating_sub(length)) as f64;
                let step = |u: f64| 1.0 / (1.0 + (-u / fade).exp());
                let keep = |t: usize| 1.0 - step(t as f64 - start) * step(start + length as f64 - t as f64);
                for channel in x.chunks_exact_mut(samples) {
                    channel.iter_mut().enumerate().for_each(|(t, value)| *value *= keep(t) as f32);
                }
            }
            SeriesChange::PhaseSurrogate { magnitude } => {
                let turns: Vec<f64> = (0..=samples / 2).map(|_| TAU * magnitude * rng.random::<f64>()).collect();
                for channel in x.chunks_exact_mut(samples) {
                    let mut spectrum = Spectrum::of(channel);
                    for (frequency, &turn) in turns.iter().enumerate() {
                        if !spectrum.is_real(frequency) {
                            let ((sin, cos), (re, im)) = (turn.sin_cos(), spectrum.parts[frequency]);
                            spectrum.parts[frequency] = (re * cos - im * sin, re * sin + im * cos);
                        }
                    }
                    channel.copy_from_slice(&spectrum.series());
                }
            }
        }
    }

    /// The pieces between the cuts in random order, the same for all channels.
    fn permute(&self, cuts: &[usize], x: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        let samples = self.shape.samples;
        let ends = cuts.iter().copied().chain([samples]);
        let mut pieces: Vec<(usize, usize)> = std::iter::once(0).chain(cuts.iter().copied()).zip(ends).collect();
        pieces.shuffle(rng);
        for channel in x.chunks_exact_mut(samples) {
            let before = channel.to_vec();
            let moved = pieces.iter().flat_map(|&(start, end)| &before[start..end]);
            channel.iter_mut().zip(moved).for_each(|(value, from)| *value = *from);
        }
    }
}

impl Augmentation for SeriesAugmentation {
    fn change(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        assert_eq!(example.len(), self.shape.numbers(), "these views are for {}", self.shape);
        for &(probability, change) in &self.steps {
            if rng.random_bool(probability) {
                self.make(change, example, rng);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    const SHAPE: SeriesShape = SeriesShape { channels: 3, samples: 24 };

    fn series() -> Vec<f32> {
        (0..SHAPE.numbers()).map(|i| ((i * 37) % 31) as f32 / 7.0 + 0.5).collect()
    }

    fn changed(change: SeriesChange, seed: u64) -> Vec<f32> {
        let mut x = series();
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        SeriesAugmentation::new(SHAPE).then(1.0, change).change(&mut x, rng);
        x
    }

    fn factors(change: SeriesChange, seed: u64) -> Vec<f32> {
        changed(change, seed).iter().zip(series()).map(|(new, old)| new / old).collect()
    }

    #[test]
    fn channels_are_scaled_dropped_and_flipped_as_wholes() {
        let mut drawn = Vec::new();
        for seed in 0..200 {
            let by_channel = factors(SeriesChange::ChannelScaling { deviation: 0.5 }, seed);
            for channel in by_channel.chunks(SHAPE.samples) {
                assert!(channel.iter().all(|f| (f - channel[0]).abs() < 1e-5));
                drawn.push(f64::from(channel[0]));
            }
            let kept = factors(SeriesChange::ChannelDropout { probability: 0.2 }, seed);
            assert!(kept.chunks(SHAPE.samples).all(|c| c.iter().all(|f| *f == c[0] && (*f == 0.0 || *f == 1.0))));
            let whole = factors(SeriesChange::AmplitudeScaling { by: 0.3 }, seed);
            assert!(whole.iter().all(|f| (f - whole[0]).abs() < 1e-5 && (0.69..1.31).contains(f)));
        }
        let mean = drawn.iter().sum::<f64>() / 600.0;
        let deviation = (drawn.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / 599.0).sqrt();
        // 600 draws: standard errors .02 and .015; four of them.
        assert!((mean - 1.0).abs() < 0.08 && (deviation - 0.5).abs() < 0.06, "{mean} {deviation}");
        assert!(factors(SeriesChange::SignFlip, 1).iter().all(|f| *f == -1.0));
        let reversed = changed(SeriesChange::TimeReverse, 1);
        assert!((0..24).all(|t| reversed[24 + t] == series()[24 + 23 - t]));
    }

    #[test]
    fn pieces_move_together_and_none_is_lost() {
        for change in [SeriesChange::SegmentPermutation { most: 8 }, SeriesChange::EqualSegments { pieces: 4 }] {
            let mut orders = BTreeSet::new();
            for seed in 0..50 {
                // The first channel says where each sample came from.
                let mut x: Vec<f32> = (0..SHAPE.numbers()).map(|i| i as f32).collect();
                let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
                SeriesAugmentation::new(SHAPE).then(1.0, change).change(&mut x, rng);
                let from: Vec<usize> = x[..24].iter().map(|v| *v as usize).collect();
                assert_eq!(from.iter().collect::<BTreeSet<_>>().len(), 24);
                for (channel, values) in x.chunks(24).enumerate() {
                    assert!(values.iter().zip(&from).all(|(v, from)| *v as usize == channel * 24 + from));
                }
                let breaks = from.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
                assert!(breaks < 8);
                if matches!(change, SeriesChange::EqualSegments { .. }) {
                    assert!(from.chunks(6).all(|piece| piece[0] % 6 == 0 && piece[5] == piece[0] + 5));
                }
                orders.insert(from);
            }
            assert!(orders.len() > 15, "{change:?}: {}", orders.len());
        }
        assert_eq!(changed(SeriesChange::SegmentPermutation { most: 1 }, 1), series());
    }

    #[test]
    fn a_surrogate_keeps_power_mean_and_what_channels_share() {
        let x = changed(SeriesChange::PhaseSurrogate { magnitude: 1.0 }, 5);
        assert_ne!(x, series());
        let spectra = |x: &[f32]| x.chunks(24).map(Spectrum::of).collect::<Vec<_>>();
        let (new, old) = (spectra(&x), spectra(&series()));
        let power = |(re, im): (f64, f64)| re * re + im * im;
        for frequency in 0..=12 {
            for channel in 0..3 {
                let (a, b) = (new[channel].parts[frequency], old[channel].parts[frequency]);
                // Samples are rounded to f32.
                assert!((power(a) - power(b)).abs() < 1e-3 * (1.0 + power(b)), "{frequency}: {a:?} {b:?}");
                // The phase between two channels: X conj(Y).
                let cross = |s: &[Spectrum]| {
                    let ((a, b), (c, d)) = (s[channel].parts[frequency], s[0].parts[frequency]);
                    [a * c + b * d, b * c - a * d]
                };
                let pairs = cross(&new).into_iter().zip(cross(&old));
                assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-2), "{frequency}, channel {channel}");
            }
        }
        let mean = |x: &[f32]| x[..24].iter().sum::<f32>();
        assert!((mean(&x) - mean(&series())).abs() < 1e-4);
        let same = changed(SeriesChange::PhaseSurrogate { magnitude: 0.0 }, 5);
        assert!(same.iter().zip(series()).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_mask_takes_a_stretch_away_and_leaves_the_rest() {
        for seed in 0..20 {
            let kept = factors(SeriesChange::SmoothTimeMask { length: 8, fade: 0.2 }, seed);
            let same = |channel: &[f32]| channel.iter().zip(&kept).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(kept.chunks(24).all(same));
            let gone = kept[..24].iter().filter(|f| **f < 0.1).count();
            let whole = kept[..24].iter().filter(|f| **f > 0.9).count();
            // The two samples at the ends are halfway.
            assert!((7..=8).contains(&gone) && whole >= 15, "{gone} {whole}");
        }
    }

    #[test]
    fn a_change_comes_as_often_as_it_should_and_noise_is_as_large() {
        let views = SeriesAugmentation::new(SHAPE).then(0.25, SeriesChange::SignFlip);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let flips = (0..1000)
            .filter(|_| {
                let mut x = series();
                views.change(&mut x, rng);
                x[0] < 0.0
            })
            .count();
        // Binomial(1000, 1/4): five standard deviations are 68.
        assert!(flips.abs_diff(250) < 69, "{flips}");
        let mut noise = Vec::new();
        for seed in 0..50 {
            let x = changed(SeriesChange::Jitter { deviation: 0.8 }, seed);
            noise.extend(x.iter().zip(series()).map(|(new, old)| f64::from(new - old)));
        }
        let deviation = (noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64).sqrt();
        // 3600 draws: the standard error is 0.0094.
        assert!((deviation - 0.8).abs() < 0.04, "{deviation}");
    }

    #[test]
    #[should_panic(expected = "these views are for series of 3 channels and 24 samples")]
    fn a_series_of_another_length_is_refused() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        SeriesAugmentation::new(SHAPE).change(&mut [0.0; 70], rng);
    }
}
