use super::AngularMargin;
use super::target_scores::{Head, TargetScores, loss_of_scores, require_scale};
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::polar;
use crate::objective::{class_weight_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use std::f64::consts::PI;

/// Configuration of the [MagFace loss](MagFaceLoss).
#[derive(Config, Debug)]
pub struct MagFaceLossConfig {
    /// Scale of the cosines, above 0.
    #[config(default = 64.0)]
    pub scale: f64,
    /// Margin in radians of features at `lower_norm`, in `[0, upper_margin]`.
    #[config(default = 0.45)]
    pub lower_margin: f64,
    /// Margin in radians of features at `upper_norm`, below `pi`.
    #[config(default = 0.8)]
    pub upper_margin: f64,
    /// Lengths below this count as this, above 0.
    #[config(default = 10.0)]
    pub lower_norm: f64,
    /// Lengths above this count as this, above `lower_norm`.
    #[config(default = 110.0)]
    pub upper_norm: f64,
    /// Weight of the pull towards long features, at least 0.
    #[config(default = 35.0)]
    pub regularizer: f64,
}

impl MagFaceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let Self { lower_margin, upper_margin, lower_norm, upper_norm, regularizer, .. } = *self;
        require_scale(self.scale)?;
        require((0.0..PI).contains(&upper_margin), "upper_margin", upper_margin, "in [0, pi)")?;
        let below = (0.0..=upper_margin).contains(&lower_margin);
        require(below, "lower_margin", lower_margin, "at least 0 and at most upper_margin")?;
        require(lower_norm > 0.0 && lower_norm.is_finite(), "lower_norm", lower_norm, "finite and above 0")?;
        let above = upper_norm > lower_norm && upper_norm.is_finite();
        require(above, "upper_norm", upper_norm, "finite and above lower_norm")?;
        require(regularizer >= 0.0 && regularizer.is_finite(), "regularizer", regularizer, "finite and at least 0")
    }

    fn build(&self) -> MagFaceLoss {
        let Self { scale, lower_margin, upper_margin, lower_norm, upper_norm, regularizer } = *self;
        MagFaceLoss { scale, lower_margin, upper_margin, lower_norm, upper_norm, regularizer }
    }
}

init!(MagFaceLossConfig => MagFaceLoss);
class_weight_objective!(MagFaceLoss);

/// MagFace: an angular margin that grows with the length of a feature, which thereby learns to tell its quality.
///
/// ```text
/// a_i  = |x_i| kept within [l_a, u_a],   m_i = l_m + (u_m - l_m) (a_i - l_a) / (u_a - l_a)
/// z_iy = cos(theta_i + m_i) where c_iy > 0, else c_iy,   z_ik = c_ik for k != y
/// l_i  = -log softmax(s z_i)_y + g (a_i / u_a^2 + 1 / a_i),   loss = mean_i l_i
/// ```
///
/// with cosines `c`, margins `l_m` to `u_m`, lengths `l_a` to `u_a` and the regulariser's weight `g`. Lengths outside the
/// range have no gradient through `a_i`. The class weights are an argument, as in [`ArcFaceLoss`](super::ArcFaceLoss).
///
/// Source: Meng et al. 2021, <https://arxiv.org/abs/2103.06627>, equations 4 and 5.
#[derive(Module, Debug)]
pub struct MagFaceLoss {
    /// Scale of the cosines.
    pub scale: f64,
    /// Margin in radians at `lower_norm`.
    pub lower_margin: f64,
    /// Margin in radians at `upper_norm`.
    pub upper_margin: f64,
    /// Lengths below this count as this.
    pub lower_norm: f64,
    /// Lengths above this count as this.
    pub upper_norm: f64,
    /// Weight of the pull towards long features.
    pub regularizer: f64,
}

impl MagFaceLoss {
    /// The own logit of every row and the log-sum-exp of its others; the regulariser is the rows' penalty.
    ///
    /// # Shapes
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn scores(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> TargetScores {
        let [n, _] = features.dims();
        let length: Tensor<1> = polar(features.clone()).1.reshape([n]);
        let length = length.clamp(self.lower_norm, self.upper_norm);
        let slope = (self.upper_margin - self.lower_margin) / (self.upper_norm - self.lower_norm);
        let margin = length.clone().sub_scalar(self.lower_norm).mul_scalar(slope).add_scalar(self.lower_margin);
        let penalty = length.clone().mul_scalar(self.upper_norm.powi(-2)) + length.recip();
        let scores = TargetScores::of_cosines(features, weights, labels, self.scale, |cosine| {
            AngularMargin::Easy.apply(cosine, margin)
        });
        TargetScores { penalty: Some(penalty.mul_scalar(self.regularizer)), ..scores }
    }
}

// The margin depends on more than the cosine.
impl Head for MagFaceLoss {}

loss_of_scores!(MagFaceLoss);
