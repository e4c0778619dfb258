use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};

/// Configuration of the [CRReLU activation](CrRelu).
#[derive(Config, Debug)]
pub struct CrReluConfig {
    /// Size of the bump at the start, finite; 0 starts at ReLU.
    #[config(default = 0.01)]
    pub epsilon: f64,
    /// Whether training changes it.
    #[config(default = true)]
    pub learnable: bool,
}

impl CrReluConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `epsilon` is not finite.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.epsilon.is_finite(), "epsilon", self.epsilon, "finite")
    }

    /// Builds the activation, with one parameter.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device) -> CrRelu {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let epsilon = Param::from_tensor(Tensor::full([1], self.epsilon, device));
        CrRelu { epsilon: epsilon.set_require_grad(self.learnable) }
    }
}

/// CRReLU: ReLU and a small bump whose size and sign are learned, one number an instance.
///
/// ```text
/// f(x) = max(x, 0) + epsilon x exp(-x^2 / 2)
/// f'(x) = 1[x > 0] + epsilon (1 - x^2) exp(-x^2 / 2)
/// ```
///
/// The bump is largest at `|x| = 1`, where it is `0.607 epsilon`, and gone from `|x| = 6` on. For `x < 0` the function is
/// not monotone unless `epsilon` is 0, where it is ReLU. The bump is the direction in which the entropy of the output of
/// ReLU falls fastest for standard normal inputs ([`eafo_correction`](super::eafo_correction)).
///
/// Give `epsilon` no weight decay: decay pulls it back to ReLU. In a model in f64, replace it by an f64 parameter.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use contrarian::activation::CrReluConfig;
///
/// let device = Device::flex();
/// let activation = CrReluConfig::new().init(&device);
/// let y = activation.forward(Tensor::<2>::from_floats([[-1.0, 2.0]], &device));
/// assert_eq!(y.dims(), [1, 2]);
/// ```
///
/// Source: Sun, Wu, Xia et al. 2024, <https://arxiv.org/abs/2405.12954>, the activation that EAFO derives from ReLU.
#[derive(Module, Debug)]
pub struct CrRelu {
    /// Size of the bump, `[1]`.
    pub epsilon: Param<Tensor<1>>,
}

impl CrRelu {
    /// The activation of every element.
    ///
    /// # Shapes
    /// - x: any
    /// - output: as `x`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        // exp of the whole exponent: for |x| so large that x^2 overflows it is 0, and so is its product with x.
        let bump = x.clone() * x.clone().square().mul_scalar(-0.5).exp();
        let epsilon = self.epsilon.val().reshape([1; D]);
        activation::relu(x) + bump * epsilon
    }
}
