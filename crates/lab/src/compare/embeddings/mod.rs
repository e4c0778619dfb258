//! The comparison of objectives over embeddings.

mod problem;
#[cfg(test)]
mod tests;
mod training;

pub use problem::EmbeddingProblem;

use super::collect::{Fits, Gathered};
use super::{ClassCount, CompareError, Comparison, ComparisonKind, DataSummary, Settings};
use crate::augment::Augmentation;
use crate::data::{DataError, Matrix, Split, class_splits, stratified_splits};
use crate::embedding::{self, EmbeddingMetric};
use crate::fit::FitConfig;
use crate::model::Architecture;
use crate::report::SpacePicture;
use crate::{memory, parallel};
use contrarian::InvalidParameter;
use contrarian::registry::{EMBEDDING_OBJECTIVES, ObjectiveSpec};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use training::run_one;

/// Name of the honest control's row: the vectors as they came.
pub const NO_TRAINING: &str = "no training";

/// What is held out to judge embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldOut {
    /// Rows of every class.
    Rows,
    /// Whole classes: the space must hold for what training has never seen.
    Classes,
}

/// From this many classes on whole classes are held out by default.
const MANY_CLASSES: usize = 20;

/// Fewest steps of a fit by default: a step of a projection is cheap, one of a network over two views of images is not.
const STEPS: usize = 600;
const STEPS_OF_VIEWS: usize = 150;
/// Fewest steps without a better score before a fit stops.
const PATIENCE_STEPS: usize = 120;

/// What to compare and with which budget.
#[derive(Clone)]
pub struct EmbeddingCompareConfig<'a> {
    /// The objectives, each a row.
    pub objectives: Vec<ObjectiveSpec>,
    /// The row the others are tested against; added when it is not among the objectives.
    pub baseline: ObjectiveSpec,
    /// The metric to rank, test and stop early by; one for which higher is better.
    pub metric: EmbeddingMetric,
    /// Train/validation/test splits.
    pub splits: usize,
    /// Parts of the rows or classes for training, validation and test.
    pub fractions: (f64, f64, f64),
    /// What is held out.
    pub hold_out: HoldOut,
    /// Seed of splits, weights and batches.
    pub seed: u64,
    /// The network whose outputs are the embedding.
    pub model: Architecture,
    /// Numbers of the embedding.
    pub dim: usize,
    /// Optimiser and budget.
    pub fit: FitConfig,
    /// Random views: training then sees two views of each row and no labels. Without them it sees labels.
    pub views: Option<&'a dyn Augmentation>,
    /// Fits side by side.
    pub threads: usize,
}

impl<'a> EmbeddingCompareConfig<'a> {
    /// The defaults of `contrarian compare` for this problem: every objective that fits, MAP@R, ten splits, classes held out
    /// where there are many.
    pub fn new(problem: &EmbeddingProblem, views: Option<&'a dyn Augmentation>) -> Self {
        let spec = |name: &str| ObjectiveSpec { name: name.into(), parameters: Vec::new() };
        let fits = |spec: &ObjectiveSpec| {
            spec.build_embedding().is_ok_and(|task| views.is_none() || !task.needs_class_weights())
        };
        let many = problem.classes.len() >= MANY_CLASSES;
        Self {
            objectives: EMBEDDING_OBJECTIVES.iter().map(|entry| spec(entry.name)).filter(fits).collect(),
            baseline: spec(if views.is_some() { "info-nce" } else { "triplet" }),
            metric: EmbeddingMetric::MapAtR,
            splits: 10,
            fractions: (0.6, 0.2, 0.2),
            hold_out: if many { HoldOut::Classes } else { HoldOut::Rows },
            seed: 0,
            // A projection of vectors is linear unless layers are asked for.
            model: match problem.images {
                Some(_) => Architecture::Cnn,
                None => Architecture::Mlp { depth: 0, width: 64, dropout: 0.0 },
            },
            dim: 64,
            fit: FitConfig::new().with_batch_size(128),
            views,
            threads: parallel::available_threads(),
        }
    }

    /// Epochs and patience for batches of this size: 20 and 5, or as many as make the fewest steps.
    pub fn budget_for(&self, problem: &EmbeddingProblem, batch_size: usize) -> (usize, usize) {
        let rows = (problem.labels.len() as f64 * self.fractions.0) as usize;
        let steps = (rows / batch_size.max(1)).max(1);
        let fewest = if self.views.is_some() { STEPS_OF_VIEWS } else { STEPS };
        (fewest.div_ceil(steps).max(20), PATIENCE_STEPS.div_ceil(steps).max(5))
    }

    /// The objectives, with the baseline among them and the control last.
    fn rows(&self) -> Vec<ObjectiveSpec> {
        let mut rows = self.objectives.clone();
        if !rows.contains(&self.baseline) {
            rows.insert(0, self.baseline.clone());
        }
        rows.push(ObjectiveSpec { name: NO_TRAINING.into(), parameters: Vec::new() });
        rows
    }

    /// Checks everything that can be known before training.
    ///
    /// # Errors
    /// An unknown objective, one that needs labels where there are only views, a setting out of range.
    pub fn check(&self, problem: &EmbeddingProblem) -> Result<(), CompareError> {
        self.fit.validate()?;
        if self.dim == 0 {
            return Err(InvalidParameter::new("dim", 0, "at least 1").into());
        }
        if self.metric.higher_is_better().is_none() {
            let allowed = "one of which more is better: this one describes a space";
            return Err(InvalidParameter::new("metric", self.metric, allowed).into());
        }
        if self.fit.batch_size < 4 {
            let allowed = "at least 4: two pairs, so that there is a negative";
            return Err(InvalidParameter::new("batch_size", self.fit.batch_size, allowed).into());
        }
        self.model.network(problem.x.cols, problem.images, self.dim)?;
        for objective in self.rows().iter().filter(|row| row.name != NO_TRAINING) {
            if objective.build_embedding()?.needs_class_weights() && self.views.is_some() {
                let reason = "an objective without class weights: two-view training has no classes";
                return Err(InvalidParameter::new("objectives", objective, reason).into());
            }
        }
        Ok(())
    }

