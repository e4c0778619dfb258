use serde::{Deserialize, Serialize};

/// How the epochs of an item's loss history are weighed, `v = 0, 1, ..` the epoch and `E` the epochs in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryWeighting {
    /// `mean over v of h_v (v + 1) / E`, the authors' code. The weights do not add up to 1: the result is smaller than the
    /// losses it is made of.
    Reference,
    /// `sum_v (v + 1) h_v / sum_v (v + 1)`: later epochs count more, on the scale of the losses.
    Normalized,
    /// The arithmetic mean.
    Plain,
}

/// Why a memory of pair losses cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PairLossError {
    /// There are not as many losses as items.
    #[error("{losses} losses for {items} items")]
    Lengths {
        /// Items named.
        items: usize,
        /// Losses given.
        losses: usize,
    },
    /// An item outside the memory.
    #[error("item {index} is outside the memory of {items} items")]
    Outside {
        /// The item.
        index: usize,
        /// Items there are.
        items: usize,
    },
    /// A loss that is NaN or infinite.
    #[error("the loss of item {index} is {loss}")]
    NotFinite {
        /// The item.
        index: usize,
        /// Its loss.
        loss: f64,
    },
    /// An item was recorded twice in one epoch.
    #[error("item {index} was recorded twice in one epoch; the epoch's losses are forgotten")]
    Twice {
        /// The item.
        index: usize,
    },
    /// An item has no loss in any epoch.
    #[error("item {index} has never been recorded; record every item in the first epoch, then finish it")]
    Never {
        /// The first such item.
        index: usize,
    },
    /// A memory without items.
    #[error("a memory of no items has nothing to compare")]
    Empty,
}

/// What every training item's pair loss has been over the epochs, as two running sums an item.
///
/// ```text
/// m_i = sum_v a_v h_iv / sum_v b_v        over the epochs v in which item i was recorded
/// ```
///
/// with `(a, b)` = `((v+1)/E, 1)`, `(v+1, v+1)` or `(1, 1)` by [`HistoryWeighting`]. A step records the losses of its batch;
/// [`finish_epoch`](Self::finish_epoch) adds them to the sums. An item that an epoch leaves out (a dropped last batch) keeps
/// its sums. Memory `O(items)`, whatever the number of epochs.
///
/// Source: Lan et al. 2023, <https://arxiv.org/abs/2302.03357>, section 4 (memory module).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairLossMemory {
    weighting: HistoryWeighting,
    total_epochs: usize,
    epochs: usize,
    sums: Vec<f64>,
    weights: Vec<f64>,
    /// The losses of the epoch that is not finished.
    current: Vec<Option<f64>>,
    twice: Option<usize>,
}

impl PairLossMemory {
    /// An empty memory for a training set of `items`, trained for `total_epochs` (which only the reference weighting reads).
    pub fn new(items: usize, total_epochs: usize, weighting: HistoryWeighting) -> Self {
        Self {
            weighting,
            total_epochs,
            epochs: 0,
            sums: vec![0.0; items],
            weights: vec![0.0; items],
            current: vec![None; items],
            twice: None,
        }
    }

    /// Items it has room for.
    pub fn items(&self) -> usize {
        self.sums.len()
    }

    /// Finished epochs.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Takes the losses of a batch, before any weighting: `losses[k]` is that of item `indices[k]`. An item that comes twice in
    /// an epoch is reported by [`finish_epoch`](Self::finish_epoch).
    ///
    /// # Errors
    /// When there are not as many losses as indices, an index is outside the memory, or a loss is not finite; nothing is
    /// recorded then.
    pub fn record(&mut self, indices: &[usize], losses: &[f64]) -> Result<(), PairLossError> {
        if indices.len() != losses.len() {
            return Err(PairLossError::Lengths { items: indices.len(), losses: losses.len() });
        }
        for (&index, &loss) in indices.iter().zip(losses) {
            if index >= self.items() {
                return Err(PairLossError::Outside { index, items: self.items() });
            }
            if !loss.is_finite() {
                return Err(PairLossError::NotFinite { index, loss });
            }
        }
        for (&index, &loss) in indices.iter().zip(losses) {
            if self.current[index].replace(loss).is_some() {
                self.twice.get_or_insert(index);
            }
        }
        Ok(())
    }

    /// Ends an epoch: its losses become part of the history.
    ///
    /// # Errors
    /// When an item was recorded twice in the epoch (whose losses are then forgotten), or has not been recorded in this or any
    /// earlier epoch (the losses are kept: record what is missing and call again).
    pub fn finish_epoch(&mut self) -> Result<(), PairLossError> {
        if let Some(index) = self.twice.take() {
            self.current.fill(None);
            return Err(PairLossError::Twice { index });
        }
        let never = |(loss, weight): (&Option<f64>, &f64)| loss.is_none() && *weight == 0.0;
        if let Some(index) = self.current.iter().zip(&self.weights).position(never) {
            return Err(PairLossError::Never { index });
        }
        let age = (self.epochs + 1) as f64;
        let (factor, weight) = match self.weighting {
            HistoryWeighting::Reference => (age / self.total_epochs as f64, 1.0),
            HistoryWeighting::Normalized => (age, age),
            HistoryWeighting::Plain => (1.0, 1.0),
        };
        for (index, loss) in self.current.iter_mut().enumerate() {
            if let Some(loss) = loss.take() {
                self.sums[index] += factor * loss;
                self.weights[index] += weight;
            }
        }
        self.epochs += 1;
        Ok(())
    }

    /// The weighted mean loss of every item over the finished epochs.
    ///
    /// # Errors
    /// When no epoch is finished, or there are no items.
    pub fn mean(&self) -> Result<Vec<f64>, PairLossError> {
        if self.items() == 0 {
            return Err(PairLossError::Empty);
        }
        if let Some(index) = self.weights.iter().position(|weight| *weight == 0.0) {
            return Err(PairLossError::Never { index });
        }
        Ok(self.sums.iter().zip(&self.weights).map(|(sum, weight)| sum / weight).collect())
    }
}
