//! Neighbours and label cleaning, which live in the lab.

use super::{Outputs, Tensors, read};
use burn::tensor::DType;
use contrarian_lab::cleaning::{CleanMode, CleanPlan, ExtrinsicCleaner, IntrinsicCleaner};
use contrarian_lab::data::Matrix;
use contrarian_lab::metrics::{Distance, Neighbour, nearest_neighbours, relation_micro_f1};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "relation_micro_f1" => micro_f1(params, inputs)?,
        "nearest_neighbours" => neighbours(params, inputs)?,
        "intrinsic_clean" => intrinsic(params, inputs)?,
        "extrinsic_clean" => extrinsic(params, inputs)?,
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct F1 {
    negative_class: usize,
}

fn micro_f1(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let F1 { negative_class } = read(params)?;
    let score = relation_micro_f1(&classes(inputs, "pred")?, &classes(inputs, "gold")?, negative_class);
    Ok(Outputs::from([
        ("true_positives", vec![score.true_positives as f64]),
        ("predicted_positive", vec![score.predicted_positive as f64]),
        ("gold_positive", vec![score.gold_positive as f64]),
        ("precision", vec![score.precision]),
        ("recall", vec![score.recall]),
        ("f1", vec![score.f1]),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Knn {
    k: usize,
    metric: String,
    ties: String,
    distance: String,
}

fn neighbours(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Knn { k, metric, ties, distance } = read(params)?;
    only("ties", &ties, "lower reference index first")?;
    let metric = match (metric.as_str(), distance.as_str()) {
        ("cosine", "1-cosine") => Distance::Cosine,
        ("euclidean", "squared euclidean") => Distance::Euclidean,
        other => return Err(format!("unknown metric and distance {other:?}")),
    };
    let ((shape, query), (_, reference)) = (inputs.get("query")?, inputs.get("reference")?);
    let cols = *shape.last().ok_or("queries need an axis")?;
    let found = match inputs.dtype {
        DType::F32 => nearest_neighbours(&single(query), &single(reference), cols, k, metric),
        _ => nearest_neighbours(query, reference, cols, k, metric),
    };
    let found: Vec<Neighbour> = found.map_err(|error| error.to_string())?.concat();
    Ok(Outputs::from([
        ("index", found.iter().map(|neighbour| neighbour.row as f64).collect()),
        ("distance", found.iter().map(|neighbour| neighbour.distance).collect()),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Intrinsic {
    k: usize,
    negative_class: usize,
    metric: String,
    relabel: String,
}

fn intrinsic(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Intrinsic { k, negative_class, metric, relabel } = read(params)?;
    only("metric", &metric, "cosine")?;
    only("relabel", &relabel, "majority label of the false negatives that point at it, ties to the nearest")?;
    let cleaner = IntrinsicCleaner::new().with_k(k).with_negative_class(negative_class);
    let (labels, predictions) = (classes(inputs, "labels")?, classes(inputs, "predictions")?);
    Ok(outputs(&cleaner.plan(&matrix(inputs, "embeddings")?, &labels, &predictions)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extrinsic {
    k: usize,
    negative_class: usize,
    metric: String,
    mode: String,
    min_votes: usize,
    tie: String,
}

fn extrinsic(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Extrinsic { k, negative_class, metric, mode, min_votes, tie } = read(params)?;
    only("metric", &metric, "cosine")?;
    only("tie", &tie, "label of the nearest neighbour among the tied")?;
    let mode = match mode.as_str() {
        "negatives" => CleanMode::NegativesOnly,
        "both" => CleanMode::Both,
        other => return Err(format!("unknown mode `{other}`")),
    };
    let cleaner = ExtrinsicCleaner::new().with_k(k).with_mode(mode).with_negative_class(negative_class);
    let cleaner = cleaner.with_min_votes(min_votes);
    let (x, clean) = (matrix(inputs, "embeddings")?, matrix(inputs, "clean_embeddings")?);
    let votes = cleaner.votes(&x, &clean, &classes(inputs, "clean_labels")?).map_err(|error| error.to_string())?;
    let mut outputs = outputs(&cleaner.plan_from(&classes(inputs, "labels")?, &votes));
    outputs.insert("majority", votes.iter().map(|vote| vote.majority as f64).collect());
    outputs.insert("votes", votes.iter().map(|vote| vote.votes as f64).collect());
    Ok(outputs)
}

fn outputs(plan: &CleanPlan) -> Outputs {
    let numbers = |values: &[usize]| values.iter().map(|&value| value as f64).collect();
    Outputs::from([
        ("false_negatives", numbers(&plan.false_negatives)),
        ("flagged", numbers(&plan.flagged)),
        ("relabelled", numbers(&plan.relabelled)),
        ("keep", numbers(&plan.keep)),
    ])
}

/// A parameter in words that has one legal value.
fn only(name: &str, value: &str, legal: &str) -> Result<(), String> {
    if value == legal { Ok(()) } else { Err(format!("`{name}` is `{value}`, not `{legal}`")) }
}

fn classes(inputs: &Tensors, name: &str) -> Result<Vec<usize>, String> {
    Ok(inputs.get(name)?.1.iter().map(|&value| value as usize).collect())
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// Embeddings are f32 in either precision: what comes of them are rows and labels.
fn matrix(inputs: &Tensors, name: &str) -> Result<Matrix, String> {
    let (shape, data) = inputs.get(name)?;
    let [rows, cols] = shape[..] else { return Err(format!("`{name}` must have two axes")) };
    Ok(Matrix { rows, cols, data: single(data) })
}
