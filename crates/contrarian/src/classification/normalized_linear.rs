use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::normalize_rows;
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Configuration of the [normalised linear layer](NormalizedLinear).
#[derive(Config, Debug)]
pub struct NormalizedLinearConfig {
    /// Length of a feature, at least 1.
    pub dim: usize,
    /// Number of classes, at least 2.
    pub classes: usize,
}

impl NormalizedLinearConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        require(self.classes >= 2, "classes", self.classes, "at least 2")
    }

    /// Builds the layer with weights uniform in `+-sqrt(6 / (dim + classes))` (Xavier), drawn from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, device: &Device, seed: u64) -> NormalizedLinear {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let bound = (6.0 / (self.dim + self.classes) as f32).sqrt();
        let values: Vec<f32> = (0..self.classes * self.dim).map(|_| rng.random_range(-bound..bound)).collect();
        NormalizedLinear { weight: Param::from_data(TensorData::new(values, [self.classes, self.dim]), device) }
    }
}

/// A last layer that gives cosines: features and class weights both scaled to length 1, no bias.
///
/// ```text
/// c_ik = x_i . w_k / (|x_i| |w_k|)          0 where a row is all zeros
/// ```
///
/// Its weights are what [`ArcFaceLoss`](super::ArcFaceLoss), [`CosFaceLoss`](super::CosFaceLoss) and their like take; the
/// cosines are for prediction, where no margin is added.
///
/// Source: Wang et al. 2017, "NormFace", <https://arxiv.org/abs/1704.06369>, section 3.
#[derive(Module, Debug)]
pub struct NormalizedLinear {
    /// Class weights, `[classes, dim]`.
    pub weight: Param<Tensor<2>>,
}

impl NormalizedLinear {
    /// The cosine of every feature with every class.
    ///
    /// # Shapes
    /// - features: `[n, dim]`
    /// - output: `[n, classes]`, in `[-1, 1]` up to rounding
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        normalize_rows(features).matmul(normalize_rows(self.weight.val()).transpose())
    }
}
