use super::{EmbeddingCompareConfig, EmbeddingProblem, HoldOut, NO_TRAINING};
use crate::compare::collect::FitNumbers;
use crate::data::{Matrix, Sampler, Split};
use crate::embedding::{self, EmbeddingMetric, EvaluationRows};
use crate::fit::{FitError, Hooks, TrainingLoop, transform};
use crate::model::{Classifier, Mode, Network};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::EmbeddingBatch;
use contrarian::registry::{EmbeddingTask, ObjectiveSpec};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Most validation rows of the score after each epoch: it looks at all pairs.
const MOST_VALIDATION_ROWS: usize = 1000;

/// Rows of a class in a batch of labels.
const ROWS_OF_A_CLASS: usize = 4;

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
pub(super) fn run_one(
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
