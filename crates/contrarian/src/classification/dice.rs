use super::level::Level;
use super::mining::keep_hardest;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::{float_labels, log_one_minus_softmax, log_sigmoid, target_mask};
use crate::objective::{binary_objective, logit_objective};
use crate::registry::objective_config;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor, activation};

/// Configuration of the [binary dice loss](BinaryDiceLoss); the defaults are those of the authors' scripts.
#[derive(Config, Debug)]
pub struct BinaryDiceLossConfig {
    /// Added to numerator and denominator, at least 0 (above 0 at example level).
    #[config(default = 1.0)]
    pub smooth: f64,
    /// How strongly decided examples are weighed down, at least 0. Positives settle at `p = 1/(1 + alpha)`: keep it small.
    #[config(default = 0.01)]
    pub alpha: f64,
    /// Squares in the denominator.
    #[config(default = true)]
    pub squared: bool,
    /// One ratio for the batch or one an example.
    #[config(default = "Level::Batch")]
    pub level: Level,
    /// Keep only this many of the hardest negatives for every positive, at least 0; 0 keeps all.
    #[config(default = 0.0)]
    pub ohem_ratio: f64,
}

impl BinaryDiceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_dice(self.smooth, self.alpha, self.level, self.ohem_ratio)
    }

    fn build(&self) -> BinaryDiceLoss {
        BinaryDiceLoss {
            smooth: self.smooth,
            alpha: self.alpha,
            squared: self.squared,
            level: self.level,
            ohem_ratio: self.ohem_ratio,
        }
    }
}

objective_config!(BinaryDiceLossConfig => BinaryDiceLoss);

pub(super) fn require_smooth(smooth: f64, level: Level) -> Result<(), InvalidParameter> {
    match level {
        Level::Batch => require(smooth >= 0.0 && smooth.is_finite(), "smooth", smooth, "finite and at least 0"),
        // A negative whose weight underflows would be 0/0.
        Level::Example => {
            require(smooth > 0.0 && smooth.is_finite(), "smooth", smooth, "finite and above 0 at example level")
        }
    }
}

fn require_dice(smooth: f64, alpha: f64, level: Level, ohem_ratio: f64) -> Result<(), InvalidParameter> {
    require_smooth(smooth, level)?;
    require(alpha >= 0.0 && alpha.is_finite(), "alpha", alpha, "finite and at least 0")?;
    require(ohem_ratio >= 0.0 && ohem_ratio.is_finite(), "ohem_ratio", ohem_ratio, "finite and at least 0")
}

/// Self-adjusting dice loss for two classes: a soft F1 in which decided examples weigh less.
///
/// ```text
/// w_i     = (1 - p_i)^alpha p_i,        p = sigmoid(x)
/// batch:    1 - (2 sum_i w_i y_i + s) / (D + s),  D = sum w_i^2 + sum y_i^2  (squared)  or  sum w_i + sum y_i
/// example:  mean of 1 - (2 w_i y_i + s) / (d_i + s), d_i likewise
/// ```
///
/// with labels `y` and smoothing `s`. The literal example form of the paper with `alpha = 1` trains poorly: positives are
/// pushed back beyond `p = 1/2`.
///
/// Source: Li et al. 2019, "Dice Loss for Data-imbalanced NLP Tasks", <https://arxiv.org/abs/1911.02855>, equations 7 to
/// 12; the batch form and the defaults are those of the authors' code.
#[derive(Module, Debug)]
pub struct BinaryDiceLoss {
    /// Added to numerator and denominator.
    pub smooth: f64,
    /// How strongly decided examples are weighed down.
    pub alpha: f64,
    /// Squares in the denominator.
    pub squared: bool,
    /// One ratio for the batch or one an example.
    #[module(skip)]
    pub level: Level,
    /// Hardest negatives kept for every positive; 0 keeps all.
    pub ohem_ratio: f64,
}

