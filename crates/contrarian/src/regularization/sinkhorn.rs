use crate::InvalidParameter;
use crate::error::require;
use crate::numerics::log_sum_exp;
use crate::objective::init;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

/// Configuration of the [Sinkhorn assignment](SinkhornAssignment).
#[derive(Config, Debug)]
pub struct SinkhornAssignmentConfig {
    /// Rounds of scaling, at least 1.
    #[config(default = 3)]
    pub iterations: usize,
    /// Softness, above 0: near 0 every row is given to one column.
    #[config(default = 0.05)]
    pub epsilon: f64,
}

impl SinkhornAssignmentConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.iterations > 0, "iterations", self.iterations, "at least 1")?;
        require(self.epsilon > 0.0 && self.epsilon.is_finite(), "epsilon", self.epsilon, "finite and above 0")
    }

    fn build(&self) -> SinkhornAssignment {
        SinkhornAssignment { iterations: self.iterations, epsilon: self.epsilon }
    }
}

init!(SinkhornAssignmentConfig => SinkhornAssignment);

/// Soft pseudo-labels that use all classes about evenly, from logits; without a gradient.
///
/// ```text
/// L = x / e;  repeat:  L_ic := L_ic - log sum_i exp(L_ic) - log k,   L_ic := L_ic - log sum_c exp(L_ic) - log n
/// assignment = n exp(L)
/// ```
///
/// Rows sum to 1; columns sum to about `n / k`. In logarithms: `exp(x / e)` overflows f32 from `x = 4.4` on.
///
/// Source: Cuturi 2013, <https://arxiv.org/abs/1306.0895>; for pseudo-labels of novel classes Fini et al. 2021, "UNO",
/// <https://arxiv.org/abs/2108.08536>, equation 6.
#[derive(Module, Debug)]
pub struct SinkhornAssignment {
    /// Rounds of scaling.
    pub iterations: usize,
    /// Softness.
    pub epsilon: f64,
}

impl SinkhornAssignment {
    /// The assignment of a batch.
    ///
    /// # Shapes
    /// - logits: `[n, k]`
    /// - output: `[n, k]`, without a gradient
    ///
    /// # Panics
    /// When the batch is empty or there is no class.
    pub fn forward(&self, logits: Tensor<2>) -> Tensor<2> {
        let [n, k] = logits.dims();
        assert!(n > 0 && k > 0, "an assignment needs examples and classes, got logits [{n}, {k}]");
        let mut log = logits.detach().mul_scalar(1.0 / self.epsilon);
        for _ in 0..self.iterations {
            let columns = log_sum_exp(log.clone().transpose()).transpose();
            log = (log - columns).sub_scalar((k as f64).ln());
            let rows = log_sum_exp(log.clone());
            log = (log - rows).sub_scalar((n as f64).ln());
        }
        log.add_scalar((n as f64).ln()).exp()
    }
}
