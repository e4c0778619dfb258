//! A network's way from the source to the target, and the measurements on it.

use super::Settings;
use crate::support::Measured;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::CroppedLossConfig;
use contrarian::diagnostics::linear_cka;
use contrarian_lab::data::series::{RecordingDomain, Recordings, band_powers};
use contrarian_lab::data::{Matrix, Sampler};
use contrarian_lab::embedding::linear_probe;
use contrarian_lab::fit::{Examples, FineTuning, FitConfig, OptimizerKind, Schedule, TrainingLoop};
use contrarian_lab::metrics::{ConfusionMatrix, recording_average};
use contrarian_lab::model::{Mode, SeriesNetwork, ShallowNetConfig, TcnConfig};

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Shallow,
    Tcn,
    /// Logistic regression on the logarithms of band powers.
    BandPowers,
}

/// Names of the alignments by stage; ShallowNet has three stages, the TCN five.
pub const STAGES: [&str; 5] = ["stage 1", "stage 2", "stage 3", "stage 4", "stage 5"];

/// The domains are the same for every seed: it is two hospitals that are compared, not two of many.
const SOURCE: (u64, f64, f64) = (1, 1.0, 0.0);
const TARGET: (u64, f64, f64) = (2, 1.6, 0.5);

/// The recordings of one seed.
struct Data {
    source: Recordings,
    source_test: Recordings,
    few: Recordings,
    many: Recordings,
    target_test: Recordings,
}

impl Data {
    fn new(s: &Settings, seed: u64) -> Self {
        let draw = |(matrix, gain, interference): (u64, f64, f64), count: usize, part: u64| {
            RecordingDomain::new(matrix, gain, interference).recordings(count, seed.wrapping_mul(8).wrapping_add(part))
        };
        let many = draw(TARGET, s.many.max(s.few), 2);
        Self {
            source: draw(SOURCE, s.source_recordings, 0),
            source_test: draw(SOURCE, s.source_test, 1),
            few: many.first(s.few),
            many: many.first(s.many),
            target_test: draw(TARGET, s.target_test, 3),
        }
    }
}

/// Everything that is measured of one network and seed.
///
/// # Errors
/// When a fit fails; the text says why.
pub fn measure(s: &Settings, kind: Kind, seed: u64) -> Result<Measured, String> {
    let data = Data::new(s, seed);
    let shape = data.source.shape;
    let device = Device::flex().autodiff();
    match kind {
        Kind::BandPowers => band_power_baseline(s, &data, seed),
        Kind::Shallow => {
            let config = ShallowNetConfig::new(shape.channels, shape.samples, 2)
                .with_filters_time(8)
                .with_filter_length(13)
                .with_filters_space(8)
                .with_pool(40)
                .with_stride(10)
                .with_dropout(0.3);
            transfer(s, &data, 2e-3, seed, |seed| config.init(&device, seed))
        }
        Kind::Tcn => {
            let config =
                TcnConfig::new(shape.channels, shape.samples, 2).with_filters(16).with_blocks(4).with_dropout(0.05);
            transfer(s, &data, 6e-3, seed, |seed| config.init(&device, seed))
        }
    }
}

/// Budget and optimiser of a training.
pub fn budget(s: &Settings, rate: f64, epochs: usize) -> FitConfig {
    FitConfig::new()
        .with_optimizer(OptimizerKind::AdamW)
        .with_learning_rate(rate)
        .with_weight_decay(5e-4)
        .with_schedule(Schedule::Cosine)
        .with_batch_size(s.batch_size)
        .with_epochs(epochs)
}

fn transfer<N: SeriesNetwork>(
    s: &Settings,
    data: &Data,
    rate: f64,
    seed: u64,
    init: impl Fn(u64) -> N,
) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let scratch = |set: &Recordings, epochs: usize| fit(init(seed), set, &budget(s, rate, epochs), seed, None);
    let source = scratch(&data.source, s.source_epochs)?;
    let mut measured = Measured::from([
        ("source", score(&source, &data.source_test)?),
        ("zero-shot", score(&source, &data.target_test)?),
    ]);
    let mut both = |network: &N, on_target: &'static str, on_source: &'static str| -> Result<(), String> {
        measured.insert(on_target, score(network, &data.target_test)?);
        measured.insert(on_source, score(network, &data.source_test)?);
        Ok(())
    };
    let tuned = |strategy: FineTuning, set: &Recordings, epochs: usize| {
        // From a trained network, at half the rate.
        fine_tune(&source, strategy, set, &budget(s, rate / 2.0, epochs), seed)
    };
    let few = tuned(FineTuning::AllLayers, &data.few, s.few_epochs)?;
    both(&few, "fine-tuned, few", "source after, few")?;
    if s.all_arms {
        let many = tuned(FineTuning::AllLayers, &data.many, s.many_epochs)?;
        both(&many, "fine-tuned, many", "source after, many")?;
        let head = tuned(FineTuning::HeadOnly, &data.few, s.few_epochs)?;
        both(&head, "head only", "source after head only")?;
        let rates = tuned(FineTuning::Discriminative { decay: s.decay }, &data.few, s.few_epochs)?;
        both(&rates, "discriminative rates", "source after discriminative rates")?;
        let together = scratch(&data.source.clone().with(&data.few), s.source_epochs)?;
        both(&together, "both sets together", "source after both sets together")?;
        measured.insert("scratch, many", score(&scratch(&data.many, s.many_epochs)?, &data.target_test)?);
    }
    measured.insert("scratch, few", score(&scratch(&data.few, s.few_epochs)?, &data.target_test)?);
    measured.extend(alignments(&source, &few, &data.target_test)?);
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// Trains a network on windows with the class of their recordings.
///
/// # Errors
/// When the fit fails; the text says why.
pub fn fit<N: SeriesNetwork>(
    network: N,
    set: &Recordings,
    config: &FitConfig,
    seed: u64,
    optimizer: Option<ModuleOptimizer>,
) -> Result<N, String> {
    let device = Device::flex().autodiff();
    let objective = CroppedLossConfig::new().init();
    let labels = set.window_labels();
    let step = |network: &N, rows: &[usize], mode: &mut Mode| {
        let x = set.shape.tensor(set.x.gather(rows), &device);
        let of_rows: Vec<i64> = rows.iter().map(|&row| labels[row] as i64).collect();
        let of_rows = Tensor::<1, Int>::from_data(TensorData::new(of_rows, [rows.len()]), &device.clone().inner());
        objective.forward(network.logits(x, mode), of_rows)
    };
    let sampler = match config.balanced {
        true => Sampler::Balanced { labels: &labels },
        false => Sampler::Shuffled { rows: set.x.rows },
    };
    let training = TrainingLoop { optimizer, ..TrainingLoop::new(config, sampler, seed) };
    training.run(network, step).map(|fitted| fitted.model).map_err(|error| error.to_string())
}

