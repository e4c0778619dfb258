//! Classes beside a dominant "none of the others", and labels that are sometimes wrong.

use contrarian_lab::data::{Dataset, Matrix};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// The class "none of the others", in either data set.
pub const NEGATIVE: usize = 0;

/// Noisy training data with the truth behind it.
pub struct Noisy {
    /// Training data as it is given.
    pub train: Dataset,
    /// The true labels of the training data.
    pub truth: Vec<usize>,
    /// A small subset whose labels are right.
    pub clean: Dataset,
    /// What models are judged by; its labels are right.
    pub test: Dataset,
}

impl Noisy {
    /// Training rows whose label is wrong.
    pub fn mislabelled(&self) -> Vec<bool> {
        self.train.y.iter().zip(&self.truth).map(|(given, truth)| given != truth).collect()
    }
}

/// How many rows there are, and which part of their labels is wrong.
pub struct Sizes {
    pub train: usize,
    pub clean: usize,
    pub test: usize,
    /// Part of the positives that is labelled negative.
    pub positive_noise: f64,
    /// Part of the negatives that is labelled as a random positive.
    pub negative_noise: f64,
}

const DIM: usize = 16;
const POSITIVES: usize = 8;
const NEGATIVE_SHARE: f64 = 0.75;
/// Distance of the class means from the origin.
const RADIUS: f64 = 3.3;
/// Negatives that lean towards a class, and how far of the way.
const LEANING_SHARE: f64 = 0.4;
const LEANING: f64 = 0.45;

/// Points around eight orthogonal means, and negatives around the origin, some of them on the way to a mean.
pub fn relation_world(sizes: &Sizes, seed: u64) -> Noisy {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let means: Vec<Vec<f64>> =
        orthonormal(rng).into_iter().map(|mean| mean.into_iter().map(|v| RADIUS * v).collect()).collect();
    let [mut train, clean, test] = [sizes.train, sizes.clean, sizes.test].map(|rows| points(rows, &means, rng));
    let truth = train.y.clone();
    flip(&mut train.y, POSITIVES, [sizes.positive_noise, sizes.negative_noise], rng);
    Noisy { train, truth, clean, test }
}

/// Positives become negatives and negatives a random one of `positives` classes, with these probabilities.
pub fn flip(labels: &mut [usize], positives: usize, [positive, negative]: [f64; 2], rng: &mut impl Rng) {
    for label in labels {
        if *label == NEGATIVE {
            if rng.random_bool(negative) {
                *label = rng.random_range(1..=positives);
            }
        } else if rng.random_bool(positive) {
            *label = NEGATIVE;
        }
    }
}

/// Random orthogonal directions of length 1, a positive class each.
fn orthonormal(rng: &mut impl Rng) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::new();
    while found.len() < POSITIVES {
        let mut direction: Vec<f64> = normals(rng);
        for other in &found {
            let along: f64 = direction.iter().zip(other).map(|(a, b)| a * b).sum();
            for (value, other) in direction.iter_mut().zip(other) {
                *value -= along * other;
            }
        }
        let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        found.push(direction.into_iter().map(|v| v / length).collect());
    }
    found
}

fn points(rows: usize, means: &[Vec<f64>], rng: &mut impl Rng) -> Dataset {
    let (mut data, mut y) = (Vec::with_capacity(rows * DIM), Vec::with_capacity(rows));
    for _ in 0..rows {
        let class = if rng.random_bool(NEGATIVE_SHARE) { NEGATIVE } else { rng.random_range(1..=POSITIVES) };
        let (towards, part) = match class {
            NEGATIVE => (rng.random_range(0..POSITIVES), if rng.random_bool(LEANING_SHARE) { LEANING } else { 0.0 }),
            class => (class - 1, 1.0),
        };
        let point = normals(rng).into_iter().zip(&means[towards]).map(|(noise, mean)| (noise + part * mean) as f32);
        data.extend(point);
        y.push(class);
    }
    Dataset { x: Matrix { rows, cols: DIM, data }, y, classes: POSITIVES + 1 }
}

fn normals(rng: &mut impl Rng) -> Vec<f64> {
    (0..DIM).map(|_| rng.sample(StandardNormal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_world_has_the_shares_and_the_noise_it_is_said_to_have() {
        let sizes = Sizes { train: 20_000, clean: 10, test: 10, positive_noise: 0.3, negative_noise: 0.03 };
        let world = relation_world(&sizes, 1);
        let part = |count: usize, of: usize| count as f64 / of as f64;
        let negatives = world.truth.iter().filter(|&&class| class == NEGATIVE).count();
        // Binomial shares of 5,000 rows and more: standard deviations below .007.
        assert!((part(negatives, 20_000) - 0.75).abs() < 0.02);
        let pairs = || world.train.y.iter().zip(&world.truth);
        let lost = pairs().filter(|(given, truth)| **truth != NEGATIVE && **given == NEGATIVE).count();
        let gained = pairs().filter(|(given, truth)| **truth == NEGATIVE && **given != NEGATIVE).count();
        assert!((part(lost, 20_000 - negatives) - 0.3).abs() < 0.03);
        assert!((part(gained, negatives) - 0.03).abs() < 0.01);
        assert_eq!(world.mislabelled().iter().filter(|&&wrong| wrong).count(), lost + gained);
        assert_eq!(relation_world(&sizes, 1).train, world.train);
    }

    #[test]
    fn means_are_orthogonal() {
        let directions = orthonormal(&mut Xoshiro256PlusPlus::seed_from_u64(3));
        for (i, a) in directions.iter().enumerate() {
            for (j, b) in directions.iter().enumerate() {
                let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
    }
}
