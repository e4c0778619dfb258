use super::norms::{artanh_ratio, dot, epsilon, limit_norm, norm, squared_norm, tanh_ratio};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Tensor};

/// Configuration of the [Poincare ball](PoincareBall).
#[derive(Config, Debug)]
pub struct PoincareBallConfig {
    /// The ball has curvature `-curvature`, above 0; its radius is `1 / sqrt(curvature)`.
    #[config(default = 0.1)]
    pub curvature: f64,
}

impl PoincareBallConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let c = self.curvature;
        require(c > 0.0 && c.is_finite(), "curvature", c, "finite and above 0")
    }

    /// Builds the ball.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> PoincareBall {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        PoincareBall { curvature: self.curvature }
    }
}

/// A point that does not lie inside the ball.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("row {row} has norm {norm}, but points of the ball need a norm below {radius}; project the points first")]
pub struct OutsideBall {
    /// Row of the point, counted over all leading dimensions.
    pub row: usize,
    /// Its norm (NaN when an entry is).
    pub norm: f64,
    /// Radius of the ball.
    pub radius: f64,
}

/// The Poincare ball of curvature `-c`: the points with `c |x|^2 < 1`.
///
/// ```text
/// x (+) y     = [ (1 + 2c<x,y> + c|y|^2) x + (1 - c|x|^2) y ] / (1 + 2c<x,y> + c^2 |x|^2 |y|^2)
/// lam(x)      = 2 / (1 - c|x|^2)
/// exp_0(v)    = tanh(sqrt(c)|v|) v / (sqrt(c)|v|)
/// log_0(y)    = artanh(sqrt(c)|y|) y / (sqrt(c)|y|)
/// exp_x(v)    = x (+) [ tanh(sqrt(c) lam(x) |v| / 2) v / (sqrt(c)|v|) ]
/// M (x) y     = exp_0(M log_0(y))
/// dist(x, y)  = (2/sqrt(c)) arsinh( sqrt(c)|x - y| / sqrt((1 - c|x|^2)(1 - c|y|^2)) )
/// ```
///
/// All take rows `[.., d]` and are exact at 0, with gradient 0 of a norm that is 0. Two arguments may be broadcast
/// against each other. The exponential maps take any finite vector.
///
/// Points are expected inside the ball, which is not checked on the device: [`check`](Self::check) tells,
/// [`project`](Self::project) mends. Where rounding, or a caller, brings a point onto the boundary or beyond it,
/// `1 - c|x|^2` counts as the rounding error of the dtype and `sqrt(c)|y|` as the last number below 1, both without a
/// gradient: values and gradients stay finite, distances are large.
///
/// Source: Ganea et al. 2018, "Hyperbolic Neural Networks", <https://arxiv.org/abs/1805.09112>, section 2, as used by
/// Narayan, Patel 2024, <https://arxiv.org/abs/2404.14406>.
#[derive(Module, Debug)]
pub struct PoincareBall {
    /// The ball has curvature `-curvature`.
    pub curvature: f64,
}

impl PoincareBall {
    /// Radius of the ball, `1 / sqrt(c)`.
    pub fn radius(&self) -> f64 {
        self.root().recip()
    }

    /// The exponential map at the origin: a tangent vector to a point.
    ///
    /// # Shapes
    /// - v: `[.., d]`
    /// - output: `[.., d]`
    pub fn expmap0<const D: usize>(&self, v: Tensor<D>) -> Tensor<D> {
        let t = norm(v.clone()).mul_scalar(self.root());
        v * tanh_ratio(t)
    }

    /// The logarithmic map at the origin: a point to a tangent vector, the inverse of [`expmap0`](Self::expmap0).
    ///
    /// # Shapes
    /// - y: `[.., d]`, inside the ball
    /// - output: `[.., d]`
    pub fn logmap0<const D: usize>(&self, y: Tensor<D>) -> Tensor<D> {
        let t = norm(y.clone()).mul_scalar(self.root());
        y * artanh_ratio(t)
    }

    /// The exponential map at `x`: follows the geodesic from `x` in direction `v`.
    ///
    /// # Shapes
    /// - x: `[.., d]`, inside the ball
    /// - v: `[.., d]`
    /// - output: `[.., d]`
    pub fn expmap<const D: usize>(&self, x: Tensor<D>, v: Tensor<D>) -> Tensor<D> {
        let half = self.margin(x.clone()).recip();
        let t = norm(v.clone()) * half.clone().mul_scalar(self.root());
        self.mobius_add(x, v * (tanh_ratio(t) * half))
    }

    /// Mobius addition `x (+) y`.
    ///
    /// # Shapes
    /// - x, y: `[.., d]`, inside the ball
    /// - output: `[.., d]`
    pub fn mobius_add<const D: usize>(&self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        let c = self.curvature;
        let (xx, yy) = (squared_norm(x.clone()).mul_scalar(c), squared_norm(y.clone()).mul_scalar(c));
        let cross = dot(x.clone(), y.clone()).mul_scalar(2.0 * c).add_scalar(1.0);
        // Positive inside the ball; 0 only for two opposite points of the boundary.
        let bottom = cross.clone() + xx.clone() * yy.clone();
        let bottom = bottom.clone().clamp_min(epsilon(&bottom));
        let of_y = xx.neg().add_scalar(1.0) / bottom.clone();
        x * ((cross + yy) / bottom) + y * of_y
    }

