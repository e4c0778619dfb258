use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index;

/// Augmentation: at each step a random part of a bag's instances.
#[derive(Config, Debug, Copy)]
pub struct InstanceSubsampling {
    /// Part of the instances kept, in `(0, 1]`; at least one instance always is.
    #[config(default = 0.5)]
    pub ratio: f64,
}

impl InstanceSubsampling {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `ratio` is not in `(0, 1]`.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.ratio > 0.0 && self.ratio <= 1.0, "ratio", self.ratio, "in (0, 1]")
    }

    /// The instances kept of a bag of `instances`, `ceil(ratio * instances)` of them, in their order.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn draw(&self, instances: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<usize> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let keep = (self.ratio * instances as f64).ceil() as usize;
        let mut kept = index::sample(rng, instances, keep.min(instances)).into_vec();
        kept.sort_unstable();
        kept
    }
}
