use super::Mode;
use burn::module::Module;
use burn::tensor::Tensor;

/// A module that scores classes from rows of numbers: what a [`Fit`](crate::fit::Fit) trains and
/// [`predict`](crate::fit::predict) applies.
pub trait Classifier: Module {
    /// Logits of a batch.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, classes]`
    fn logits(&self, x: Tensor<2>, mode: &mut Mode) -> Tensor<2>;
}
