use super::{ImageShape, Images};
use crate::data::Matrix;
use serde::{Deserialize, Serialize};

/// From pixels to model inputs: `(pixel - mean) / scale`, mean and scale being those of the channel over all training images.
///
/// By channel and not by pixel: a pixel at the edge that hardly ever differs from 0 would otherwise be blown up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelScaler {
    /// Shape of the images.
    pub shape: ImageShape,
    /// Mean of each channel.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel; 1 where all pixels are the same.
    pub scale: Vec<f64>,
}

impl PixelScaler {
    /// Learns means and scales from the given images.
    pub fn fit(images: &Images, rows: &[usize]) -> Self {
        let shape = images.shape;
        let area = shape.height * shape.width;
        let moments = |channel: usize| {
            let pixels = || rows.iter().flat_map(|&row| &images.pixels.row(row)[channel * area..(channel + 1) * area]);
            let n = (rows.len() * area).max(1) as f64;
            let mean = pixels().map(|&pixel| f64::from(pixel)).sum::<f64>() / n;
            let variance = pixels().map(|&pixel| (f64::from(pixel) - mean).powi(2)).sum::<f64>() / n;
            // Pixels are f32: what is below this is rounding.
            (mean, if variance.sqrt() > 1e-6 { variance.sqrt() } else { 1.0 })
        };
        let (mean, scale) = (0..shape.channels).map(moments).unzip();
        Self { shape, mean, scale }
    }

    /// The inputs of the given images.
    ///
    /// # Panics
    /// When the images have another shape.
    pub fn transform(&self, images: &Images, rows: &[usize]) -> Matrix {
        assert_eq!(images.shape, self.shape, "images of the shape it was fitted on are needed");
        let mut inputs = images.pixels.gather(rows);
        let area = self.shape.height * self.shape.width;
        for (index, channel) in inputs.data.chunks_mut(area).enumerate() {
            let (mean, scale) = (self.mean[index % self.shape.channels], self.scale[index % self.shape.channels]);
            for pixel in channel {
                *pixel = ((f64::from(*pixel) - mean) / scale) as f32;
            }
        }
        inputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_standardised_on_the_training_images_alone() {
        let shape = ImageShape { channels: 2, height: 1, width: 2 };
        // Channel 0 of the training images: 0, 1, 1, 0; channel 1 is always 0.5.
        let data = vec![0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.5, 0.5, 9.0, 9.0, 9.0, 9.0];
        let images = Images { shape, pixels: Matrix { rows: 3, cols: 4, data } };
        let scaler = PixelScaler::fit(&images, &[0, 1]);
        assert_eq!((&scaler.mean[..], &scaler.scale[..]), (&[0.5, 0.5][..], &[0.5, 1.0][..]));
        let inputs = scaler.transform(&images, &[1, 2]);
        assert_eq!(inputs.data, [1.0, -1.0, 0.0, 0.0, 17.0, 17.0, 8.5, 8.5]);
    }
}
