//! Series with known bad pairs.

use contrarian_lab::data::series::{ChannelScaler, waves};
use contrarian_lab::data::{DataError, Dataset, Matrix, SeriesShape, load_ts};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::path::Path;

/// Part of the items that are noisy, and as many that are faulty.
const SHARE: f64 = 0.1;
/// Steps of the noise that both views of a noisy item keep.
const STEPS: usize = 8;

/// Training series, some of them spoiled, and clean ones for the probes.
#[derive(Clone)]
pub struct Corrupted {
    pub shape: SeriesShape,
    clean: Matrix,
    /// The training series with the noisy ones spoiled.
    pub train: Matrix,
    /// Items that are mostly a step function, which both views keep.
    pub noisy: Vec<bool>,
    /// Items of which one view is to be noise.
    pub faulty: Vec<bool>,
    /// Clean series the probes learn from.
    pub probe: Dataset,
    /// Clean series the probes are judged on.
    pub test: Dataset,
}

impl Corrupted {
    /// Generated series; those of the probes are others than those of the training.
    pub fn waves(series: usize, probe: usize, test: usize, seed: u64) -> Self {
        let set = waves(series + probe + test, seed);
        let all = Dataset { x: set.x, y: set.labels, classes: set.classes.len() };
        let [train, probe, test] = all.parts([series, probe, test]);
        Self::new(set.shape, train.x, probe, test).corrupted_again(seed)
    }

    /// The real set, its channels scaled by the training part, not spoiled yet. The probes learn from the clean training part.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn basic_motions(folder: &Path) -> Result<Self, DataError> {
        let [mut train, mut test] =
            [load_ts(&folder.join("BasicMotions_TRAIN.ts"))?, load_ts(&folder.join("BasicMotions_TEST.ts"))?];
        if train.shape != test.shape || train.classes != test.classes {
            return Err(DataError::Mismatch { reason: "the training and test files are not of one set".into() });
        }
        let scaler = ChannelScaler::fit(&train.x, train.shape);
        scaler.apply(&mut train.x);
        scaler.apply(&mut test.x);
        let labelled = |x: &Matrix, y: Vec<usize>| Dataset { x: x.clone(), y, classes: train.classes.len() };
        let (probe, test) = (labelled(&train.x, train.labels), labelled(&test.x, test.labels));
        Ok(Self::new(train.shape, train.x, probe, test))
    }

    fn new(shape: SeriesShape, clean: Matrix, probe: Dataset, test: Dataset) -> Self {
        let none = vec![false; clean.rows];
        Self { shape, train: clean.clone(), clean, noisy: none.clone(), faulty: none, probe, test }
    }

    /// The same series with other items spoiled: a tenth become 0.3 times themselves plus 2.5 times a random step function a
    /// channel, another tenth are to have a view of noise.
    pub fn corrupted_again(&self, seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(0xbad));
        let rows = self.clean.rows;
        let each = (SHARE * rows as f64).round() as usize;
        let mut order: Vec<usize> = (0..rows).collect();
        order.shuffle(rng);
        let mut spoiled =
            Self { train: self.clean.clone(), noisy: vec![false; rows], faulty: vec![false; rows], ..self.clone() };
        for &row in &order[..each] {
            spoiled.noisy[row] = true;
            let series = &mut spoiled.train.data[row * self.shape.numbers()..][..self.shape.numbers()];
            for channel in series.chunks_exact_mut(self.shape.samples) {
                add_steps(channel, rng);
            }
        }
        for &row in &order[each..2 * each] {
            spoiled.faulty[row] = true;
        }
        spoiled
    }
}

fn add_steps(channel: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
    let heights: Vec<f64> = (0..STEPS).map(|_| StandardNormal.sample(rng)).collect();
    let samples = channel.len();
    for (t, value) in channel.iter_mut().enumerate() {
        *value = 0.3 * *value + (2.5 * heights[t * STEPS / samples]) as f32;
    }
}

/// Fills a series with noise.
pub fn fill_with_noise(series: &mut [f32], rng: &mut impl RngExt) {
    for value in series {
        let normal: f64 = StandardNormal.sample(rng);
        *value = normal as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_each_is_spoiled_and_noted() {
        let problem = Corrupted::waves(200, 10, 10, 1);
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        assert_eq!((count(&problem.noisy), count(&problem.faulty)), (20, 20));
        assert!(problem.noisy.iter().zip(&problem.faulty).all(|(noisy, faulty)| !(noisy & faulty)));
        for row in 0..200 {
            assert_eq!(problem.train.row(row) != problem.clean.row(row), problem.noisy[row], "{row}");
        }
        assert_ne!(problem.corrupted_again(2).noisy, problem.noisy);
        assert_eq!(problem.corrupted_again(1).train, problem.train);
    }
}
