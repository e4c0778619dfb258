use crate::InvalidParameter;
use crate::error::require;
use crate::fused::indices;
use burn::config::Config;
use burn::tensor::{DType, Int, Tensor, TensorData};
use contrarian_kernels::{FactoredOutputLayer, FactoredStep, KernelError, SphericalLoss};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Normal};

/// Configuration of the [factored output layer](FactoredOutput).
#[derive(Config, Debug)]
pub struct FactoredOutputConfig {
    /// Number of classes, at least 2.
    pub classes: usize,
    /// Length of a hidden vector, at least 1.
    pub dim: usize,
    /// Standard deviation of the first weights, at least 0; for few classes `1/sqrt(dim)` is a better choice.
    #[config(default = 0.001)]
    pub deviation: f64,
}

impl FactoredOutputConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.classes >= 2, "classes", self.classes, "at least 2")?;
        require(self.dim > 0, "dim", self.dim, "at least 1")?;
        require(
            self.deviation >= 0.0 && self.deviation.is_finite(),
            "deviation",
            self.deviation,
            "finite and at least 0",
        )
    }

    /// Builds the layer with normal weights, drawn from `seed` alone.
    ///
    /// # Errors
    /// When the weights do not fit memory.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self, seed: u64) -> Result<FactoredOutput, KernelError> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let normal = Normal::new(0.0, self.deviation).expect("the deviation is valid");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let layer = FactoredOutputLayer::new(self.classes, self.dim, || normal.sample(&mut rng) as f32)?;
        Ok(FactoredOutput { layer })
    }
}

/// A last linear layer over very many classes that trains itself, by exact gradient steps that never compute its outputs.
///
/// ```text
/// outputs  o_j = W h_j                                W [classes, dim], h_j [dim]
/// step     W <- W - (eta/m) sum_j dloss_j/dW          for a loss of sum, sum of squares and the label's own output
/// ```
///
/// The layer is not a Burn module and no optimiser sees it: its weights are kept in factors
/// ([`FactoredOutputLayer`], in f32) whose gradient has no tensor form. The network below it trains as always, through the
/// loss that [`forward`](Self::forward) gives back.
///
/// Source: Vincent, de Brebisson, Bouthillier 2015, <https://arxiv.org/abs/1412.7091>.
#[derive(Debug, Clone)]
pub struct FactoredOutput {
    /// The layer itself: weight decay, upkeep, dense weights.
    pub layer: FactoredOutputLayer<f32>,
}

impl FactoredOutput {
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.layer.classes()
    }

    /// Length of a hidden vector.
    pub fn dim(&self) -> usize {
        self.layer.dim()
    }

    /// The mean loss at the present weights, after which these take one step of gradient descent on it.
    ///
    /// The loss is differentiable in `hidden`, with the gradient at the weights before the step: call `backward` on it
    /// once and give the rest of the network its own step. Hidden vectors and labels are read back from their device: the
    /// step works on this machine's memory and depends on their numbers.
    ///
    /// # Shapes
    /// - hidden: `[m, dim]`
    /// - labels: `[m]`
    /// - eta: the layer's learning rate
    /// - output: `[1]`
    ///
    /// # Errors
    /// Before anything is changed: when shapes do not fit, a label is not below `classes`, a number is not finite, or `eta`
    /// is too large. After the step: when the factors cannot be looked after because they are not finite any more.
    ///
    /// # Panics
    /// When the batch is empty or a label is negative.
    pub fn forward(
        &mut self,
        hidden: Tensor<2>,
        labels: Tensor<1, Int>,
        loss: &dyn SphericalLoss,
        eta: f64,
    ) -> Result<Tensor<1>, KernelError> {
        let [m, dim] = hidden.dims();
        assert!(m > 0, "a loss needs at least one example");
        self.check_dim(&hidden)?;
        let share = 1.0 / m as f64;
        let step = self.layer.step(&numbers(&hidden), &indices(labels), loss, eta * share)?;
        let FactoredStep { losses, grad_hidden } = step;
        let mean = losses.into_iter().map(f64::from).sum::<f64>() * share;
        let gradient = like(grad_hidden, [m, dim], &hidden).mul_scalar(share);
        // Linear in `hidden` with the gradient as its slope, moved to have the loss as its value.
        let slope = (hidden * gradient).sum();
        Ok((slope.clone() - slope.detach()).add_scalar(mean))
    }

    /// All outputs, for evaluation: costs what a dense layer costs, and is not differentiable.
    ///
    /// # Shapes
    /// - hidden: `[m, dim]`
    /// - output: `[m, classes]`
    ///
    /// # Errors
    /// When `hidden` has another length of vectors, or the outputs do not fit memory.
    pub fn logits(&self, hidden: Tensor<2>) -> Result<Tensor<2>, KernelError> {
        let [m, _] = hidden.dims();
        self.check_dim(&hidden)?;
        Ok(like(self.layer.logits(&numbers(&hidden))?, [m, self.classes()], &hidden))
    }

    /// The kernel sees a flat slice, in which a wrong length can pass for another number of rows.
    fn check_dim(&self, hidden: &Tensor<2>) -> Result<(), KernelError> {
        let [m, dim] = hidden.dims();
        if dim == self.dim() {
            return Ok(());
        }
        let shape = format!("{m} x {}", self.dim());
        Err(KernelError::Length { name: "hidden", found: m * dim, expected: m * self.dim(), shape })
    }
}

fn numbers(tensor: &Tensor<2>) -> Vec<f32> {
    tensor.clone().into_data().convert_dtype(DType::F32).try_to_vec().expect("converted to f32")
}

/// A constant with the dtype and on the device of `hidden`.
fn like(values: Vec<f32>, shape: [usize; 2], hidden: &Tensor<2>) -> Tensor<2> {
    let data = TensorData::new(values, shape).convert_dtype(hidden.dtype());
    Tensor::from_data(data, (&hidden.device(), hidden.dtype()))
}
