//! One training from two views, with what is known of its pairs epoch by epoch.

use super::data::{Corrupted, fill_with_noise};
use crate::support::{Measured, mean};
use burn::tensor::{Device, Tensor};
use contrarian::contrastive::DynamicBadPairMining;
use contrarian::negatives::{BadPairs, PairLossError, PairLossMemory};
use contrarian_lab::augment::{Augmentation, SeriesAugmentation, SeriesChange};
use contrarian_lab::data::{Matrix, Sampler};
use contrarian_lab::embedding::{knn_accuracy, linear_probe};
use contrarian_lab::fit::{Examples, FitConfig, Hooks, TrainingLoop};
use contrarian_lab::metrics::{Distance, roc_auc};
use contrarian_lab::model::{Mode, SeriesEncoder, SeriesEncoderConfig};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use std::cell::RefCell;

/// Where the weights of pairs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// All weigh the same.
    One,
    /// The density at the pair's loss, where the memory flags it.
    Mined,
    /// The same with median and absolute deviation.
    Robust,
    /// The same by the losses of the last epoch alone.
    LastEpoch,
    /// 0 where the memory flags it.
    Dropped,
    /// 0 where the item is known to be spoiled.
    Known,
}

/// Trains an encoder and measures what was known of its pairs, and what its features are worth.
///
/// # Errors
/// When the fit fails; the text says why.
pub fn measure(
    problem: &Corrupted,
    objective: &DynamicBadPairMining,
    weights: Weights,
    config: &FitConfig,
    seed: u64,
) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let state = RefCell::new(State::new(problem, objective, weights));
    let device = Device::flex().autodiff();
    let encoder = SeriesEncoderConfig::new(problem.shape.channels).init(&device, seed);
    let views = Views::new(problem);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(0xface));
    let step = |encoder: &SeriesEncoder, rows: &[usize], _: &mut Mode| {
        let [first, second] = views.draw(rows, &mut rng).map(|view| problem.shape.tensor(view, &device));
        let [first, second] = encoder.project_views(first, second);
        let losses = objective.pair_losses(first, second);
        state.borrow_mut().record(rows, &losses);
        state.borrow().weighted(losses, rows).mean()
    };
    let sampler = Sampler::Shuffled { rows: problem.train.rows };
    let training = TrainingLoop::new(config, sampler, seed);
    let fitted = training.run_with(encoder, step, &mut EndOfEpoch(&state)).map_err(|error| error.to_string())?;
    let seconds = started.elapsed().as_secs_f64();

    let mut measured = state.into_inner().measured()?;
    let embed = |x: &Matrix| fitted.model.embed(x, problem.shape);
    let (probe, test) = (embed(&problem.probe.x), embed(&problem.test.x));
    let (probe, test) = (Examples { x: &probe, y: &problem.probe.y }, Examples { x: &test, y: &problem.test.y });
    let linear = linear_probe(probe, test, problem.probe.classes, seed).map_err(|error| error.to_string())?;
    let neighbours = knn_accuracy(probe, test, 5, Distance::Cosine);
    measured.insert("linear probe", linear.ok_or("there are no test series")?);
    measured.insert("5-NN", neighbours.ok_or("there are no test series")?);
    measured.insert("seconds", seconds);
    Ok(measured)
}

/// The weak and the strong view.
struct Views<'a> {
    problem: &'a Corrupted,
    weak: SeriesAugmentation,
    strong: SeriesAugmentation,
}

impl<'a> Views<'a> {
    fn new(problem: &'a Corrupted) -> Self {
        let shape = problem.shape;
        let weak = SeriesAugmentation::new(shape).then(1.0, SeriesChange::ChannelScaling { deviation: 0.3 });
        let strong = SeriesAugmentation::new(shape)
            .then(0.5, SeriesChange::EqualSegments { pieces: 4 })
            .then(1.0, SeriesChange::Jitter { deviation: 0.4 });
        Self { problem, weak, strong }
    }

    fn draw(&self, rows: &[usize], rng: &mut Xoshiro256PlusPlus) -> [Matrix; 2] {
        let weak = self.weak.view(&self.problem.train, rows, rng);
        let mut strong = self.strong.view(&self.problem.train, rows, rng);
        for (at, _) in rows.iter().enumerate().filter(|(_, row)| self.problem.faulty[**row]) {
            fill_with_noise(&mut strong.data[at * strong.cols..][..strong.cols], rng);
        }
        [weak, strong]
    }
}

/// What a training carries from epoch to epoch.
struct State<'a> {
    problem: &'a Corrupted,
    objective: &'a DynamicBadPairMining,
    weights: Weights,
    memory: PairLossMemory,
    /// A memory of the running epoch alone.
    last: PairLossMemory,
    bad: Option<BadPairs>,
    /// Numbers of every epoch from the end of the warm-up on.
    by_epoch: Vec<(&'static str, f64)>,
    failure: Option<PairLossError>,
}

