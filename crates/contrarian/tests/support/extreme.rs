//! Extreme classification: NGAME's losses, its clusters and the metrics.

use super::{Outputs, Tensors, config, gradient, numbers, read, retrieval::described};
use burn::tensor::{Bool, Tensor};
use contrarian::negatives::balanced_bisect;
use contrarian::ranking::*;
use contrarian_lab::metrics::{extreme_metrics, inverse_propensity};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "triplet_ohnm_loss" | "triplet_ohnm_multi_loss" | "hinge_contrastive_loss" => loss(function, params, inputs)?,
        "balanced_bisect" => bisect(params, inputs)?,
        "inverse_propensity" => propensity(params, inputs)?,
        "xc_metrics" => metrics(params, inputs)?,
        _ => return Ok(None),
    }))
}

fn loss(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let scores = inputs.float::<2>("scores")?;
    let (shape, targets) = inputs.get("targets")?;
    let positives: Tensor<2, Bool> = inputs.make::<2>(shape, targets).not_equal_scalar(0);
    let loss = match function {
        "triplet_ohnm_loss" => {
            let params = described(params, &[("positive", "diagonal"), ("reduction", "mean over B*k entries")])?;
            config(&TripletOhnmLossConfig::new(), &params)?.init().forward(scores.clone(), positives)
        }
        "triplet_ohnm_multi_loss" => {
            let params = described(params, &[("reduction", "mean over B*num_positives*num_negatives")])?;
            config(&TripletOhnmMultiLossConfig::new(), &params)?.init().forward(scores.clone(), positives)
        }
        _ => {
            let params = described(params, &[("reduction", "mean")])?;
            config(&HingeContrastiveLossConfig::new(), &params)?.init().forward(scores.clone(), positives)
        }
    };
    Ok(Outputs::from([("grad_scores", gradient(&loss, &scores)), ("loss", numbers(loss))]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bisect {
    first_seed: usize,
    second_seed: usize,
    tolerance: f64,
}

fn bisect(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let order = "stable ascending sort of sim to seed2 minus sim to seed1; first half is ceil(n/2)";
    let Bisect { first_seed, second_seed, tolerance } = read(&described(params, &[("order", order)])?)?;
    if tolerance != 1e-4 {
        return Err(format!("the tolerance is {tolerance}, not 1e-4"));
    }
    let (shape, x) = inputs.get("x")?;
    let found = balanced_bisect(x, shape[1], [first_seed, second_seed]);
    let rows = |rows: Vec<usize>| rows.into_iter().map(|row| row as f64).collect();
    Ok(Outputs::from([
        ("left", rows(found.left)),
        ("right", rows(found.right)),
        ("centroids", found.centroids),
        ("objective", vec![found.objective]),
        ("iterations", vec![found.iterations as f64]),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Propensity {
    num_instances: usize,
    a: f64,
    b: f64,
}

fn propensity(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Propensity { num_instances, a, b } = read(params)?;
    let (_, frequency) = inputs.get("label_frequency")?;
    let found = frequency.iter().map(|n| inverse_propensity(*n, num_instances, (a, b))).collect();
    Ok(Outputs::from([("inverse_propensity", found)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtK {
    k: usize,
}

fn metrics(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let AtK { k } = read(params)?;
    let ((shape, scores), (_, targets)) = (inputs.get("scores")?, inputs.get("targets")?);
    let rank = |row: &[f64]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        order
    };
    let rankings: Vec<Vec<usize>> = scores.chunks(shape[1]).map(rank).collect();
    let of_row = |row: &[f64]| (0..row.len()).filter(|at| row[*at] > 0.0).collect();
    let labels: Vec<Vec<usize>> = targets.chunks(shape[1]).map(of_row).collect();
    let found = extreme_metrics(&rankings, &labels, &inputs.get("inverse_propensity")?.1, k);
    Ok(Outputs::from([
        ("precision_at_1_to_k", found.precision),
        ("psp_at_1_to_k", found.propensity_scored),
        ("recall_at_k", vec![found.recall]),
    ]))
}
