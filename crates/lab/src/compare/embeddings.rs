use super::collect::{Collector, FitNumbers};
use super::{ClassCount, CompareError, Comparison, ComparisonKind, DataSummary, Failure, Settings};
use crate::augment::Augmentation;
use crate::data::{DataError, EmbeddingSet, ImageSet, ImageShape, MIN_CLASS_ROWS, Matrix, Sampler, Split};
use crate::data::{class_splits, stratified_splits};
use crate::embedding::{self, EmbeddingMetric, EvaluationRows};
use crate::fit::{FitConfig, FitError, Hooks, TrainingLoop, transform};
use crate::model::{Architecture, Classifier, Mode, Network};
use crate::report::SpacePicture;
use crate::{memory, parallel};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::registry::{EmbeddingTask, ObjectiveSpec};
use contrarian::{EmbeddingBatch, InvalidParameter};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Name of the honest control's row: the vectors as they came.
pub const NO_TRAINING: &str = "no training";

/// Most validation rows of the score after each epoch: it looks at all pairs.
const MOST_VALIDATION_ROWS: usize = 1000;

/// Rows of a class in a batch of labels.
const ROWS_OF_A_CLASS: usize = 4;

/// What is held out to judge embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldOut {
    /// Rows of every class.
    Rows,
    /// Whole classes: the space must hold for what training has never seen.
    Classes,
}

/// Vectors or images with a class each, and how they are learned from.
#[derive(Debug, Clone)]
pub struct EmbeddingProblem {
    /// Name of the data.
    pub name: String,
    /// The rows: vectors, or pixels.
    pub x: Matrix,
    /// Class of each row.
    pub labels: Vec<usize>,
    /// Class names by label.
    pub classes: Vec<String>,
    /// The shape of images; `None` for vectors.
    pub images: Option<ImageShape>,
    /// What a person should know about the data.
    pub notes: Vec<String>,
}

impl From<EmbeddingSet> for EmbeddingProblem {
    fn from(set: EmbeddingSet) -> Self {
        let EmbeddingSet { name, x, labels, classes, notes } = set;
        Self { name, x, labels, classes, images: None, notes }
    }
}

impl From<ImageSet> for EmbeddingProblem {
    fn from(set: ImageSet) -> Self {
        let images = Some(set.images.shape);
        Self {
            name: set.name,
            x: set.images.pixels,
            labels: set.labels,
            classes: set.classes,
            images,
            notes: set.notes,
        }
    }
}

impl EmbeddingProblem {
    /// Leaves out classes with too few rows to hold some out, and notes it.
    fn with_enough_rows(&self) -> Self {
        let mut counts = vec![0usize; self.classes.len()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        let small = counts.iter().filter(|&&count| count > 0 && count < MIN_CLASS_ROWS).count();
        if small == 0 {
            return self.clone();
        }
        let kept: Vec<usize> =
            (0..self.labels.len()).filter(|&row| counts[self.labels[row]] >= MIN_CLASS_ROWS).collect();
        let classes: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] >= MIN_CLASS_ROWS).collect();
        let mut notes = self.notes.clone();
        notes.push(format!(
            "{small} of {} classes have fewer than {MIN_CLASS_ROWS} rows and are left out with {} rows",
            self.classes.len(),
            self.labels.len() - kept.len()
        ));
        Self {
            name: self.name.clone(),
            x: self.x.gather(&kept),
            labels: kept.iter().map(|&row| classes.binary_search(&self.labels[row]).unwrap_or_default()).collect(),
            classes: classes.into_iter().map(|class| self.classes[class].clone()).collect(),
            images: self.images,
            notes,
        }
    }
}

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

