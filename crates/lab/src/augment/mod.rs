//! Random views of examples, for objectives that learn from two views of the same thing.

mod image;
mod series;
mod vector;

pub use image::ImageAugmentation;
pub use series::{SeriesAugmentation, SeriesChange};
pub use vector::VectorAugmentation;

use crate::data::Matrix;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};

/// A random change of one example that leaves what it shows.
pub trait Augmentation: Send + Sync {
    /// Changes the numbers of one example.
    ///
    /// # Panics
    /// When the example does not have the size that the augmentation was made for.
    fn change(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus);

    /// A view of each of the given rows, in their order.
    ///
    /// # Panics
    /// When a row is out of range, and as [`change`](Self::change).
    fn view(&self, x: &Matrix, rows: &[usize], rng: &mut Xoshiro256PlusPlus) -> Matrix {
        let mut view = x.gather(rows);
        for example in view.data.chunks_exact_mut(x.cols.max(1)) {
            self.change(example, rng);
        }
        view
    }
}

/// Multiplies by one number for the whole example, uniform in `[1 - by, 1 + by]`.
fn scale(example: &mut [f32], by: f64, rng: &mut Xoshiro256PlusPlus) {
    if by > 0.0 {
        let factor = rng.random_range(1.0 - by..=1.0 + by) as f32;
        for value in example.iter_mut() {
            *value *= factor;
        }
    }
}

/// Sets each number to 0 with probability `share`.
fn drop_out(example: &mut [f32], share: f64, rng: &mut Xoshiro256PlusPlus) {
    if share > 0.0 {
        for value in example.iter_mut() {
            if rng.random_bool(share) {
                *value = 0.0;
            }
        }
    }
}

/// Adds normal noise of standard deviation `deviation` to each number.
fn add_noise(example: &mut [f32], deviation: f64, rng: &mut Xoshiro256PlusPlus) {
    if deviation > 0.0 {
        for value in example.iter_mut() {
            let noise: f64 = StandardNormal.sample(rng);
            *value += (deviation * noise) as f32;
        }
    }
}
