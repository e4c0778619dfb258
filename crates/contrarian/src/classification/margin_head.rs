use super::OwnMargin;
use super::target_scores::{Head, TargetScores, loss_of_scores};
use super::{ArcFaceLoss, ArcFaceLossConfig, CosFaceLoss, CosFaceLossConfig, MagFaceLoss, MagFaceLossConfig};
use crate::InvalidParameter;
use burn::module::Module;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// Configuration of a [head with a margin](MarginHead).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarginHeadConfig {
    /// A margin on the angle.
    ArcFace(ArcFaceLossConfig),
    /// A margin on the cosine.
    CosFace(CosFaceLossConfig),
    /// A margin on the angle that grows with the feature's length.
    MagFace(MagFaceLossConfig),
}

impl MarginHeadConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        match self {
            Self::ArcFace(config) => config.validate(),
            Self::CosFace(config) => config.validate(),
            Self::MagFace(config) => config.validate(),
        }
    }

    /// Builds the head.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> MarginHead {
        match self {
            Self::ArcFace(config) => MarginHead::ArcFace(config.init()),
            Self::CosFace(config) => MarginHead::CosFace(config.init()),
            Self::MagFace(config) => MarginHead::MagFace(config.init()),
        }
    }
}

/// Any of the softmax losses over cosines with a margin, chosen when the program runs.
#[derive(Module, Debug)]
pub enum MarginHead {
    /// A margin on the angle.
    ArcFace(ArcFaceLoss),
    /// A margin on the cosine.
    CosFace(CosFaceLoss),
    /// A margin on the angle that grows with the feature's length.
    MagFace(MagFaceLoss),
}

impl MarginHead {
    /// Scale of the cosines.
    pub fn scale(&self) -> f64 {
        match self {
            Self::ArcFace(head) => head.scale,
            Self::CosFace(head) => head.scale,
            Self::MagFace(head) => head.scale,
        }
    }

    /// The own logit of every row and the log-sum-exp of its others.
    ///
    /// # Shapes
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn scores(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> TargetScores {
        match self {
            Self::ArcFace(head) => head.scores(features, weights, labels),
            Self::CosFace(head) => head.scores(features, weights, labels),
            Self::MagFace(head) => head.scores(features, weights, labels),
        }
    }
}

impl Head for MarginHead {
    fn own_margin(&self) -> Option<(f64, OwnMargin)> {
        match self {
            Self::ArcFace(head) => head.own_margin(),
            Self::CosFace(head) => head.own_margin(),
            Self::MagFace(head) => head.own_margin(),
        }
    }
}

loss_of_scores!(MarginHead);