    fn splits(&self, problem: &EmbeddingProblem) -> Result<Vec<Split>, DataError> {
        let of = match self.hold_out {
            HoldOut::Rows => stratified_splits,
            HoldOut::Classes => class_splits,
        };
        of(&problem.labels, self.splits, self.fractions, self.seed)
    }
}

/// Compares objectives over embeddings: every objective trains the same network on the same splits, and its outputs are judged
/// on held-out rows or classes, beside the vectors as they came.
///
/// Labelled batches are drawn by class: for objectives over labels four rows of each of `batch / 4` classes (more rows where
/// there are fewer classes), for those over pairs two rows of each of `batch / 2` classes, one pair a class, so that no negative
/// is a positive in truth. With [views](EmbeddingCompareConfig::views) a batch is `batch` rows in two views each, and each row
/// is a class of its own.
///
/// `progress` is told of every finished fit (done, total). When `stop` is set the finished fits are reported.
///
/// # Errors
/// Before any training: what [`check`](EmbeddingCompareConfig::check) finds, or data that cannot be split. After it: when no
/// fit succeeded.
pub fn compare_embeddings(
    problem: &EmbeddingProblem,
    config: &EmbeddingCompareConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<Comparison, CompareError> {
    let started = std::time::Instant::now();
    config.check(problem)?;
    let problem = &match config.hold_out {
        HoldOut::Rows => problem.with_enough_rows(),
        HoldOut::Classes => problem.clone(),
    };
    if problem.classes.len() < 2 {
        return Err(DataError::Split { reason: "fewer than two classes are left; two are needed".into() }.into());
    }
    let objectives = config.rows();
    let splits = config.splits(problem)?;
    let pictures = Mutex::new(Vec::new());
    let fits = Fits {
        rows: &objectives,
        splits: splits.len(),
        metric: config.metric.to_string(),
        threads: config.threads,
        progress,
        stop,
    };
    let sizes = (splits[0].train.len(), splits[0].test.len());
    let gathered = fits.run(&config.baseline, NO_TRAINING, sizes, |split, objective| {
        let seed = config.seed.wrapping_add(split as u64);
        let (numbers, x) = run_one(problem, &splits[split], &objectives[objective], config, seed, stop)?;
        if split == 0 {
            pictures.lock().expect("a fit panicked").push((objectives[objective].to_string(), x));
        }
        Ok(numbers)
    })?;
    let Gathered { results, failures, interrupted } = gathered;
    let trained: Vec<&str> =
        results.iter().map(|row| row.name.as_str()).filter(|name| *name != NO_TRAINING).take(3).collect();
    let spaces = spaces(&pictures.into_inner().expect("a fit panicked"), &trained, problem, &splits[0]);
    let network = config.model.network(problem.x.cols, problem.images, config.dim)?;
    let held_out = match config.hold_out {
        HoldOut::Rows => "held-out rows of every class",
        HoldOut::Classes => "held-out classes",
    };
    let learned_from = if config.views.is_some() { "two views of a row, no labels" } else { "labels" };
    let count = |class: usize| problem.labels.iter().filter(|&&label| label == class).count();
    let classes = problem.classes.iter().enumerate();
    Ok(Comparison {
        version: env!("CARGO_PKG_VERSION").into(),
        data: DataSummary {
            name: problem.name.clone(),
            target: "class".into(),
            rows: problem.labels.len(),
            columns: problem.x.cols,
            images: problem.images,
            inputs: problem.x.cols,
            classes: classes.map(|(class, name)| ClassCount { name: name.clone(), rows: count(class) }).collect(),
            positive: None,
            notes: problem.notes.clone(),
        },
        settings: Settings {
            kind: ComparisonKind::Embedding,
            model: network.describe(),
            training: format!("{}, from {learned_from}, judged on {held_out}", config.fit.describe()),
            splits: config.splits,
            seed: config.seed,
            metric: config.metric.to_string(),
            higher_is_better: true,
            baseline: config.baseline.to_string(),
            control: Some(NO_TRAINING.into()),
            tune: 0,
        },
        results,
        failures,
        spaces,
        interrupted,
        seconds: started.elapsed().as_secs_f64(),
        threads: config.threads,
        peak_memory: memory::peak(),
    })
}

/// The test rows of the first split before training, and after it with the best objectives.
fn spaces(found: &[(String, Matrix)], best: &[&str], problem: &EmbeddingProblem, split: &Split) -> Vec<SpacePicture> {
    let labels: Vec<usize> = split.test.iter().map(|&row| problem.labels[row]).collect();
    let picture = |name: &str| {
        let (_, x) = found.iter().find(|(other, _)| other == name)?;
        let title = if name == NO_TRAINING { "Before training".into() } else { format!("After {name}") };
        let caption = "Test rows of the first split as directions, by their first two principal components.";
        Some(SpacePicture::of(&title, caption, &embedding::unit_rows(x), &labels, &problem.classes))
    };
    std::iter::once(NO_TRAINING).chain(best.iter().copied()).filter_map(picture).collect()
}
