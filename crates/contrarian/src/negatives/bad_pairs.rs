use super::{HistoryWeighting, PairLossError, PairLossMemory};
use crate::InvalidParameter;
use crate::error::require;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{DType, Tensor};

/// Configuration of the [bad-pair miner](BadPairMiner).
#[derive(Config, Debug)]
pub struct BadPairMinerConfig {
    /// Epochs of the whole training, at least 1; read by the reference weighting only.
    #[config(default = 80)]
    pub max_epochs: usize,
    /// How many deviations below the centre a noisy pair lies, at least 0.
    #[config(default = 2.0)]
    pub cut_noisy: f64,
    /// How many deviations above the centre a faulty pair lies, at least 0.
    #[config(default = 3.0)]
    pub cut_faulty: f64,
    /// How the epochs of the history are weighed.
    #[config(default = "HistoryWeighting::Reference")]
    pub weighting: HistoryWeighting,
    /// Median and median absolute deviation in place of mean and standard deviation: one heavy tail then hides the other no
    /// more. Ours, not the paper's.
    #[config(default = false)]
    pub robust: bool,
}

impl BadPairMinerConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        require(self.max_epochs >= 1, "max_epochs", self.max_epochs, "at least 1")?;
        for (field, cut) in [("cut_noisy", self.cut_noisy), ("cut_faulty", self.cut_faulty)] {
            require(cut >= 0.0 && cut.is_finite(), field, cut, "finite and at least 0")?;
        }
        Ok(())
    }

    /// Builds the miner.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init(&self) -> BadPairMiner {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        BadPairMiner {
            max_epochs: self.max_epochs,
            cut_noisy: self.cut_noisy,
            cut_faulty: self.cut_faulty,
            weighting: self.weighting,
            robust: self.robust,
        }
    }
}

/// Which items have bad pairs, and by which law.
#[derive(Debug, Clone, PartialEq)]
pub struct BadPairs {
    /// Remembered loss `m` of every item.
    pub mean: Vec<f64>,
    /// Centre of the remembered losses.
    pub mu: f64,
    /// Their deviation.
    pub sigma: f64,
    /// Items whose loss is unusually low: their views agree on noise.
    pub noisy: Vec<bool>,
    /// Items whose loss is unusually high: a view has lost the signal.
    pub faulty: Vec<bool>,
}

impl BadPairs {
    /// Whether an item is noisy or faulty.
    ///
    /// # Panics
    /// When there is no such item.
    pub fn is_bad(&self, item: usize) -> bool {
        assert!(item < self.mean.len(), "item {item} is outside the memory of {} items", self.mean.len());
        self.noisy[item] || self.faulty[item]
    }
}

/// Flags training items whose remembered pair loss lies far from that of the others.
///
/// ```text
/// mu = mean_i m_i,   sigma^2 = mean_i (m_i - mu)^2
/// noisy_i:  m_i <= mu - cut_noisy sigma,         faulty_i:  m_i >= mu + cut_faulty sigma
/// ```
///
/// with `m` the weighted means of a [`PairLossMemory`]. Robust: `mu` is the median and `sigma` 1.4826 times the median of
/// `|m_i - mu|`. Where sigma is 0 nothing is flagged. Faulty pairs inflate sigma, so that with many of them no noisy pair is
/// found: that is what the robust form is for.
///
/// The defaults are the authors' settings for electrocardiograms; their script's own cuts are 2 and 2.
///
/// Source: Lan et al. 2023, <https://arxiv.org/abs/2302.03357>, section 4 (potential bad pairs), and the authors' code.
#[derive(Module, Debug)]
pub struct BadPairMiner {
    /// Epochs of the whole training.
    pub max_epochs: usize,
    /// Deviations below the centre of a noisy pair.
    pub cut_noisy: f64,
    /// Deviations above the centre of a faulty pair.
    pub cut_faulty: f64,
    /// How the epochs are weighed.
    #[module(skip)]
    pub weighting: HistoryWeighting,
    /// Whether median and absolute deviation are used.
    pub robust: bool,
}

impl BadPairMiner {
    /// An empty memory for `items` training items, which weighs epochs as this miner does.
    pub fn memory(&self, items: usize) -> PairLossMemory {
        PairLossMemory::new(items, self.max_epochs, self.weighting)
    }

    /// The bad pairs by what is remembered of every item. The memory's own weighting counts.
    ///
    /// # Errors
    /// When no epoch is finished, or there are no items.
    pub fn mine(&self, memory: &PairLossMemory) -> Result<BadPairs, PairLossError> {
        let mean = memory.mean()?;
        let (mu, sigma) = if self.robust { median_and_deviation(&mean) } else { mean_and_deviation(&mean) };
        let flag = |is_bad: &dyn Fn(f64) -> bool| mean.iter().map(|&m| sigma > 0.0 && is_bad(m)).collect();
        let noisy = flag(&|m| m <= mu - self.cut_noisy * sigma);
        let faulty = flag(&|m| m >= mu + self.cut_faulty * sigma);
        Ok(BadPairs { mean, mu, sigma, noisy, faulty })
    }

    /// The bad pairs by a whole history, read back and summed in f64.
    ///
    /// # Shapes
    /// - history: `[items, epochs]`, the losses of every item in every epoch so far
    ///
    /// # Errors
    /// When the history is empty, or a loss is not finite.
    pub fn mine_history(&self, history: Tensor<2>) -> Result<BadPairs, PairLossError> {
        let [items, epochs] = history.dims();
        let losses: Vec<f64> = history.into_data().convert_dtype(DType::F64).iter::<f64>().collect();
        let everyone: Vec<usize> = (0..items).collect();
        let mut memory = self.memory(items);
        for epoch in 0..epochs {
            let of_epoch: Vec<f64> = losses.iter().skip(epoch).step_by(epochs).copied().collect();
            memory.record(&everyone, &of_epoch)?;
            memory.finish_epoch()?;
        }
        self.mine(&memory)
    }
}

/// Mean and population deviation. Sums are of differences from the first value: equal values have deviation 0 exactly.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values[0] + values.iter().map(|v| v - values[0]).sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// The deviation of a normal law is this many times its median absolute deviation.
const NORMAL_DEVIATION: f64 = 1.4826;

fn median_and_deviation(values: &[f64]) -> (f64, f64) {
    let center = median(values.to_vec());
    (center, NORMAL_DEVIATION * median(values.iter().map(|v| (v - center).abs()).collect()))
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
}
