use super::collect::{Collector, FitNumbers};
use super::curve::on_grid;
use super::{Comparison, ComparisonKind, DataSummary, Failure, Settings, control_name};
use crate::data::{DataError, Matrix, Preprocessor, Problem, Split, stratified_splits};
use crate::fit::{Examples, Fit, FitConfig, FitError, Fitted, Validation, objective_step, predict};
use crate::memory;
use crate::metrics::{self, Decision, Metric, Predictions, best_threshold, evaluate};
use crate::model::{Architecture, Network, NetworkConfig};
use crate::parallel;
use burn::tensor::Device;
use contrarian::registry::{ObjectiveSpec, RegistryError, TaskContext};
use contrarian::{InvalidParameter, LogitObjective};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What to compare and with which budget.
#[derive(Debug, Clone)]
pub struct CompareConfig {
    /// The objectives, each a row.
    pub objectives: Vec<ObjectiveSpec>,
    /// The row the others are tested against; added when it is not among the objectives.
    pub baseline: ObjectiveSpec,
    /// The metric to rank, test and stop early by.
    pub metric: Metric,
    /// Train/validation/test splits.
    pub splits: usize,
    /// Parts of the rows for training, validation and test.
    pub fractions: (f64, f64, f64),
    /// Seed of splits, weights and batches.
    pub seed: u64,
    /// The model.
    pub model: Architecture,
    /// Optimiser and budget.
    pub fit: FitConfig,
    /// Candidates of the search over learning rate and weight decay, the same for every objective; 0 or 1 is none.
    pub tune: usize,
    /// Fits side by side.
    pub threads: usize,
}

impl CompareConfig {
    /// The defaults of `contrarian compare` for these objectives.
    pub fn new(objectives: Vec<ObjectiveSpec>, metric: Metric) -> Self {
        Self {
            objectives,
            baseline: ObjectiveSpec { name: "cross-entropy".into(), parameters: Vec::new() },
            metric,
            splits: 10,
            fractions: (0.6, 0.2, 0.2),
            seed: 0,
            model: Architecture::Mlp { depth: 2, width: 64, dropout: 0.0 },
            fit: FitConfig::new().with_patience(Some(10)),
            tune: 0,
            threads: parallel::available_threads(),
        }
    }

    /// Checks everything that can be known before training.
    ///
    /// # Errors
    /// An unknown objective, one that is not for this problem, a setting out of range.
    pub fn check(&self, problem: &Problem) -> Result<(), CompareError> {
        self.fit.validate()?;
        self.model.network(problem.features.columns(), problem.features.image_shape(), problem.classes.len())?;
        let every_row: Vec<usize> = (0..problem.labels.len()).collect();
        for objective in self.rows() {
            let built = objective.build(&task(problem, &every_row))?;
            check_sampling(built.as_ref(), &objective, &self.fit)?;
        }
        Ok(())
    }

    /// The objectives with the baseline among them.
    fn rows(&self) -> Vec<ObjectiveSpec> {
        let mut rows = self.objectives.clone();
        if !rows.contains(&self.baseline) {
            rows.insert(0, self.baseline.clone());
        }
        rows
    }
}

/// Why a comparison could not start.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// An objective that does not exist, or not for this data.
    #[error(transparent)]
    Objective(#[from] RegistryError),
    /// The data cannot be split.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] InvalidParameter),
    /// Not one fit gave a result.
    #[error("no fit gave a result; the first failure was: {0}")]
    NothingFinished(String),
}

