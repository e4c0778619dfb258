use super::norms::{polar, squared_norm};
use super::{PoincareBall, PoincareBallConfig};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

impl PoincareBall {
    /// Scores of points against gyroplanes, the hyperplanes of the ball.
    ///
    /// ```text
    /// p_k     = exp_0(offset_k),    A_k = a_k (1 - c|p_k|^2),    z = (-p_k) (+) x
    /// logit_k = (lam(p_k)|A_k| / sqrt(c)) arsinh( 2 sqrt(c) <z, A_k> / ((1 - c|z|^2) |A_k|) )
    /// ```
    ///
    /// Computed without `z`: with `1 - c|z|^2 = (1 - c|p|^2)(1 - c|x|^2) / (1 - 2c<p,x> + c^2|p|^2|x|^2)` the
    /// denominators of the addition cancel,
    ///
    /// ```text
    /// logit_k = (2|a_k| / sqrt(c)) arsinh( 2 sqrt(c) [ (1 - c|p|^2)<x,a> - (1 - 2c<p,x> + c|x|^2)<p,a> ]
    ///                                      / ((1 - c|p|^2)(1 - c|x|^2)|a_k|) )
    /// ```
    ///
    /// which takes two matrix products and `O(n k)` memory. A plane with normal 0 gives 0.
    ///
    /// # Shapes
    /// - points: `[n, d]`, inside the ball
    /// - normals: `[k, d]`
    /// - offsets: tangent vectors at the origin, `[k, d]`
    /// - output: `[n, k]`
    ///
    /// Source: Ganea et al. 2018, <https://arxiv.org/abs/1805.09112>, equation 25.
    pub fn gyroplane_logits(&self, points: Tensor<2>, normals: Tensor<2>, offsets: Tensor<2>) -> Tensor<2> {
        let (c, root) = (self.curvature, self.root());
        let p = self.expmap0(offsets);
        // Directions instead of normals: long and short ones are equally safe.
        let (direction, size) = polar(normals);
        let size = size.transpose();
        let at_p = (p.clone() * direction.clone()).sum_dim(1).transpose();
        let margin_p = self.margin(p.clone()).transpose();
        let along = points.clone().matmul(direction.transpose());
        let cross = points.clone().matmul(p.transpose()).mul_scalar(-2.0 * c).add_scalar(1.0);
        let cross = cross + squared_norm(points.clone()).mul_scalar(c);
        let height = (along - cross * at_p / margin_p) / self.margin(points);
        height.mul_scalar(2.0 * root).asinh() * size.mul_scalar(2.0 / root)
    }
}

/// Configuration of [hyperbolic logistic regression](HyperbolicMlr).
#[derive(Config, Debug)]
pub struct HyperbolicMlrConfig {
    /// Dimension of the points, at least 1.
    pub dim: usize,
    /// Number of classes, at least 2.
    pub classes: usize,
    /// The ball has curvature `-curvature`, above 0.
    #[config(default = 0.1)]
    pub curvature: f64,
}

impl HyperbolicMlrConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        require(self.classes >= 2, "classes", self.classes, "at least 2")?;
        PoincareBallConfig { curvature: self.curvature }.validate()
    }

    /// Builds the layer with normals and offsets uniform in `+-1/sqrt(dim)`, drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> HyperbolicMlr {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bound = 1.0 / (self.dim as f32).sqrt();
        let mut draw = || {
            let values: Vec<f32> = (0..self.classes * self.dim).map(|_| rng.random_range(-bound..bound)).collect();
            Param::from_data(TensorData::new(values, [self.classes, self.dim]), device)
        };
        HyperbolicMlr {
            ball: PoincareBallConfig { curvature: self.curvature }.init(),
            normals: draw(),
            offsets: draw(),
        }
    }
}

/// Multinomial logistic regression on the ball: one gyroplane a class, see [`PoincareBall::gyroplane_logits`].
///
/// Its logits go into any objective over logits; with cross-entropy they make the [Hyp-CE
/// loss](crate::classification::HypCeLoss).
///
/// Source: Ganea et al. 2018, <https://arxiv.org/abs/1805.09112>, section 3.1; Narayan, Patel 2024,
/// <https://arxiv.org/abs/2404.14406>.
#[derive(Module, Debug)]
pub struct HyperbolicMlr {
    /// The ball.
    pub ball: PoincareBall,
    /// Normals of the planes, `[classes, dim]`.
    pub normals: Param<Tensor<2>>,
    /// Tangent vectors whose exponential maps are the planes' offsets, `[classes, dim]`.
    pub offsets: Param<Tensor<2>>,
}

impl HyperbolicMlr {
    /// Logits of points.
    ///
    /// # Shapes
    /// - points: `[n, dim]`, inside the ball
    /// - output: `[n, classes]`
    pub fn forward(&self, points: Tensor<2>) -> Tensor<2> {
        self.ball.gyroplane_logits(points, self.normals.val(), self.offsets.val())
    }
}
