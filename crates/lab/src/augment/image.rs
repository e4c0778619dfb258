use super::{Augmentation, add_noise, drop_out, scale};
use crate::data::ImageShape;
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// Views of images: moved with zeros behind, perhaps mirrored, pixels left out, brighter or darker, with noise.
///
/// The steps come in this order; each is off at 0. Pixels of a colour image are left out in all channels at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageAugmentation {
    /// Shape of the images.
    pub shape: ImageShape,
    /// Farthest move in pixels, in each direction.
    pub shift: usize,
    /// Whether half of the views are mirrored left to right: not for digits and letters.
    pub mirror: bool,
    /// Probability that a pixel becomes 0, in `[0, 1]`.
    pub dropout: f64,
    /// How far the brightness factor may be from 1, in `[0, 1]`.
    pub brightness: f64,
    /// Standard deviation of the noise, at least 0.
    pub noise: f64,
}

impl ImageAugmentation {
    /// Views as studies of small images use them: moves by one pixel, a tenth of the pixels left out, a fifth brighter or
    /// darker, noise of 0.1.
    pub fn new(shape: ImageShape) -> Self {
        Self { shape, shift: 1, mirror: false, dropout: 0.1, brightness: 0.2, noise: 0.1 }
    }

    fn shift(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        let reach = self.shift as i64;
        let [down, right] = [0; 2].map(|_| rng.random_range(-reach..=reach));
        let mirrored = self.mirror && rng.random_bool(0.5);
        let ImageShape { height, width, .. } = self.shape;
        for plane in example.chunks_exact_mut(height * width) {
            let before = plane.to_vec();
            for (at, pixel) in plane.iter_mut().enumerate() {
                let (y, x) = ((at / width) as i64 - down, (at % width) as i64 - right);
                let x = if mirrored { width as i64 - 1 - x } else { x };
                let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
                *pixel = if inside { before[y as usize * width + x as usize] } else { 0.0 };
            }
        }
    }

    fn drop_pixels(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        let pixels = self.shape.height * self.shape.width;
        let mut kept = vec![1.0; pixels];
        drop_out(&mut kept, self.dropout, rng);
        for plane in example.chunks_exact_mut(pixels) {
            plane.iter_mut().zip(&kept).for_each(|(pixel, keep)| *pixel *= keep);
        }
    }
}

impl Augmentation for ImageAugmentation {
    fn change(&self, example: &mut [f32], rng: &mut Xoshiro256PlusPlus) {
        assert_eq!(example.len(), self.shape.numbers(), "these views are for {}", self.shape);
        if self.shift > 0 || self.mirror {
            self.shift(example, rng);
        }
        if self.dropout > 0.0 {
            self.drop_pixels(example, rng);
        }
        scale(example, self.brightness, rng);
        add_noise(example, self.noise, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    fn plain(shape: ImageShape) -> ImageAugmentation {
        ImageAugmentation { shape, shift: 0, mirror: false, dropout: 0.0, brightness: 0.0, noise: 0.0 }
    }

    #[test]
    fn a_pixel_moves_to_its_neighbours_in_all_channels_and_falls_off_the_edge() {
        let shape = ImageShape { channels: 2, height: 3, width: 4 };
        let mut image = vec![0.0; 24];
        // The middle left pixel of both channels.
        image[4] = 1.0;
        image[16] = 2.0;
        let views = ImageAugmentation { shift: 1, ..plain(shape) };
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            let mut view = image.clone();
            views.change(&mut view, rng);
            let at = view[..12].iter().position(|&v| v == 1.0);
            assert_eq!(at, view[12..].iter().position(|&v| v == 2.0));
            seen.insert(at);
        }
        // Up, still, down; still or to the right; to the left it is gone.
        let places = [None, Some(0), Some(1), Some(4), Some(5), Some(8), Some(9)];
        assert_eq!(seen, BTreeSet::from(places));
    }

    #[test]
    fn mirrored_images_are_the_image_or_its_mirror() {
        let shape = ImageShape { channels: 1, height: 1, width: 3 };
        let views = ImageAugmentation { mirror: true, ..plain(shape) };
        let x = Matrix { rows: 1, cols: 3, data: vec![1.0, 2.0, 3.0] };
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let seen: BTreeSet<String> = (0..50).map(|_| format!("{:?}", views.view(&x, &[0], rng).data)).collect();
        assert_eq!(seen, BTreeSet::from(["[1.0, 2.0, 3.0]".to_string(), "[3.0, 2.0, 1.0]".to_string()]));
    }
}