/// Runs the comparison: every objective on every split, the same model, budget and seeds.
///
/// `progress` is told of every finished fit (done, total). When `stop` is set the finished fits are reported and
/// [`Comparison::interrupted`] is true.
///
/// # Errors
/// Before any training: an unknown objective, data that cannot be split. After it: when no fit succeeded.
pub fn compare(
    problem: &Problem,
    config: &CompareConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<Comparison, CompareError> {
    let started = std::time::Instant::now();
    config.check(problem)?;
    let objectives = config.rows();
    let splits = stratified_splits(&problem.labels, config.splits, config.fractions, config.seed)?;
    // Split by split, so that an early stop leaves whole splits to compare.
    let jobs: Vec<(usize, usize)> =
        (0..splits.len()).flat_map(|split| (0..objectives.len()).map(move |objective| (split, objective))).collect();
    let candidates = candidates(config);
    let collector = Mutex::new(Collector::new(
        &objectives,
        config.metric.to_string(),
        config.metric.higher_is_better(),
        splits.len(),
    ));
    let done = AtomicUsize::new(0);
    parallel::map(&jobs, config.threads, stop, |&(split, objective)| {
        // Encoded anew for every fit: memory then holds one copy of the data a thread, however many splits there are.
        let data = Prepared::new(problem, &splits[split], config);
        let seed = config.seed.wrapping_add(split as u64);
        let outcome = run_one(&data, &objectives[objective], config, &candidates, seed, stop);
        let mut collector = collector.lock().expect("a fit panicked");
        match outcome {
            Ok(outcome) => collector.add(split, objective, numbers(&outcome, config.metric)),
            Err(FitError::Stopped) => {}
            Err(error) => collector.fail(split, objective, error.to_string()),
        }
        let finished = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(finished, jobs.len());
    });

    let collector = collector.into_inner().expect("a fit panicked");
    let sizes = (splits[0].train.len(), splits[0].test.len());
    let (results, failures) = collector.finish(&config.baseline, &control_name(&config.baseline), sizes);
    if results.is_empty() {
        let reason = failures.first().map_or("the run was stopped".into(), Failure::to_string);
        return Err(CompareError::NothingFinished(reason));
    }
    let encoder = Preprocessor::fit(&problem.features, &splits[0].train);
    let binary = problem.classes.len() == 2;
    Ok(Comparison {
        version: env!("CARGO_PKG_VERSION").into(),
        data: DataSummary::of(problem, &encoder),
        settings: Settings {
            kind: ComparisonKind::Classification,
            model: network(config, &encoder, problem.classes.len()).describe(),
            training: config.fit.describe(),
            splits: config.splits,
            seed: config.seed,
            metric: config.metric.to_string(),
            higher_is_better: config.metric.higher_is_better(),
            baseline: config.baseline.to_string(),
            control: binary.then(|| control_name(&config.baseline)),
            tune: config.tune,
        },
        spaces: Vec::new(),
        results,
        failures,
        interrupted: done.into_inner() < jobs.len() || stop.load(Ordering::Relaxed),
        seconds: started.elapsed().as_secs_f64(),
        threads: config.threads,
        peak_memory: memory::peak(),
    })
}

/// One split with its numbers: encoders and scales are fitted on the training part alone.
struct Prepared {
    train: (Matrix, Vec<usize>),
    validation: (Matrix, Vec<usize>),
    test: (Matrix, Vec<usize>),
    task: TaskContext,
    network: NetworkConfig,
}

impl Prepared {
    fn new(problem: &Problem, split: &Split, config: &CompareConfig) -> Self {
        let encoder = Preprocessor::fit(&problem.features, &split.train);
        let part = |rows: &[usize]| {
            (encoder.transform(&problem.features, rows), rows.iter().map(|&row| problem.labels[row]).collect())
        };
        Self {
            train: part(&split.train),
            validation: part(&split.validation),
            test: part(&split.test),
            task: task(problem, &split.train),
            network: network(config, &encoder, problem.classes.len()),
        }
    }
}

/// Refuses class-balanced sampling for an objective that cannot see an example twice in a batch.
pub(crate) fn check_sampling(
    objective: &dyn LogitObjective,
    spec: &ObjectiveSpec,
    fit: &FitConfig,
) -> Result<(), InvalidParameter> {
    match fit.balanced && objective.needs_distinct_examples() {
        true => Err(InvalidParameter::new(
            "balanced",
            true,
            format!("off for {spec}, which keeps a state for every example"),
        )),
        false => Ok(()),
    }
}

fn task(problem: &Problem, rows: &[usize]) -> TaskContext {
    let mut class_counts = vec![0; problem.classes.len()];
    for &row in rows {
        class_counts[problem.labels[row]] += 1;
    }
    TaskContext { class_counts }
}

fn network(config: &CompareConfig, encoder: &Preprocessor, classes: usize) -> NetworkConfig {
    let network = config.model.network(encoder.inputs(), encoder.image_shape(), classes);
    network.expect("the model was checked before the run")
}

/// A fit and what it says of the test rows.
struct Outcome {
    test: Predictions,
    /// Threshold chosen on validation (two classes).
    threshold: Option<f64>,
    fitted: Fitted<Network>,
    /// What the search chose.
    chosen: Option<String>,
}

fn numbers(outcome: &Outcome, metric: Metric) -> FitNumbers {
    let test = &outcome.test;
    let asked = (!Metric::REPORTED.contains(&metric)).then_some(metric);
    let at = |decision: Decision| {
        let all = Metric::REPORTED.into_iter().chain(asked);
        all.filter_map(|metric| Some((metric.to_string(), evaluate(metric, test, decision)?))).collect()
    };
    FitNumbers {
        metrics: at(Decision::Argmax),
        at_tuned: outcome.threshold.map(|t| at(Decision::Threshold(t))).unwrap_or_default(),
        seconds: outcome.fitted.seconds,
        steps: outcome.fitted.steps,
        chosen: outcome.chosen.clone(),
        learning: outcome.fitted.train_loss.iter().copied().zip(outcome.fitted.validation.clone()).collect(),
        roc: on_grid(test, metrics::roc_curve),
        precision_recall: on_grid(test, metrics::precision_recall_curve),
        calibration: metrics::calibration_bins(test),
    }
}

/// Learning rate and weight decay of each candidate. The first is the configured one; the others are drawn once and are
/// the same for every objective and split.
fn candidates(config: &CompareConfig) -> Vec<FitConfig> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(config.seed ^ 0x7475_6e65);
    let mut candidates = vec![config.fit.clone()];
    for _ in 1..config.tune {
        let rate = 10f64.powf(rng.random_range(-3.5..-1.5));
        let decay = 10f64.powf(rng.random_range(-6.0..-2.0));
        candidates.push(config.fit.clone().with_learning_rate(rate).with_weight_decay(decay));
    }
    candidates
}

