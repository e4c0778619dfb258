//! One set of images cut into domains by style.

use contrarian_lab::data::{Dataset, Matrix};
use contrarian_lab::federated::FederatedTraining;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Pixels of a side.
pub const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
/// Domains.
pub const STYLES: usize = 5;

/// A federation over the domains: all but one are clients, half of the target is for training.
pub struct Split {
    /// Labelled rows of each client.
    pub clients: Vec<Dataset>,
    /// Target rows to train with, their labels for measuring votes only.
    pub target: Dataset,
    /// Target rows to measure on.
    pub test: Dataset,
}

impl Split {
    /// All clients' rows as those of one.
    pub fn pooled(&self) -> Dataset {
        let first = &self.clients[0].x;
        let data: Vec<f32> = self.clients.iter().flat_map(|client| client.x.data.iter().copied()).collect();
        let y: Vec<usize> = self.clients.iter().flat_map(|client| client.y.iter().copied()).collect();
        Dataset { x: Matrix { rows: y.len(), cols: first.cols, data }, y, classes: self.clients[0].classes }
    }

    /// The training of these clients, or of others in their place.
    pub fn training<'a>(
        &'a self,
        config: &'a contrarian_lab::federated::FederatedTrainingConfig,
        clients: &'a [Dataset],
        seed: u64,
    ) -> FederatedTraining<'a> {
        FederatedTraining { config, clients, target: &self.target.x, test: &self.test, seed }
    }
}

/// Cuts the images (8 x 8, in `[0, 1]`) at random into as many parts as there are styles, gives each part its style, and makes
/// `target` the domain to adapt to.
pub fn split(images: &Dataset, target: usize, seed: u64) -> Split {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..images.y.len()).collect();
    order.shuffle(&mut rng);
    let size = order.len() / STYLES;
    let mut domains: Vec<Dataset> = (0..STYLES)
        .map(|style| styled(&images.select(&order[style * size..(style + 1) * size]), style, &mut rng))
        .collect();
    let adapted = domains.remove(target);
    let [target, test] = adapted.parts([size / 2, size - size / 2]);
    Split { clients: domains, target, test }
}

fn styled(part: &Dataset, style: usize, rng: &mut Xoshiro256PlusPlus) -> Dataset {
    let mut data = Vec::with_capacity(part.x.data.len());
    for row in 0..part.y.len() {
        data.extend(restyle(part.x.row(row), style, rng));
    }
    Dataset { x: Matrix { data, ..part.x }, ..part.clone() }
}

/// An image in a style: plain, dim and uneven, over a background, black and white with noise, blurred with noise.
fn restyle(image: &[f32], style: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f32> {
    let at = |pixel: usize| (pixel / SIDE, pixel % SIDE);
    match style {
        0 => image.to_vec(),
        1 => {
            let ramp = |pixel: usize| 0.6 + 0.4 * pixel as f32 / (PIXELS - 1) as f32;
            (0..PIXELS).map(|pixel| 0.25 + 0.6 * image[pixel] * ramp(pixel)).collect()
        }
        2 => {
            let field: Vec<f32> = (0..9).map(|_| rng.random::<f32>()).collect();
            (0..PIXELS).map(|pixel| image[pixel].max(0.55 * between(&field, at(pixel)))).collect()
        }
        3 => {
            let ink = |value: f32| if value > 0.45 { 0.9 } else { 0.0 };
            image.iter().map(|&value| ink(value) + 0.1 * rng.random::<f32>()).collect()
        }
        _ => {
            let mut noise = || -> f32 { StandardNormal.sample(rng) };
            (0..PIXELS).map(|pixel| 0.6 * blurred(image, at(pixel)) + 0.2 + 0.08 * noise()).collect()
        }
    }
}

/// A field of 3 x 3 values stretched over the image, bilinear in between.
fn between(field: &[f32], (y, x): (usize, usize)) -> f32 {
    let place = |at: usize| {
        let at = 2.0 * at as f32 / (SIDE - 1) as f32;
        let low = (at as usize).min(1);
        (low, at - low as f32)
    };
    let ((top, down), (left, right)) = (place(y), place(x));
    let row = |y: usize| field[3 * y + left] * (1.0 - right) + field[3 * y + left + 1] * right;
    row(top) * (1.0 - down) + row(top + 1) * down
}

/// Mean of the pixels around one and itself, those of the image.
fn blurred(image: &[f32], (y, x): (usize, usize)) -> f32 {
    let around = |at: usize| at.saturating_sub(1)..(at + 2).min(SIDE);
    let values: Vec<f32> = around(y).flat_map(|y| around(x).map(move |x| image[y * SIDE + x])).collect();
    values.iter().sum::<f32>() / values.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_disjoint_parts_in_their_styles() {
        // Every image is a constant that names it.
        let rows = 50;
        let data: Vec<f32> = (0..rows * PIXELS).map(|at| (at / PIXELS) as f32 / rows as f32).collect();
        let images =
            Dataset { x: Matrix { rows, cols: PIXELS, data }, y: (0..rows).map(|row| row % 2).collect(), classes: 2 };
        let found = split(&images, 4, 1);
        assert_eq!((found.clients.len(), found.target.y.len(), found.test.y.len()), (4, 5, 5));
        assert_eq!(found.pooled().y.len(), 40);
        let plain = &found.clients[0];
        for row in 0..plain.y.len() {
            let name = (plain.x.row(row)[0] * rows as f32).round() as usize;
            assert_eq!(plain.y[row], name % 2, "labels follow their images");
        }
        let dim = &found.clients[1].x;
        assert!(dim.data.iter().all(|value| (0.25..=0.85).contains(value)));
        assert!(found.clients[3].x.data.iter().all(|value| *value <= 0.1 || *value >= 0.9));
        assert_eq!(split(&images, 4, 1).test, found.test);
    }

    #[test]
    fn a_field_is_met_at_its_corners_and_a_blur_keeps_the_mean() {
        let field: Vec<f32> = (0..9).map(|at| at as f32).collect();
        assert_eq!([between(&field, (0, 0)), between(&field, (0, 7)), between(&field, (7, 7))], [0.0, 2.0, 8.0]);
        assert!((between(&field, (3, 4)) - (3.0 * 6.0 / 7.0 + 8.0 / 7.0)).abs() < 1e-5);
        assert!((blurred(&[0.3; PIXELS], (0, 5)) - 0.3).abs() < 1e-6);
    }
}
