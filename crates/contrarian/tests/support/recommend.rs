//! The parts of recommendation.

use super::{Outputs, Tensors, config, numbers, read, slope};
use burn::tensor::{Bool, Tensor};
use contrarian::negatives::*;
use contrarian::ranking::*;
use contrarian_lab::recommend::{NormalizedGraph, ndcg_at_k, recall_at_k, top_items};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "bpr_loss" => bpr(params, inputs)?,
        "pld_probabilities" => probabilities(params, inputs)?,
        "pld_probabilities_from_losses" => from_losses(params, inputs)?,
        "lightgcn_propagate" => propagate(params, inputs)?,
        "recsys_metrics" => metrics(params, inputs)?,
        _ => return Ok(None),
    }))
}

/// Checks that a parameter which only describes the case says what we do.
fn says(name: &str, given: &str, ours: &str) -> Result<(), String> {
    if given == ours { Ok(()) } else { Err(format!("`{name}` is {given:?}, not {ours:?}")) }
}

fn bpr(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = params.clone();
    match params.remove("reduction") {
        None => {}
        Some(Value::String(reduction)) => says("reduction", &reduction, "mean")?,
        Some(other) => return Err(format!("`reduction` is {other}")),
    }
    let objective = config(&BprLossConfig::new(), &params)?.init();
    let (user, pos, neg) = (inputs.float::<2>("user")?, inputs.float::<2>("pos")?, inputs.float::<2>("neg")?);
    let loss = objective.forward(user.clone(), pos.clone(), neg.clone());
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("bpr", numbers(objective.ranking(user.clone(), pos.clone(), neg.clone()).mean())),
        ("reg", numbers(objective.penalty(user.clone(), pos.clone(), neg.clone()))),
        ("grad_user", slope(&gradients, &user)),
        ("grad_pos", slope(&gradients, &pos)),
        ("grad_neg", slope(&gradients, &neg)),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Temperature {
    temperature: f64,
}

fn mask(inputs: &Tensors) -> Result<Option<Tensor<2, Bool>>, String> {
    if !inputs.has("mask") {
        return Ok(None);
    }
    let (shape, mask) = inputs.get("mask")?;
    Ok(Some(inputs.make::<2>(shape, mask).not_equal_scalar(0)))
}

fn cumulative(probabilities: &[f64], items: usize) -> Vec<f64> {
    let of_row = |row: &[f64]| {
        let sums = row.iter().scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        });
        sums.collect::<Vec<_>>()
    };
    probabilities.chunks(items).flat_map(of_row).collect()
}

fn probabilities(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Temperature { temperature } = read(params)?;
    let (pos, neg) = (inputs.float::<2>("pos_scores")?, inputs.float::<1>("neg_score")?);
    let [rows, items] = pos.dims();
    // The losses are those of the ranking loss, of embeddings with the score as their one number.
    let one = |scores: Tensor<2>| scores.reshape([rows * items, 1]);
    let negatives = neg.clone().reshape([rows, 1]).expand([rows, items]);
    let losses = BprLossConfig::new().init().ranking(one(pos.ones_like()), one(pos.clone()), one(negatives));
    let found = pld_probabilities(pos, neg, temperature, mask(inputs)?).map_err(|error| error.to_string())?;
    let again = pld_probabilities_from_losses(losses.clone().reshape([rows, items]), temperature, mask(inputs)?);
    let probabilities = numbers(found);
    Ok(Outputs::from([
        ("losses", numbers(losses)),
        ("cumulative", cumulative(&probabilities, items)),
        ("probabilities", probabilities),
        ("again:probabilities", numbers(again.map_err(|error| error.to_string())?)),
    ]))
}

fn from_losses(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Temperature { temperature } = read(params)?;
    let losses = inputs.float::<2>("losses")?;
    let items = losses.dims()[1];
    let found = pld_probabilities_from_losses(losses, temperature, mask(inputs)?).map_err(|error| error.to_string())?;
    let probabilities = numbers(found);
    Ok(Outputs::from([("cumulative", cumulative(&probabilities, items)), ("probabilities", probabilities)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Propagation {
    n_users: usize,
    n_items: usize,
    layers: usize,
    combine: String,
    norm: String,
    repeated_edge: String,
    gradient_of: String,
}

fn propagate(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let p: Propagation = read(params)?;
    says("combine", &p.combine, "mean of layers 0..L")?;
    says("norm", &p.norm, "1/sqrt(d_u d_i)")?;
    says("repeated_edge", &p.repeated_edge, "counts twice, as in the reference")?;
    says("gradient_of", &p.gradient_of, "sum(out * weight_of_test_sum)")?;
    let (shape, embeddings) = inputs.get("embeddings")?;
    let (_, edges) = inputs.get("edges")?;
    let edges: Vec<(u32, u32)> = edges.chunks(2).map(|edge| (edge[0] as u32, edge[1] as u32)).collect();
    let graph = NormalizedGraph::new(p.n_users, p.n_items, &edges).map_err(|error| error.to_string())?;
    // As the reference numbers them: 0.5 at the first entry, 1.5 at the last.
    let count = embeddings.len();
    let weights: Vec<f64> = (0..count).map(|at| 0.5 + at as f64 / (count - 1) as f64).collect();
    // The matrix is symmetric: the gradient of a weighted sum is the weights, propagated.
    Ok(Outputs::from([
        ("out", graph.propagate(embeddings, shape[1], p.layers)),
        ("grad_embeddings", graph.propagate(&weights, shape[1], p.layers)),
        ("weight_of_test_sum", weights),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    k: usize,
    ideal_dcg: String,
    user_without_test_items: String,
}

fn metrics(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Metrics { k, ideal_dcg, user_without_test_items } = read(params)?;
    says("user_without_test_items", &user_without_test_items, "0 and counts")?;
    let truncate_ideal = match ideal_dcg.as_str() {
        "truncated at k" => true,
        "all test items (reference code)" => false,
        other => return Err(format!("`ideal_dcg` is {other:?}")),
    };
    let (shape, scores) = inputs.get("scores")?;
    let ragged = |name: &str| -> Result<Vec<Vec<u32>>, String> {
        let ((_, items), (_, offsets)) = (inputs.get(name)?, inputs.get(&format!("{name}_offsets"))?);
        let list = |ends: &[f64]| items[ends[0] as usize..ends[1] as usize].iter().map(|&item| item as u32).collect();
        Ok(offsets.windows(2).map(list).collect())
    };
    let (seen, test) = (ragged("seen")?, ragged("test")?);
    let scores = scores.chunks(shape[1]).map(|row| row.iter().map(|&score| score as f32).collect::<Vec<f32>>());
    let top: Vec<Vec<u32>> = scores.zip(&seen).map(|(scores, seen)| top_items(&scores, &[seen], k)).collect();
    let pairs = || top.iter().zip(&test);
    let recall: Vec<f64> = pairs().map(|(top, test)| recall_at_k(top, test)).collect();
    let ndcg: Vec<f64> = pairs().map(|(top, test)| ndcg_at_k(top, test, k, truncate_ideal)).collect();
    let mean = |values: &[f64]| vec![values.iter().sum::<f64>() / values.len() as f64];
    Ok(Outputs::from([
        ("top", top.iter().flatten().map(|&item| f64::from(item)).collect()),
        ("mean_recall", mean(&recall)),
        ("mean_ndcg", mean(&ndcg)),
        ("recall", recall),
        ("ndcg", ndcg),
    ]))
}
