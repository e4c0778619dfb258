//! The objectives of retrieval.

use super::{Outputs, Tensors, config, gradient, numbers, read, slope};
use burn::tensor::{Bool, Tensor};
use contrarian::ranking::*;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "star_loss" => star(params, inputs)?,
        "adore_loss" => adore(params, inputs)?,
        _ => return Ok(None),
    }))
}

/// Checks that parameters which only describe the case say what we do.
pub fn described(params: &Map<String, Value>, expected: &[(&str, &str)]) -> Result<Map<String, Value>, String> {
    let mut params = params.clone();
    for (name, text) in expected {
        match params.remove(*name) {
            Some(value) if value == *text => {}
            other => return Err(format!("`{name}` is {other:?}, not {text:?}")),
        }
    }
    Ok(params)
}

fn star(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = described(
        params,
        &[
            ("score", "dot product"),
            ("loss", "softplus(neg - pos)"),
            ("reduction", "(sum over in-batch pairs + sum over hard pairs) / number of unmasked pairs"),
            ("mask", "1 = use the pair"),
        ],
    )?;
    let objective = config(&StarLossConfig::new(), &params)?.init();
    let mask = |name: &str| -> Result<Option<Tensor<2, Bool>>, String> {
        if !inputs.has(name) {
            return Ok(None);
        }
        let (shape, mask) = inputs.get(name)?;
        Ok(Some(inputs.make::<2>(shape, mask).not_equal_scalar(0)))
    };
    let (query, doc) = (inputs.float::<2>("query")?, inputs.float::<2>("doc")?);
    let hard = if inputs.has("hard") { Some(inputs.float::<2>("hard")?) } else { None };
    let loss = objective.forward(query.clone(), doc.clone(), hard.clone(), mask("pair_mask")?, mask("hard_mask")?);
    let gradients = loss.backward();
    let mut outputs = Outputs::from([
        ("scores_in_batch", numbers(query.clone().matmul(doc.clone().transpose()))),
        ("grad_query", slope(&gradients, &query)),
        ("grad_doc", slope(&gradients, &doc)),
        ("loss", numbers(loss)),
    ]);
    if let Some(hard) = hard {
        outputs.insert("grad_hard", slope(&gradients, &hard));
        outputs.insert("scores_hard", numbers(query.matmul(hard.transpose())));
    }
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adore {
    topk: usize,
    metric_cut: usize,
    sigma: f64,
}

fn adore(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Adore { topk, metric_cut, sigma } = read(params)?;
    if sigma != 1.0 {
        return Err(format!("`sigma` is {sigma}, not 1"));
    }
    let objective = AdoreLossConfig::new().with_topk(topk).with_metric_cut(Some(metric_cut)).init();
    let (shape, query) = inputs.get("query")?;
    let query = inputs.make::<2>(&[1, shape[0]], query).require_grad();
    let (_, relevant) = inputs.get("relevant")?;
    let relevant = vec![relevant.iter().map(|id| *id as usize).collect()];
    let (loss, lists) = objective.forward(query.clone(), inputs.float::<2>("docs")?, &relevant);
    let list = &lists[0];
    Ok(Outputs::from([
        ("grad_query", gradient(&loss, &query)),
        ("candidate_ids", list.documents.iter().map(|id| *id as f64).collect()),
        ("candidate_labels", list.relevant.iter().map(|relevant| f64::from(u8::from(*relevant))).collect()),
        ("mrr10", vec![list.reciprocal_rank(10, topk)]),
        ("weights_by_rank", list.discounts.clone()),
        ("loss", numbers(loss)),
    ]))
}
