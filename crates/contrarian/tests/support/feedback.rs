//! Query rewriting with feedback, and coupled estimation.

use super::{Outputs, Tensors, config, gradient, numbers, read, retrieval::described, slope};
use contrarian::ranking::*;
use contrarian_lab::metrics::drift_report;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "lol_regulariser" => lol(params, inputs)?,
        "reformulation_loss" => reformulation(params, inputs)?,
        "vector_rocchio" => rocchio(params, inputs)?,
        "drift_report" => drift(params, inputs)?,
        "cet_step" => cet(params, inputs)?,
        "pooling_posterior" => posterior(params, inputs)?,
        _ => return Ok(None),
    }))
}

fn whole(inputs: &Tensors, name: &str) -> Result<Vec<usize>, String> {
    Ok(inputs.get(name)?.1.iter().map(|value| *value as usize).collect())
}

fn lol(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = described(
        params,
        &[
            ("pairs", "every pair of revisions of one query, more feedback vs less"),
            ("reduction", "mean over queries and pairs"),
        ],
    )?;
    let lambda = params.remove("lambda_cr").ok_or("`lambda_cr` is missing")?;
    params.insert("lambda".into(), lambda);
    let objective = config(&LolRegulariserConfig::new(), &params)?.init();
    let losses = inputs.float::<2>("losses")?;
    let counts = whole(inputs, "feedback_counts")?;
    let counts: Vec<Vec<usize>> = counts.chunks(losses.dims()[1]).map(Vec::from).collect();
    let (total, regulariser) = objective.forward(losses.clone(), &counts);
    Ok(Outputs::from([
        ("grad_losses", gradient(&total, &losses)),
        ("total", numbers(total)),
        ("regulariser", numbers(regulariser)),
    ]))
}

fn reformulation(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = described(
        params,
        &[("target", "lowest-scoring relevant document"), ("other_relevant", "removed from the softmax")],
    )?;
    let objective = config(&ReformulationLossConfig::new(), &params)?.init();
    let (query, docs) = (inputs.float::<2>("query")?, inputs.float::<2>("docs")?.detach());
    let (positives, offsets) = (whole(inputs, "positives")?, whole(inputs, "positive_offsets")?);
    let relevant: Vec<Vec<usize>> = offsets.windows(2).map(|cut| positives[cut[0]..cut[1]].to_vec()).collect();
    let scores = query.clone().matmul(docs.clone().transpose());
    let targets = objective.targets(&scores, &relevant).into_iter().map(|target| target as f64).collect();
    let losses = objective.forward_no_reduction(query.clone(), docs, &relevant);
    let loss = losses.clone().mean();
    Ok(Outputs::from([
        ("grad_query", gradient(&loss, &query)),
        ("loss_per_query", numbers(losses)),
        ("loss", numbers(loss)),
        ("target", targets),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rocchio {
    alpha: f64,
    beta: f64,
}

fn rocchio(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Rocchio { alpha, beta } = read(&described(params, &[("empty_feedback", "alpha*q")])?)?;
    let (shape, mask) = inputs.get("mask")?;
    let mask = inputs.make::<2>(shape, mask).not_equal_scalar(0);
    let revised = vector_rocchio(inputs.float::<2>("query")?, inputs.float::<3>("feedback")?, mask, alpha, beta);
    Ok(Outputs::from([("revised", numbers(revised))]))
}

fn drift(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let columns = "loss with 0,1,..,K feedback documents; violation of pair i<j = max(0, loss_j - loss_i)";
    described(params, &[("columns", columns)])?;
    let (shape, losses) = inputs.get("losses")?;
    let report = drift_report(&losses.chunks(shape[1]).map(Vec::from).collect::<Vec<_>>());
    Ok(Outputs::from([
        ("mean_violation", vec![report.mean_violation]),
        ("violation_rate", vec![report.violation_rate]),
    ]))
}

fn cet(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = described(
        params,
        &[
            ("weights", "reference (no gradient through weights)"),
            ("reduction", "weighted sum divided by number of pairs"),
        ],
    )?;
    let ratio = params.remove("debias_ratio").ok_or("`debias_ratio` is missing")?;
    params.insert("ratio".into(), ratio);
    let objective = config(&CetConfig::new(), &params)?.init();
    let scores = |name: &str| inputs.float::<1>(name);
    let (rel_pos, rel_neg) = (scores("rel_pos")?, scores("rel_neg")?);
    let (sel_pos, sel_neg) = (scores("sel_pos")?, scores("sel_neg")?);
    let step = objective.forward([rel_pos.clone(), rel_neg.clone()], [sel_pos.clone(), sel_neg.clone()]);
    let gradients = (step.relevance_loss.clone() + step.selection_loss.clone()).backward();
    Ok(Outputs::from([
        ("grad_rel_pos", slope(&gradients, &rel_pos)),
        ("grad_rel_neg", slope(&gradients, &rel_neg)),
        ("grad_sel_pos", slope(&gradients, &sel_pos)),
        ("grad_sel_neg", slope(&gradients, &sel_neg)),
        ("weight_for_relevance", numbers(step.relevance_weights)),
        ("weight_for_selection", numbers(step.selection_weights)),
        ("relevance_loss", numbers(step.relevance_loss)),
        ("selection_loss", numbers(step.selection_loss)),
        ("relevance_loss_unweighted", numbers(step.relevance_unweighted)),
        ("selection_loss_unweighted", numbers(step.selection_unweighted)),
    ]))
}

fn posterior(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    described(params, &[("formula", "own derivation, see spec")])?;
    let ((_, rho), (_, lam)) = (inputs.get("rho")?, inputs.get("lam")?);
    let all: Vec<PoolingPosterior> = rho.iter().zip(lam).map(|(rho, lam)| pooling_posterior(*rho, *lam)).collect();
    let of = |pick: fn(&PoolingPosterior) -> f64| all.iter().map(pick).collect();
    Ok(Outputs::from([
        ("p_labelled", of(|p| p.labelled)),
        ("p_rel_given_unlabelled", of(|p| p.relevant_unlabelled)),
        ("p_nonrel_given_unlabelled", of(|p| p.irrelevant_unlabelled)),
        ("p_selected_given_unlabelled", of(|p| p.selected_unlabelled)),
        ("weight_pos", lam.iter().map(|lam| 1.0 / lam.max(0.05)).collect()),
    ]))
}
