use crate::InvalidParameter;
use crate::hyperbolic::{PoincareBall, PoincareBallConfig};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How far apart two points of [`HypPcLoss`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairDistance {
    /// `(2/sqrt(c)) artanh(sqrt(c)|(-x) (+) y|)`: the geodesic distance.
    Artanh,
    /// `(2/sqrt(c)) atan(sqrt(c)|(-x) (+) y|)`: what the authors' code computes. Bounded by `pi / (2 sqrt(c))`.
    Atan,
}

/// What [`HypPcLoss`] does with a batch whose last row has no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OddBatch {
    /// Panics and says so.
    Refuse,
    /// Leaves the last row out. A batch of one has no pair then, and loss 0.
    DropLast,
}

/// Configuration of the [hyperbolic pairwise confusion loss](HypPcLoss).
#[derive(Config, Debug)]
pub struct HypPcLossConfig {
    /// The ball has curvature `-curvature`, above 0.
    #[config(default = 0.1)]
    pub curvature: f64,
    /// How far apart two points are.
    #[config(default = "PairDistance::Artanh")]
    pub distance: PairDistance,
    /// What happens to a batch of odd size.
    #[config(default = "OddBatch::Refuse")]
    pub odd_batch: OddBatch,
}

impl HypPcLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        PoincareBallConfig { curvature: self.curvature }.validate()
    }

    /// Builds the loss.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> HypPcLoss {
        HypPcLoss {
            ball: PoincareBallConfig { curvature: self.curvature }.init(),
            distance: self.distance,
            odd_batch: self.odd_batch,
        }
    }
}

/// Pulls pairs of a batch together on the Poincare ball, so that what tells them apart (a face's identity) is lost.
///
/// ```text
/// loss = (1/b) sum_{i <= b/2} dist(x_i, x_{i + b/2})
/// ```
///
/// for a batch of `b` points, the first half paired with the second: half of the mean distance of a pair. Equal points
/// have gradient 0.
///
/// Source: Narayan, Patel 2024, "Hyp-OC", <https://arxiv.org/abs/2404.14406>, section 3; the division by `b` is the
/// authors' code.
#[derive(Module, Debug)]
pub struct HypPcLoss {
    /// The ball.
    pub ball: PoincareBall,
    /// How far apart two points are.
    #[module(skip)]
    pub distance: PairDistance,
    /// What happens to a batch of odd size.
    #[module(skip)]
    pub odd_batch: OddBatch,
}

impl HypPcLoss {
    /// The distance of every pair.
    ///
    /// # Shapes
    /// - points: `[b, d]`, inside the ball
    /// - output: `[b / 2]`, rounded down
    ///
    /// # Panics
    /// When the batch is empty, or odd and [`odd_batch`](Self::odd_batch) does not say to drop the last row.
    pub fn pair_distances(&self, points: Tensor<2>) -> Tensor<1> {
        let [batch, _] = points.dims();
        assert!(batch > 0, "a loss needs at least one example");
        assert!(
            batch.is_multiple_of(2) || self.odd_batch == OddBatch::DropLast,
            "HypPcLoss pairs the first half of a batch with the second, but got {batch} points; give it an even number, or \
             set odd_batch to drop_last"
        );
        let pairs = batch / 2;
        if pairs == 0 {
            return Tensor::zeros([0], (&points.device(), points.dtype()));
        }
        let (left, right) = (points.clone().narrow(0, 0, pairs), points.narrow(0, pairs, pairs));
        let sinh = self.ball.sinh_half_distance(left, right);
        let half = match self.distance {
            PairDistance::Artanh => sinh.asinh(),
            // sqrt(c)|(-x) (+) y| is the tanh of what sinh is the sinh of.
            PairDistance::Atan => sinh.asinh().tanh().atan(),
        };
        half.mul_scalar(2.0 * self.ball.radius()).reshape([pairs])
    }

    /// Half of the mean distance of a pair; 0 without a pair.
    ///
    /// # Shapes
    /// - points: `[b, d]`, inside the ball
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`pair_distances`](Self::pair_distances).
    pub fn forward(&self, points: Tensor<2>) -> Tensor<1> {
        let distances = self.pair_distances(points);
        let pairs = distances.dims()[0].max(1);
        distances.sum().mul_scalar(0.5 / pairs as f64)
    }
}
