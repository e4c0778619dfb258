use crate::InvalidParameter;
use crate::classification::margin_shift_norm;
use crate::error::require;
use burn::config::Config;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// Which ball the attack stays in.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Every coordinate moves by at most epsilon.
    Infinity,
    /// Every row moves by at most epsilon in Euclidean length.
    Two,
}

/// Projected gradient ascent: the inner maximiser of adversarial training, for any objective.
///
/// ```text
/// x_0     = x + noise in the ball of radius start * epsilon
/// x_{t+1} = clamp( project( x_t + step * direction( grad objective(x_t) ) ) )
/// ```
///
/// with the sign of the gradient as direction in the infinity norm, and the gradient over its length in the 2-norm.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use contrarian::adversarial::PgdConfig;
/// use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
///
/// let x = Tensor::<2>::zeros([1, 2], &Device::flex());
/// let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
/// let moved = PgdConfig::new(0.1).perturb(x, |x| x.sum(), rng);
/// assert!((moved.sum().into_scalar::<f32>() - 0.2).abs() < 1e-6);
/// ```
///
/// Source: Madry et al. 2017, <https://arxiv.org/abs/1706.06083>, section 2.1.
#[derive(Config, Debug)]
pub struct PgdConfig {
    /// Radius of the ball, at least 0.
    pub epsilon: f64,
    /// Ascent steps.
    #[config(default = 10)]
    pub steps: usize,
    /// Length of a step, above 0; `None` is `2.5 epsilon / steps`.
    pub step_size: Option<f64>,
    /// Which ball.
    #[config(default = "Norm::Infinity")]
    pub norm: Norm,
    /// Smallest and largest legal input.
    pub clamp: Option<(f64, f64)>,
    /// Size of the random start, in `[0, 1]` times epsilon. An objective with gradient 0 at `x` itself, such as
    /// [`margin_shift`], needs one above 0.
    #[config(default = 0.1)]
    pub start: f64,
}

impl PgdConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.epsilon >= 0.0 && self.epsilon.is_finite(), "epsilon", self.epsilon, "finite and at least 0")?;
        require((0.0..=1.0).contains(&self.start), "start", self.start, "in [0, 1]")?;
        let step = self.step_size.unwrap_or(1.0);
        require(step > 0.0 && step.is_finite(), "step_size", step, "finite and above 0")?;
        let (low, high) = self.clamp.unwrap_or((0.0, 0.0));
        require(low <= high, "clamp", format!("({low}, {high})"), "a lower and an upper end")
    }

    /// The attacked inputs, without gradient history. `objective` maps inputs on an autodiff device to the scalar to
    /// raise; the random start comes from `rng`.
    ///
    /// # Shapes
    /// - x: `[batch, inputs]`
    /// - output: `[batch, inputs]`
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn perturb(
        &self,
        x: Tensor<2>,
        objective: impl Fn(Tensor<2>) -> Tensor<1>,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Tensor<2> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let x = x.without_autodiff();
        let step = self.step_size.unwrap_or(2.5 * self.epsilon / self.steps.max(1) as f64);
        let noise = uniform(x.dims(), self.start * self.epsilon, &x, rng);
        let mut moved = self.legal(self.project(noise) + x.clone());
        for _ in 0..self.steps {
            let leaf = moved.clone().autodiff().require_grad();
            let gradient = leaf.grad(&objective(leaf.clone()).backward());
            // An objective that ignores its input has no gradient; there is nowhere to go.
            let Some(gradient) = gradient else { break };
            let direction = match self.norm {
                Norm::Infinity => gradient.sign(),
                Norm::Two => gradient.clone() / row_lengths(gradient).clamp_min(f64::from(f32::MIN_POSITIVE)),
            };
            let shift = moved + direction.mul_scalar(step) - x.clone();
            moved = self.legal(self.project(shift) + x.clone());
        }
        moved
    }

    fn project(&self, shift: Tensor<2>) -> Tensor<2> {
        match self.norm {
            Norm::Infinity => shift.clamp(-self.epsilon, self.epsilon),
            Norm::Two => {
                let lengths = row_lengths(shift.clone()).clamp_min(f64::from(f32::MIN_POSITIVE));
                let factors = lengths.recip().mul_scalar(self.epsilon).clamp_max(1.0);
                shift * factors
            }
        }
    }

    fn legal(&self, x: Tensor<2>) -> Tensor<2> {
        match self.clamp {
            Some((low, high)) => x.clamp(low, high),
            None => x,
        }
    }
}

