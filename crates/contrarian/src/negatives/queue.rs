use super::memory::{MemoryError, check_width};
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::normalize_rows;
use burn::tensor::Tensor;

/// A first-in-first-out memory of embeddings: the negatives of a momentum encoder, as many as one likes whatever the batch.
///
/// ```text
/// push(k):  M = the last `capacity` rows of [M; k_1/|k_1|; ..; k_n/|k_n|]
/// ```
///
/// Rows are scaled to length 1, zeros stay zeros, and carry no gradient. A batch larger than the queue leaves its last rows.
/// What is pushed should come from a [slowly moving encoder](https://arxiv.org/abs/1911.05722), so that old and new rows are of
/// one space. Push a batch after its loss: before, it would hold the batch's own positives as negatives. A push copies the
/// queue, `O(capacity dim)`; a clone shares its memory until one of them is pushed to.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::contrastive::InfoNceLossConfig;
/// use contrarian::negatives::MemoryQueue;
///
/// let device = Device::flex();
/// let views = || Tensor::<2>::random([8, 16], Distribution::Default, &device);
/// let mut queue = MemoryQueue::new(32, 16)?;
/// let loss = InfoNceLossConfig::new().with_temperature(0.07).init();
/// for _ in 0..3 {
///     let (queries, keys) = (views(), views());
///     loss.forward_no_reduction(queries, keys.clone(), queue.negatives()).mean();
///     queue.push(keys)?;
/// }
/// assert_eq!(queue.len(), 24);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning",
/// <https://arxiv.org/abs/1911.05722>, section 3.1 (dictionary as a queue) and algorithm 1.
#[derive(Debug, Clone)]
pub struct MemoryQueue {
    capacity: usize,
    dim: usize,
    /// Oldest first; `None` while empty.
    rows: Option<Tensor<2>>,
}

impl MemoryQueue {
    /// An empty queue of at most `capacity` rows of `dim` numbers.
    ///
    /// # Errors
    /// When one of them is 0.
    pub fn new(capacity: usize, dim: usize) -> Result<Self, InvalidParameter> {
        require(capacity > 0, "capacity", capacity, "at least 1")?;
        require(dim > 0, "dim", dim, "at least 1")?;
        Ok(Self { capacity, dim, rows: None })
    }

    /// The most rows it holds.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Rows it holds.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(0, |rows| rows.dims()[0])
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_none()
    }

    /// Takes a batch in, scaled to length 1; the oldest rows leave where there is no room. A batch of no rows changes nothing.
    ///
    /// # Shapes
    /// - rows: `[n, dim]`
    ///
    /// # Errors
    /// When the rows have another length than the queue's; it is then as before.
    pub fn push(&mut self, rows: Tensor<2>) -> Result<(), MemoryError> {
        check_width(&rows, self.dim)?;
        let n = rows.dims()[0];
        if n == 0 {
            return Ok(());
        }
        let last = |rows: Tensor<2>, count: usize| {
            let n = rows.dims()[0];
            if count < n { rows.slice([n - count..n, 0..self.dim]) } else { rows }
        };
        let new = normalize_rows(last(rows.detach(), self.capacity));
        let room = self.capacity.saturating_sub(n);
        self.rows = Some(match self.rows.take() {
            Some(old) if room > 0 => Tensor::cat(vec![last(old, room), new], 0),
            _ => new,
        });
        Ok(())
    }

    /// The rows, oldest first, without a gradient; `None` while there are none, as
    /// [`InfoNceLoss::forward_no_reduction`](crate::contrastive::InfoNceLoss::forward_no_reduction) takes them.
    ///
    /// # Shapes
    /// - output: `[len, dim]`
    pub fn negatives(&self) -> Option<Tensor<2>> {
        self.rows.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn rows<const N: usize>(rows: [[f32; 2]; N]) -> Tensor<2> {
        Tensor::from_floats(rows, &Device::flex())
    }

    fn held(queue: &MemoryQueue) -> Vec<f32> {
        queue.negatives().map_or_else(Vec::new, |rows| rows.into_data().try_to_vec().unwrap())
    }

    #[test]
    fn the_oldest_rows_leave_first() {
        let mut queue = MemoryQueue::new(3, 2).unwrap();
        assert!(queue.is_empty() && queue.negatives().is_none());
        queue.push(rows([[2.0, 0.0], [0.0, 5.0]])).unwrap();
        assert_eq!(held(&queue), [1.0, 0.0, 0.0, 1.0]);
        queue.push(rows([[-1.0, 0.0], [0.0, -3.0]])).unwrap();
        assert_eq!(held(&queue), [0.0, 1.0, -1.0, 0.0, 0.0, -1.0]);
        assert_eq!((queue.len(), queue.capacity()), (3, 3));
    }

    #[test]
    fn a_batch_as_large_or_larger_leaves_its_last_rows() {
        for before in [0, 1, 2] {
            let mut queue = MemoryQueue::new(2, 2).unwrap();
            for _ in 0..before {
                queue.push(rows([[1.0, 1.0]])).unwrap();
            }
            queue.push(rows([[7.0, 0.0], [0.0, 7.0], [-7.0, 0.0]])).unwrap();
            assert_eq!(held(&queue), [0.0, 1.0, -1.0, 0.0]);
            queue.push(rows([[0.0, -1.0], [1.0, 0.0]])).unwrap();
            assert_eq!(held(&queue), [0.0, -1.0, 1.0, 0.0]);
        }
    }

    #[test]
    fn no_rows_and_rows_of_zeros() {
        let mut queue = MemoryQueue::new(4, 2).unwrap();
        queue.push(rows([[3.0, 4.0]]).slice([0..0, 0..2])).unwrap();
        assert!(queue.is_empty());
        queue.push(rows([[0.0, 0.0], [3.0, 4.0]])).unwrap();
        assert_eq!(held(&queue), [0.0, 0.0, 0.6, 0.8]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        assert!(MemoryQueue::new(0, 2).unwrap_err().to_string().contains("capacity"));
        assert!(MemoryQueue::new(2, 0).unwrap_err().to_string().contains("dim"));
        let mut queue = MemoryQueue::new(4, 3).unwrap();
        let error = queue.push(rows([[1.0, 0.0]])).unwrap_err();
        assert_eq!(error, MemoryError::Width { found: 2, expected: 3 });
        assert!(queue.is_empty());
    }

    #[test]
    fn no_gradient_flows_into_it() {
        let device = Device::flex().autodiff();
        let keys = Tensor::<2>::from_floats([[1.0, 2.0]], &device).require_grad();
        let mut queue = MemoryQueue::new(4, 2).unwrap();
        queue.push(keys.clone()).unwrap();
        let x = Tensor::<2>::from_floats([[1.0, 2.0]], &device).require_grad();
        let gradients = (x.clone() * queue.negatives().unwrap()).sum().backward();
        assert!(x.grad(&gradients).is_some() && keys.grad(&gradients).is_none());
    }
}
