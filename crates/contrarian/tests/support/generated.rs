//! Generated negatives: the losses over triples, the search and the tests they are compared by.

use super::retrieval::described;
use super::{Outputs, Tensors, config, numbers, read, slope};
use burn::tensor::Tensor;
use contrarian::contrastive::normalize_rows;
use contrarian::ranking::*;
use contrarian_lab::data::Matrix;
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::retrieval::{Bm25Config, ExactIndex, Hit};
use contrarian_lab::stats;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "bm25_scores" => bm25(params, inputs)?,
        "mnr_hard_loss" => multiple_negatives(params, inputs)?,
        "triplet_loss" => triplet(params, inputs)?,
        "ranking_metrics" => ranking_metrics(params, inputs)?,
        "paired_test" => paired_test(params, inputs)?,
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bm25 {
    k1: f64,
    b: f64,
    vocab: u32,
}

fn bm25(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let said = [("idf", "ln(1+(N-df+0.5)/(df+0.5))"), ("repeated query terms", "counted each time")];
    let Bm25 { k1, b, vocab } = read(&described(params, &said)?)?;
    let documents = ragged(inputs, "doc")?;
    let index = Bm25Config::new().with_k1(k1).with_b(b).build(&documents);
    let queries = ragged(inputs, "query")?;
    let top = queries.iter().map(|query| index.top(query, documents.len(), &[]));
    Ok(Outputs::from([
        ("ranking", top.flatten().map(|hit| hit.document as f64).collect()),
        ("scores", queries.iter().flat_map(|query| index.scores(query)).collect()),
        ("idf", (0..vocab).map(|word| index.idf(word)).collect()),
    ]))
}

/// Lists of words, the i-th from the i-th offset to the next.
fn ragged(inputs: &Tensors, of: &str) -> Result<Vec<Vec<u32>>, String> {
    let ((_, words), (_, offsets)) = (inputs.get(&format!("{of}_tokens"))?, inputs.get(&format!("{of}_offsets"))?);
    let list = |ends: &[f64]| words[ends[0] as usize..ends[1] as usize].iter().map(|word| *word as u32).collect();
    Ok(offsets.windows(2).map(list).collect())
}

fn multiple_negatives(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let said = [("candidates", "all positives of the batch, then all hard negatives of the batch")];
    let config = config(&MnrLossConfig::new(), &described(params, &said)?)?;
    let [query, positive, hard] = triples(inputs)?;
    let loss = config.init().forward(query.clone(), positive.clone(), Some(hard.clone()));
    let compared = |texts: Tensor<2>| match config.similarity {
        Similarity::Cosine => normalize_rows(texts),
        Similarity::Dot => texts,
    };
    let candidates = compared(Tensor::cat(vec![positive.clone(), hard.clone()], 0));
    let scores = compared(query.clone()).matmul(candidates.transpose()).mul_scalar(config.scale);
    let mut outputs = gradients(&loss, &[query, positive, hard]);
    outputs.insert("scores", numbers(scores));
    outputs.insert("loss", numbers(loss));
    Ok(outputs)
}

fn triplet(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = described(params, &[("distance", "euclidean"), ("reduction", "mean")])?;
    let objective = config(&QueryTripletLossConfig::new(), &params)?.init();
    let [query, positive, hard] = triples(inputs)?;
    let loss = objective.forward(query.clone(), positive.clone(), hard.clone());
    let mut outputs = gradients(&loss, &[query, positive, hard]);
    outputs.insert("loss", numbers(loss));
    Ok(outputs)
}

fn triples(inputs: &Tensors) -> Result<[Tensor<2>; 3], String> {
    Ok([inputs.float("query")?, inputs.float("positive")?, inputs.float("hard")?])
}

fn gradients(loss: &Tensor<1>, leaves: &[Tensor<2>; 3]) -> Outputs {
    let found = loss.backward();
    let names = ["grad_query", "grad_positive", "grad_hard"];
    names.into_iter().zip(leaves).map(|(name, leaf)| (name, slope(&found, leaf))).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    k: usize,
    recall_k: usize,
}

fn ranking_metrics(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let said = [
        ("gain", "2^rel-1"),
        ("ties", "lower document index first"),
        ("query without relevant documents", "scores 0 and counts"),
    ];
    let Metrics { k, recall_k } = read(&described(params, &said)?)?;
    let ((shape, scores), (_, grades)) = (inputs.get("scores")?, inputs.get("relevance")?);
    let mut outputs = Outputs::new();
    for (scores, grades) in scores.chunks(shape[1]).zip(grades.chunks(shape[1])) {
        // Documents of one number are found by this number.
        let documents = Matrix { rows: shape[1], cols: 1, data: scores.iter().map(|score| *score as f32).collect() };
        let query = Matrix { rows: 1, cols: 1, data: vec![1.0] };
        let found: Vec<Hit> = ExactIndex::new(documents).search(&query, shape[1]).concat();
        let ranking: Vec<usize> = found.iter().map(|hit| hit.document).collect();
        let relevance = Relevance::new(grades.iter().map(|grade| *grade as u32).enumerate());
        for (name, value) in [
            ("ndcg", relevance.ndcg(&ranking, k, Gain::Exponential)),
            ("precision", relevance.precision(&ranking, k)),
            ("recall", relevance.recall(&ranking, recall_k)),
            ("mrr", relevance.reciprocal_rank(&ranking, k)),
        ] {
            outputs.entry(name).or_default().push(value);
        }
        outputs.entry("ranking").or_default().extend(ranking.iter().map(|document| *document as f64));
    }
    let mean = outputs["ndcg"].iter().sum::<f64>() / shape[0] as f64;
    outputs.insert("mean_ndcg", vec![mean]);
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Margin {
    margin: f64,
}

fn paired_test(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Margin { margin } = read(params)?;
    let (_, differences) = inputs.get("differences")?;
    let found = stats::paired_test(differences, margin).map_err(|error| error.to_string())?;
    let outputs = [
        ("mean", found.mean),
        ("sd", found.deviation),
        ("t", found.t),
        ("p_two_sided", found.p_two_sided),
        ("p_greater", found.p_greater),
        ("t_lower", found.t_lower),
        ("t_upper", found.t_upper),
        ("p_equivalence", found.p_equivalence),
    ];
    Ok(outputs.into_iter().map(|(name, value)| (name, vec![value])).collect())
}
