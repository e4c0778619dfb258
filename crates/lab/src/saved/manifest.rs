use super::{SavedModelError, mismatch};
use crate::calibration::{SavedCalibrator, TrainingTable};
use crate::data::{CsvOptions, ImageShape, Preprocessor, TableEncoder};
use crate::model::NetworkConfig;
use serde::{Deserialize, Serialize};

/// Everything about a saved model but its weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the folder's layout, [`FORMAT`](super::FORMAT).
    pub format: u32,
    /// Version of contrarian that saved it.
    pub version: String,
    /// Data it was trained on.
    pub data: String,
    /// Column it predicts.
    pub target: String,
    /// Class names by label.
    pub classes: Vec<String>,
    /// Texts that mean a missing value, besides those that always do.
    pub missing: Vec<String>,
    /// Columns, imputation, encodings and scaling; for images their shape and scaling.
    pub preprocessor: Preprocessor,
    /// Kind and shape of the model.
    pub model: NetworkConfig,
    /// Objective it was trained with.
    pub objective: String,
    /// With two classes: decide for the second at this probability.
    pub threshold: Option<f64>,
    /// Metric the threshold and the epoch were chosen by.
    pub metric: String,
    /// Rows it was trained on.
    pub training_rows: usize,
    /// Metrics on the held-out rows, at the threshold.
    pub validation_metrics: Vec<(String, f64)>,
    /// How to know the rows of a table again, so that calibration leaves those of training out.
    #[serde(default)]
    pub training_table: Option<TrainingTable>,
    /// Calibration that predictions go through, if the model was calibrated.
    #[serde(default)]
    pub calibrator: Option<SavedCalibrator>,
    /// CRC-32 of the weights file.
    pub weights_crc32: u32,
}

impl Manifest {
    /// How to read a CSV file for this model: a column it knows as text stays text, and missing
    /// values are written as they were in training.
    ///
    /// # Errors
    /// When the model was trained on images.
    pub fn csv_options(&self) -> Result<CsvOptions, SavedModelError> {
        let categorical = self.table_encoder()?.text_columns();
        Ok(CsvOptions { categorical, missing: self.missing.clone(), delimiter: None })
    }

    /// Shape of the images the model knows.
    ///
    /// # Errors
    /// When the model was trained on a table.
    pub fn image_shape(&self) -> Result<ImageShape, SavedModelError> {
        let table = || mismatch("the model was trained on a table: give it a CSV file (--data)".into());
        self.preprocessor.image_shape().ok_or_else(table)
    }

    pub(super) fn table_encoder(&self) -> Result<&TableEncoder, SavedModelError> {
        match &self.preprocessor {
            Preprocessor::Table(encoder) => Ok(encoder),
            Preprocessor::Images(scaler) => {
                Err(mismatch(format!("the model was trained on {}: give it images (--images)", scaler.shape)))
            }
        }
    }

    /// Whether a convolutional network and the preprocessing mean the same images.
    pub(super) fn images_fit(&self) -> bool {
        match (&self.model, &self.preprocessor) {
            (_, Preprocessor::Images(scaler))
                if [&scaler.mean, &scaler.scale].iter().any(|n| n.len() != scaler.shape.channels) =>
            {
                false
            }
            (NetworkConfig::Cnn(network), Preprocessor::Images(scaler)) => {
                let shape = ImageShape { channels: network.channels, height: network.height, width: network.width };
                shape == scaler.shape
            }
            (NetworkConfig::Cnn(_), Preprocessor::Table(_)) => false,
            (NetworkConfig::Mlp(_), _) => true,
        }
    }
}
