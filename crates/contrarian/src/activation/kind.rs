use super::{CrRelu, CrReluConfig};
use crate::InvalidParameter;
use burn::module::Module;
use burn::nn::activation::{Celu, CeluConfig, Elu, EluConfig, Gelu, Mish, PRelu, PReluConfig, Relu, Selu, SiLU, Tanh};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The activations a study or a command can choose from, by name; [`init`](Self::init) makes the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivationKind {
    /// `max(x, 0)`
    Relu,
    /// `x Phi(x)` with the normal distribution function `Phi`.
    Gelu,
    /// `x`, below 0 `exp(x) - 1`.
    Elu,
    /// ELU with a slope that is continuous for every scale; equal to ELU at the scale 1 used here.
    Celu,
    /// ELU scaled so that mean and variance stay at 0 and 1.
    Selu,
    /// `x sigmoid(x)`, also called Swish.
    Silu,
    /// `x tanh(softplus(x))`
    Mish,
    /// Hyperbolic tangent.
    Tanh,
    /// `x`, below 0 `a x` with a learned slope `a` that starts at 0.25.
    PRelu,
    /// [`CrRelu`] that starts at `epsilon = 0.01`.
    CrRelu,
}

impl ActivationKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Relu,
        Self::Gelu,
        Self::Elu,
        Self::Celu,
        Self::Selu,
        Self::Silu,
        Self::Mish,
        Self::Tanh,
        Self::PRelu,
        Self::CrRelu,
    ];

    /// Name in a configuration, `crrelu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Elu => "elu",
            Self::Celu => "celu",
            Self::Selu => "selu",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Tanh => "tanh",
            Self::PRelu => "prelu",
            Self::CrRelu => "crrelu",
        }
    }

    /// Builds the activation with its usual parameters.
    pub fn init(self, device: &Device) -> Activation {
        match self {
            Self::Relu => Activation::Relu(Relu),
            Self::Gelu => Activation::Gelu(Gelu::new()),
            Self::Elu => Activation::Elu(EluConfig::new().init()),
            Self::Celu => Activation::Celu(CeluConfig::new().init()),
            Self::Selu => Activation::Selu(Selu),
            Self::Silu => Activation::Silu(SiLU),
            Self::Mish => Activation::Mish(Mish),
            Self::Tanh => Activation::Tanh(Tanh),
            Self::PRelu => Activation::PRelu(PReluConfig::new().init(device)),
            Self::CrRelu => Activation::CrRelu(CrReluConfig::new().init(device)),
        }
    }
}

impl fmt::Display for ActivationKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ActivationKind {
    type Err = InvalidParameter;

    fn from_str(text: &str) -> Result<Self, InvalidParameter> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            InvalidParameter::new("activation", text, format!("one of {names}"))
        })
    }
}

/// An activation of any [kind](ActivationKind), as a module: Burn's own where there is one.
#[derive(Module, Debug)]
pub enum Activation {
    /// See [`ActivationKind::Relu`].
    Relu(Relu),
    /// See [`ActivationKind::Gelu`].
    Gelu(Gelu),
    /// See [`ActivationKind::Elu`].
    Elu(Elu),
    /// See [`ActivationKind::Celu`].
    Celu(Celu),
    /// See [`ActivationKind::Selu`].
    Selu(Selu),
    /// See [`ActivationKind::Silu`].
    Silu(SiLU),
    /// See [`ActivationKind::Mish`].
    Mish(Mish),
    /// See [`ActivationKind::Tanh`].
    Tanh(Tanh),
    /// See [`ActivationKind::PRelu`].
    PRelu(PRelu),
    /// See [`ActivationKind::CrRelu`].
    CrRelu(CrRelu),
}

impl Activation {
    /// The activation of every element.
    ///
    /// # Shapes
    /// - x: any (PReLU: at least two axes)
    /// - output: as `x`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Relu(f) => f.forward(x),
            Self::Gelu(f) => f.forward(x),
            Self::Elu(f) => f.forward(x),
            Self::Celu(f) => f.forward(x),
            Self::Selu(f) => f.forward(x),
            Self::Silu(f) => f.forward(x),
            Self::Mish(f) => f.forward(x),
            Self::Tanh(f) => f.forward(x),
            Self::PRelu(f) => f.forward(x),
            Self::CrRelu(f) => f.forward(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_has_its_value_at_one() {
        let device = Device::flex();
        // x = 1: x, x Phi(1), scale 1.0507, x sigmoid(1), x tanh(log(1 + e)), tanh(1), 1 + 0.01 e^-0.5.
        let expected = [1.0, 0.841345, 1.0, 1.0, 1.050701, 0.731059, 0.865098, 0.761594, 1.0, 1.006065];
        for (kind, expected) in ActivationKind::ALL.into_iter().zip(expected) {
            assert_eq!(kind.name().parse::<ActivationKind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            let x = Tensor::<2>::from_floats([[1.0, -2.0]], &device);
            let y: Vec<f32> = kind.init(&device).forward(x).into_data().try_to_vec().unwrap();
            assert!((f64::from(y[0]) - expected).abs() < 1e-5, "{kind}: {}", y[0]);
        }
        let error = "swish".parse::<ActivationKind>().unwrap_err().to_string();
        assert!(error.contains("one of relu, gelu"), "{error}");
    }
}
