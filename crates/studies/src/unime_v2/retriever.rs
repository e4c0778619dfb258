//! The embedding model: its two phases of training and its scores on the test queries.

use super::topics::{OBSERVED, Topics, TrainJudge};
use crate::support::{Measured, mean};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::contrastive::InfoNceLossConfig;
use contrarian::negatives::JudgedHardNegativesConfig;
use contrarian::ranking::{Divergence, ScoreContrastiveLossConfig, SoftScoreAlignmentConfig};
use contrarian_lab::data::{Matrix, Sampler};
use contrarian_lab::fit::{FitConfig, TrainingLoop};
use contrarian_lab::metrics::{Distance, ndcg, nearest_in};
use contrarian_lab::mining::{HardNegativeMining, JudgedScores, MinedNegatives};
use contrarian_lab::model::{TwoTower, TwoTowerConfig};

/// Temperature of similarities in all losses.
const TEMPERATURE: f64 = 0.05;
/// Temperature of the judge's scores.
const SCORE_TEMPERATURE: f64 = 0.1;
/// Candidates the judge is asked about.
const TOP: usize = 50;
/// Negatives a query.
pub const NEGATIVES: usize = 8;

/// How the second phase trains.
#[derive(Clone, Copy, PartialEq)]
pub enum Arm {
    /// InfoNCE with the batch's documents.
    InBatch,
    /// The same and the query's nearest documents.
    Unfiltered,
    /// The same and the query's judged negatives.
    Judged,
    /// Alignment with the judge's scores of the positive and the judged negatives.
    Soft(Divergence),
    /// Squared error of score margins over the same candidates.
    MarginMse,
}

/// Budget of a phase.
#[derive(Clone, Copy)]
pub struct Budget {
    pub steps: usize,
    pub batch: usize,
    pub rate: f64,
}

impl Budget {
    /// Whole epochs, as near to the steps as can be.
    pub fn config(&self, rows: usize) -> FitConfig {
        let steps = rows.div_ceil(self.batch).max(1);
        let epochs = ((self.steps as f64 / steps as f64).round() as usize).max(1);
        FitConfig::new().with_learning_rate(self.rate).with_batch_size(self.batch).with_epochs(epochs)
    }
}

/// The first phase, which all arms share: InfoNCE with the batch's documents.
pub fn start(topics: &Topics, budget: Budget, seed: u64) -> Result<TwoTower, String> {
    let model = TwoTowerConfig::new(OBSERVED, OBSERVED).init(&Device::flex().autodiff(), seed);
    Training { topics, budget, seed }.run(model, &all(topics), |model, rows| in_batch(model, topics, rows))
}

/// What the judge and the search make of the training queries.
pub fn mine(topics: &Topics, model: &TwoTower) -> Result<MinedNegatives, String> {
    let (queries, documents) = model.embed(&topics.queries.gather(&topics.train), &topics.documents);
    let mining =
        HardNegativeMining::new().with_top(TOP).with_negatives(JudgedHardNegativesConfig::new().with_count(NEGATIVES));
    let found = mining.run(&queries, &documents, &topics.train, &TrainJudge(topics), &mut JudgedScores::default());
    found.map_err(|error| error.to_string())
}

/// The second phase, from the first's model.
pub fn go_on(
    topics: &Topics,
    model: TwoTower,
    mined: &MinedNegatives,
    arm: Arm,
    budget: Budget,
    seed: u64,
) -> Result<TwoTower, String> {
    let training = Training { topics, budget, seed: seed.wrapping_add(1) };
    let model = model.train();
    // Without negatives there is nothing to align.
    let judged: Vec<usize> = (0..mined.negatives.len()).filter(|&row| !mined.negatives[row].is_empty()).collect();
    match arm {
        Arm::InBatch => training.run(model, &all(topics), |model, rows| in_batch(model, topics, rows)),
        Arm::Unfiltered => {
            let (queries, documents) = model.embed(&topics.queries.gather(&topics.train), &topics.documents);
            let mut nearest = nearest_in(&queries, &documents, NEGATIVES + 1, Distance::Cosine);
            for (found, own) in nearest.iter_mut().zip(&topics.train) {
                found.retain(|document| document != own);
                found.truncate(NEGATIVES);
            }
            training.run(model, &all(topics), |model, rows| with_negatives(model, topics, rows, &nearest))
        }
        Arm::Judged => {
            training.run(model, &all(topics), |model, rows| with_negatives(model, topics, rows, &mined.negatives))
        }
        Arm::Soft(divergence) => {
            let alignment = SoftScoreAlignmentConfig::new()
                .with_temperature(TEMPERATURE)
                .with_score_temperature(Some(SCORE_TEMPERATURE))
                .with_divergence(divergence)
                .init();
            training.run(model, &judged, |model, rows| {
                let (similarities, scores) = candidates(model, topics, rows, mined);
                alignment.forward(similarities, scores)
            })
        }
        Arm::MarginMse => training.run(model, &judged, |model, rows| {
            let (similarities, scores) = candidates(model, topics, rows, mined);
            let margins = |x: Tensor<2>| x.clone().narrow(1, 0, 1) - x.narrow(1, 1, NEGATIVES);
            (margins(similarities) - margins(scores)).square().mean()
        }),
    }
}

/// Queries are numbered as in [`Topics::train`].
fn all(topics: &Topics) -> Vec<usize> {
    (0..topics.train.len()).collect()
}

struct Training<'a> {
    topics: &'a Topics,
    budget: Budget,
    seed: u64,
}

