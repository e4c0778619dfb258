//! Time series of several channels, all of one length: `.ts` files, windows around events, generated waves and recordings.

mod events;
mod fourier;
mod generate;
mod scale;
#[cfg(test)]
mod tests;
mod ts;

pub use events::{EventOptions, EventWindows, event_windows};
pub use fourier::{Spectrum, band_powers};
pub use generate::{RecordingDomain, Recordings, waves};
pub use scale::{ChannelScaler, normalise_windows};
pub use ts::load_ts;

use super::Matrix;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Size of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesShape {
    /// Channels measured at once.
    pub channels: usize,
    /// Samples over time.
    pub samples: usize,
}

impl SeriesShape {
    /// Numbers a series has.
    pub fn numbers(self) -> usize {
        self.channels * self.samples
    }

    /// Rows of numbers as a tensor `[rows, channels, samples]`.
    ///
    /// # Panics
    /// When the rows are not of this shape.
    pub fn tensor(self, x: Matrix, device: &Device) -> Tensor<3> {
        assert_eq!(x.cols, self.numbers(), "rows of {} numbers are no {self}", x.cols);
        Tensor::from_data(TensorData::new(x.data, [x.rows, self.channels, self.samples]), device)
    }
}

impl std::fmt::Display for SeriesShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "series of {} channels and {} samples", self.channels, self.samples)
    }
}

/// Labelled series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    /// Name of the data.
    pub name: String,
    /// Size of every series.
    pub shape: SeriesShape,
    /// A series a row, ordered by channel, then time.
    pub x: Matrix,
    /// Class of each series.
    pub labels: Vec<usize>,
    /// Class names by label.
    pub classes: Vec<String>,
}