impl<'a> State<'a> {
    fn new(problem: &'a Corrupted, objective: &'a DynamicBadPairMining, weights: Weights) -> Self {
        let memory = objective.miner.memory(problem.train.rows);
        let last = memory.clone();
        Self { problem, objective, weights, memory, last, bad: None, by_epoch: Vec::new(), failure: None }
    }

    fn record(&mut self, rows: &[usize], losses: &Tensor<1>) {
        // The memory is on the host: this is the one place where a step reads back.
        let losses: Vec<f64> = losses.clone().into_data().iter::<f64>().collect();
        let recorded = self.memory.record(rows, &losses).and_then(|()| self.last.record(rows, &losses));
        self.failure = self.failure.take().or(recorded.err());
    }

    fn weighted(&self, losses: Tensor<1>, rows: &[usize]) -> Tensor<1> {
        let drop = |is_bad: &dyn Fn(usize) -> bool| {
            let keep: Vec<f32> = rows.iter().map(|&row| f32::from(u8::from(!is_bad(row)))).collect();
            losses.clone() * Tensor::<1>::from_floats(keep.as_slice(), &losses.device())
        };
        match (self.weights, &self.bad) {
            (Weights::Known, Some(_)) => drop(&|row| self.problem.noisy[row] || self.problem.faulty[row]),
            (Weights::Dropped, Some(bad)) => drop(&|row| bad.is_bad(row)),
            (Weights::Mined | Weights::Robust | Weights::LastEpoch, Some(bad)) => {
                self.objective.weighted(losses, rows, Some(bad))
            }
            (Weights::One, _) | (_, None) => losses,
        }
    }

    fn finish_epoch(&mut self) -> Result<(), PairLossError> {
        self.memory.finish_epoch()?;
        self.last.finish_epoch()?;
        let mined = self.objective.mine(&self.memory)?;
        if let Some(mined) = mined {
            let last = self.objective.miner.mine(&self.last)?;
            self.note(&mined, &MEMORY);
            self.note(&last, &LAST_EPOCH);
            self.bad = Some(if self.weights == Weights::LastEpoch { last } else { mined });
        }
        self.last = self.objective.miner.memory(self.problem.train.rows);
        Ok(())
    }

    fn note(&mut self, found: &BadPairs, names: &Names) {
        let low: Vec<f64> = found.mean.iter().map(|loss| -loss).collect();
        let kinds = [
            (&low, &found.noisy, &self.problem.noisy, &names.noisy),
            (&found.mean, &found.faulty, &self.problem.faulty, &names.faulty),
        ];
        for (scores, flags, truth, [auroc, precision, recall]) in kinds {
            let hits = flags.iter().zip(truth).filter(|(flag, truth)| **flag && **truth).count() as f64;
            let count = |of: &[bool]| of.iter().filter(|flag| **flag).count() as f64;
            self.by_epoch.extend(roc_auc(scores, truth).map(|area| (*auroc, area)));
            self.by_epoch.push((recall, hits / count(truth)));
            if count(flags) > 0.0 {
                self.by_epoch.push((precision, hits / count(flags)));
            }
        }
    }

    /// Means over the epochs. Precision is 0 where nothing was ever flagged: silence is no precision.
    fn measured(self) -> Result<Measured, String> {
        if let Some(failure) = self.failure {
            return Err(failure.to_string());
        }
        let names = [MEMORY.noisy, MEMORY.faulty, LAST_EPOCH.noisy, LAST_EPOCH.faulty];
        let average = |name: &'static str| {
            let values: Vec<f64> = self.by_epoch.iter().filter(|(n, _)| *n == name).map(|(_, v)| *v).collect();
            (name, if values.is_empty() { 0.0 } else { mean(&values) })
        };
        Ok(names.into_iter().flatten().map(average).collect())
    }
}

/// Names of area, precision and recall by kind of bad pair.
struct Names {
    noisy: [&'static str; 3],
    faulty: [&'static str; 3],
}

const MEMORY: Names = Names {
    noisy: ["noisy AUROC, memory", "noisy precision, memory", "noisy recall, memory"],
    faulty: ["faulty AUROC, memory", "faulty precision, memory", "faulty recall, memory"],
};

const LAST_EPOCH: Names = Names {
    noisy: ["noisy AUROC, last epoch", "noisy precision, last epoch", "noisy recall, last epoch"],
    faulty: ["faulty AUROC, last epoch", "faulty precision, last epoch", "faulty recall, last epoch"],
};

struct EndOfEpoch<'s, 'a>(&'s RefCell<State<'a>>);

impl Hooks<SeriesEncoder> for EndOfEpoch<'_, '_> {
    fn after_epoch(&mut self, _: usize, _: &SeriesEncoder) -> Option<f64> {
        let mut state = self.0.borrow_mut();
        let finished = state.finish_epoch();
        state.failure = state.failure.take().or(finished.err());
        None
    }
}
