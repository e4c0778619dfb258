use super::{ImageSet, ImageShape, Images};
#[cfg(test)]
use crate::data::Dataset;
use crate::data::Matrix;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// A generator of glyphs: grey square images of shapes made of Gaussian bumps, for studies that need images of many
/// classes from nothing.
///
/// ```text
/// shape_k(r) = sum_b exp(-|r - c_kb|^2 / 2) / max_r,     c_kb uniform in [1.5, size - 2.5]^2
/// sample     = a * shape_k, moved by -1, 0 or 1 pixel both ways around the edges, + noise * N(0, 1),     a uniform in [.7, 1.3]
/// ```
///
/// The defaults are 40 classes of 40 images, 10 x 10 pixels, four bumps, noise 0.25, values as they come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glyphs {
    /// Shapes there are, at least 1.
    pub classes: usize,
    /// Images of each shape.
    pub per_class: usize,
    /// Pixels of a side, at least 5.
    pub size: usize,
    /// Bumps of a shape.
    pub bumps: usize,
    /// Standard deviation of the noise of a pixel.
    pub noise: f64,
    /// Whether values are cut to `[0, 1]`.
    pub clip: bool,
}

impl Default for Glyphs {
    fn default() -> Self {
        Self { classes: 40, per_class: 40, size: 10, bumps: 4, noise: 0.25, clip: false }
    }
}

impl Glyphs {
    /// Images in the order of their numbers: row `i` shows shape `i % classes`.
    ///
    /// # Panics
    /// Without a class or a bump, or with a size below 5.
    pub fn generate(&self, seed: u64) -> ImageSet {
        let Self { classes, size, .. } = *self;
        assert!(classes > 0 && self.bumps > 0, "glyphs need at least one class and one bump");
        assert!(size >= 5, "glyphs of {size} pixels have no room for a bump");
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let shapes: Vec<Vec<f64>> = (0..classes).map(|_| self.shape(rng)).collect();
        let (mut data, mut labels) = (Vec::new(), Vec::new());
        for row in 0..classes * self.per_class {
            let label = row % classes;
            let [down, right] = [0; 2].map(|_| rng.random_range(size - 1..=size + 1));
            let brightness = rng.random_range(0.7..1.3);
            for pixel in 0..size * size {
                let (y, x) = ((pixel / size + down) % size, (pixel % size + right) % size);
                let noise: f64 = StandardNormal.sample(rng);
                let value = brightness * shapes[label][y * size + x] + self.noise * noise;
                data.push(if self.clip { value.clamp(0.0, 1.0) } else { value } as f32);
            }
            labels.push(label);
        }
        ImageSet {
            name: "glyphs".into(),
            images: Images {
                shape: ImageShape { channels: 1, height: size, width: size },
                pixels: Matrix { rows: labels.len(), cols: size * size, data },
            },
            labels,
            classes: (0..classes).map(|class| class.to_string()).collect(),
            notes: Vec::new(),
        }
    }

    fn shape(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
        let size = self.size;
        let room = 1.5..size as f64 - 2.5;
        let centre = |rng: &mut Xoshiro256PlusPlus| [0; 2].map(|_| rng.random_range(room.clone()));
        let bumps: Vec<[f64; 2]> = (0..self.bumps).map(|_| centre(rng)).collect();
        let height = |pixel: usize| {
            let (y, x) = ((pixel / size) as f64, (pixel % size) as f64);
            let bump = |[cy, cx]: &[f64; 2]| (-((y - cy).powi(2) + (x - cx).powi(2)) / 2.0).exp();
            bumps.iter().map(bump).sum::<f64>()
        };
        let heights: Vec<f64> = (0..size * size).map(height).collect();
        let highest = heights.iter().copied().fold(0.0, f64::max);
        heights.into_iter().map(|height| height / highest).collect()
    }
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
        let glyphs = Glyphs { classes: 5, ..Glyphs::default() };
        let set = glyphs.generate(1);
        assert_eq!(set, glyphs.generate(1));
        assert_ne!(set.images, glyphs.generate(2).images);
        assert_eq!(set.labels.iter().filter(|&&label| label == 3).count(), 40);
        // Two shapes may happen to be near each other, so no pair of classes has to be far apart; but samples that the means
        // have not seen go to the nearest mean far more often than by chance, which is .2 with a standard deviation of
        // sqrt(.2 x .8 / 100) = .04.
        let [seen, unseen] = set.into_dataset().parts([100, 100]);
        let accuracy = nearest_mean_accuracy(&seen, &unseen);
        assert!(accuracy > 0.2 + 5.0 * 0.04, "{accuracy}");
    }

    #[test]
    fn sizes_bumps_and_limits_are_followed() {
        let small = Glyphs { classes: 3, per_class: 2, size: 8, bumps: 3, noise: 0.1, clip: true }.generate(7);
        assert_eq!((small.images.pixels.rows, small.images.pixels.cols), (6, 64));
        assert_eq!(small.labels, [0, 1, 2, 0, 1, 2]);
        assert!(small.images.pixels.data.iter().all(|value| (0.0..=1.0).contains(value)));
        // Without noise and clipping the brightest pixel is the brightness, whatever the shape.
        let plain = Glyphs { classes: 3, per_class: 2, noise: 0.0, ..Glyphs::default() }.generate(7);
        for row in 0..6 {
            let brightest = plain.images.pixels.row(row).iter().copied().fold(0.0, f32::max);
            assert!((0.7..=1.3).contains(&brightest), "{brightest}");
        }
    }
}
