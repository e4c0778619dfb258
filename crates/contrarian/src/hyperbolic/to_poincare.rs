use super::{FeatureClip, FeatureClipConfig, PoincareBall, PoincareBallConfig};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Configuration of the layer [from features to the ball](ToPoincare).
#[derive(Config, Debug)]
pub struct ToPoincareConfig {
    /// Dimension of the features and of the ball, at least 1.
    pub dim: usize,
    /// The ball has curvature `-curvature`, above 0.
    #[config(default = 0.1)]
    pub curvature: f64,
    /// Longest norm of the features, above 0; longer ones are clipped. `None` does not clip.
    #[config(default = "Some(2.0)")]
    pub clip: Option<f64>,
    /// Learn the base point of the map; otherwise it is the origin.
    #[config(default = true)]
    pub learn_base: bool,
    /// Pass the Riemannian gradient on to the network.
    #[config(default = true)]
    pub riemannian: bool,
    /// Points keep a distance of `eps / sqrt(c)` from the boundary, in `(0, 1)`.
    #[config(default = 1e-3)]
    pub eps: f64,
}

impl ToPoincareConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        PoincareBallConfig { curvature: self.curvature }.validate()?;
        if let Some(clip) = self.clip {
            require(clip > 0.0 && clip.is_finite(), "clip", clip, "finite and above 0")?;
        }
        require(self.eps > 0.0 && self.eps < 1.0, "eps", self.eps, "in (0, 1)")
    }

    /// Builds the layer; a learned base point starts at the origin.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device) -> ToPoincare {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        ToPoincare {
            ball: PoincareBallConfig { curvature: self.curvature }.init(),
            clip: self.clip.map(|radius| FeatureClipConfig { radius }.init()),
            base: self.learn_base.then(|| Param::from_tensor(Tensor::zeros([self.dim], device))),
            riemannian: self.riemannian,
            eps: self.eps,
        }
    }
}

/// From Euclidean features to points of a ball: clip, exponential map, projection.
///
/// ```text
/// x = project(exp_b(v min(1, r / |v|))),        b = exp_0(xp)
/// ```
///
/// with the learned `xp [d]`, 0 at the start. With `riemannian`, the gradient with respect to `x` is multiplied by
/// `(1 - c|x|^2)^2 / 4` before it goes on to the network and to `xp`.
///
/// Source: Narayan, Patel 2024, "Hyp-OC", <https://arxiv.org/abs/2404.14406>, section 3; the scaling is the authors' code.
#[derive(Module, Debug)]
pub struct ToPoincare {
    /// The ball.
    pub ball: PoincareBall,
    /// Clips the features first.
    pub clip: Option<FeatureClip>,
    /// Tangent vector `xp` of the base point, `[d]`.
    pub base: Option<Param<Tensor<1>>>,
    /// Pass the Riemannian gradient on.
    pub riemannian: bool,
    /// Distance kept from the boundary, in units of the radius.
    pub eps: f64,
}

impl ToPoincare {
    /// The points of the features.
    ///
    /// # Shapes
    /// - features: `[n, d]`
    /// - output: `[n, d]`
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        let v = match &self.clip {
            Some(clip) => clip.forward(features),
            None => features,
        };
        let mapped = match &self.base {
            Some(base) => {
                let base = self.ball.project(self.ball.expmap0(base.val().unsqueeze::<2>()), self.eps);
                self.ball.expmap(base, v)
            }
            None => self.ball.expmap0(v),
        };
        let points = self.ball.project(mapped, self.eps);
        if self.riemannian { self.ball.riemannian_gradient(points) } else { points }
    }
}
