use crate::data::{DataError, Matrix, hold_out};
use serde::{Deserialize, Serialize};

/// The rows a model was trained on, as far as they are needed to know them again: they say nothing honest about
/// calibration, but the validation part among them does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingTable {
    rows: usize,
    /// CRC-32 of the encoded rows and their labels.
    crc32: u32,
    /// Part held out for validation, and the seed of that split.
    validation: f64,
    seed: u64,
}

impl TrainingTable {
    /// Remembers encoded rows with their labels, and how their validation part was drawn.
    pub fn new(x: &Matrix, labels: &[usize], validation: f64, seed: u64) -> Self {
        Self { rows: x.rows, crc32: fingerprint(x, labels), validation, seed }
    }

    /// The rows that were held out for validation, if these are the rows of training in the same order; else `None`.
    ///
    /// # Errors
    /// When the split cannot be made again.
    pub fn held_out(&self, x: &Matrix, labels: &[usize]) -> Result<Option<Vec<usize>>, DataError> {
        if self.rows != x.rows || self.crc32 != fingerprint(x, labels) {
            return Ok(None);
        }
        let [_, held_out] = hold_out(labels, self.validation, self.seed)?;
        Ok(Some(held_out))
    }
}

fn fingerprint(x: &Matrix, labels: &[usize]) -> u32 {
    let mut crc = flate2::Crc::new();
    for value in &x.data {
        crc.update(&value.to_le_bytes());
    }
    for &label in labels {
        crc.update(&(label as u64).to_le_bytes());
    }
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_are_known_again_and_others_are_not() {
        let x = Matrix { rows: 40, cols: 1, data: (0..40).map(|v| v as f32).collect() };
        let labels: Vec<usize> = (0..40).map(|row| row % 2).collect();
        let table = TrainingTable::new(&x, &labels, 0.2, 3);
        let held_out = table.held_out(&x, &labels).unwrap().unwrap();
        assert_eq!(held_out, hold_out(&labels, 0.2, 3).unwrap()[1]);
        assert_eq!(held_out.len(), 8);
        let mut other = x.clone();
        other.data[39] = -1.0;
        assert_eq!(table.held_out(&other, &labels).unwrap(), None);
        assert_eq!(table.held_out(&x.gather(&[0, 1, 2]), &labels[..3]).unwrap(), None);
        let turned: Vec<usize> = labels.iter().map(|label| 1 - label).collect();
        assert_eq!(table.held_out(&x, &turned).unwrap(), None);
    }
}