fn run_one(
    data: &Prepared,
    objective: &ObjectiveSpec,
    config: &CompareConfig,
    candidates: &[FitConfig],
    seed: u64,
    stop: &AtomicBool,
) -> Result<Outcome, FitError> {
    let classes = data.task.class_counts.len();
    let objective = objective.build(&data.task).expect("objectives were built once before the run");
    let predictions =
        |probabilities: Vec<f64>, labels: &[usize]| Predictions { probabilities, classes, labels: labels.to_vec() };
    let score = |probabilities: &[f64]| {
        let value =
            evaluate(config.metric, &predictions(probabilities.to_vec(), &data.validation.1), Decision::Argmax)?;
        Some(if config.metric.higher_is_better() { value } else { -value })
    };
    let mut best: Option<(f64, Fitted<Network>, &FitConfig)> = None;
    let mut failure = FitError::Stopped;
    for candidate in candidates {
        let model = data.network.init(&Device::flex().autodiff(), seed);
        let mut state = objective.initial_state(data.train.1.len(), seed);
        let fit = Fit {
            train: Examples { x: &data.train.0, y: &data.train.1 },
            config: candidate,
            seed,
            validation: Some(Validation { x: &data.validation.0, score: &score }),
            stop: Some(stop),
        };
        match fit.run(model, objective_step(objective.as_ref(), &mut state)) {
            Ok(fitted) => {
                let reached = fitted.validation.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
                if best.as_ref().is_none_or(|(so_far, ..)| reached > *so_far) {
                    best = Some((reached, fitted, candidate));
                }
            }
            Err(FitError::Stopped) => return Err(FitError::Stopped),
            Err(error) => failure = error,
        }
    }
    let (_, fitted, candidate) = best.ok_or(failure)?;
    let validation = predictions(predict(&fitted.model, &data.validation.0), &data.validation.1);
    Ok(Outcome {
        test: predictions(predict(&fitted.model, &data.test.0), &data.test.1),
        threshold: (classes == 2).then(|| best_threshold(config.metric, &validation)),
        chosen: (candidates.len() > 1).then(|| {
            format!("learning rate {:.2e}, weight decay {:.1e}", candidate.learning_rate, candidate.weight_decay)
        }),
        fitted,
    })
}