impl EmbeddingCompareConfig<'_> {
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
    let jobs: Vec<(usize, usize)> =
        (0..splits.len()).flat_map(|split| (0..objectives.len()).map(move |objective| (split, objective))).collect();
    let collector = Mutex::new(Collector::new(&objectives, config.metric.to_string(), true, splits.len()));
    let pictures = Mutex::new(Vec::new());
    let done = AtomicUsize::new(0);
    parallel::map(&jobs, config.threads, stop, |&(split, objective)| {
        let seed = config.seed.wrapping_add(split as u64);
        let outcome = run_one(problem, &splits[split], &objectives[objective], config, seed, stop);
        let mut collector = collector.lock().expect("a fit panicked");
        match outcome {
            Ok((numbers, x)) => {
                collector.add(split, objective, numbers);
                if split == 0 {
                    pictures.lock().expect("a fit panicked").push((objectives[objective].to_string(), x));
                }
            }
            Err(FitError::Stopped) => {}
            Err(error) => collector.fail(split, objective, error.to_string()),
        }
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
    });

    let collector = collector.into_inner().expect("a fit panicked");
    let sizes = (splits[0].train.len(), splits[0].test.len());
    let (results, failures) = collector.finish(&config.baseline, NO_TRAINING, sizes);
    if results.is_empty() {
        let reason = failures.first().map_or("the run was stopped".into(), Failure::to_string);
        return Err(CompareError::NothingFinished(reason));
    }
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
        interrupted: done.into_inner() < jobs.len() || stop.load(Ordering::Relaxed),
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

/// A network whose outputs are an embedding, with the class weights of objectives that learn some.
#[derive(Module, Debug)]
struct EmbeddingNetwork {
    network: Network,
    class_weights: Option<Param<Tensor<2>>>,
}

impl EmbeddingNetwork {
    fn embed(&self, x: &Matrix) -> Matrix {
        transform(x, |x| self.network.logits(x, &mut Mode::Inference))
    }
}

/// Centres by column and scales by one number for all, so that the shape of the space is kept.
struct Centre {
    means: Vec<f64>,
    scale: f64,
}

impl Centre {
    fn of(x: &Matrix, train: &[usize]) -> Self {
        let mut means = vec![0.0f64; x.cols];
        for &row in train {
            means.iter_mut().zip(x.row(row)).for_each(|(mean, value)| *mean += f64::from(*value) / train.len() as f64);
        }
        let square =
            |row: &usize| x.row(*row).iter().zip(&means).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>();
        let sum: f64 = train.iter().map(square).sum();
        let deviation = (sum / (train.len() * x.cols).max(1) as f64).sqrt();
        Self { means, scale: if deviation > 0.0 { 1.0 / deviation } else { 1.0 } }
    }

    fn apply(&self, mut x: Matrix) -> Matrix {
        for row in x.data.chunks_mut(x.cols.max(1)) {
            for (value, mean) in row.iter_mut().zip(&self.means) {
                *value = ((f64::from(*value) - mean) * self.scale) as f32;
            }
        }
        x
    }
}

/// The training rows by class; labels count the classes of training only.
struct Classes(Vec<Vec<usize>>);

struct Drawn {
    rows: Vec<usize>,
    labels: Vec<usize>,
}

impl Classes {
    fn new(train: &[usize], labels: &[usize]) -> Self {
        let mut rows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &row in train {
            rows.entry(labels[row]).or_default().push(row);
        }
        Self(rows.into_values().collect())
    }

    /// Class weights as a linear layer's, drawn from the seed alone.
    fn weights(&self, dim: usize, device: &Device, seed: u64) -> Param<Tensor<2>> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0063_6c61_7373);
        let count = self.0.len();
        let reach = (6.0 / (count + dim) as f64).sqrt();
        let values: Vec<f32> = (0..count * dim).map(|_| rng.random_range(-reach..reach) as f32).collect();
        Param::from_data(TensorData::new(values, [count, dim]), device)
    }

    /// A batch of about `size` rows. In pairs: the first half are anchors and the second their positives, each pair of a class
    /// of its own; classes with one row are left out. Else four rows of a class, or more where there are few classes.
    fn draw(&self, size: usize, pairs: bool, rng: &mut Xoshiro256PlusPlus) -> Drawn {
        let fewest = if pairs { 2 } else { 1 };
        let mut usable: Vec<usize> = (0..self.0.len()).filter(|&class| self.0[class].len() >= fewest).collect();
        usable.shuffle(rng);
        let wanted = if pairs { size / 2 } else { size / ROWS_OF_A_CLASS };
        usable.truncate(wanted.max(2));
        let of_each = if pairs { 2 } else { (size / usable.len().max(1)).max(2) };
        let mut drawn: Vec<(usize, usize, usize)> = Vec::new();
        for class in usable {
            let rows = &self.0[class];
            let chosen = index::sample(rng, rows.len(), of_each.min(rows.len()));
            drawn.extend(chosen.into_iter().enumerate().map(|(place, at)| (place, rows[at], class)));
        }
        // Stable: firsts of all classes, then seconds, so that pairs are halves.
        drawn.sort_by_key(|(place, ..)| *place);
        Drawn {
            rows: drawn.iter().map(|(_, row, _)| *row).collect(),
            labels: drawn.iter().map(|(.., class)| *class).collect(),
        }
    }
}

