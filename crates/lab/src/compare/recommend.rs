//! The comparison of objectives for a recommender.

use super::collect::{FitNumbers, Fits, Gathered};
use super::{CompareError, Comparison, ComparisonKind, DataSummary, Settings};
use crate::data::DataError;
use crate::fit::FitError;
use crate::recommend::{
    FactorsConfig, Interactions, RecommenderObjective, UserSplit, inject_noise, ndcg_at_k, recall_at_k, split_users,
    top_items, train_factors,
};
use crate::{memory, parallel};
use contrarian::InvalidParameter;
use contrarian::registry::ObjectiveSpec;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Name of the honest control's row: what most users chose, the same for everybody.
pub const MOST_POPULAR: &str = "most popular";

/// Metrics of a comparison of recommenders; more is better.
pub const RECOMMENDER_METRICS: [&str; 2] = ["Recall@20", "nDCG@20"];

/// Items looked at.
const TOP: usize = 20;
/// Users with fewer items are not judged.
const FEWEST_ITEMS: usize = 5;
/// Fewest users to judge by.
const FEWEST_USERS: usize = 10;

/// What to compare and with which budget.
#[derive(Debug, Clone)]
pub struct RecommenderCompareConfig {
    /// The objectives, each a row.
    pub objectives: Vec<ObjectiveSpec>,
    /// The row the others are tested against; added when it is not among the objectives.
    pub baseline: ObjectiveSpec,
    /// The metric to rank and test by, one of [`RECOMMENDER_METRICS`].
    pub metric: String,
    /// Splits of each user's items.
    pub splits: usize,
    /// Seed of splits, factors and batches.
    pub seed: u64,
    /// The model and its budget.
    pub factors: FactorsConfig,
    /// Random items added to each user's training items, as a part of them: to see how an objective stands noise.
    pub noise: f64,
    /// Fits side by side.
    pub threads: usize,
}

impl Default for RecommenderCompareConfig {
    /// Every objective, ten splits.
    fn default() -> Self {
        let spec = |name: &str| ObjectiveSpec { name: name.into(), parameters: Vec::new() };
        Self {
            objectives: RecommenderObjective::NAMES.map(spec).to_vec(),
            baseline: spec("bpr"),
            metric: RECOMMENDER_METRICS[0].into(),
            splits: 10,
            seed: 0,
            factors: FactorsConfig::new(),
            noise: 0.0,
            threads: parallel::available_threads(),
        }
    }
}

impl RecommenderCompareConfig {
    fn rows(&self) -> Vec<ObjectiveSpec> {
        let mut rows = self.objectives.clone();
        if !rows.contains(&self.baseline) {
            rows.insert(0, self.baseline.clone());
        }
        rows.push(ObjectiveSpec { name: MOST_POPULAR.into(), parameters: Vec::new() });
        rows
    }

    /// Checks everything that can be known before training.
    ///
    /// # Errors
    /// An unknown objective, a setting out of range, or too few users or items.
    pub fn check(&self, interactions: &Interactions) -> Result<(), CompareError> {
        for objective in self.objectives.iter().chain([&self.baseline]) {
            RecommenderObjective::of(objective)?;
        }
        self.factors.validate()?;
        if !RECOMMENDER_METRICS.contains(&self.metric.as_str()) {
            let allowed = format!("one of {}", RECOMMENDER_METRICS.join(", "));
            return Err(InvalidParameter::new("metric", format!("`{}`", self.metric), allowed).into());
        }
        if self.splits == 0 {
            return Err(InvalidParameter::new("seeds", 0, "at least 1").into());
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(InvalidParameter::new("noise", self.noise, "at least 0 and finite").into());
        }
        let judged = interactions.of_user.iter().filter(|items| items.len() >= FEWEST_ITEMS).count();
        if judged < FEWEST_USERS {
            let reason = format!(
                "{judged} users have {FEWEST_ITEMS} items or more; at least {FEWEST_USERS} are needed to judge a recommender by their held-out \
                 items"
            );
            return Err(DataError::Split { reason }.into());
        }
        if let Some(user) = interactions.of_user.iter().position(|items| items.len() >= interactions.items) {
            let reason =
                format!("user {} has all {} items: nothing is left to recommend", user + 1, interactions.items);
            return Err(DataError::Split { reason }.into());
        }
        Ok(())
    }
}

