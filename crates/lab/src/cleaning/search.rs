use super::effect::{self, Effect};
use super::evidence::{self, Evidence};
use super::{Cleaning, CleaningBudget, CleaningModel, IntrinsicCleaner, Suspect, folds};
use crate::data::{DataError, Dataset, Features, Problem};
use crate::fit::FitError;
use crate::parallel;
use contrarian::InvalidParameter;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How to look for wrong labels.
#[derive(Debug, Clone)]
pub struct CleanConfig {
    /// The class "none of the others", if the data has one: only its rows are then suspected.
    pub negative_class: Option<usize>,
    /// Neighbours, at least 1.
    pub k: usize,
    /// Folds of the cross-fit, at least 2.
    pub folds: usize,
    /// Splits of the control; 0 leaves it out.
    pub splits: usize,
    /// Seed of folds, splits, weights and batches.
    pub seed: u64,
    /// How models are trained.
    pub budget: CleaningBudget,
    /// Fits side by side.
    pub threads: usize,
}

impl CleanConfig {
    /// The defaults of `contrarian clean`.
    pub fn new() -> Self {
        Self {
            negative_class: None,
            k: 5,
            folds: 3,
            splits: 10,
            seed: 0,
            budget: CleaningBudget::new(),
            threads: parallel::available_threads(),
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn check(&self) -> Result<(), InvalidParameter> {
        IntrinsicCleaner::new().with_k(self.k).validate()?;
        self.budget.validate()
    }
}

impl Default for CleanConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// By which rule rows become suspects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Neither the model nor most neighbours would give the label.
    Agreement,
    /// Negatives beside positives that the model takes for negatives.
    Intrinsic,
    /// Most of the trusted neighbours have another label.
    Extrinsic,
}

/// Rows whose labels are known to be right, with the columns and classes of the problem.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// Their features, as those of the problem.
    pub features: Features,
    /// Their classes; not empty.
    pub labels: Vec<usize>,
}

/// Why no suspects could be sought.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// A setting is out of range.
    #[error(transparent)]
    Setting(#[from] InvalidParameter),
    /// The data cannot be split.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Training failed.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Every training row of a split would have to go.
    #[error("every training row of a split is a suspect; the columns may say nothing about the target")]
    NothingLeft,
}

impl CleanError {
    fn is_stop(&self) -> bool {
        matches!(self, Self::Fit(FitError::Stopped))
    }
}

/// What every fit needs to know.
pub(super) struct Work<'a> {
    pub problem: &'a Problem,
    pub trusted: Option<Trusted>,
    pub config: &'a CleanConfig,
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(usize, usize) + Sync),
    done: AtomicUsize,
}

impl Work<'_> {
    /// One fit, told to whoever watches.
    pub fn train(&self, data: &Dataset, seed: u64) -> Result<CleaningModel, FitError> {
        let model = self.config.budget.train(data, seed, Some(self.stop))?;
        // A split has its folds and three models to compare.
        let all = self.config.folds + self.config.splits * (self.config.folds + 3);
        (self.progress)(self.done.fetch_add(1, Ordering::Relaxed) + 1, all);
        Ok(model)
    }

    fn run<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, CleanError> + Sync,
    ) -> Result<Vec<R>, CleanError> {
        let results = parallel::map(items, self.config.threads, self.stop, work);
        let stopped = |result: &Result<R, CleanError>| matches!(result, Err(error) if error.is_stop());
        results.into_iter().flatten().filter(|result| !stopped(result)).collect()
    }
}

/// Looks for rows whose label is likely wrong, and measures whether training without them helps.
///
/// Each row is judged by a model that was trained without it, on `folds - 1` parts of the data, and by its neighbours in that
/// model's embedding. The control repeats the search within the training part of each of `splits` splits and compares models
/// trained on all of it, without the suspects, and without as many random rows of the same labels.
///
/// `numbers` are the rows' numbers where they come from, which suspects are named by. `progress` is told of every finished fit
/// (done, total). When `stop` is set, what is finished is given and [`Cleaning::interrupted`] is true.
///
/// # Errors
/// A setting out of range, data that cannot be split into folds, or a fit that fails. Where only the control fails, the suspects
/// are given with the reason.
///
/// # Panics
/// When there is not a number for each row, or trusted rows are none or have other columns than the problem.
pub fn find_suspects(
    problem: &Problem,
    numbers: &[usize],
    trusted: Option<Trusted>,
    config: &CleanConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<Cleaning, CleanError> {
    config.check()?;
    assert_eq!(numbers.len(), problem.labels.len(), "a number for each row");
    let strategy = match (&trusted, config.negative_class) {
        (Some(_), _) => Strategy::Extrinsic,
        (None, Some(_)) => Strategy::Intrinsic,
        (None, None) => Strategy::Agreement,
    };
    let work = Work { problem, trusted, config, stop, progress, done: AtomicUsize::new(0) };
    let parts = folds(&problem.labels, config.folds, config.seed)?;
    let order: Vec<usize> = (0..parts.len()).collect();
    let found = work.run(&order, |&fold| {
        let held_out = &parts[fold];
        let train: Vec<usize> = (0..problem.labels.len()).filter(|row| held_out.binary_search(row).is_err()).collect();
        let seed = config.seed.wrapping_add(1000 * (1 + fold as u64));
        Ok(evidence::of_fold(&work, &train, held_out, seed)?)
    })?;
    let view = found
        .first()
        .map(|(evidence, embeddings)| (embeddings.clone(), evidence.iter().map(|evidence| evidence.suspect).collect()));
    let mut evidence: Vec<Evidence> = found.into_iter().flat_map(|(evidence, _)| evidence).collect();
    let checked = evidence.len();
    evidence.retain(|evidence| evidence.suspect);
    evidence.sort_by(|a, b| b.against().total_cmp(&a.against()).then(a.row.cmp(&b.row)));
    let class = |label: usize| problem.classes[label].clone();
    let suspect = |evidence: &Evidence| Suspect {
        row: numbers[evidence.row],
        given: class(evidence.given),
        suggested: class(evidence.suggested),
        probability: evidence.probability,
        agreeing: evidence.agreeing,
        evidence: evidence.against(),
    };

    let splits: Vec<usize> = (0..config.splits).collect();
    let (effect, no_effect) = match work.run(&splits, |&split| effect::of_split(&work, split)) {
        Ok(scores) if scores.is_empty() => (None, None),
        Ok(scores) => (Some(Effect::new(scores, problem.labels.len())), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(Cleaning {
        data: problem.name.clone(),
        target: problem.target.clone(),
        classes: problem.classes.clone(),
        rows: problem.labels.len(),
        checked,
        strategy,
        negative_class: config.negative_class.map(class),
        k: config.k,
        folds: config.folds,
        suspects: evidence.iter().map(suspect).collect(),
        effect,
        no_effect,
        interrupted,
        view,
    })
}
