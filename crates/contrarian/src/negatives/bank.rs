use super::memory::{MemoryError, check_width};
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::normalize_rows;
use burn::config::Config;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, StandardNormal};
use std::collections::HashMap;

/// Configuration of the [memory bank](MemoryBank).
#[derive(Config, Debug)]
pub struct MemoryBankConfig {
    /// Examples of the training set, one row each, at least 1.
    pub size: usize,
    /// Numbers of a row, at least 1.
    pub dim: usize,
    /// Weight of the remembered row in an update, in `[0, 1)`.
    #[config(default = 0.5)]
    pub momentum: f64,
}

impl MemoryBankConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.size > 0, "size", self.size, "at least 1")?;
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        require((0.0..1.0).contains(&self.momentum), "momentum", self.momentum, "in [0, 1)")
    }

    /// Builds the bank with rows of random directions, drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> MemoryBank {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let normal: Vec<f32> = (0..self.size * self.dim).map(|_| StandardNormal.sample(&mut rng)).collect();
        let rows = Tensor::from_data(TensorData::new(normal, [self.size, self.dim]), device);
        MemoryBank { momentum: self.momentum, rows: normalize_rows(rows) }
    }
}

/// The last embedding of every training example, by its id: positives and negatives without a second encoder.
///
/// ```text
/// update(i, f):  v_i = u / |u|,    u = m v_i + (1 - m) f / |f|
/// ```
///
/// with momentum `m`. Rows have length 1 (zeros where `u` is 0) and carry no gradient. Ids are positions in the training set,
/// from 0. An update costs `O(batch dim)` where nobody else holds the rows, else a copy of them. Memory `O(size dim)`.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use contrarian::negatives::MemoryBankConfig;
///
/// let device = Device::flex();
/// let mut bank = MemoryBankConfig::new(100, 2).with_momentum(0.0).init(&device, 0);
/// bank.update(&[7], Tensor::from_floats([[3.0, 4.0]], &device))?;
/// assert_eq!(bank.rows(&[7])?.into_data().try_to_vec::<f32>()?, [0.6, 0.8]);
/// assert_eq!(bank.others(&[7, 8])?.dims(), [98, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination",
/// <https://arxiv.org/abs/1805.01978>, section 3.1 (memory bank); momentum and its default are those of the authors' code.
#[derive(Debug, Clone)]
pub struct MemoryBank {
    momentum: f64,
    rows: Tensor<2>,
}

impl MemoryBank {
    /// Rows there are.
    pub fn size(&self) -> usize {
        self.rows.dims()[0]
    }

    /// All rows, in the order of the ids.
    ///
    /// # Shapes
    /// - output: `[size, dim]`
    pub fn all(&self) -> Tensor<2> {
        self.rows.clone()
    }

    /// The rows of a batch; an id may come more than once.
    ///
    /// # Shapes
    /// - output: `[ids, dim]`
    ///
    /// # Errors
    /// When an id is outside the bank.
    pub fn rows(&self, ids: &[usize]) -> Result<Tensor<2>, MemoryError> {
        self.inside(ids)?;
        Ok(self.select(ids))
    }

    /// The rows of all other examples, in the order of their ids: negatives for a batch.
    ///
    /// # Shapes
    /// - output: `[size - distinct ids, dim]`
    ///
    /// # Errors
    /// When an id is outside the bank.
    pub fn others(&self, ids: &[usize]) -> Result<Tensor<2>, MemoryError> {
        self.inside(ids)?;
        let mut other = vec![true; self.size()];
        for &id in ids {
            other[id] = false;
        }
        let others: Vec<usize> = (0..self.size()).filter(|&id| other[id]).collect();
        Ok(self.select(&others))
    }

    /// Moves the rows of a batch towards its embeddings, scaled to length 1. A batch of no rows changes nothing.
    ///
    /// # Shapes
    /// - embeddings: `[ids, dim]`
    ///
    /// # Errors
    /// When an id is outside the bank or comes twice, or the embeddings do not match ids and rows; the bank is then as before.
    pub fn update(&mut self, ids: &[usize], embeddings: Tensor<2>) -> Result<(), MemoryError> {
        check_width(&embeddings, self.rows.dims()[1])?;
        let rows = embeddings.dims()[0];
        if rows != ids.len() {
            return Err(MemoryError::Lengths { ids: ids.len(), rows });
        }
        self.inside(ids)?;
        let mut seen = HashMap::with_capacity(ids.len());
        for (second, &id) in ids.iter().enumerate() {
            if let Some(first) = seen.insert(id, second) {
                return Err(MemoryError::Twice { id, first, second });
            }
        }
        if ids.is_empty() {
            return Ok(());
        }
        let new = normalize_rows(embeddings.detach()).mul_scalar(1.0 - self.momentum);
        let new = normalize_rows(self.select(ids).mul_scalar(self.momentum) + new);
        let indices = indices(ids, &self.rows.device());
        self.rows.inplace(|rows| rows.select_assign(0, indices, new, IndexingUpdateOp::Assign));
        Ok(())
    }