    /// The Mobius product of a matrix and every point.
    ///
    /// # Shapes
    /// - x: `[n, d]`, inside the ball
    /// - matrix: `[d, e]` (the transpose of `M`, as the weights of Burn's linear layers are kept)
    /// - output: `[n, e]`
    pub fn mobius_matmul(&self, x: Tensor<2>, matrix: Tensor<2>) -> Tensor<2> {
        self.expmap0(self.logmap0(x).matmul(matrix))
    }

    /// How much lengths grow at a point, `lam(x)`.
    ///
    /// # Shapes
    /// - x: `[.., d]`, inside the ball
    /// - output: `[.., 1]`
    pub fn conformal_factor<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.margin(x).recip().mul_scalar(2.0)
    }

    /// Geodesic distance of corresponding points; 0 with gradient 0 for equal ones.
    ///
    /// # Shapes
    /// - x, y: `[.., d]`, inside the ball
    /// - output: `[.., 1]`
    pub fn distance<const D: usize>(&self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        self.sinh_half_distance(x, y).asinh().mul_scalar(2.0 / self.root())
    }

    /// `sinh(sqrt(c) dist(x, y) / 2)`, of which distances are made: `[.., 1]`.
    pub(crate) fn sinh_half_distance<const D: usize>(&self, x: Tensor<D>, y: Tensor<D>) -> Tensor<D> {
        // Two square roots: the product of two margins at the boundary would vanish in f32.
        let margins = self.margin(x.clone()).sqrt() * self.margin(y.clone()).sqrt();
        norm(x - y).mul_scalar(self.root()) / margins
    }

    /// Geodesic distance of every point of `x` to every point of `y`, in `O(n m)` memory.
    ///
    /// Differences come from a matrix product, so points nearer to each other than rounding can tell (about
    /// `1e-3 |x|` in f32 and `1e-7 |x|` in f64) have distance 0 and gradient 0; [`distance`](Self::distance) tells
    /// them apart.
    ///
    /// # Shapes
    /// - x: `[n, d]`, inside the ball
    /// - y: `[m, d]`, inside the ball
    /// - output: `[n, m]`
    pub fn distance_matrix(&self, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
        let sizes = squared_norm(x.clone()) + squared_norm(y.clone()).transpose();
        let squared = sizes.clone() - x.clone().matmul(y.clone().transpose()).mul_scalar(2.0);
        let same = squared.clone().lower_equal(sizes.clone().mul_scalar(8.0 * epsilon(&sizes)));
        let length = squared.mask_fill(same.clone(), 1.0).sqrt().mask_fill(same, 0.0);
        let margins = self.margin(x).sqrt() * self.margin(y).sqrt().transpose();
        (length.mul_scalar(self.root()) / margins).asinh().mul_scalar(2.0 / self.root())
    }

    /// Moves points beyond `(1 - eps) / sqrt(c)` back to that norm, and leaves the others. The paper's `eps` is `1e-3`.
    ///
    /// # Shapes
    /// - x: `[.., d]`, finite
    /// - output: `[.., d]`
    ///
    /// # Panics
    /// When `eps` is not in `(0, 1)`.
    pub fn project<const D: usize>(&self, x: Tensor<D>, eps: f64) -> Tensor<D> {
        assert!(eps > 0.0 && eps < 1.0, "parameter `eps` is {eps}, but must be in (0, 1)");
        limit_norm(x, (1.0 - eps) * self.radius())
    }

    /// The same points, whose gradient is multiplied by `(1 - c|x|^2)^2 / 4` on its way back: the Riemannian gradient.
    ///
    /// # Shapes
    /// - x: `[.., d]`, inside the ball
    /// - output: `[.., d]`
    pub fn riemannian_gradient<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let fixed = x.clone().detach();
        let factor = self.margin(fixed.clone()).square().mul_scalar(0.25);
        // The difference is exactly 0 and carries the gradient alone.
        fixed.clone() + (x - fixed) * factor
    }

    /// Checks that all points lie inside the ball. Reads them back from the device: meant for data from outside, not for
    /// training steps.
    ///
    /// # Errors
    /// Names the first point on or outside the ball, or with an entry that is no number.
    pub fn check<const D: usize>(&self, points: &Tensor<D>) -> Result<(), OutsideBall> {
        let norms = norm(points.clone().detach()).into_data().convert_dtype(DType::F64);
        let norms: Vec<f64> = norms.try_to_vec().expect("norms were just converted to f64");
        let radius = self.radius();
        let outside = |norm: f64| norm.is_nan() || norm >= radius;
        match norms.iter().position(|&norm| outside(norm)) {
            Some(row) => Err(OutsideBall { row, norm: norms[row], radius }),
            None => Ok(()),
        }
    }

    /// `1 - c|x|^2`, at least the rounding error of the dtype: `[.., 1]`.
    pub(super) fn margin<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let margin = squared_norm(x).mul_scalar(-self.curvature).add_scalar(1.0);
        margin.clone().clamp_min(epsilon(&margin))
    }

    /// `sqrt(c)`.
    pub(super) fn root(&self) -> f64 {
        self.curvature.sqrt()
    }
}