impl Training<'_> {
    /// Trains over these of the queries to train with.
    fn run(
        &self,
        model: TwoTower,
        queries: &[usize],
        step: impl Fn(&TwoTower, &[usize]) -> Tensor<1>,
    ) -> Result<TwoTower, String> {
        if queries.is_empty() {
            return Err("no query has a negative that the judge finds worse than its positive".into());
        }
        let config = self.budget.config(self.topics.train.len());
        let batch = |at: &[usize]| at.iter().map(|&at| queries[at]).collect::<Vec<_>>();
        TrainingLoop::new(&config, Sampler::Shuffled { rows: queries.len() }, self.seed)
            .run(model, |model, at, _| step(model, &batch(at)))
            .map(|fitted| fitted.model)
            .map_err(|error| error.to_string())
    }
}

pub fn input(x: &Matrix, rows: &[usize]) -> Tensor<2> {
    let data = TensorData::new(x.gather(rows).data, [rows.len(), x.cols]);
    Tensor::from_data(data, &Device::flex().autodiff())
}

/// Embeddings of a batch's queries and of their own documents.
fn pairs(model: &TwoTower, topics: &Topics, rows: &[usize]) -> (Tensor<2>, Tensor<2>) {
    let own: Vec<usize> = rows.iter().map(|&row| topics.train[row]).collect();
    (model.queries(input(&topics.queries, &own)), model.documents(input(&topics.documents, &own)))
}

fn in_batch(model: &TwoTower, topics: &Topics, rows: &[usize]) -> Tensor<1> {
    let (queries, documents) = pairs(model, topics, rows);
    InfoNceLossConfig::new().with_temperature(TEMPERATURE).with_normalize(false).init().forward(queries, documents)
}

/// Similarities of each query to documents of its own, `[batch, NEGATIVES]`.
fn to_own(model: &TwoTower, topics: &Topics, queries: &Tensor<2>, documents: &[usize]) -> Tensor<2> {
    let [batch, dim] = queries.dims();
    let documents = model.documents(input(&topics.documents, documents)).reshape([batch, NEGATIVES, dim]);
    (documents * queries.clone().reshape([batch, 1, dim])).sum_dim(2).reshape([batch, NEGATIVES])
}

/// InfoNCE over the batch's documents and the query's own negatives; a query without any counts with the batch's only.
fn with_negatives(model: &TwoTower, topics: &Topics, rows: &[usize], negatives: &[Vec<usize>]) -> Tensor<1> {
    let (mut with, without): (Vec<usize>, Vec<usize>) = rows.iter().partition(|&&row| !negatives[row].is_empty());
    if with.is_empty() {
        return in_batch(model, topics, rows);
    }
    let first = with.len();
    with.extend(without);
    let (queries, documents) = pairs(model, topics, &with);
    let scores = queries.clone().matmul(documents.transpose());
    let own: Vec<usize> = with[..first].iter().flat_map(|&row| negatives[row].iter().copied()).collect();
    let own = to_own(model, topics, &queries.narrow(0, 0, first), &own);
    // A similarity of -1e4 is no negative at any temperature.
    let rest = Tensor::full([with.len() - first, NEGATIVES], -1e4, &own.device());
    let own = if first < with.len() { Tensor::cat(vec![own, rest], 0) } else { own };
    let loss = ScoreContrastiveLossConfig::new().with_temperature(TEMPERATURE).init();
    loss.forward(Tensor::cat(vec![scores, own], 1), None)
}

/// Similarities and judge's scores of the positive and the judged negatives, `[batch, 1 + NEGATIVES]` each.
fn candidates(model: &TwoTower, topics: &Topics, rows: &[usize], mined: &MinedNegatives) -> (Tensor<2>, Tensor<2>) {
    let (queries, documents) = pairs(model, topics, rows);
    let negatives: Vec<usize> = rows.iter().flat_map(|&row| mined.negatives[row].iter().copied()).collect();
    let positive = (queries.clone() * documents).sum_dim(1);
    let similarities = Tensor::cat(vec![positive, to_own(model, topics, &queries, &negatives)], 1);
    let of_row = |&row: &usize| std::iter::once(mined.positive_scores[row]).chain(mined.scores[row].iter().copied());
    let scores: Vec<f32> = rows.iter().flat_map(of_row).map(|score| score as f32).collect();
    let scores = TensorData::new(scores, [rows.len(), NEGATIVES + 1]);
    (similarities, Tensor::from_data(scores, &Device::flex().autodiff()))
}

/// The documents nearest to each test query, best first.
pub fn search(topics: &Topics, model: &TwoTower, top: usize) -> Vec<Vec<usize>> {
    let (queries, documents) = model.embed(&topics.queries.gather(&topics.test), &topics.documents);
    nearest_in(&queries, &documents, top, Distance::Cosine)
}

/// Scores of the test queries over all documents.
pub fn measure(topics: &Topics, model: &TwoTower) -> Measured {
    let found = search(topics, model, 10);
    let of = |score: &dyn Fn(usize, &[usize]) -> Option<f64>| {
        let scores: Vec<f64> =
            topics.test.iter().zip(&found).filter_map(|(&query, found)| score(query, found)).collect();
        mean(&scores)
    };
    let is = |holds: bool| Some(f64::from(u8::from(holds)));
    let gain = |relevance: &f64| (relevance - 0.6).max(0.0) / 0.4;
    let graded = |query: usize, found: &[usize]| {
        ndcg(found, &topics.relevance(query).iter().map(gain).collect::<Vec<f64>>(), 10)
    };
    Measured::from([
        ("nDCG@10", of(&graded)),
        ("recall@1", of(&|query, found| is(found[0] == query))),
        ("top-1 accepted", of(&|query, found| is(topics.judged(query, found[0]) > 0.5))),
    ])
}
