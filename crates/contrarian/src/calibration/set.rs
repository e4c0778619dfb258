use super::CalibrationError;
use burn::tensor::{DType, Int, Tensor};

/// Checked calibration rows in f64. Fitting reads the tensors back once: it sorts, brackets and counts.
pub(super) struct CalibrationSet {
    /// Logits, row by row.
    logits: Vec<f64>,
    pub classes: usize,
    pub labels: Vec<usize>,
}

/// Fewest rows of any fit: with one, every map can be made perfect.
const MIN_ROWS: usize = 2;

impl CalibrationSet {
    /// Reads logits `[rows, classes]` and labels `[rows]`.
    ///
    /// # Errors
    /// With fewer than two rows, a number that is not finite, a label that is no class.
    pub fn new(logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<Self, CalibrationError> {
        let [rows, classes] = logits.dims();
        if rows < MIN_ROWS {
            return Err(CalibrationError::TooFewRows { rows, needed: MIN_ROWS });
        }
        let [found] = labels.dims();
        if found != rows {
            return Err(CalibrationError::Shape { what: "labels", found, rows });
        }
        let logits = numbers(logits);
        if let Some(place) = logits.iter().position(|value| !value.is_finite()) {
            return Err(CalibrationError::NotFinite { row: place / classes, what: "a logit" });
        }
        let labels = labels.into_data().convert::<i64>().try_to_vec::<i64>().expect("labels were converted to i64");
        let class = |(row, &label): (usize, &i64)| match usize::try_from(label) {
            Ok(class) if class < classes => Ok(class),
            _ => Err(CalibrationError::Label { row, label, classes }),
        };
        let labels = labels.iter().enumerate().map(class).collect::<Result<_, _>>()?;
        Ok(Self { logits, classes, labels })
    }

    /// Every row with its label.
    pub fn rows(&self) -> impl Iterator<Item = (&[f64], usize)> {
        self.logits.chunks(self.classes).zip(self.labels.iter().copied())
    }

    /// That every class has a row.
    pub fn needs_every_class(&self, method: &'static str) -> Result<(), CalibrationError> {
        match (0..self.classes).find(|class| !self.labels.contains(class)) {
            Some(class) => Err(CalibrationError::MissingClass { class, method }),
            None => Ok(()),
        }
    }
}

/// The entries of a tensor in f64.
pub(super) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().expect("numbers were converted to f64")
}

/// `softmax(row / temperature)`.
pub(super) fn softmax(row: &[f64], temperature: f64) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = row.iter().map(|value| ((value - max) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
