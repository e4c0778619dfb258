//! Objectives for classification.
//!
//! Those over logits `[batch, classes]` take any number of classes; the binary ones take one score a row (as
//! [`LogitObjective`](crate::LogitObjective)s they see `logit_1 - logit_0`). Heads with a margin take features and class
//! weights, and scale both to length 1.

mod angular_margin;
mod any_loss;
mod arc_face;
mod brier;
mod class_dependent;
mod comp_sum;
mod cos_face;
mod cropped;
mod cross_entropy;
mod dice;
mod effective_number;
mod ens_loss;
mod factored_output;
mod focal;
mod gce;
mod h_consistency;
mod hyp_ce;
mod hyp_pc;
mod jensen_shannon;
mod ldr;
mod level;
mod linear_cross_entropy;
mod mae;
mod mag_face;
mod margin;
mod margin_head;
mod mining;
mod multiclass_hinge;
mod normalized;
mod normalized_linear;
mod own_margin;
mod pairwise_squared_hinge;
mod smooth_adv_comp_sum;
mod soft_confusion;
mod spherical;
mod symmetric_ce;
mod target_scores;
mod tversky;
mod two_level_softmax;
mod unpg;

pub use angular_margin::AngularMargin;
pub use any_loss::{AnyLoss, AnyLossConfig, AnyLossInput, AnyLossMetric};
pub use arc_face::{ArcFaceLoss, ArcFaceLossConfig};
pub use brier::{BrierLoss, BrierLossConfig, MseOnProbabilities, MseOnProbabilitiesConfig};
pub use class_dependent::{ClassDependentLoss, ClassDependentLossConfig, ClassDependentParts, RankingTerm};
pub use comp_sum::{CompSumLoss, CompSumLossConfig};
pub use cos_face::{CosFaceLoss, CosFaceLossConfig};
pub use cropped::{CroppedLoss, CroppedLossConfig};
pub use cross_entropy::{CrossEntropyLoss, CrossEntropyLossConfig};
pub use dice::{BinaryDiceLoss, BinaryDiceLossConfig, MulticlassDiceLoss, MulticlassDiceLossConfig};
pub use effective_number::{effective_number_weights, effective_number_weights_near_one, mean_one};
pub use ens_loss::{EnsLoss, EnsLossConfig, EnsLossSchedule};
pub use factored_output::{FactoredOutput, FactoredOutputConfig};
pub use focal::{FocalLoss, FocalLossConfig};
pub use gce::{GceLoss, GceLossConfig};
pub use h_consistency::{HConsistencyTransform, minimizability_gap_bound};
pub use hyp_ce::{HypCeLoss, HypCeLossConfig};
pub use hyp_pc::{HypPcLoss, HypPcLossConfig, OddBatch, PairDistance};
pub use jensen_shannon::{JensenShannonLoss, JensenShannonLossConfig};
pub use ldr::{AldrKlLoss, AldrKlLossConfig, LdrKlLoss, LdrKlLossConfig, Normalization};
pub use level::Level;
pub use linear_cross_entropy::{LinearCrossEntropyLoss, LinearCrossEntropyLossConfig};
pub use mae::{MaeLoss, MaeLossConfig};
pub use mag_face::{MagFaceLoss, MagFaceLossConfig};
pub use margin::{
    ExponentialLoss, ExponentialLossConfig, HingeLoss, HingeLossConfig, LogisticLoss, LogisticLossConfig,
    SigmoidFocalLoss, SigmoidFocalLossConfig,
};
pub use margin_head::{MarginHead, MarginHeadConfig};
pub use multiclass_hinge::{CrammerSingerLoss, CrammerSingerLossConfig, WestonWatkinsLoss, WestonWatkinsLossConfig};
pub use normalized::{NceAgceLoss, NceAgceLossConfig, NceAulLoss, NceAulLossConfig, NceRceLoss, NceRceLossConfig};
pub use normalized_linear::{NormalizedLinear, NormalizedLinearConfig};
pub(crate) use own_margin::OwnMargin;
pub use pairwise_squared_hinge::{PairwiseSquaredHinge, PairwiseSquaredHingeConfig};
pub(crate) use smooth_adv_comp_sum::margin_shift_norm;
pub use smooth_adv_comp_sum::{
    RhoMarginCompSumLoss, RhoMarginCompSumLossConfig, SmoothAdvCompSumLoss, SmoothAdvCompSumLossConfig,
};
pub use soft_confusion::{SoftConfusion, soft_confusion};
pub use spherical::{
    SphericalSoftmaxLoss, SphericalSoftmaxLossConfig, SphericalSquaredError, SphericalSquaredErrorConfig,
    TaylorSoftmaxLoss, TaylorSoftmaxLossConfig, ZLoss, ZLossConfig,
};
pub use symmetric_ce::{SymmetricCeLoss, SymmetricCeLossConfig};
pub use target_scores::TargetScores;
pub use tversky::{TverskyLoss, TverskyLossConfig};
pub use two_level_softmax::{TwoLevelSoftmax, TwoLevelSoftmaxConfig};
pub use unpg::{UnpgLoss, UnpgLossConfig};

/// What a [`FactoredOutput`] is trained with, and how it fails.
pub use contrarian_kernels::{KernelError, SphericalLoss};
