use super::{ImageSet, ImageShape};
use crate::data::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

const SIDE: usize = 10;
const BUMPS: usize = 4;
/// Width of a bump, in pixels.
const WIDTH: f64 = 1.2;
const NOISE: f64 = 0.25;

/// Generated glyphs: grey 10 x 10 images of `classes` shapes, each shape four Gaussian bumps at random places. A sample is
/// its shape moved by up to a pixel both ways (around the edges), as bright as a factor in `[0.7, 1.3]`, with normal noise of
/// standard deviation 0.25. Values are not cut to `[0, 1]`.
///
/// # Panics
/// When `classes` is 0.
pub fn glyphs(classes: usize, per_class: usize, seed: u64) -> ImageSet {
    assert!(classes > 0, "glyphs need at least one class");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let shapes: Vec<Vec<f64>> = (0..classes).map(|_| shape(rng)).collect();
    let (mut data, mut labels) = (Vec::new(), Vec::new());
    for row in 0..classes * per_class {
        let label = row % classes;
        let [down, right] = [0; 2].map(|_| rng.random_range(SIDE - 1..=SIDE + 1));
        let brightness = rng.random_range(0.7..1.3);
        for pixel in 0..SIDE * SIDE {
            let (y, x) = ((pixel / SIDE + down) % SIDE, (pixel % SIDE + right) % SIDE);
            let noise: f64 = StandardNormal.sample(rng);
            data.push((brightness * shapes[label][y * SIDE + x] + NOISE * noise) as f32);
        }
        labels.push(label);
    }
    ImageSet {
        name: "glyphs".into(),
        shape: ImageShape { channels: 1, height: SIDE, width: SIDE },
        pixels: Matrix { rows: labels.len(), cols: SIDE * SIDE, data },
        labels,
        classes: (0..classes).map(|class| class.to_string()).collect(),
        notes: Vec::new(),
    }
}

fn shape(rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let bumps: Vec<[f64; 2]> = (0..BUMPS).map(|_| [0.0; 2].map(|_| rng.random_range(1.5..7.5))).collect();
    let height = |pixel: usize| {
        let (y, x) = ((pixel / SIDE) as f64, (pixel % SIDE) as f64);
        let bump = |[cy, cx]: &[f64; 2]| (-((y - cy).powi(2) + (x - cx).powi(2)) / (2.0 * WIDTH * WIDTH)).exp();
        bumps.iter().map(bump).sum::<f64>()
    };
    let heights: Vec<f64> = (0..SIDE * SIDE).map(height).collect();
    let highest = heights.iter().copied().fold(0.0, f64::max);
    heights.into_iter().map(|height| height / highest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_repeat_and_samples_of_a_class_are_alike() {
        let set = glyphs(5, 40, 1);
        assert_eq!(set, glyphs(5, 40, 1));
        assert_ne!(set.pixels, glyphs(5, 40, 2).pixels);
        assert_eq!(set.labels.iter().filter(|&&label| label == 3).count(), 40);
        let mean = |class: usize, part: usize| -> Vec<f64> {
            let rows: Vec<usize> = (0..200).filter(|row| row % 5 == class && row / 5 % 2 == part).collect();
            (0..100).map(|i| rows.iter().map(|&r| f64::from(set.pixels.row(r)[i])).sum::<f64>() / 20.0).collect()
        };
        let distance = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        for class in 1..5 {
            // Means of 20 samples differ by noise of about .8 within a class, by the shapes between classes.
            let within = distance(mean(class, 0), mean(class, 1));
            assert!(distance(mean(0, 0), mean(class, 0)) > 1.5 * within, "class {class}: {within}");
        }
    }
}