/// Scores the model on validation rows after each epoch.
struct Validate<'a> {
    x: &'a Matrix,
    labels: &'a [usize],
    rows: EvaluationRows,
    metric: EmbeddingMetric,
    settings: &'a embedding::Settings,
}

impl Hooks<EmbeddingNetwork> for Validate<'_> {
    fn after_epoch(&mut self, _epoch: usize, model: &EmbeddingNetwork) -> Option<f64> {
        let embedded = model.embed(self.x);
        // An embedding that is not finite has no score; the loop's own check ends such a fit.
        embedding::evaluate(&embedded, self.labels, &self.rows, &[self.metric], self.settings).ok()?.get(self.metric)
    }
}

impl Validate<'_> {
    /// The rows that validation needs, gathered once: at most [`MOST_VALIDATION_ROWS`] of the validation part, and for metrics
    /// that learn from training rows as many of those.
    fn rows(split: &Split, labels: &[usize], hold_out: HoldOut, seed: u64) -> (Vec<usize>, EvaluationRows) {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut some = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            rows.shuffle(&mut rng);
            rows.truncate(MOST_VALIDATION_ROWS);
            rows
        };
        let (validation, train) = (some(&split.validation), some(&split.train));
        let all: Vec<usize> = validation.iter().chain(&train).copied().collect();
        let own: Vec<usize> = (0..validation.len()).collect();
        let rows = match hold_out {
            HoldOut::Rows => EvaluationRows {
                probe_train: (own.len()..all.len()).collect(),
                probe_test: own.clone(),
                retrieval: own,
            },
            HoldOut::Classes => {
                let labels: Vec<usize> = all.iter().map(|&row| labels[row]).collect();
                EvaluationRows::of_classes(&own, &labels, seed)
            }
        };
        (all, rows)
    }
}

