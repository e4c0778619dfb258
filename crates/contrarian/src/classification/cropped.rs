use crate::InvalidParameter;
use crate::numerics::log_p_target;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// Configuration of the [cropped loss](CroppedLoss); it has no parameters.
#[derive(Config, Debug)]
pub struct CroppedLossConfig {}

impl CroppedLossConfig {
    /// Checks the parameters: there are none.
    ///
    /// # Errors
    /// Never.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        Ok(())
    }

    /// Builds the objective.
    pub fn init(&self) -> CroppedLoss {
        CroppedLoss {}
    }
}

/// Cross-entropy of a window by the mean log-probability of its predictions, as networks that slide over a series make
/// several.
///
/// ```text
/// l_i = -(1/n) sum_t log softmax(h_i.t)_y
/// ```
///
/// with logits `h` at `n` places of the window. With one place it is cross-entropy.
///
/// Source: Schirrmeister et al. 2017, <https://arxiv.org/abs/1703.05051>, section 2.5 (cropped training), with the
/// log-softmax made explicit.
#[derive(Module, Debug)]
pub struct CroppedLoss {}

impl CroppedLoss {
    /// The loss of every window.
    ///
    /// # Shapes
    /// - logits: `[batch, classes, places]`
    /// - labels: `[batch]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// When a size is 0, there are fewer than two classes, or there are not as many labels as windows.
    pub fn forward_no_reduction(&self, logits: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        let [batch, classes, places] = logits.dims();
        assert!(places > 0, "a window needs at least one prediction, got logits [{batch}, {classes}, {places}]");
        assert_eq!(labels.dims()[0], batch, "{} labels for {batch} windows", labels.dims()[0]);
        let rows = logits.swap_dims(1, 2).reshape([batch * places, classes]);
        let of_rows = labels.reshape([batch, 1]).expand([batch, places]).reshape([batch * places]);
        let log_p = log_p_target(rows, of_rows).reshape([batch, places]);
        log_p.sum_dim(1).mul_scalar(-1.0 / places as f64).reshape([batch])
    }

    /// The mean over the batch, `[1]`.
    ///
    /// # Shapes
    /// - logits: `[batch, classes, places]`
    /// - labels: `[batch]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn forward(&self, logits: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        self.forward_no_reduction(logits, labels).mean()
    }
}