/// Compares objectives for a recommender: each trains the same matrix factorisation on the same splits of every user's items (70% training,
/// 10% validation, 20% test) and is judged by the test items among the first 20, beside what is most popular.
///
/// `progress` is told of every finished fit (done, total). When `stop` is set the finished fits are reported.
///
/// # Errors
/// Before any training: what [`check`](RecommenderCompareConfig::check) finds. After it: when no fit succeeded.
pub fn compare_recommenders(
    interactions: &Interactions,
    config: &RecommenderCompareConfig,
    progress: &(dyn Fn(usize, usize) + Sync),
    stop: &AtomicBool,
) -> Result<Comparison, CompareError> {
    let started = Instant::now();
    config.check(interactions)?;
    let rows = config.rows();
    let splits: Vec<UserSplit> = (0..config.splits as u64)
        .map(|at| split_users(&interactions.of_user, (0.7, 0.1, 0.2), FEWEST_ITEMS, config.seed.wrapping_add(at)))
        .collect();
    let count = |part: &[Vec<u32>]| part.iter().map(Vec::len).sum::<usize>();
    let sizes = (count(&splits[0].train), count(&splits[0].test));
    let fits = Fits {
        rows: &rows,
        splits: splits.len(),
        metric: config.metric.clone(),
        threads: config.threads,
        progress,
        stop,
    };
    let Gathered { results, failures, interrupted } =
        fits.run(&config.baseline, MOST_POPULAR, sizes, |split, row| {
            run_one(
                interactions.items,
                &splits[split],
                &rows[row],
                config,
                config.seed.wrapping_add(split as u64),
                stop,
            )
        })?;
    let few = interactions.of_user.iter().filter(|items| items.len() < FEWEST_ITEMS).count();
    let note =
        (few > 0).then(|| format!("{few} users with fewer than {FEWEST_ITEMS} items are trained on and not judged"));
    let fit = &config.factors;
    Ok(Comparison {
        version: env!("CARGO_PKG_VERSION").into(),
        data: DataSummary {
            name: interactions.name.clone(),
            target: "held-out items".into(),
            rows: interactions.of_user.len(),
            columns: interactions.items,
            images: None,
            inputs: count(&interactions.of_user),
            classes: Vec::new(),
            positive: None,
            notes: interactions.notes.iter().cloned().chain(note).collect(),
        },
        settings: Settings {
            kind: ComparisonKind::Recommendation,
            model: format!("matrix factorisation, {} numbers", fit.dim),
            training: format!(
                "Adam {}, {} draws a step, {} epochs, noise {}",
                fit.learning_rate, fit.batch_size, fit.epochs, config.noise
            ),
            splits: config.splits,
            seed: config.seed,
            metric: config.metric.clone(),
            higher_is_better: true,
            baseline: config.baseline.to_string(),
            control: Some(MOST_POPULAR.into()),
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
    items: usize,
    split: &UserSplit,
    row: &ObjectiveSpec,
    config: &RecommenderCompareConfig,
    seed: u64,
    stop: &AtomicBool,
) -> Result<FitNumbers, FitError> {
    let started = Instant::now();
    let held_out: Vec<Vec<u32>> =
        split.validation.iter().zip(&split.test).map(|(a, b)| [a.as_slice(), b].concat()).collect();
    let (train, _) = inject_noise(&split.train, &held_out, items, config.noise, seed);
    let judged: Vec<usize> = (0..split.test.len()).filter(|user| !split.test[*user].is_empty()).collect();
    let (top, losses): (Vec<Vec<u32>>, Vec<f64>) = if row.name == MOST_POPULAR {
        let mut popularity = vec![0.0f32; items];
        train.iter().flatten().for_each(|item| popularity[*item as usize] += 1.0);
        let of_user = |&user: &usize| top_items(&popularity, &[&train[user], &split.validation[user]], TOP);
        (judged.iter().map(of_user).collect(), Vec::new())
    } else {
        let objective = RecommenderObjective::of(row).expect("checked before training");
        let (factors, losses) = train_factors(&train, items, &config.factors, &objective, seed, stop, |_, _| ())?;
        let of_user = |&user: &usize| factors.top(user, &[&train[user], &split.validation[user]], TOP);
        (judged.iter().map(of_user).collect(), losses)
    };
    let seconds = started.elapsed().as_secs_f64();
    let (mut recall, mut gain) = (0.0, 0.0);
    for (&user, found) in judged.iter().zip(&top) {
        recall += recall_at_k(found, &split.test[user]);
        gain += ndcg_at_k(found, &split.test[user], TOP, true);
    }
    let n = judged.len() as f64;
    Ok(FitNumbers {
        metrics: [("Recall@20".to_string(), recall / n), ("nDCG@20".to_string(), gain / n)].into(),
        seconds,
        steps: losses.len() * (train.iter().map(Vec::len).sum::<usize>() / config.factors.batch_size + 1),
        learning: losses.into_iter().map(|loss| (loss, None)).collect(),
        ..FitNumbers::default()
    })
}
