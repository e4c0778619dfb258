//! Heads with a margin, the batch's negative pairs, and losses of embeddings with labels.

use super::{Outputs, Tensors, config, gradient, numbers, read};
use burn::tensor::{Int, Tensor};
use contrarian::classification::*;
use contrarian::contrastive::*;
use contrarian::diagnostics::pair_separation;
use contrarian_lab::metrics::verification as rates;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The head of this name, its defaults overwritten by the parameters.
fn head_config(name: &str, params: &Map<String, Value>) -> Result<MarginHeadConfig, String> {
    Ok(match name {
        "arc-face" => MarginHeadConfig::ArcFace(config(&ArcFaceLossConfig::new(), params)?),
        "cos-face" => MarginHeadConfig::CosFace(config(&CosFaceLossConfig::new(), params)?),
        "am-softmax" => MarginHeadConfig::CosFace(config(&CosFaceLossConfig::am_softmax(), params)?),
        "mag-face" => MarginHeadConfig::MagFace(config(&MagFaceLossConfig::new(), params)?),
        other => return Err(format!("unknown head `{other}`")),
    })
}

type Head = Box<dyn Fn(Tensor<2>, Tensor<2>, Tensor<1, Int>) -> Tensor<1>>;

/// Loss, values and gradients of a head with class weights.
pub fn head(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let loss: Head = if function == "unpg" {
        let mut params = params.clone();
        let mut unified = UnpgLossConfig::new();
        if let Some(whisker) = params.remove("whisker") {
            unified.whisker = serde_json::from_value(whisker).map_err(|error| error.to_string())?;
        }
        let name = params.remove("head").unwrap_or_else(|| Value::from("arc-face"));
        unified.head = head_config(name.as_str().unwrap_or_default(), &params)?;
        let objective = unified.init();
        Box::new(move |features, weights, labels| objective.forward_no_reduction(features, weights, labels))
    } else {
        let objective = head_config(function, params)?.init();
        Box::new(move |features, weights, labels| objective.forward_no_reduction(features, weights, labels))
    };
    let (features, weights) = (inputs.float::<2>("features")?, inputs.float::<2>("weights")?);
    let per_example = loss(features.clone(), weights.clone(), inputs.int("labels")?);
    let mean = per_example.clone().mean();
    let gradients = mean.backward();
    let grad = |x: &Tensor<2>| x.grad(&gradients).map_or_else(|| vec![0.0; x.shape().num_elements()], numbers);
    Ok(Outputs::from([
        ("grad_features", grad(&features)),
        ("grad_weights", grad(&weights)),
        ("per_example", numbers(per_example)),
        ("loss", numbers(mean)),
    ]))
}

/// Loss and gradient of an objective over embeddings with labels.
pub fn embeddings(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (x, labels) = (inputs.float::<2>("features")?, inputs.int("labels")?);
    let loss = match function {
        "triplet" => config(&TripletLossConfig::new(), params)?.init().forward(x.clone(), labels),
        "pair-contrastive" => config(&PairContrastiveLossConfig::new(), params)?.init().forward(x.clone(), labels),
        "circle" => config(&CircleLossConfig::new(), params)?.init().forward(x.clone(), labels),
        "multi-similarity" => config(&MultiSimilarityLossConfig::new(), params)?.init().forward(x.clone(), labels),
        "supervised-contrastive" => config(&SupConLossConfig::new(), params)?.init().forward(x.clone(), labels),
        other => return Err(format!("unknown function `{other}`")),
    };
    Ok(Outputs::from([("grad_features", gradient(&loss, &x)), ("loss", numbers(loss))]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub fn negative_similarities(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let features = normalize_rows(inputs.float::<2>("features")?);
    let found = numbers(negative_pair_similarities(features, inputs.int("labels")?));
    Ok(Outputs::from([("similarities", found.clone()), ("value", found)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whisker {
    #[serde(default = "Whisker::usual")]
    whisker: f64,
}

impl Whisker {
    fn usual() -> f64 {
        UnpgLossConfig::new().whisker.unwrap()
    }
}

pub fn filter(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Whisker { whisker } = read(params)?;
    Ok(Outputs::from([("kept", numbers(whisker_filter(inputs.float::<1>("similarities")?, whisker)))]))
}

pub fn gap(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let found = pair_separation(inputs.float::<2>("features")?, inputs.int("labels")?);
    let found = found.map_err(|error| error.to_string())?;
    Ok(Outputs::from([("value", vec![found.gap()]), ("overlap", vec![found.overlap])]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rates {
    #[serde(default)]
    false_accept_rates: Vec<f64>,
}

pub fn verification(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Rates { false_accept_rates } = read(params)?;
    let (_, scores) = inputs.get("scores")?;
    let (_, same) = inputs.get(if inputs.has("same") { "same" } else { "labels" })?;
    let same: Vec<bool> = same.iter().map(|&same| same != 0.0).collect();
    let found = rates(scores, &same, &false_accept_rates).ok_or("all pairs are of one kind")?;
    Ok(Outputs::from([
        ("true_accept_rates", found.true_accept_rates),
        ("equal_error_rate", vec![found.equal_error_rate]),
        ("auc", vec![found.auc]),
    ]))
}
