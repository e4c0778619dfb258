//! The game of retriever and ranker.

use super::{Outputs, Tensors, config, gradient, numbers, retrieval::described, slope};
use burn::tensor::{Int, Tensor, activation};
use contrarian::ranking::*;
use serde_json::{Map, Value, json};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "ar2_ranker_loss" => ranker(params, inputs)?,
        "ar2_retriever_loss" => retriever(params, inputs)?,
        _ => return Ok(None),
    }))
}

fn ranker(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = described(params, &[("positive", "column 0")])?;
    let objective = config(&RerankListwiseLossConfig::new(), &params)?.init();
    let scores = inputs.float::<2>("ranker_scores")?;
    let loss = objective.forward(scores.clone(), Tensor::<1, Int>::zeros([scores.dims()[0]], &scores.device()));
    Ok(Outputs::from([("grad_ranker_scores", gradient(&loss, &scores)), ("loss", numbers(loss))]))
}

fn retriever(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (scores, ranker) = (inputs.float::<2>("retriever_scores")?, inputs.float::<2>("ranker_scores")?);
    let mut params = params.clone();
    let variant = params.remove("variant").and_then(|variant| variant.as_str().map(String::from));
    let variant = variant.ok_or("`variant` is missing")?;
    let common = [("positive", "column 0"), ("distill_reduction", "mean over batch")];
    if variant == "reference" {
        return reference(
            &described(&params, &[common[0], common[1], ("adv_reduction", "sum over batch")])?,
            scores,
            ranker,
        );
    }
    let mut params = described(&params, &[common[0], common[1], ("adv_reduction", "mean over batch")])?;
    let candidates = match variant.as_str() {
        "stable_all_candidates" => "All",
        "stable_negatives_only" => "Negatives",
        other => return Err(format!("unknown variant `{other}`")),
    };
    params.insert("adversarial".into(), json!(candidates));
    let parts = config(&Ar2RetrieverLossConfig::new(), &params)?.init().forward_parts(scores.clone(), ranker);
    Ok(Outputs::from([
        ("grad_retriever_scores", gradient(&parts.loss, &scores)),
        ("loss", numbers(parts.loss)),
        ("adv_loss", numbers(parts.adversarial)),
        ("distill_loss", numbers(parts.distillation)),
        ("rewards", numbers(parts.rewards)),
    ]))
}

/// The authors' code, which is no part of the library: a number inside every logarithm, and one part summed over the batch.
fn reference(params: &Map<String, Value>, scores: Tensor<2>, ranker: Tensor<2>) -> Result<Outputs, String> {
    let number = |name: &str| params.get(name).and_then(Value::as_f64).ok_or(format!("`{name}` is no number"));
    let (lambda, temperature, eps) = (number("lambda")?, number("temperature")?, number("eps")?);
    let dim = params.get("scale_dim").and_then(Value::as_f64);
    if params.len() != 4 {
        return Err(format!("parameters of the reference are {params:?}"));
    }
    let scaled = scores.clone().mul_scalar(1.0 / dim.unwrap_or(1.0).sqrt());
    let log_p = activation::softmax(scaled, 1).add_scalar(eps).log();
    let ranker = ranker.detach();
    let margins = ranker.clone().narrow(1, 0, 1) - ranker.clone();
    // sigmoid with the precision of the tensors: 1 / (1 + e^-x).
    let rewards = margins.neg().exp().add_scalar(1.0).recip().add_scalar(eps).log();
    let adversarial = (rewards.clone() * log_p.clone()).sum();
    let taught = activation::softmax(ranker.mul_scalar(1.0 / temperature), 1);
    let distillation = (taught * log_p).sum_dim(1).mean().neg();
    let loss = adversarial.clone().mul_scalar(lambda) + distillation.clone().mul_scalar(1.0 - lambda);
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("grad_retriever_scores", slope(&gradients, &scores)),
        ("loss", numbers(loss)),
        ("adv_loss", numbers(adversarial)),
        ("distill_loss", numbers(distillation)),
        ("rewards", numbers(rewards)),
    ]))
}