fn row_lengths(x: Tensor<2>) -> Tensor<2> {
    x.square().sum_dim(1).sqrt()
}

fn uniform([rows, columns]: [usize; 2], bound: f64, like: &Tensor<2>, rng: &mut Xoshiro256PlusPlus) -> Tensor<2> {
    let draws: Vec<f64> = (0..rows * columns).map(|_| rng.random_range(-1.0..=1.0) * bound).collect();
    let device: Device = like.device();
    Tensor::from_data(TensorData::new(draws, [rows, columns]).convert_dtype(like.dtype()), (&device, like.dtype()))
}

/// How far an attack moves the margins, summed over the batch: the inner objective of the
/// [smooth adversarial comp-sum loss](crate::classification::SmoothAdvCompSumLoss).
///
/// ```text
/// sum_i || Dbar_i(x') - Dbar_i(x) ||_2,        Dbar = margins h_y - h_j over j != y
/// ```
///
/// # Shapes
/// - clean: logits at the inputs, constant, `[batch, classes]`
/// - moved: logits at the attacked inputs, `[batch, classes]`
/// - labels: `[batch]`
/// - output: `[1]`
pub fn margin_shift(clean: Tensor<2>, moved: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    margin_shift_norm(clean, moved, labels).sum()
}

/// `KL( softmax(clean) || softmax(moved) )` of every example: the inner objective and the regulariser of TRADES.
///
/// ```text
/// loss = cross_entropy(h(x), y) + beta * mean_i KL( softmax(h(x_i)) || softmax(h(x_i')) )
/// ```
///
/// Gradient flows to both inputs.
///
/// # Shapes
/// - clean, moved: logits, `[batch, classes]`
/// - output: `[batch]`
///
/// Source: Zhang et al. 2019, <https://arxiv.org/abs/1901.08573>, equation 5.
pub fn kl_to_clean(clean: Tensor<2>, moved: Tensor<2>) -> Tensor<1> {
    let [batch, _] = clean.dims();
    let clean = activation::log_softmax(clean, 1);
    let moved = activation::log_softmax(moved, 1);
    (clean.clone().exp() * (clean - moved)).sum_dim(1).reshape([batch])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn x() -> Tensor<2> {
        Tensor::from_floats([[0.5, -1.0, 2.0], [3.0, 0.0, 1.0]], &Device::flex())
    }

    fn largest(x: Tensor<2>) -> f32 {
        x.max().into_scalar()
    }

    #[test]
    fn it_stays_in_the_ball_and_raises_the_objective() {
        let objective = |x: Tensor<2>| x.square().sum();
        for norm in [Norm::Infinity, Norm::Two] {
            let config = PgdConfig::new(0.3).with_norm(norm);
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
            let moved = config.perturb(x(), objective, rng);
            let shift = moved.clone() - x();
            let radius = match norm {
                Norm::Infinity => largest(shift.abs()),
                Norm::Two => largest(row_lengths(shift)),
            };
            assert!(radius <= 0.3 + 1e-5, "{norm:?}: {radius}");
            assert!(radius > 0.29, "the maximum lies on the boundary; {norm:?}: {radius}");
            assert!(objective(moved).into_scalar::<f32>() > objective(x()).into_scalar::<f32>());
        }
    }

    #[test]
    fn clamp_and_seed_are_respected() {
        let config = PgdConfig::new(0.5).with_clamp(Some((-1.0, 2.0)));
        let run = |seed| {
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
            let moved = config.perturb(x().clamp(-1.0, 2.0), |x| x.powi_scalar(3).sum(), rng);
            moved.into_data().try_to_vec::<f32>().unwrap()
        };
        assert!(run(1).iter().all(|v| (-1.0..=2.0).contains(v)));
        assert_eq!(run(1), run(1));
    }

    #[test]
    fn margin_shift_is_zero_without_a_shift_and_its_gradient_too() {
        let device = Device::flex().autodiff();
        let clean = Tensor::<2>::from_floats([[1.0, 2.0, 3.0]], &device);
        let moved = clean.clone().require_grad();
        let norm = margin_shift(clean, moved.clone(), Tensor::from_ints([1], &device));
        let gradient: Vec<f32> = moved.grad(&norm.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!((norm.into_scalar::<f32>(), gradient), (0.0, vec![0.0; 3]));
    }

    #[test]
    fn bad_parameters_are_named() {
        assert_eq!(PgdConfig::new(-1.0).validate().unwrap_err().field, "epsilon");
        assert_eq!(PgdConfig::new(1.0).with_clamp(Some((1.0, 0.0))).validate().unwrap_err().field, "clamp");
    }
}
