use super::target_scores::{Head, TargetScores, loss_of_scores, require_scale};
use super::{AngularMargin, OwnMargin};
use crate::InvalidParameter;
use crate::error::require;
use crate::objective::{class_weight_objective, init};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use std::f64::consts::PI;

/// Configuration of the [ArcFace loss](ArcFaceLoss).
#[derive(Config, Debug)]
pub struct ArcFaceLossConfig {
    /// Scale of the cosines, above 0.
    #[config(default = 64.0)]
    pub scale: f64,
    /// Margin in radians, in `[0, pi)`.
    #[config(default = 0.5)]
    pub margin: f64,
    /// What the margin does at large angles.
    #[config(default = "AngularMargin::Plain")]
    pub angles: AngularMargin,
}

impl ArcFaceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_scale(self.scale)?;
        require((0.0..PI).contains(&self.margin), "margin", self.margin, "in [0, pi)")
    }

    fn build(&self) -> ArcFaceLoss {
        ArcFaceLoss { scale: self.scale, margin: self.margin, angles: self.angles }
    }
}

init!(ArcFaceLossConfig => ArcFaceLoss);
class_weight_objective!(ArcFaceLoss);

/// ArcFace: a softmax over cosines with class weights, the own class's angle made larger by a margin.
///
/// ```text
/// c_ik = x_i . w_k / (|x_i| |w_k|),   theta_i = arccos c_iy
/// z_iy = cos(theta_i + m) = c_iy cos m - sqrt(1 - c_iy^2) sin m,     z_ik = c_ik for k != y
/// l_i  = -log softmax(s z_i)_y,                                      loss = mean_i l_i
/// ```
///
/// with scale `s` and margin `m`. The squared sine is taken as at least 1e-12, so that value and gradient are finite for a
/// feature that lies exactly on its class weight or opposite to it; beyond `theta + m = pi` see [`AngularMargin`]. A row of
/// zeros has cosine 0 with everything. With margin 0 it is the softmax of a [normalised linear
/// layer](super::NormalizedLinear). The class weights are an argument: a model keeps them where it likes. On the CPU, memory
/// grows with `n + classes`: the logits `[n, classes]` are never held.
///
/// ```
/// # use burn::tensor::{Device, Distribution, Int, Tensor};
/// use contrarian::classification::{ArcFaceLossConfig, NormalizedLinearConfig};
///
/// let device = Device::flex();
/// let head = NormalizedLinearConfig::new(16, 10).init(&device, 1);
/// let features = Tensor::<2>::random([4, 16], Distribution::Default, &device);
/// let labels = Tensor::<1, Int>::from_ints([0, 9, 3, 3], &device);
/// let loss = ArcFaceLossConfig::new().with_scale(16.0).init().forward(features, head.weight.val(), labels);
/// assert!(loss.into_scalar::<f32>() > 0.0);
/// ```
///
/// Source: Deng et al. 2019, <https://arxiv.org/abs/1801.07698>, equation 3; without a correction beyond `pi` as in the code
/// of Jung et al. 2022. pytorch-metric-learning's loss of this name is `angles` `monotone` (and its margin in degrees).
#[derive(Module, Debug)]
pub struct ArcFaceLoss {
    /// Scale of the cosines.
    pub scale: f64,
    /// Margin in radians.
    pub margin: f64,
    /// What the margin does at large angles.
    #[module(skip)]
    pub angles: AngularMargin,
}

impl ArcFaceLoss {
    /// The own logit of every row and the log-sum-exp of its others.
    ///
    /// # Shapes
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn scores(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> TargetScores {
        TargetScores::of_cosines(features, weights, labels, self.scale, |cosine| {
            OwnMargin::Angle(self.angles, self.margin).apply(cosine)
        })
    }
}

impl Head for ArcFaceLoss {
    fn own_margin(&self) -> Option<(f64, OwnMargin)> {
        Some((self.scale, OwnMargin::Angle(self.angles, self.margin)))
    }
}

loss_of_scores!(ArcFaceLoss);