/// One fit: its numbers, and the embedding of the test rows.
fn run_one(
    problem: &EmbeddingProblem,
    split: &Split,
    objective: &ObjectiveSpec,
    config: &EmbeddingCompareConfig,
    seed: u64,
    stop: &AtomicBool,
) -> Result<(FitNumbers, Matrix), FitError> {
    let settings = embedding::Settings { seed, ..embedding::Settings::default() };
    let test_rows = match config.hold_out {
        HoldOut::Rows => EvaluationRows::of_rows(split),
        HoldOut::Classes => EvaluationRows::of_classes(&split.test, &problem.labels, seed),
    };
    let mut metrics = EmbeddingMetric::REPORTED.to_vec();
    if !metrics.contains(&config.metric) {
        metrics.push(config.metric);
    }
    let judge = |x: &Matrix| -> Result<_, FitError> {
        let scores = embedding::evaluate(x, &problem.labels, &test_rows, &metrics, &settings)?;
        Ok(scores.0.into_iter().filter_map(|(metric, value)| Some((metric.to_string(), value?))).collect())
    };
    if objective.name == NO_TRAINING {
        let numbers = FitNumbers { metrics: judge(&problem.x)?, ..FitNumbers::default() };
        return Ok((numbers, problem.x.gather(&split.test)));
    }

    let centre = Centre::of(&problem.x, &split.train);
    let x = centre.apply(problem.x.clone());
    let task = objective.build_embedding().expect("objectives were built once before the run");
    let classes = Classes::new(&split.train, &problem.labels);
    let device = Device::flex().autodiff();
    let network = config.model.network(x.cols, problem.images, config.dim).expect("checked before the run");
    let model = EmbeddingNetwork {
        network: network.init(&device, seed),
        class_weights: task.needs_class_weights().then(|| classes.weights(config.dim, &device, seed)),
    };
    let (rows, validation) = Validate::rows(split, &problem.labels, config.hold_out, seed);
    let labels: Vec<usize> = rows.iter().map(|&row| problem.labels[row]).collect();
    let mut hooks =
        Validate { x: &x.gather(&rows), labels: &labels, rows: validation, metric: config.metric, settings: &settings };
    let sampler = Sampler::Shuffled { rows: split.train.len() };
    let training = TrainingLoop { stop: Some(stop), ..TrainingLoop::new(&config.fit, sampler, seed) };
    let fitted = training.run_with(
        model,
        |model: &EmbeddingNetwork, rows, mode| {
            let (batch, labels) = {
                let Mode::Training(rng) = mode else { unreachable!("a training loop trains") };
                if let Some(views) = config.views {
                    let rows: Vec<usize> = rows.iter().map(|&at| split.train[at]).collect();
                    let mut view = || views.view(&problem.x, &rows, rng).data;
                    let data = [view(), view()].concat();
                    let batch = Matrix { rows: 2 * rows.len(), cols: x.cols, data };
                    (centre.apply(batch), (0..rows.len()).chain(0..rows.len()).collect())
                } else {
                    // The rows of the loop only count the steps: batches of labels are drawn by class.
                    let drawn = classes.draw(rows.len(), matches!(task, EmbeddingTask::Pairs(_)), rng);
                    (x.gather(&drawn.rows), drawn.labels)
                }
            };
            let n = batch.rows;
            let input = Tensor::from_data(TensorData::new(batch.data, [n, batch.cols]), &device);
            let embeddings = model.network.logits(input, mode);
            let half = n / 2;
            match &task {
                EmbeddingTask::Pairs(pairs) => pairs.loss(
                    embeddings.clone().slice([0..half, 0..config.dim]),
                    embeddings.slice([half..n, 0..config.dim]),
                ),
                EmbeddingTask::Labels(objective) => {
                    let labels: Vec<i64> = labels.into_iter().map(|label| label as i64).collect();
                    objective.loss(EmbeddingBatch {
                        embeddings,
                        labels: Tensor::<1, Int>::from_data(TensorData::new(labels, [n]), &device),
                        class_weights: model.class_weights.as_ref().map(Param::val),
                    })
                }
            }
        },
        &mut hooks,
    )?;
    let embedded = fitted.model.embed(&x);
    let numbers = FitNumbers {
        metrics: judge(&embedded)?,
        seconds: fitted.seconds,
        steps: fitted.steps,
        learning: fitted.train_loss.into_iter().zip(fitted.validation).collect(),
        ..FitNumbers::default()
    };
    Ok((numbers, embedded.gather(&split.test)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::VectorAugmentation;
    use crate::data::generate::identities;

    fn objectives(list: &str) -> Vec<ObjectiveSpec> {
        contrarian::registry::parse_list(list).unwrap()
    }

    fn config(list: &str, hold_out: HoldOut) -> EmbeddingCompareConfig<'static> {
        EmbeddingCompareConfig {
            objectives: objectives(list),
            baseline: "triplet".parse().unwrap(),
            metric: EmbeddingMetric::MapAtR,
            splits: 2,
            fractions: (0.6, 0.2, 0.2),
            hold_out,
            seed: 1,
            model: Architecture::Mlp { depth: 0, width: 1, dropout: 0.0 },
            dim: 8,
            fit: FitConfig::new().with_batch_size(80).with_epochs(80).with_learning_rate(1e-2),
            views: None,
            threads: 2,
        }
    }

    fn problem() -> EmbeddingProblem {
        let data = identities(60, 10, 3);
        EmbeddingProblem {
            name: "identities".into(),
            x: data.x,
            labels: data.y,
            classes: (0..60).map(|class| class.to_string()).collect(),
            images: None,
            notes: Vec::new(),
        }
    }

    fn run(problem: &EmbeddingProblem, config: &EmbeddingCompareConfig) -> Result<Comparison, CompareError> {
        compare_embeddings(problem, config, &|_, _| {}, &AtomicBool::new(false))
    }

    #[test]
    fn training_beats_the_vectors_as_they_came_on_rows_and_on_classes() {
        for hold_out in [HoldOut::Rows, HoldOut::Classes] {
            let comparison =
                run(&problem(), &config("triplet, sup-con, arc-face(scale=16), info-nce", hold_out)).unwrap();
            assert_eq!((comparison.results.len(), comparison.failures.len()), (5, 0));
            let mean = |name: &str| {
                let row = comparison.results.iter().find(|row| row.objective == name).unwrap();
                row.metrics["map@r"].mean
            };
            // Enough classes that a projection learned from some holds for others. What tells identities apart lies in a subspace that a projection can find; noise does not tell.
            for name in ["triplet", "sup-con", "info-nce"] {
                assert!(
                    mean(name) > mean(NO_TRAINING) + 0.05,
                    "{hold_out:?} {name}: {} {}",
                    mean(name),
                    mean(NO_TRAINING)
                );
            }
            let titles: Vec<&str> = comparison.spaces.iter().map(|space| space.title.as_str()).collect();
            assert_eq!((titles.len(), titles[0]), (4, "Before training"));
            let html = crate::report::comparison_html(&comparison);
            for part in ["The space", "Before training", "An objective beats no training", "no training"] {
                assert!(html.contains(part), "{part}");
            }
            assert!(!html.contains("threshold"), "nothing here has a threshold");
            // The same seeds give the same numbers.
            let again = run(&problem(), &config("triplet, sup-con, arc-face(scale=16), info-nce", hold_out)).unwrap();
            let values = |comparison: &Comparison| -> Vec<Vec<f64>> {
                comparison.results.iter().map(|row| row.metrics["map@r"].values.clone()).collect()
            };
            assert_eq!(values(&comparison), values(&again));
        }
    }

    #[test]
    fn two_views_need_no_labels_and_refuse_class_weights() {
        let views = VectorAugmentation { dropout: 0.1, scale: 0.1, noise: 0.3 };
        let with_views = |list: &str| {
            let config = EmbeddingCompareConfig { views: Some(&views), ..config(list, HoldOut::Rows) };
            run(&problem(), &config)
        };
        assert_eq!(with_views("nt-xent, multi-similarity").unwrap().results.len(), 4);
        let error = with_views("cos-face").unwrap_err().to_string();
        assert!(error.contains("cos-face") && error.contains("without class weights"), "{error}");
    }

    #[test]
    fn settings_and_data_that_cannot_work_are_refused_before_training() {
        let refused = |change: &dyn Fn(&mut EmbeddingCompareConfig, &mut EmbeddingProblem), says: &str| {
            let (mut config, mut problem) = (config("sup-con", HoldOut::Rows), problem());
            change(&mut config, &mut problem);
            let error = run(&problem, &config).unwrap_err().to_string();
            assert!(error.contains(says), "{says}: {error}");
        };
        refused(&|config, _| config.dim = 0, "`dim`");
        refused(&|config, _| config.metric = EmbeddingMetric::Uniformity, "describes a space");
        refused(&|config, _| config.fit.batch_size = 2, "two pairs");
        refused(&|config, _| config.objectives = objectives("focal"), "unknown objective `focal`");
        refused(&|config, _| config.model = Architecture::Cnn, "needs images");
        refused(
            &|config, problem| {
                config.hold_out = HoldOut::Classes;
                problem.labels.iter_mut().for_each(|label| *label %= 4);
            },
            "hold rows out instead",
        );
        refused(
            &|_, problem| {
                let rows = problem.labels.len();
                problem.labels = (0..rows).map(|row| usize::from(row > 3)).collect();
                problem.classes.truncate(2);
            },
            "fewer than two classes are left",
        );
    }

    #[test]
    fn batches_are_drawn_by_class() {
        // Class 0 has one row, class 1 two, class 2 and 3 ten.
        let labels: Vec<usize> = std::iter::once(0).chain([1; 2]).chain([2; 10]).chain([3; 10]).collect();
        let rows: Vec<usize> = (0..labels.len()).collect();
        let classes = Classes::new(&rows, &labels);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..50 {
            let pairs = classes.draw(8, true, rng);
            let half = pairs.rows.len() / 2;
            assert_eq!(pairs.rows.len(), 6, "a class with one row has no pair");
            for at in 0..half {
                assert_eq!(labels[pairs.rows[at]], labels[pairs.rows[half + at]]);
                assert_ne!(pairs.rows[at], pairs.rows[half + at]);
            }
            let batch = classes.draw(16, false, rng);
            assert!((9..=16).contains(&batch.rows.len()), "{:?}", batch.rows);
            assert!(batch.rows.iter().zip(&batch.labels).all(|(row, label)| labels[*row] == *label));
        }
    }
}
