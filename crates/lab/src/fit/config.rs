use super::adam::OnePassAdam;
use burn::config::Config;
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, SgdConfig};
use burn::tensor::{Device, Tensor};
use contrarian::InvalidParameter;

/// Which optimiser takes the steps.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum OptimizerKind {
    /// Adam with PyTorch's defaults (beta .9 and .999, epsilon 1e-8).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov, Hutter 2017): the weights shrink by `rate x decay` beside the step.
    AdamW,
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum factor, 0 for none.
        momentum: f64,
        /// Nesterov's form of the momentum.
        nesterov: bool,
    },
}

/// How the learning rate changes from epoch to epoch.
#[derive(Config, Debug, Copy, PartialEq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Half a cosine from the learning rate to 0.
    Cosine,
    /// A tenth from half of the epochs on, a hundredth from three quarters on.
    Steps,
}

/// Budget and optimiser of a fit.
#[derive(Config, Debug)]
pub struct FitConfig {
    /// Optimiser.
    #[config(default = "OptimizerKind::Adam")]
    pub optimizer: OptimizerKind,
    /// Learning rate at the start.
    #[config(default = 1e-3)]
    pub learning_rate: f64,
    /// L2 penalty added to the gradient, as in PyTorch's `weight_decay`; decoupled from the gradient with AdamW.
    #[config(default = 0.0)]
    pub weight_decay: f64,
    /// Schedule of the learning rate.
    #[config(default = "Schedule::Constant")]
    pub schedule: Schedule,
    /// Rows a step.
    #[config(default = 32)]
    pub batch_size: usize,
    /// Most passes over the training set.
    #[config(default = 60)]
    pub epochs: usize,
    /// Epochs without a better validation score before stopping; `None` runs all epochs and keeps the last model.
    pub patience: Option<usize>,
    /// Draw every class equally often.
    #[config(default = false)]
    pub balanced: bool,
    /// Largest norm of the whole gradient; longer ones are scaled down.
    pub clip_norm: Option<f64>,
}

impl FitConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let positive = |field: &str, value: f64| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(InvalidParameter::new(field, value, "finite and above 0")),
        };
        positive("learning_rate", self.learning_rate)?;
        positive("batch_size", self.batch_size as f64)?;
        positive("epochs", self.epochs as f64)?;
        if let Some(norm) = self.clip_norm {
            positive("clip_norm", norm)?;
        }
        if let OptimizerKind::Sgd { momentum, .. } = self.optimizer
            && !(0.0..1.0).contains(&momentum)
        {
            return Err(InvalidParameter::new("momentum", momentum, "in [0, 1)"));
        }
        match self.weight_decay >= 0.0 && self.weight_decay.is_finite() {
            true => Ok(()),
            false => Err(InvalidParameter::new("weight_decay", self.weight_decay, "finite and at least 0")),
        }
    }

    /// Epochs and patience for a training set: 60 and 10, or as many as make 1800 and 300 steps. An epoch of a small table is
    /// a few steps only, and stopping after ten of them would judge objectives by how fast they start.
    pub fn budget_for(rows: usize, batch_size: usize) -> (usize, usize) {
        let steps = (rows / batch_size.max(1)).max(1);
        (60.max(1800usize.div_ceil(steps)), 10.max(300usize.div_ceil(steps)))
    }

    /// Learning rate of an epoch, counted from 0.
    pub fn learning_rate_at(&self, epoch: usize) -> f64 {
        let progress = epoch as f64 / self.epochs as f64;
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Schedule::Steps if progress < 0.5 => 1.0,
            Schedule::Steps if progress < 0.75 => 0.1,
            Schedule::Steps => 0.01,
        };
        self.learning_rate * factor
    }

    /// The training in words, `Adam 0.001, batch 32, at most 60 epochs`.
    pub fn describe(&self) -> String {
        let optimizer = match self.optimizer {
            OptimizerKind::Adam => "Adam".to_string(),
            OptimizerKind::AdamW => "AdamW".to_string(),
            OptimizerKind::Sgd { momentum, nesterov } => {
                format!("SGD (momentum {momentum}{})", if nesterov { ", Nesterov" } else { "" })
            }
        };
        let schedule = match self.schedule {
            Schedule::Constant => "",
            Schedule::Cosine => " with a cosine schedule",
            Schedule::Steps => " cut to a tenth twice",
        };
        let stop = match self.patience {
            Some(patience) => {
                format!("at most {} epochs, early stopping after {patience} without improvement", self.epochs)
            }
            None => format!("{} epochs", self.epochs),
        };
        let sampling = if self.balanced { ", class-balanced sampling" } else { "" };
        format!("{optimizer} {}{schedule}, batch {}, {stop}{sampling}", self.learning_rate, self.batch_size)
    }

    /// The optimiser, for all parameters alike. Add groups with [`ModuleOptimizer::with_group`] where some differ.
    pub fn optimizer(&self) -> ModuleOptimizer {
        self.optimizer_with_rates(&[])
    }

    /// The optimiser, with the learning rate of some groups of parameters multiplied by a factor.
    pub fn optimizer_with_rates(&self, groups: &[(ParamGroup, f64)]) -> ModuleOptimizer {
        let decay = self.weight_decay as f32;
        match self.optimizer {
            OptimizerKind::Adam => grouped(OnePassAdam::new(decay), groups),
            OptimizerKind::AdamW => grouped(OnePassAdam::decoupled(decay), groups),
            OptimizerKind::Sgd { momentum, nesterov } => {
                let momentum = (momentum > 0.0)
                    .then(|| MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov));
                let decay = (decay > 0.0).then(|| WeightDecayConfig::new(decay));
                grouped(SgdConfig::new().with_momentum(momentum).with_weight_decay(decay).build(), groups)
            }
        }
    }
}

