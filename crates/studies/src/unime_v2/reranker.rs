//! The reranker: a scorer of pairs, trained with the pairwise loss alone or with the listwise one too.

use super::retriever::{Budget, NEGATIVES, input, search};
use super::topics::{OBSERVED, Topics};
use crate::support::{Measured, best_by, mean};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::ranking::{RerankJointLossConfig, RerankPairwiseLossConfig};
use contrarian_lab::data::Sampler;
use contrarian_lab::fit::TrainingLoop;
use contrarian_lab::mining::MinedNegatives;
use contrarian_lab::model::{Mlp, MlpConfig, Mode, TwoTower};

/// Negatives in a list.
const LISTED: usize = 5;
/// Documents that are reranked.
const RERANKED: usize = 10;

/// Trains on the judged negatives, reranks the retriever's first ten for every test query.
pub fn rerank(
    topics: &Topics,
    retriever: &TwoTower,
    mined: &MinedNegatives,
    joint: bool,
    budget: Budget,
    seed: u64,
) -> Result<Measured, String> {
    let rows: Vec<usize> = (0..topics.train.len()).filter(|&row| !mined.negatives[row].is_empty()).collect();
    let model = MlpConfig::new(OBSERVED, 2).with_depth(1).init(&Device::flex().autodiff(), seed);
    let config = budget.config(rows.len());
    let fitted = TrainingLoop::new(&config, Sampler::Shuffled { rows: rows.len() }, seed)
        .run(model, |model: &Mlp, batch, _| {
            let batch: Vec<usize> = batch.iter().map(|&at| rows[at]).collect();
            loss(topics, model, mined, &batch, joint)
        })
        .map_err(|error| error.to_string())?;
    let model = &fitted.model;
    let found = search(topics, retriever, RERANKED);
    let hits: Vec<f64> = topics
        .test
        .iter()
        .zip(&found)
        .map(|(&query, found)| {
            let pairs = products(topics, &vec![query; found.len()], found).inner();
            let answers = model.logits(pairs, &mut Mode::Inference).into_data();
            let answers: Vec<f64> = answers.iter::<f64>().collect();
            let best = best_by(0..found.len(), |&at| answers[2 * at] - answers[2 * at + 1]);
            f64::from(u8::from(best.map(|at| found[at]) == Some(query)))
        })
        .collect();
    Ok(Measured::from([("recall@1", mean(&hits))]))
}

/// What the scorer sees of each pair: the 40 products of what is seen of the two.
fn products(topics: &Topics, queries: &[usize], documents: &[usize]) -> Tensor<2> {
    input(&topics.queries, queries) * input(&topics.documents, documents)
}

fn loss(topics: &Topics, model: &Mlp, mined: &MinedNegatives, batch: &[usize], joint: bool) -> Tensor<1> {
    let n = batch.len();
    let queries: Vec<usize> = batch.iter().map(|&row| topics.train[row]).collect();
    // The first negative is the nearest that the judge did not take for a positive: the hardest.
    let listed = |row: usize| std::iter::once(topics.train[row]).chain(mined.negatives[row][..LISTED].iter().copied());
    let documents: Vec<usize> = batch.iter().flat_map(|&row| listed(row)).collect();
    let repeated: Vec<usize> = queries.iter().flat_map(|&query| [query; LISTED + 1]).collect();
    // Logits of yes and no for each pair.
    let logits = model.logits(products(topics, &repeated, &documents), &mut Mode::Inference);
    let logits = logits.reshape([n, LISTED + 1, 2]);
    let of = |place: usize| logits.clone().narrow(1, place, 1).reshape([n, 2]);
    if !joint {
        return RerankPairwiseLossConfig::new().init().forward(of(0), of(1));
    }
    let scores = (logits.clone().narrow(2, 0, 1) - logits.clone().narrow(2, 1, 1)).reshape([n, LISTED + 1]);
    // A scorer of pairs does not see places: the positive may be the first everywhere.
    let target = Tensor::<1, Int>::from_data(TensorData::new(vec![0i64; n], [n]), &scores.device());
    RerankJointLossConfig::new().init().forward(of(0), of(1), scores, target)
}

const _: () = assert!(LISTED <= NEGATIVES, "a list is made of a query's negatives");
