use super::{ImageSet, ImageShape, Images};
#[cfg(test)]
use crate::data::Dataset;
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
        images: Images {
            shape: ImageShape { channels: 1, height: SIDE, width: SIDE },
            pixels: Matrix { rows: labels.len(), cols: SIDE * SIDE, data },
        },
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

/// Part of the test rows whose nearest class mean of the training rows is that of their class: what a classifier reaches
/// that knows nothing of moves.
#[cfg(test)]
pub(crate) fn nearest_mean_accuracy(train: &Dataset, test: &Dataset) -> f64 {
    let mean = |class: usize| -> Vec<f32> {
        let rows: Vec<usize> = (0..train.y.len()).filter(|&row| train.y[row] == class).collect();
        let sum = |column: usize| rows.iter().map(|&row| train.x.row(row)[column]).sum::<f32>();
        (0..train.x.cols).map(|column| sum(column) / rows.len() as f32).collect()
    };
    let means: Vec<Vec<f32>> = (0..train.classes).map(mean).collect();
    let distance = |row: usize, class: usize| -> f32 {
        test.x.row(row).iter().zip(&means[class]).map(|(pixel, mean)| (pixel - mean).powi(2)).sum()
    };
    let nearest =
        |row: usize| (0..train.classes).min_by(|&a, &b| distance(row, a).total_cmp(&distance(row, b))).unwrap_or(0);
    (0..test.y.len()).filter(|&row| nearest(row) == test.y[row]).count() as f64 / test.y.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glyphs_repeat_and_samples_of_a_class_are_alike() {
        let set = glyphs(5, 40, 1);
        assert_eq!(set, glyphs(5, 40, 1));
        assert_ne!(set.images, glyphs(5, 40, 2).images);
        assert_eq!(set.labels.iter().filter(|&&label| label == 3).count(), 40);
        // Two shapes may happen to be near each other, so no pair of classes has to be far apart; but samples that the means
        // have not seen go to the nearest mean far more often than by chance, which is .2 with a standard deviation of
        // sqrt(.2 x .8 / 100) = .04.
        let [seen, unseen] = set.into_dataset().parts([100, 100]);
        let accuracy = nearest_mean_accuracy(&seen, &unseen);
        assert!(accuracy > 0.2 + 5.0 * 0.04, "{accuracy}");
    }
}
