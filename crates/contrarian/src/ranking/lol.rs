use super::init;
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData, activation};

/// Configuration of the [comparative regulariser](LolRegulariser).
#[derive(Config, Debug)]
pub struct LolRegulariserConfig {
    /// How much more feedback is to gain, at least 0.
    #[config(default = 0.0)]
    pub margin: f64,
    /// Weight of the regulariser, at least 0.
    #[config(default = 1.0)]
    pub lambda: f64,
    /// Whether the loss with less feedback is a constant in the regulariser, which then never raises it.
    #[config(default = false)]
    pub detach_less: bool,
}

impl LolRegulariserConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value) in [("margin", self.margin), ("lambda", self.lambda)] {
            require(value >= 0.0 && value.is_finite(), field, value, "at least 0 and finite")?;
        }
        Ok(())
    }

    fn build(&self) -> LolRegulariser {
        LolRegulariser { margin: self.margin, lambda: self.lambda, detach_less: self.detach_less }
    }
}

init!(LolRegulariserConfig => LolRegulariser);

/// LoL, the loss over losses: a query rewritten with more feedback should not have the larger loss.
///
/// ```text
/// CR    = mean over pairs (a, b) of revisions of a query, a with more feedback, of max(0, l_a - l_b + margin)
/// total = mean l + lambda CR
/// ```
///
/// Revisions with the same amount of feedback are no pair; without any pair CR is 0. The derivative at a difference of exactly
/// `-margin` is 0. Unless [`detach_less`](LolRegulariserConfig::detach_less), the regulariser also raises the loss with less feedback.
///
/// Source: Zhu et al. 2022, <https://arxiv.org/abs/2204.11545>, section 3.2.
#[derive(Module, Debug)]
pub struct LolRegulariser {
    /// How much more feedback is to gain.
    pub margin: f64,
    /// Weight of the regulariser.
    pub lambda: f64,
    /// Whether the loss with less feedback is a constant in the regulariser.
    pub detach_less: bool,
}

impl LolRegulariser {
    /// The total, and the regulariser alone.
    ///
    /// # Shapes
    /// - losses: `[B, R]`, those of the revisions of a query in a row
    /// - counts: `B` rows of `R`, how much feedback each revision has
    /// - outputs: `[1]` each
    ///
    /// # Panics
    /// When there is no loss, or there are not as many counts.
    pub fn forward(&self, losses: Tensor<2>, counts: &[Vec<usize>]) -> (Tensor<1>, Tensor<1>) {
        let [batch, revisions] = losses.dims();
        assert!(batch > 0 && revisions > 0, "a loss over losses needs at least one, got [{batch}, {revisions}]");
        assert!(
            counts.len() == batch && counts.iter().all(|row| row.len() == revisions),
            "there must be a count for each loss of [{batch}, {revisions}]"
        );
        let (mut more, mut less) = (Vec::new(), Vec::new());
        for (query, counts) in counts.iter().enumerate() {
            for (a, b) in (0..revisions).flat_map(|a| (0..revisions).map(move |b| (a, b))) {
                if counts[a] > counts[b] {
                    more.push((query * revisions + a) as i64);
                    less.push((query * revisions + b) as i64);
                }
            }
        }
        let mean = losses.clone().mean();
        if more.is_empty() {
            return (mean.clone(), mean.mul_scalar(0.0));
        }
        let device = losses.device();
        let flat = losses.reshape([batch * revisions]);
        let pick = |places: Vec<i64>| {
            let count = places.len();
            flat.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device))
        };
        let less = pick(less);
        let less = if self.detach_less { less.detach() } else { less };
        let regulariser = activation::relu((pick(more) - less).add_scalar(self.margin)).mean();
        (mean + regulariser.clone().mul_scalar(self.lambda), regulariser)
    }
}
