use super::norms::limit_norm;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of [feature clipping](FeatureClip).
#[derive(Config, Debug)]
pub struct FeatureClipConfig {
    /// Longest norm that is kept, above 0.
    #[config(default = 2.0)]
    pub radius: f64,
}

impl FeatureClipConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.radius > 0.0 && self.radius.is_finite(), "radius", self.radius, "finite and above 0")
    }

    /// Builds the module.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> FeatureClip {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        FeatureClip { radius: self.radius }
    }
}

/// Shortens long features before they are mapped onto a ball, whose gradients vanish near the boundary.
///
/// ```text
/// v <- v min(1, r / |v|),        r = radius
/// ```
///
/// Source: Guo et al. 2022, "Clipped Hyperbolic Classifiers Are Super-Hyperbolic Classifiers",
/// <https://arxiv.org/abs/2107.11472>, as used by Narayan, Patel 2024, <https://arxiv.org/abs/2404.14406>.
#[derive(Module, Debug)]
pub struct FeatureClip {
    /// Longest norm that is kept.
    pub radius: f64,
}

impl FeatureClip {
    /// The clipped rows; a row of zeros stays one, with gradient 1.
    ///
    /// # Shapes
    /// - v: `[.., d]`
    /// - output: `[.., d]`
    pub fn forward<const D: usize>(&self, v: Tensor<D>) -> Tensor<D> {
        limit_norm(v, self.radius)
    }
}
