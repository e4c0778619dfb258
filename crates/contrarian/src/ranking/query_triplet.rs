use super::init;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// What is added to a squared distance, so that its root has a slope at 0.
const SLOPE: f64 = 1e-12;

/// Configuration of the [triplet loss of a query](QueryTripletLoss).
#[derive(Config, Debug)]
pub struct QueryTripletLossConfig {
    /// How much farther the negative should be than the positive, above 0.
    #[config(default = 1.0)]
    pub margin: f64,
}

impl QueryTripletLossConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.margin > 0.0 && self.margin.is_finite(), "margin", self.margin, "above 0 and finite")
    }

    fn build(&self) -> QueryTripletLoss {
        QueryTripletLoss { margin: self.margin }
    }
}

init!(QueryTripletLossConfig => QueryTripletLoss);

/// Triplets as they are given: a query shall be nearer to its positive than to its own negative, by a margin.
///
/// ```text
/// loss = (1/B) sum_i max( |q_i - p_i| - |q_i - n_i| + margin, 0 )
/// ```
///
/// [`TripletLoss`](crate::contrastive::TripletLoss) builds triplets from labels; this one takes the triplets of a training file.
/// A distance is the root of its square plus 1e-12: texts that are embedded alike have a gradient of 0 and not of infinity.
///
/// Source: Sinha 2025, <https://arxiv.org/abs/2504.21015>, which names a triplet objective; the form is that of Hermans et al. 2017,
/// <https://arxiv.org/abs/1703.07737>, equation 1, with the mean for the sum.
#[derive(Module, Debug)]
pub struct QueryTripletLoss {
    /// How much farther the negative should be than the positive.
    pub margin: f64,
}

impl QueryTripletLoss {
    /// The mean over the triplets.
    ///
    /// # Shapes
    /// - queries, positives, negatives: `[B, D]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// When the shapes differ or are empty.
    pub fn forward(&self, queries: Tensor<2>, positives: Tensor<2>, negatives: Tensor<2>) -> Tensor<1> {
        let shape = queries.dims();
        assert!(shape[0] > 0 && shape[1] > 0, "triplets need at least one query with one number, got {shape:?}");
        for (name, other) in [("positives", &positives), ("negatives", &negatives)] {
            assert_eq!(other.dims(), shape, "{name} must have the shape of the queries");
        }
        let distance = |to: Tensor<2>| (queries.clone() - to).square().sum_dim(1).add_scalar(SLOPE).sqrt();
        (distance(positives) - distance(negatives)).add_scalar(self.margin).clamp_min(0.0).mean()
    }
}