/// Trains on from a trained network.
///
/// # Errors
/// When the fit fails; the text says why.
pub fn fine_tune<N: SeriesNetwork>(
    source: &N,
    strategy: FineTuning,
    set: &Recordings,
    config: &FitConfig,
    seed: u64,
) -> Result<N, String> {
    let prepared = strategy.prepare(source.clone(), &source.groups(), config);
    let (network, optimizer) = prepared.map_err(|error| error.to_string())?;
    fit(network, set, config, seed, Some(optimizer))
}

/// Balanced accuracy by recording.
///
/// # Errors
/// When there is no recording.
pub fn score(network: &impl SeriesNetwork, set: &Recordings) -> Result<f64, String> {
    let windows = network.log_probabilities(&set.x, set.shape);
    let decided =
        recording_average(&windows, 2, &set.recordings, set.labels.len()).map_err(|error| error.to_string())?;
    let matrix = ConfusionMatrix::new(&set.labels, &decided.predictions, 2);
    matrix.balanced_accuracy().ok_or_else(|| "there is no test recording".into())
}

/// How alike the stages of two networks are, on the first window of every recording.
fn alignments<N: SeriesNetwork>(source: &N, tuned: &N, set: &Recordings) -> Result<Measured, String> {
    let firsts: Vec<usize> =
        (0..set.labels.len()).filter_map(|r| set.recordings.iter().position(|&of| of == r)).collect();
    let x = set.shape.tensor(set.x.gather(&firsts), &Device::flex());
    let stages = |network: &N| network.stages(x.clone(), &mut Mode::Inference);
    let pairs = STAGES.into_iter().zip(stages(source).into_iter().zip(stages(tuned)));
    pairs
        .map(|(name, (a, b))| {
            let found = linear_cka(a.flatten(1, 2), b.flatten(1, 2), true);
            Ok((name, found.map_err(|error| error.to_string())?))
        })
        .collect()
}

const BANDS: [(f64, f64); 4] = [(1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0)];

/// The non-deep reference. Accuracy is balanced accuracy here: every other test recording is pathological.
fn band_power_baseline(s: &Settings, data: &Data, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let [source, source_test, few, many, target_test] =
        [&data.source, &data.source_test, &data.few, &data.many, &data.target_test].map(|set| (features(set), set));
    let score = |train: &(Matrix, &Recordings), test: &(Matrix, &Recordings)| {
        let [train, test] = [train, test].map(|(x, set)| Examples { x, y: &set.labels });
        let found = linear_probe(train, test, 2, seed).map_err(|error| error.to_string())?;
        found.ok_or_else(|| "there is no test recording".to_string())
    };
    let mut measured = Measured::from([
        ("source", score(&source, &source_test)?),
        ("zero-shot", score(&source, &target_test)?),
        ("scratch, few", score(&few, &target_test)?),
    ]);
    if s.all_arms {
        measured.insert("scratch, many", score(&many, &target_test)?);
    }
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// Mean log band power of each channel over a recording's windows.
fn features(set: &Recordings) -> Matrix {
    let cols = set.shape.channels * BANDS.len();
    let mut sums = vec![0.0; set.labels.len() * cols];
    let mut windows = vec![0.0; set.labels.len()];
    for (row, &recording) in set.recordings.iter().enumerate() {
        windows[recording] += 1.0;
        let powers = set.x.row(row).chunks(set.shape.samples).flat_map(|c| band_powers(c, 64.0, &BANDS));
        sums[recording * cols..][..cols].iter_mut().zip(powers).for_each(|(sum, power)| *sum += power.max(1e-12).ln());
    }
    let data = sums.iter().enumerate().map(|(at, sum)| (sum / windows[at / cols]) as f32).collect();
    Matrix { rows: set.labels.len(), cols, data }
}
