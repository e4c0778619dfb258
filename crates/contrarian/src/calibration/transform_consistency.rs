use super::predicted_class;
use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::target_mask;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, activation};

/// Configuration of [`TransformConsistencyFeatures`].
#[derive(Config, Debug)]
pub struct TransformConsistencyFeaturesConfig {
    /// How many of the original's top classes are followed, at least 1.
    #[config(default = 4)]
    pub top_k: usize,
}

impl TransformConsistencyFeaturesConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// When `top_k` is 0.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.top_k >= 1, "top_k", self.top_k, "at least 1")
    }

    /// Builds the features.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> TransformConsistencyFeatures {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        TransformConsistencyFeatures { top_k: self.top_k }
    }
}

/// What transformed copies of an input say about the classes that the input itself ranks first.
///
/// ```text
/// top_i = indices of the top_k largest entries of l_i, largest first (of equals the lowest index)
/// features_i = concat_j softmax(l_i^(j))[top_i],   j = 1..m
/// ```
///
/// `l` are the logits of the input and `l^(j)` those of its j-th transformed copy. A prediction that survives the
/// transforms is more likely right. Each feature is in `[0, 1]`.
///
/// Source: Liu et al. 2024, <https://arxiv.org/abs/2404.13016>.
#[derive(Module, Debug)]
pub struct TransformConsistencyFeatures {
    /// Classes followed.
    pub top_k: usize,
}

impl TransformConsistencyFeatures {
    /// The features of every row, the copies one after the other.
    ///
    /// # Shapes
    /// - logits: `[rows, classes]`
    /// - transformed: `[copies, rows, classes]`
    /// - output: `[rows, copies * top_k]`
    ///
    /// # Errors
    /// When there are fewer than `top_k` classes.
    ///
    /// # Panics
    /// When the copies have other rows or classes than the logits, or there is none.
    pub fn forward(&self, logits: Tensor<2>, transformed: Tensor<3>) -> Result<Tensor<2>, InvalidParameter> {
        let [rows, classes] = logits.dims();
        let [copies, ..] = transformed.dims();
        let allowed = format!("at most the number of classes, {classes}");
        require(self.top_k <= classes, "top_k", self.top_k, &allowed)?;
        let shape = transformed.dims();
        assert!(copies > 0 && shape == [copies, rows, classes], "copies {shape:?} for logits [{rows}, {classes}]");
        let top = top_classes(logits, self.top_k);
        let features = transformed.split(1, 0).into_iter().map(|copy| {
            let copy = activation::softmax(copy.reshape([rows, classes]), 1);
            copy.gather(1, top.clone())
        });
        Ok(Tensor::cat(features.collect(), 1))
    }
}

/// The classes with the `k` largest logits, largest first, of equals the lowest index: `[rows, classes]` to `[rows, k]`.
fn top_classes(mut logits: Tensor<2>, k: usize) -> Tensor<2, Int> {
    let [rows, classes] = logits.dims();
    let ranked = (0..k).map(|_| {
        let best = predicted_class(logits.clone());
        logits = logits.clone().mask_fill(target_mask(best.clone(), classes), f64::NEG_INFINITY);
        best.reshape([rows, 1])
    });
    Tensor::cat(ranked.collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn ties_go_to_the_lowest_index_and_too_few_classes_are_an_error() {
        let logits = Tensor::<2>::from_floats([[1.0, 3.0, 3.0, 2.0], [0.0; 4]], &Device::flex());
        let top: Vec<i64> = top_classes(logits.clone(), 3).into_data().convert::<i64>().try_to_vec().unwrap();
        assert_eq!(top, [1, 2, 3, 0, 1, 2]);
        let five = TransformConsistencyFeaturesConfig::new().with_top_k(5).init();
        let error = five.forward(logits.clone(), logits.unsqueeze::<3>()).unwrap_err();
        assert_eq!(error.to_string(), "parameter `top_k` is 5, but must be at most the number of classes, 4");
    }
}
