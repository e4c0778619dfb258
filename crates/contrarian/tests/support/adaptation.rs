//! Domains brought together: discrepancies, adversaries, federations.

use super::{Outputs, Tensors, config, gradient, numbers, read, slope};
use burn::module::Param;
use burn::tensor::Tensor;
use contrarian::adversarial::{DomainAdversarialLossConfig, gradient_reversal};
use contrarian::regularization::{MkMmdConfig, adaptation_schedule};
use contrarian_lab::federated::{Tie, federated_average, federated_vote, group_effect};
use serde::Deserialize;
use serde_json::{Map, Value};

/// `None` for a function of another room.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "mk-mmd" => discrepancy(params, inputs)?,
        "gradient-reversal" => reversal(params, inputs)?,
        "domain-adversarial" => domains(params, inputs)?,
        "adaptation-schedule" => schedule(params, inputs)?,
        "federated-average" => average(params, inputs)?,
        "federated-vote" => vote(params, inputs)?,
        "group-effect" => effect(inputs)?,
        _ => return Ok(None),
    }))
}

fn discrepancy(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&MkMmdConfig::new(), params)?.init();
    let (source, target) = (inputs.float::<2>("source")?, inputs.float::<2>("target")?);
    let loss = objective.forward(source.clone(), target.clone());
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("grad_source", slope(&gradients, &source)),
        ("grad_target", slope(&gradients, &target)),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reversal {
    #[serde(default = "Reversal::whole")]
    alpha: f64,
}

impl Reversal {
    fn whole() -> f64 {
        1.0
    }
}

/// The gradient is that of the sum of the values times the `cotangent`, all ones without one.
fn reversal(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Reversal { alpha } = read(params)?;
    let flat = |name: &str| inputs.get(name).map(|(_, data)| inputs.make::<1>(&[data.len()], data));
    let named = |names: &[&'static str]| names.iter().copied().find(|name| inputs.has(name));
    let x = flat(named(&["x", "features", "input"]).unwrap_or("x"))?.require_grad();
    let value = gradient_reversal(x.clone(), alpha);
    let weighted = match named(&["cotangent", "upstream", "grad_output"]) {
        Some(name) => value.clone() * flat(name)?,
        None => value.clone(),
    };
    let (found, turned) = (numbers(value), gradient(&weighted.sum(), &x));
    let gradients = ["grad_x", "grad_features", "grad_input", "gradient"].map(|name| (name, turned.clone()));
    let values = ["value", "output"].map(|name| (name, found.clone()));
    Ok(gradients.into_iter().chain(values).collect())
}

fn domains(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&DomainAdversarialLossConfig::new(), params)?.init();
    let (source, target) = (inputs.float::<2>("source_logits")?, inputs.float::<2>("target_logits")?);
    let loss = objective.forward(source.clone(), target.clone());
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("grad_source_logits", slope(&gradients, &source)),
        ("grad_target_logits", slope(&gradients, &target)),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    #[serde(default = "Schedule::usual")]
    gamma: f64,
}

impl Schedule {
    fn usual() -> f64 {
        5.0
    }
}

fn schedule(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Schedule { gamma } = read(params)?;
    let (_, progress) = inputs.get("progress")?;
    Ok(Outputs::from([("value", progress.iter().map(|&p| adaptation_schedule(p, gamma)).collect())]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Each client is a module of one parameter.
fn average(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let parameters = inputs.float::<2>("parameters")?.detach();
    let [clients, size] = parameters.dims();
    let weights = match inputs.has("weights") {
        true => inputs.get("weights")?.1.clone(),
        false => vec![1.0; clients],
    };
    let client = |k: usize| Param::from_tensor(parameters.clone().narrow(0, k, 1).reshape([size]));
    let clients: Vec<Param<Tensor<1>>> = (0..clients).map(client).collect();
    let average = federated_average(&clients, &weights).map_err(|error| error.to_string())?;
    let average = numbers(average.val());
    Ok(Outputs::from([("average", average.clone()), ("value", average)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vote {
    classes: usize,
    #[serde(default = "Vote::abstain")]
    tie: Tie,
    #[serde(default)]
    minimum_votes: usize,
}

impl Vote {
    fn abstain() -> Tie {
        Tie::Abstain
    }
}

fn vote(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Vote { classes, tie, minimum_votes } = read(params)?;
    let (shape, votes) = inputs.get("votes")?;
    let votes: Vec<Vec<usize>> =
        votes.chunks(shape[1]).map(|row| row.iter().map(|&vote| vote as usize).collect()).collect();
    let labels = federated_vote(&votes, classes, tie, minimum_votes).map_err(|error| error.to_string())?;
    Ok(Outputs::from([("labels", labels.into_iter().map(|label| label.map_or(-1.0, |class| class as f64)).collect())]))
}

fn effect(inputs: &Tensors) -> Result<Outputs, String> {
    let ((_, clients), (_, global)) = (inputs.get("client_accuracy")?, inputs.get("global_accuracy")?);
    Ok(Outputs::from([("value", vec![group_effect(clients, global[0])])]))
}
