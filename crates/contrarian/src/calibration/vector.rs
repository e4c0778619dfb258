use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// Configuration of [`VectorScaling`].
#[derive(Config, Debug)]
pub struct VectorScalingConfig {
    /// Number of classes, at least 2.
    pub classes: usize,
}

impl VectorScalingConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// With fewer than two classes.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.classes >= 2, "classes", self.classes, "at least 2")
    }

    /// Builds the map that changes nothing: scales of 1 and offsets of 0.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device) -> VectorScaling {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        VectorScaling {
            scale: Param::from_tensor(Tensor::ones([self.classes], device)),
            bias: Param::from_tensor(Tensor::zeros([self.classes], device)),
        }
    }
}

/// A scale and an offset for every class's logit, to be trained by cross-entropy.
///
/// ```text
/// l'_k = a_k l_k + b_k,   p = softmax(l')
/// ```
///
/// The prediction may change.
///
/// Source: Guo et al. 2017, <https://arxiv.org/abs/1706.04599>, section 4.2.
#[derive(Module, Debug)]
pub struct VectorScaling {
    /// Scales `[classes]`.
    pub scale: Param<Tensor<1>>,
    /// Offsets `[classes]`.
    pub bias: Param<Tensor<1>>,
}

impl VectorScaling {
    /// The scaled logits.
    ///
    /// # Shapes
    /// - logits: `[batch, classes]`
    /// - output: `[batch, classes]`
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<2> {
        let [batch, classes] = logits.dims();
        let row = |param: &Param<Tensor<1>>| param.val().reshape([1, classes]).expand([batch, classes]);
        logits * row(&self.scale) + row(&self.bias)
    }
}