    fn inside(&self, ids: &[usize]) -> Result<(), MemoryError> {
        let size = self.size();
        match ids.iter().find(|&&id| id >= size) {
            Some(&id) => Err(MemoryError::Outside { id, size }),
            None => Ok(()),
        }
    }

    fn select(&self, ids: &[usize]) -> Tensor<2> {
        self.rows.clone().select(0, indices(ids, &self.rows.device()))
    }
}

fn indices(ids: &[usize], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i64> = ids.iter().map(|&id| id as i64).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(momentum: f64) -> MemoryBank {
        let rows = Tensor::from_floats([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], &Device::flex());
        MemoryBank { momentum, rows }
    }

    fn rows<const N: usize>(rows: [[f32; 2]; N]) -> Tensor<2> {
        Tensor::from_floats(rows, &Device::flex())
    }

    fn floats(rows: Tensor<2>) -> Vec<f32> {
        rows.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn rows_move_by_the_momentum_and_others_stay() {
        let mut bank = bank(0.75);
        bank.update(&[2, 0], rows([[0.0, -6.0], [0.0, 8.0]])).unwrap();
        let length = 0.75_f32.hypot(0.25);
        let (long, short) = (0.75 / length, 0.25 / length);
        for (found, expected) in floats(bank.all()).iter().zip([long, short, 0.0, 1.0, -long, -short]) {
            // A few roundings of numbers of order 1 in f32.
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        }
    }

    #[test]
    fn zeros_and_no_rows() {
        let mut bank = bank(0.5);
        bank.update(&[], rows([[1.0, 1.0]]).slice([0..0, 0..2])).unwrap();
        // A row of zeros pulls nowhere, an opposite one at momentum 1/2 cancels.
        bank.update(&[0, 1], rows([[0.0, 0.0], [0.0, -2.0]])).unwrap();
        assert_eq!(floats(bank.all()), [1.0, 0.0, 0.0, 0.0, -1.0, 0.0]);
    }

    #[test]
    fn rows_and_others_are_by_id() {
        let bank = bank(0.5);
        assert_eq!(floats(bank.rows(&[2, 0, 2]).unwrap()), [-1.0, 0.0, 1.0, 0.0, -1.0, 0.0]);
        assert_eq!(floats(bank.others(&[1, 1]).unwrap()), [1.0, 0.0, -1.0, 0.0]);
    }

    #[test]
    fn what_cannot_be_is_named_and_changes_nothing() {
        let mut bank = bank(0.5);
        let two = || rows([[0.0, 1.0], [1.0, 0.0]]);
        let outside = MemoryError::Outside { id: 3, size: 3 };
        assert_eq!(bank.update(&[0, 3], two()).unwrap_err(), outside);
        assert_eq!(bank.rows(&[3]).unwrap_err(), outside);
        assert_eq!(bank.others(&[3]).unwrap_err(), outside);
        assert!(outside.to_string().contains("id 3") && outside.to_string().contains("3 rows"));
        assert_eq!(bank.update(&[1, 1], two()).unwrap_err(), MemoryError::Twice { id: 1, first: 0, second: 1 });
        assert_eq!(bank.update(&[1], two()).unwrap_err(), MemoryError::Lengths { ids: 1, rows: 2 });
        let narrow = Tensor::from_floats([[1.0]], &Device::flex());
        assert_eq!(bank.update(&[1], narrow).unwrap_err(), MemoryError::Width { found: 1, expected: 2 });
        assert_eq!(floats(bank.all()), [1.0, 0.0, 0.0, 1.0, -1.0, 0.0]);
        for config in
            [MemoryBankConfig::new(0, 2), MemoryBankConfig::new(2, 0), MemoryBankConfig::new(2, 2).with_momentum(1.0)]
        {
            assert!(config.validate().is_err());
        }
    }

    #[test]
    fn the_first_rows_have_length_one_and_come_from_the_seed() {
        let device = Device::flex();
        let draw = |seed| MemoryBankConfig::new(50, 8).init(&device, seed).all();
        let lengths = draw(1).square().sum_dim(1).into_data().try_to_vec::<f32>().unwrap();
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-5));
        assert_eq!(floats(draw(1)), floats(draw(1)));
        assert_ne!(floats(draw(1)), floats(draw(2)));
    }
}
