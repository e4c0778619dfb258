use crate::InvalidParameter;
use crate::hyperbolic::{PoincareBall, PoincareBallConfig};
use crate::numerics::gather_target;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

/// Configuration of the [hyperbolic cross-entropy loss](HypCeLoss).
#[derive(Config, Debug)]
pub struct HypCeLossConfig {
    /// The ball has curvature `-curvature`, above 0.
    #[config(default = 0.1)]
    pub curvature: f64,
}

impl HypCeLossConfig {
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
    pub fn init(&self) -> HypCeLoss {
        HypCeLoss { ball: PoincareBallConfig { curvature: self.curvature }.init() }
    }
}

/// Cross-entropy of points on the Poincare ball, with gyroplanes instead of hyperplanes.
///
/// ```text
/// loss_i = -log softmax(logit(x_i))_y,        logit_k: see [`PoincareBall::gyroplane_logits`]
/// ```
///
/// The planes are arguments, so that a model may keep them where it likes;
/// [`HyperbolicMlr`](crate::hyperbolic::HyperbolicMlr) keeps them as parameters. Towards curvature 0 it is Euclidean
/// logistic regression, `logit_k -> 4 <x - p_k, a_k>`.
///
/// Source: Narayan, Patel 2024, "Hyp-OC", <https://arxiv.org/abs/2404.14406>, section 3.
#[derive(Module, Debug)]
pub struct HypCeLoss {
    /// The ball.
    pub ball: PoincareBall,
}

impl HypCeLoss {
    /// The loss of every point.
    ///
    /// # Shapes
    /// - points: `[n, d]`, inside the ball
    /// - labels: `[n]`
    /// - normals, offsets: `[classes, d]`, the offsets as tangent vectors at the origin
    /// - output: `[n]`
    pub fn forward_no_reduction(
        &self,
        points: Tensor<2>,
        labels: Tensor<1, Int>,
        normals: Tensor<2>,
        offsets: Tensor<2>,
    ) -> Tensor<1> {
        // Composed: the fused form differs from one tiny golden gradient by 2e-16, more than the bound; why is not settled.
        let logits = self.ball.gyroplane_logits(points, normals, offsets);
        gather_target(activation::log_softmax(logits, 1), labels).neg()
    }

    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction) over the points.
    ///
    /// # Shapes
    /// - points: `[n, d]`, inside the ball
    /// - labels: `[n]`
    /// - normals, offsets: `[classes, d]`, the offsets as tangent vectors at the origin
    /// - output: `[1]`
    pub fn forward(
        &self,
        points: Tensor<2>,
        labels: Tensor<1, Int>,
        normals: Tensor<2>,
        offsets: Tensor<2>,
    ) -> Tensor<1> {
        self.forward_no_reduction(points, labels, normals, offsets).mean()
    }
}
