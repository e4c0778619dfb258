use super::{Masks, PruneError, Scope};
use burn::config::Config;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

/// Scores are read back on purpose: selection must break ties by index to be repeatable, and happens once a round.
fn read(scores: impl IntoIterator<Item = Tensor<1>>) -> Vec<Vec<f64>> {
    let numbers = |scores: Tensor<1>| {
        scores.into_data().convert_dtype(DType::F64).try_to_vec::<f64>().expect("float tensors convert to f64")
    };
    scores.into_iter().map(numbers).collect()
}

/// Removes the weights whose size grew least in training.
///
/// ```text
/// score = |w_trained| - |w_initial|
/// ```
///
/// The `floor(fraction * alive)` smallest scores go, ties by lowest index first.
///
/// Source: Entezari, Saukh 2019, <https://arxiv.org/abs/1909.10364>, section 3; the rule is from Zhou et al. 2019,
/// <https://arxiv.org/abs/1905.01067>.
#[derive(Config, Debug, Copy)]
pub struct MagnitudeIncrease {
    /// Part of the weights alive that is removed, in `[0, 1)`.
    #[config(default = 0.5)]
    pub fraction: f64,
    /// Among which weights the smallest scores are looked for.
    #[config(default = "Scope::PerLayer")]
    pub scope: Scope,
}

impl MagnitudeIncrease {
    /// The masks after removal. `initial` and `trained` are the masked model before and after training.
    ///
    /// # Errors
    /// See [`PruneError`].
    pub fn prune<M: Module>(&self, initial: &M, trained: &M, masks: &Masks) -> Result<Masks, PruneError> {
        let pairs = masks.parameters(initial)?.into_iter().zip(masks.parameters(trained)?);
        let scores = read(pairs.map(|(initial, trained)| trained.abs() - initial.abs()));
        masks.remove_smallest(&scores, self.fraction, self.scope)
    }
}

/// Removes the weights that are smallest after training: `score = |w_trained|`.
///
/// Source: Han et al. 2015, <https://arxiv.org/abs/1506.02626>; with rewinding, Frankle, Carbin 2018,
/// <https://arxiv.org/abs/1803.03635>.
#[derive(Config, Debug, Copy)]
pub struct MagnitudeFinal {
    /// Part of the weights alive that is removed, in `[0, 1)`.
    #[config(default = 0.5)]
    pub fraction: f64,
    /// Among which weights the smallest scores are looked for.
    #[config(default = "Scope::PerLayer")]
    pub scope: Scope,
}

impl MagnitudeFinal {
    /// The masks after removal.
    ///
    /// # Errors
    /// See [`PruneError`].
    pub fn prune<M: Module>(&self, trained: &M, masks: &Masks) -> Result<Masks, PruneError> {
        let scores = read(masks.parameters(trained)?.into_iter().map(Tensor::abs));
        masks.remove_smallest(&scores, self.fraction, self.scope)
    }
}

/// Removes weights at random: the control for every other rule.
#[derive(Config, Debug, Copy)]
pub struct Random {
    /// Part of the weights alive that is removed, in `[0, 1)`.
    #[config(default = 0.5)]
    pub fraction: f64,
    /// Whether every parameter loses the same share.
    #[config(default = "Scope::PerLayer")]
    pub scope: Scope,
}

impl Random {
    /// The masks after removal; draws come from `rng` alone.
    ///
    /// # Errors
    /// When `fraction` is not in `[0, 1)`.
    pub fn prune(&self, masks: &Masks, rng: &mut Xoshiro256PlusPlus) -> Result<Masks, PruneError> {
        let sizes: Vec<usize> = masks.iter().map(|(_, alive)| alive.len()).collect();
        let scores: Vec<Vec<f64>> = sizes.into_iter().map(|n| (0..n).map(|_| rng.random()).collect()).collect();
        masks.remove_smallest(&scores, self.fraction, self.scope)
    }
}

/// Removes the weights whose removal changes the loss least, to first order, before any training.
///
/// ```text
/// score = |w * dL/dw|        at the initial weights
/// ```
///
/// Source: Lee, Ajanthan, Torr 2018, "SNIP", <https://arxiv.org/abs/1810.02340>, equations 5 and 6.
#[derive(Config, Debug, Copy)]
pub struct Snip {
    /// Part of the weights alive that is removed, in `[0, 1)`.
    #[config(default = 0.5)]
    pub fraction: f64,
    /// Among which weights the smallest scores are looked for.
    #[config(default = "Scope::Global")]
    pub scope: Scope,
}

impl Snip {
    /// The masks after removal. `gradients` are those of the loss at `initial`.
    ///
    /// # Errors
    /// See [`PruneError`].
    pub fn prune<M: Module>(
        &self,
        initial: &M,
        gradients: &GradientsParams,
        masks: &Masks,
    ) -> Result<Masks, PruneError> {
        let pairs = masks.parameters(initial)?.into_iter().zip(masks.gradients(initial, gradients)?);
        let scores = read(pairs.map(|(weight, gradient)| (weight * gradient).abs()));
        masks.remove_smallest(&scores, self.fraction, self.scope)
    }
}
