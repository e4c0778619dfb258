//! The comparison of objectives and negatives for a dense retriever.

mod problem;

pub use problem::{Encoding, RetrievalProblem};

use super::collect::{FitNumbers, Fits, Gathered};
use super::curve::pools_on_grid;
use super::{CompareError, Comparison, ComparisonKind, DataSummary, Settings};
use crate::data::DataError;
use crate::fit::FitError;
use crate::retrieval::{
    Hit, Judgement, NegativeStrategy, RetrievalBudget, RetrievalObjective, Retriever, TrainedRetriever,
    retrieval_scores, score_pools, search_judged, train_retriever,
};
use crate::{memory, parallel};
use contrarian::InvalidParameter;
use contrarian::registry::ObjectiveSpec;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Name of the row of the encoder as it is.
pub const UNTRAINED: &str = "no training";
/// Name of the honest control's row: words in common, without any training.
pub const BM25: &str = "BM25";

/// Metrics of a comparison of retrievers; more of the first four is better, and rows can be ranked by them.
pub const RETRIEVAL_METRICS: [&str; 4] = ["nDCG@10", "MRR@10", "Recall@100", "AUROC"];

/// What to compare and with which budget.
#[derive(Debug, Clone)]
pub struct RetrievalCompareConfig {
    /// The objectives with their negatives, each a row.
    pub objectives: Vec<ObjectiveSpec>,
    /// The row the others are tested against; added when it is not among the objectives.
    pub baseline: ObjectiveSpec,
    /// The metric to rank and test by, one of [`RETRIEVAL_METRICS`].
    pub metric: String,
    /// Splits of the judged queries.
    pub splits: usize,
    /// Parts of the queries for training, validation and test.
    pub fractions: (f64, f64, f64),
    /// Seed of splits, weights and batches.
    pub seed: u64,
    /// Budget of a fit.
    pub budget: RetrievalBudget,
    /// Fits side by side.
    pub threads: usize,
}

/// Fewest judged queries that can be split.
const FEWEST_QUERIES: usize = 10;

impl RetrievalCompareConfig {
    /// The defaults of `contrarian compare --beir` for this encoding: every loss with the batch's negatives, multiple negatives
    /// ranking with every other strategy, and ADORE.
    pub fn new(encoding: &Encoding) -> Self {
        let spec = |text: String| text.parse::<ObjectiveSpec>().expect("these are names and numbers");
        let strategies = NegativeStrategy::ALL.into_iter().skip(1);
        let objectives = ["mnr", "mw", "star"]
            .map(|name| spec(name.into()))
            .into_iter()
            .chain(strategies.map(|strategy| spec(format!("mnr(negatives={})", strategy.name()))))
            .chain([spec("adore".into())]);
        Self {
            objectives: objectives.collect(),
            baseline: spec("mnr".into()),
            metric: RETRIEVAL_METRICS[0].into(),
            splits: 5,
            fractions: (0.6, 0.2, 0.2),
            seed: 0,
            budget: RetrievalBudget {
                steps: 200,
                batch_size: 32,
                // A table of word vectors is far from where it ends; maps that begin as the identity are near.
                learning_rate: match encoding {
                    Encoding::Static(_) => 1e-2,
                    Encoding::Sentences { .. } => 1e-3,
                },
                pool: 30,
            },
            threads: parallel::available_threads(),
        }
    }

    /// The objectives, with the baseline among them and the two that are not trained last.
    fn rows(&self) -> Vec<ObjectiveSpec> {
        let mut rows = self.objectives.clone();
        if !rows.contains(&self.baseline) {
            rows.insert(0, self.baseline.clone());
        }
        rows.extend([UNTRAINED, BM25].map(|name| ObjectiveSpec { name: name.into(), parameters: Vec::new() }));
        rows
    }

    /// Checks everything that can be known before training.
    ///
    /// # Errors
    /// An unknown objective, a setting out of range, or too few documents or judged queries.
    pub fn check(&self, problem: &RetrievalProblem) -> Result<(), CompareError> {
        for objective in self.objectives.iter().chain([&self.baseline]) {
            RetrievalObjective::of(objective)?;
        }
        self.budget.validate()?;
        if !RETRIEVAL_METRICS.contains(&self.metric.as_str()) {
            let allowed = format!("one of {}", RETRIEVAL_METRICS.join(", "));
            return Err(InvalidParameter::new("metric", format!("`{}`", self.metric), allowed).into());
        }
        if self.splits == 0 {
            return Err(InvalidParameter::new("seeds", 0, "at least 1").into());
        }
        let documents = problem.data.documents.len();
        if documents < 2 {
            let reason =
                format!("the corpus has {documents} document; every ranking of it is the same, give at least two");
            return Err(DataError::Split { reason }.into());
        }
        if problem.judged.len() < FEWEST_QUERIES {
            let reason = format!(
                "there are {} queries with a relevant document; training, validation and test need {FEWEST_QUERIES} at least",
                problem.judged.len()
            );
            return Err(DataError::Split { reason }.into());
        }
        Ok(())
    }
}

/// Judged queries of one split.
struct Part {
    train: Vec<Judgement>,
    validation: Vec<Judgement>,
    test: Vec<Judgement>,
}

