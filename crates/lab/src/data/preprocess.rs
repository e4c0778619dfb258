use super::{Features, ImageShape, Matrix, PixelScaler, TableEncoder};
use serde::{Deserialize, Serialize};

/// From features to model inputs. Fitted on training rows only, and saved with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Preprocessor {
    /// Columns of a table: medians, scales, one-hot texts.
    Table(TableEncoder),
    /// Images: standardised by channel.
    Images(PixelScaler),
}

impl Preprocessor {
    /// Learns from the given rows.
    pub fn fit(features: &Features, rows: &[usize]) -> Self {
        match features {
            Features::Columns(columns) => Self::Table(TableEncoder::fit(columns, rows)),
            Features::Images(images) => Self::Images(PixelScaler::fit(images, rows)),
        }
    }

    /// Number of model inputs.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Table(encoder) => encoder.inputs(),
            Self::Images(scaler) => scaler.shape.numbers(),
        }
    }

    /// Shape of the images, if it is images that are encoded.
    pub fn image_shape(&self) -> Option<ImageShape> {
        match self {
            Self::Table(_) => None,
            Self::Images(scaler) => Some(scaler.shape),
        }
    }

    /// The inputs of the given rows.
    ///
    /// # Panics
    /// When it was fitted on features of the other kind.
    pub fn transform(&self, features: &Features, rows: &[usize]) -> Matrix {
        match (self, features) {
            (Self::Table(encoder), Features::Columns(columns)) => encoder.transform(columns, rows),
            (Self::Images(scaler), Features::Images(images)) => scaler.transform(images, rows),
            _ => panic!("features of the kind it was fitted on are needed"),
        }
    }

    /// What was done to the training rows that a person should know.
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Table(encoder) => encoder.notes(),
            Self::Images(_) => Vec::new(),
        }
    }
}
