use super::SeriesShape;
use crate::data::Matrix;

/// Subtracts each channel's mean from a window and divides by the deviation over all channels, window by window; values beyond
/// `limit` deviations are cut off there. A window without spread becomes 0.
///
/// How large a recording's numbers are depends on the amplifier and says nothing about the person, yet a network learns it.
pub fn normalise_windows(x: &mut Matrix, shape: SeriesShape, limit: f32) {
    for window in x.data.chunks_exact_mut(shape.numbers()) {
        for channel in window.chunks_exact_mut(shape.samples) {
            let mean = channel.iter().sum::<f32>() / shape.samples as f32;
            for value in channel.iter_mut() {
                *value -= mean;
            }
        }
        let deviation = (window.iter().map(|value| value * value).sum::<f32>() / window.len() as f32).sqrt();
        let factor = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        for value in window.iter_mut() {
            *value = (*value * factor).clamp(-limit, limit);
        }
    }
}

/// Mean and deviation of every channel over training series.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelScaler {
    samples: usize,
    /// Mean and factor by channel.
    channels: Vec<(f32, f32)>,
}

impl ChannelScaler {
    /// Learns from series of this shape.
    pub fn fit(x: &Matrix, shape: SeriesShape) -> Self {
        let of_channel = |channel: usize| {
            let values =
                || (0..x.rows).flat_map(|row| x.row(row)[channel * shape.samples..][..shape.samples].iter().copied());
            let count = (x.rows * shape.samples) as f64;
            let mean = values().map(f64::from).sum::<f64>() / count;
            let deviation = (values().map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count).sqrt();
            (mean as f32, if deviation > 0.0 { (1.0 / deviation) as f32 } else { 0.0 })
        };
        Self { samples: shape.samples, channels: (0..shape.channels).map(of_channel).collect() }
    }

    /// Makes the training series have mean 0 and deviation 1 in every channel, and others alike; a channel without spread
    /// becomes 0.
    pub fn apply(&self, x: &mut Matrix) {
        for (at, channel) in x.data.chunks_exact_mut(self.samples).enumerate() {
            let (mean, factor) = self.channels[at % self.channels.len()];
            for value in channel.iter_mut() {
                *value = (*value - mean) * factor;
            }
        }
    }
}
