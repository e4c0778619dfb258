//! The audit of a retriever.

use super::{Outputs, Tensors, read, retrieval::described};
use contrarian_lab::audit::{audit_counts, detector_report, embedding_outliers, trigger_lift, unigram_nll};
use contrarian_lab::metrics::Relevance;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "retrieval_audit_counts" => counts(params, inputs)?,
        "trigger_lift" => lift(params, inputs)?,
        "unigram_nll" => likelihood(params, inputs)?,
        "detector_report" => detector(params, inputs)?,
        "embedding_outlier_scores" => outliers(params, inputs)?,
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtK {
    k: usize,
}

/// Documents by score, equal ones by their number.
fn rankings(inputs: &Tensors, name: &str) -> Result<Vec<Vec<usize>>, String> {
    let (shape, scores) = inputs.get(name)?;
    let rank = |row: &[f64]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| (row[*b] + 0.0).total_cmp(&(row[*a] + 0.0)));
        order
    };
    Ok(scores.chunks(shape[1]).map(rank).collect())
}

fn flags(inputs: &Tensors, name: &str) -> Result<Vec<bool>, String> {
    Ok(inputs.get(name)?.1.iter().map(|value| *value != 0.0).collect())
}

fn counts(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let AtK { k } = read(&described(params, &[("ties", "lower index first")])?)?;
    let rankings = rankings(inputs, "scores")?;
    let planted = flags(inputs, "planted")?;
    let relevant = flags(inputs, "relevant")?;
    let of_row = |row: &[bool]| Relevance::binary((0..row.len()).filter(|at| row[*at]));
    let relevance: Vec<Relevance> = relevant.chunks(planted.len()).map(of_row).collect();
    let found = audit_counts(&rankings, &planted, &relevance, k);
    Ok(Outputs::from([
        ("ranking", rankings.concat().into_iter().map(|at| at as f64).collect()),
        ("hit_accuracy", vec![found.hit]),
        ("attack_success_rate", vec![found.attack_success]),
        ("safe_hit_accuracy", vec![found.safe_hit]),
    ]))
}

fn lift(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let AtK { k } = read(params)?;
    let clean = rankings(inputs, "scores_clean_queries")?;
    let found = trigger_lift(&clean, &rankings(inputs, "scores_triggered_queries")?, &flags(inputs, "planted")?, k);
    Ok(Outputs::from([
        ("asr_triggered", vec![found.triggered]),
        ("asr_clean", vec![found.clean]),
        ("lift", vec![found.lift]),
        ("n_gained", vec![found.gained as f64]),
        ("n_lost", vec![found.lost as f64]),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Likelihood {
    additive: f64,
}

fn likelihood(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Likelihood { additive } = read(params)?;
    let texts = |name: &str| -> Result<(Vec<Vec<u32>>, usize), String> {
        let (shape, counts) = inputs.get(name)?;
        let text =
            |row: &[f64]| row.iter().enumerate().flat_map(|(word, count)| vec![word as u32; *count as usize]).collect();
        Ok((counts.chunks(shape[1]).map(text).collect(), shape[1]))
    };
    let ((documents, words), (trusted, _)) = (texts("counts")?, texts("reference_counts")?);
    let nll = unigram_nll(&documents, &trusted, words, additive);
    Ok(Outputs::from([("perplexity", nll.iter().map(|nll| nll.exp()).collect()), ("nll_per_token", nll)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detector {
    false_positive_budget: f64,
}

fn detector(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let quantile = "linear interpolation between order statistics, position (n-1)*(1-budget), over unplanted items; flag if score > \
                    threshold";
    let Detector { false_positive_budget } = read(&described(params, &[("quantile", quantile)])?)?;
    let found = detector_report(&inputs.get("score")?.1, &flags(inputs, "planted")?, false_positive_budget);
    let found = found.map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("auc", vec![found.auc]),
        ("threshold", vec![found.threshold]),
        ("true_positive_rate", vec![found.true_positive_rate]),
        ("false_positive_rate", vec![found.false_positive_rate]),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outliers {
    neighbours: usize,
}

fn outliers(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Outliers { neighbours } = read(&described(params, &[("std", "population")])?)?;
    let (shape, x) = inputs.get("embeddings")?;
    let found = embedding_outliers(x, shape[1], neighbours);
    Ok(Outputs::from([("norm", found.norm), ("norm_z", found.norm_z), ("mean_top3_cosine", found.mean_cosine)]))
}