fn grouped<O: Optimizer>(optimizer: O, groups: &[(ParamGroup, f64)]) -> ModuleOptimizer {
    groups.iter().fold(ModuleOptimizer::from(optimizer.clone()), |all, (group, factor)| {
        all.with_group(group.clone(), ScaledRate { optimizer: optimizer.clone(), factor: *factor }, None)
    })
}

/// An optimiser at a multiple of the loop's learning rate.
#[derive(Clone)]
struct ScaledRate<O> {
    optimizer: O,
    factor: f64,
}

impl<O: Optimizer> Optimizer for ScaledRate<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        self.optimizer.step(rate * self.factor, tensor, gradient, state)
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        O::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_the_rate_and_fall() {
        let config = FitConfig::new().with_learning_rate(2.0).with_epochs(20);
        assert_eq!(config.learning_rate_at(19), 2.0);
        let cosine = config.clone().with_schedule(Schedule::Cosine);
        assert_eq!(cosine.learning_rate_at(0), 2.0);
        assert!((cosine.learning_rate_at(10) - 1.0).abs() < 1e-12);
        let steps = config.with_schedule(Schedule::Steps);
        let rates = [0, 9, 10, 15].map(|epoch| steps.learning_rate_at(epoch));
        assert_eq!(rates, [2.0, 2.0, 0.2, 0.02]);
    }

    #[test]
    fn small_tables_get_as_many_steps_as_large_ones() {
        assert_eq!(FitConfig::budget_for(960, 32), (60, 10));
        assert_eq!(FitConfig::budget_for(90, 32), (900, 150));
        assert_eq!(FitConfig::budget_for(100_000, 32), (60, 10));
        assert_eq!(FitConfig::budget_for(3, 32), (1800, 300));
    }

    #[test]
    fn bad_values_are_named() {
        let error = FitConfig::new().with_learning_rate(f64::NAN).validate().unwrap_err();
        assert_eq!(error.field, "learning_rate");
        let sgd = OptimizerKind::Sgd { momentum: 1.0, nesterov: false };
        assert_eq!(FitConfig::new().with_optimizer(sgd).validate().unwrap_err().field, "momentum");
        assert!(FitConfig::new().validate().is_ok());
    }
}
