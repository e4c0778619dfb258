use super::{NtXentLoss, NtXentLossConfig};
use crate::InvalidParameter;
use crate::negatives::{BadPairMiner, BadPairMinerConfig, BadPairs, PairLossError, PairLossMemory};
use crate::numerics::constant;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use std::f64::consts::TAU;

/// Configuration of [dynamic bad-pair mining](DynamicBadPairMining).
#[derive(Config, Debug)]
pub struct DynamicBadPairMiningConfig {
    /// Temperature, above 0.
    #[config(default = 0.2)]
    pub temperature: f64,
    /// Which pairs are bad.
    #[config(default = "BadPairMinerConfig::new()")]
    pub miner: BadPairMinerConfig,
    /// Epochs before pairs are weighted.
    #[config(default = 50)]
    pub warm_up: usize,
    /// Weights in `[0, 1]`: the density divided by its peak. Without it the weight is the density itself, as in the authors'
    /// code, which exceeds 1 where sigma is below 0.4.
    #[config(default = true)]
    pub peak_normalized: bool,
}

impl DynamicBadPairMiningConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        super::require_temperature(self.temperature)?;
        self.miner.validate()
    }

    /// Builds the objective.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> DynamicBadPairMining {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        DynamicBadPairMining {
            pairs: NtXentLossConfig::new().with_temperature(self.temperature).init(),
            miner: self.miner.init(),
            warm_up: self.warm_up,
            peak_normalized: self.peak_normalized,
        }
    }
}

/// NT-Xent by item, where items with bad pairs weigh less (DBPM).
///
/// ```text
/// loss = (1/n) sum_i w_i l_i,        w_i = 1                                                     if item i is not flagged
///                                    w_i = exp(-(l_i - mu)^2 / (2 sigma^2)) / (sigma sqrt(2 pi)) if it is
/// ```
///
/// with `l_i` the [pair loss](NtXentLoss::forward_by_item), and flags, `mu` and `sigma` from a [`BadPairMiner`]; peak-normalised
/// weights lack the last factor. The weights carry no gradient. The sum is divided by `n`, not by the weights.
///
/// With the reference weighting `mu` is smaller than the losses by the mean of `(v+1)/E`, so that `|l_i - mu|` is many sigma
/// and flagged pairs are dropped in effect; the normalised weighting keeps both on one scale.
///
/// The state is the caller's, a [`PairLossMemory`]:
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use contrarian::contrastive::DynamicBadPairMiningConfig;
///
/// let device = Device::flex().autodiff();
/// let objective = DynamicBadPairMiningConfig::new().with_warm_up(1).init();
/// let mut memory = objective.miner.memory(4);
/// for _epoch in 0..2 {
///     let bad = objective.mine(&memory)?; // None while warming up
///     for items in [[0, 1], [2, 3]] {
///         let views = [(); 2].map(|()| Tensor::<2>::random([2, 8], Distribution::Default, &device).require_grad());
///         let [first, second] = views;
///         let losses = objective.pair_losses(first, second);
///         memory.record(&items, &losses.clone().into_data().iter::<f64>().collect::<Vec<_>>())?;
///         let loss = objective.weighted(losses, &items, bad.as_ref()).mean();
///         loss.backward();
///     }
///     memory.finish_epoch()?;
/// }
/// # Ok::<(), contrarian::negatives::PairLossError>(())
/// ```
///
/// Source: Lan et al. 2023, <https://arxiv.org/abs/2302.03357>, section 4, and the authors' code.
#[derive(Module, Debug)]
pub struct DynamicBadPairMining {
    /// The loss of a pair.
    pub pairs: NtXentLoss,
    /// Which pairs are bad.
    pub miner: BadPairMiner,
    /// Epochs before pairs are weighted.
    pub warm_up: usize,
    /// Whether weights are divided by the peak of the density.
    pub peak_normalized: bool,
}

impl DynamicBadPairMining {
    /// The bad pairs of the epoch that begins; `None` while fewer than [`warm_up`](Self::warm_up) epochs are finished.
    ///
    /// # Errors
    /// As [`BadPairMiner::mine`].
    pub fn mine(&self, memory: &PairLossMemory) -> Result<Option<BadPairs>, PairLossError> {
        if memory.epochs() < self.warm_up.max(1) { Ok(None) } else { self.miner.mine(memory).map(Some) }
    }

    /// The loss of every item, to be recorded before it is weighted. Rows are scaled to length 1 first.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`, the two views of `n` items
    /// - output: `[n]`
    ///
    /// # Panics
    /// When the shapes differ or are empty.
    pub fn pair_losses(&self, first: Tensor<2>, second: Tensor<2>) -> Tensor<1> {
        self.pairs.forward_by_item(first, second)
    }

    /// The weights of a batch's items, without a gradient. Any loss by item may be given.
    ///
    /// # Shapes
    /// - pair_losses: `[n]`
    /// - items: `n` items of the memory
    /// - output: `[n]`
    ///
    /// # Panics
    /// When there are not as many losses as items, or an item is outside the memory.
    pub fn weights(&self, pair_losses: Tensor<1>, items: &[usize], bad: &BadPairs) -> Tensor<1> {
        let losses = pair_losses.detach();
        assert_eq!(losses.dims()[0], items.len(), "{} losses for {} items", losses.dims()[0], items.len());
        let is_bad: Vec<f64> = items.iter().map(|&item| f64::from(u8::from(bad.is_bad(item)))).collect();
        if is_bad.iter().all(|bad| *bad == 0.0) {
            return losses.ones_like();
        }
        let is_bad = constant(&is_bad, &losses).equal_scalar(1.0);
        let peak = if self.peak_normalized { 1.0 } else { 1.0 / (bad.sigma * TAU.sqrt()) };
        let distance = losses.sub_scalar(bad.mu).mul_scalar(1.0 / bad.sigma);
        let density = distance.square().mul_scalar(-0.5).exp().mul_scalar(peak);
        density.ones_like().mask_where(is_bad, density)
    }

    /// The losses of a batch's items times their weights; as they are without bad pairs (in the warm-up).
    ///
    /// # Shapes
    /// - pair_losses: `[n]`
    /// - items: `n` items of the memory
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`weights`](Self::weights).
    pub fn weighted(&self, pair_losses: Tensor<1>, items: &[usize], bad: Option<&BadPairs>) -> Tensor<1> {
        match bad {
            Some(bad) => self.weights(pair_losses.clone(), items, bad) * pair_losses,
            None => pair_losses,
        }
    }

    /// The weighted loss of every item.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - items: `n` items of the memory
    /// - output: `[n]`
    ///
    /// # Panics
    /// As [`pair_losses`](Self::pair_losses) and [`weights`](Self::weights).
    pub fn forward_no_reduction(
        &self,
        first: Tensor<2>,
        second: Tensor<2>,
        items: &[usize],
        bad: Option<&BadPairs>,
    ) -> Tensor<1> {
        self.weighted(self.pair_losses(first, second), items, bad)
    }

    /// The mean of [`forward_no_reduction`](Self::forward_no_reduction), `[1]`.
    ///
    /// # Shapes
    /// - first, second: `[n, dim]`
    /// - items: `n` items of the memory
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`forward_no_reduction`](Self::forward_no_reduction).
    pub fn forward(&self, first: Tensor<2>, second: Tensor<2>, items: &[usize], bad: Option<&BadPairs>) -> Tensor<1> {
        self.forward_no_reduction(first, second, items, bad).mean()
    }
}