impl BinaryDiceLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
        let keep = logits.ones_like();
        self.over_kept(logits, labels, keep)
    }

    /// The loss of the rows where `mask` is true, as if the others were not there.
    ///
    /// # Shapes
    /// - logits: `[batch]`
    /// - labels: `[batch]`, each 0 or 1
    /// - mask: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the mask is false everywhere: there is nothing to score.
    pub fn forward_masked(&self, logits: Tensor<1>, labels: Tensor<1, Int>, mask: Tensor<1, Bool>) -> Tensor<1> {
        assert!(mask.clone().any().into_scalar::<bool>(), "nothing to score: the mask is false everywhere");
        let keep = logits.zeros_like().mask_fill(mask, 1.0);
        self.over_kept(logits, labels, keep)
    }

    fn over_kept(&self, logits: Tensor<1>, labels: Tensor<1, Int>, keep: Tensor<1>) -> Tensor<1> {
        let y = float_labels(labels, &logits);
        let w = (log_sigmoid(logits.clone().neg()).mul_scalar(self.alpha) + log_sigmoid(logits.clone())).exp();
        let column = |x: Tensor<1>| x.unsqueeze_dim::<2>(1);
        let dice = Dice { smooth: self.smooth, squared: self.squared, level: self.level, ohem_ratio: self.ohem_ratio };
        dice.loss(&column(logits), column(w), column(y), column(keep)).reshape([1])
    }
}

binary_objective!(BinaryDiceLoss);

/// Configuration of the [multi-class dice loss](MulticlassDiceLoss).
#[derive(Config, Debug)]
pub struct MulticlassDiceLossConfig {
    /// Added to numerator and denominator, at least 0 (above 0 at example level).
    #[config(default = 1.0)]
    pub smooth: f64,
    /// How strongly decided examples are weighed down, at least 0.
    #[config(default = 0.01)]
    pub alpha: f64,
    /// Squares in the denominator.
    #[config(default = true)]
    pub squared: bool,
    /// One ratio for the batch or one an example.
    #[config(default = "Level::Example")]
    pub level: Level,
    /// Keep only this many of the hardest negatives for every positive of a class, at least 0; 0 keeps all.
    #[config(default = 0.0)]
    pub ohem_ratio: f64,
}

impl MulticlassDiceLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require_dice(self.smooth, self.alpha, self.level, self.ohem_ratio)
    }

    fn build(&self) -> MulticlassDiceLoss {
        MulticlassDiceLoss {
            smooth: self.smooth,
            alpha: self.alpha,
            squared: self.squared,
            level: self.level,
            ohem_ratio: self.ohem_ratio,
        }
    }
}

objective_config!(MulticlassDiceLossConfig => MulticlassDiceLoss);

/// Self-adjusting dice loss over a softmax: the [binary loss](BinaryDiceLoss) of every class against the rest, summed.
///
/// ```text
/// loss = sum_c dice( p_c, 1[y == c] ),        p = softmax(h)
/// ```
///
/// Source: Li et al. 2019, <https://arxiv.org/abs/1911.02855>. The authors' plain (not squared) multi-class code mixes
/// example numerators with batch denominators; here one level holds throughout.
#[derive(Module, Debug)]
pub struct MulticlassDiceLoss {
    /// Added to numerator and denominator.
    pub smooth: f64,
    /// How strongly decided examples are weighed down.
    pub alpha: f64,
    /// Squares in the denominator.
    pub squared: bool,
    /// One ratio for the batch or one an example.
    #[module(skip)]
    pub level: Level,
    /// Hardest negatives kept for every positive of a class; 0 keeps all.
    pub ohem_ratio: f64,
}

impl MulticlassDiceLoss {
    /// The loss of the batch.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        let classes = logits.dims()[1];
        let y = logits.zeros_like().mask_fill(target_mask(labels, classes), 1.0);
        let log_p = activation::log_softmax(logits.clone(), 1);
        let w = (log_one_minus_softmax(logits).mul_scalar(self.alpha) + log_p.clone()).exp();
        let keep = w.ones_like();
        let dice = Dice { smooth: self.smooth, squared: self.squared, level: self.level, ohem_ratio: self.ohem_ratio };
        dice.loss(&log_p, w, y, keep).sum()
    }
}

logit_objective!(MulticlassDiceLoss);

/// What both dice losses share, column by column.
struct Dice {
    smooth: f64,
    squared: bool,
    level: Level,
    ohem_ratio: f64,
}

impl Dice {
    /// `scores` rank the negatives for mining; all are `[rows, columns]`, the result is `[1, columns]`.
    fn loss(&self, scores: &Tensor<2>, w: Tensor<2>, y: Tensor<2>, keep: Tensor<2>) -> Tensor<2> {
        let keep = if self.ohem_ratio > 0.0 { keep_hardest(scores, &y, keep, self.ohem_ratio) } else { keep };
        let (w, y) = (w * keep.clone(), y * keep.clone());
        let top = (w.clone() * y.clone()).mul_scalar(2.0);
        let bottom = if self.squared { w.square() + y.square() } else { w + y };
        self.level.overlap_loss(top, bottom, keep, self.smooth)
    }
}
