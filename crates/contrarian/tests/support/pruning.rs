//! Golden cases of pruning and of the class-dependent loss.

use super::*;
use burn::module::{Param, ParamId};
use burn::optim::GradientsParams;
use contrarian::compression::{MagnitudeFinal, MagnitudeIncrease, Masks, Snip};
use contrarian::diagnostics::BinaryDetectionMetrics;

pub fn class_dependent(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&ClassDependentLossConfig::new(), params)?.init();
    let (logits, labels) = (inputs.float::<2>("logits")?, inputs.int("labels")?);
    let loss = objective.forward(logits.clone(), labels.clone());
    let parts = objective.parts(logits.clone(), labels);
    Ok(Outputs::from([
        ("grad_logits", gradient(&loss, &logits)),
        ("weighted_ce", numbers(parts.weighted_ce)),
        ("ranking_loss", numbers(parts.ranking)),
        ("loss", numbers(loss)),
    ]))
}

pub fn pairwise(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&PairwiseSquaredHingeConfig::new(), params)?.init();
    let name = if inputs.has("scores") { "scores" } else { "logits" };
    let scores = inputs.float::<1>(name)?;
    let loss = objective.forward(scores.clone(), inputs.int("labels")?);
    let found = gradient(&loss, &scores);
    Ok(Outputs::from([("grad_scores", found.clone()), ("grad_logits", found), ("loss", numbers(loss))]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EffectiveNumber {
    beta: Option<f64>,
    one_minus_beta: Option<f64>,
    #[serde(default, alias = "normalise", alias = "mean_one")]
    normalize: bool,
}

pub fn effective_number(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let EffectiveNumber { beta, one_minus_beta, normalize } = read(params)?;
    let counts: Vec<usize> = inputs.get("counts")?.1.iter().map(|&count| count as usize).collect();
    let weights = match (beta, one_minus_beta) {
        (Some(beta), None) => effective_number_weights(&counts, beta),
        (None, Some(rest)) => effective_number_weights_near_one(&counts, rest),
        _ => return Err("give beta or one_minus_beta".into()),
    };
    let weights = weights.map_err(|error| error.to_string())?;
    Ok(Outputs::from([("weights", if normalize { mean_one(&weights) } else { weights })]))
}

type Bare = Param<Tensor<2>>;

/// A matrix as a module of its own, under masks as given.
fn masked(inputs: &Tensors, name: &str) -> Result<(ParamId, Bare, Masks), String> {
    let id = ParamId::new();
    let matrix = Param::initialized(id, inputs.float::<2>(name)?);
    let alive = inputs.get("mask")?.1.iter().map(|&mask| mask != 0.0).collect();
    let masks = Masks::new(&matrix).and_then(|masks| masks.with_mask("", alive)).map_err(|error| error.to_string())?;
    Ok((id, matrix, masks))
}

fn outcome(masks: Result<Masks, contrarian::compression::PruneError>) -> Result<Outputs, String> {
    let masks = masks.map_err(|error| error.to_string())?;
    let mask = masks.iter().flat_map(|(_, alive)| alive.iter().map(|&alive| f64::from(u8::from(alive)))).collect();
    Ok(Outputs::from([("density", vec![masks.density()]), ("mask", mask)]))
}

pub fn magnitude(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (id, trained, masks) = masked(inputs, "trained")?;
    if function == "MagnitudeFinal.prune" {
        return outcome(config(&MagnitudeFinal::new(), params)?.prune(&trained, &masks));
    }
    let initial: Bare = Param::initialized(id, inputs.float::<2>("initial")?);
    outcome(config(&MagnitudeIncrease::new(), params)?.prune(&initial, &trained, &masks))
}

pub fn snip(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (id, weights, masks) = masked(inputs, if inputs.has("weights") { "weights" } else { "initial" })?;
    let mut gradients = GradientsParams::new();
    gradients.register(id, inputs.float::<2>(if inputs.has("gradients") { "gradients" } else { "gradient" })?.inner());
    outcome(config(&Snip::new(), params)?.prune(&weights, &gradients, &masks))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detection {
    #[serde(default)]
    threshold: f64,
}

pub fn detection(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Detection { threshold } = read(params)?;
    let labels: Vec<usize> = inputs.get("labels")?.1.iter().map(|&label| label as usize).collect();
    let found = BinaryDetectionMetrics { threshold }.evaluate(&inputs.get("scores")?.1, &labels);
    let found = found.map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("fnr", vec![found.fnr]),
        ("fpr", vec![found.fpr]),
        ("auc", vec![found.auc]),
        ("accuracy", vec![found.accuracy]),
    ]))
}