fn split(judged: &[Judgement], (_, validation, test): (f64, f64, f64), seed: u64) -> Part {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let count = |part: f64| ((judged.len() as f64 * part).round() as usize).max(1);
    let gather = |rows: &[usize]| rows.iter().map(|&row| judged[row].clone()).collect::<Vec<_>>();
    let (held_out, train) = order.split_at(count(validation) + count(test));
    let (validation, test) = held_out.split_at(count(validation));
    Part { train: gather(train), validation: gather(validation), test: gather(test) }
}

/// Compares objectives and negatives: every one trains the same encoder on the same splits of the judged queries and is judged on
/// queries it has not seen, over all documents; beside the encoder as it is, and BM25.
///
/// `progress` is told of every finished fit (done, total). When `stop` is set the finished fits are reported.
///
/// # Errors
/// Before any training: what [`check`](RetrievalCompareConfig::check) finds. After it: when no fit succeeded.
pub fn compare_retrieval(
    problem: &RetrievalProblem,
    config: &RetrievalCompareConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<Comparison, CompareError> {
    let started = Instant::now();
    config.check(problem)?;
    let rows = config.rows();
    let splits: Vec<Part> = (0..config.splits as u64)
        .map(|at| split(&problem.judged, config.fractions, config.seed.wrapping_add(at)))
        .collect();
    let fits = Fits {
        rows: &rows,
        splits: splits.len(),
        metric: config.metric.clone(),
        threads: config.threads,
        progress,
        stop,
    };
    let sizes = (splits[0].train.len(), splits[0].test.len());
    let Gathered { results, failures, interrupted } = fits.run(&config.baseline, BM25, sizes, |split, row| {
        run_one(problem, &splits[split], &rows[row], config, config.seed.wrapping_add(split as u64), stop)
    })?;
    let budget = &config.budget;
    Ok(Comparison {
        version: env!("CARGO_PKG_VERSION").into(),
        data: DataSummary {
            name: problem.name.clone(),
            target: "relevant documents".into(),
            rows: problem.judged.len(),
            columns: problem.data.documents.len(),
            images: None,
            inputs: problem.data.documents.len(),
            classes: Vec::new(),
            positive: None,
            notes: problem.notes.clone(),
        },
        settings: Settings {
            kind: ComparisonKind::Retrieval,
            model: problem.encoding.describe(),
            training: format!(
                "Adam {}, {} queries a step, {} steps, judged on queries held out",
                budget.learning_rate, budget.batch_size, budget.steps
            ),
            splits: config.splits,
            seed: config.seed,
            metric: config.metric.clone(),
            higher_is_better: true,
            baseline: config.baseline.to_string(),
            control: Some(BM25.into()),
            tune: 0,
        },
        results,
        failures,
        spaces: Vec::new(),
        interrupted,
        seconds: started.elapsed().as_secs_f64(),
        threads: config.threads,
        peak_memory: memory::peak(),
    })
}

fn run_one(
    problem: &RetrievalProblem,
    part: &Part,
    row: &ObjectiveSpec,
    config: &RetrievalCompareConfig,
    seed: u64,
    stop: &AtomicBool,
) -> Result<FitNumbers, FitError> {
    let started = Instant::now();
    let search = |retriever: &Retriever| search_judged(retriever, &problem.data, &part.test);
    let (found, learning, steps): (Vec<Vec<Hit>>, Vec<(f64, f64)>, usize) = match row.name.as_str() {
        BM25 => (part.test.iter().map(|(query, _)| problem.data.bm25[*query].clone()).collect(), Vec::new(), 0),
        UNTRAINED => (search(&problem.encoding.untrained(seed)), Vec::new(), 0),
        _ => {
            let objective = RetrievalObjective::of(row).expect("checked before training");
            let start = problem.encoding.untrained(seed);
            let parts = (part.train.as_slice(), part.validation.as_slice());
            let trained = train_retriever(start, &problem.data, parts, &objective, &config.budget, seed, Some(stop))?;
            (search(&trained.retriever), trained.learning, trained.steps)
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    Ok(FitNumbers {
        metrics: retrieval_scores(&found, &part.test),
        seconds,
        steps,
        learning: learning.into_iter().map(|(loss, score)| (loss, Some(score))).collect(),
        roc: pools_on_grid(&score_pools(&found, &part.test)),
        ..FitNumbers::default()
    })
}

/// Trains with one objective on the judged queries, a fifth of them held out to choose the best quarter: what is saved for search.
///
/// # Errors
/// What [`check`](RetrievalCompareConfig::check) finds of the configuration, or a failed fit.
pub fn train_for_search(
    problem: &RetrievalProblem,
    config: &RetrievalCompareConfig,
    objective: &ObjectiveSpec,
    stop: &AtomicBool,
) -> Result<TrainedRetriever, CompareError> {
    config.check(problem)?;
    let parsed = RetrievalObjective::of(objective)?;
    let Part { mut train, validation, test } = split(&problem.judged, config.fractions, config.seed);
    train.extend(test);
    let start = problem.encoding.untrained(config.seed);
    let parts = (train.as_slice(), validation.as_slice());
    let trained = train_retriever(start, &problem.data, parts, &parsed, &config.budget, config.seed, Some(stop));
    trained.map_err(|error| CompareError::NothingFinished(error.to_string()))
}
