//! The functions of the contrastive room.

use super::{Outputs, Tensors, config, gradient, numbers};
use burn::tensor::Tensor;
use contrarian::contrastive::*;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Golden inputs are used as they are, unless a case says otherwise.
fn as_they_are<C: burn::config::Config>(defaults: &C, params: &Map<String, Value>) -> Result<C, String> {
    let mut params = params.clone();
    params.entry("normalize").or_insert(Value::Bool(false));
    config(defaults, &params)
}

/// Loss, values and gradients of an objective over two sets, by the names of its inputs.
macro_rules! over_pairs {
    ($objective:expr, $inputs:expr, $first:literal, $second:literal) => {{
        let objective = $objective;
        let (first, second) = ($inputs.float::<2>($first)?, $inputs.float::<2>($second)?);
        let negatives = if $inputs.has("negatives") { Some($inputs.float::<2>("negatives")?) } else { None };
        let loss = match negatives.clone() {
            Some(negatives) => objective.forward_with_negatives(first.clone(), second.clone(), negatives),
            None => objective.forward(first.clone(), second.clone()),
        };
        let gradients = loss.backward();
        let grad = |x: &Tensor<2>| x.grad(&gradients).map_or_else(|| vec![0.0; x.shape().num_elements()], numbers);
        let mut outputs = Outputs::from([
            (concat!("grad_", $first), grad(&first)),
            (concat!("grad_", $second), grad(&second)),
            ("per_example", numbers(objective.forward_no_reduction(first.clone(), second.clone(), negatives.clone()))),
        ]);
        if let Some(negatives) = &negatives {
            outputs.insert("grad_negatives", grad(negatives));
        }
        outputs.insert("loss", numbers(loss));
        outputs
    }};
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AtTemperature {
    temperature: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToleranceParams {
    normalization: String,
}

fn read<T: for<'de> Deserialize<'de>>(params: &Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(params.clone())).map_err(|error| error.to_string())
}

/// Runs a case of this room; `None` where the function is not of it.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "info-nce" => {
            over_pairs!(as_they_are(&InfoNceLossConfig::new(), params)?.init(), inputs, "anchors", "positives")
        }
        "hard-contrastive" => {
            over_pairs!(as_they_are(&HardContrastiveLossConfig::new(), params)?.init(), inputs, "anchors", "positives")
        }
        "nt-xent" => over_pairs!(as_they_are(&NtXentLossConfig::new(), params)?.init(), inputs, "first", "second"),
        "decoupled-contrastive" => {
            over_pairs!(as_they_are(&DclLossConfig::new(), params)?.init(), inputs, "first", "second")
        }
        "decoupled-contrastive-weighted" => {
            over_pairs!(as_they_are(&DclwLossConfig::new(), params)?.init(), inputs, "first", "second")
        }
        "negative-positive-coupling" => {
            let AtTemperature { temperature } = read(params)?;
            let (first, second) = (inputs.float::<2>("first")?, inputs.float::<2>("second")?);
            Outputs::from([("coupling", numbers(negative_positive_coupling(first, second, temperature)))])
        }
        "simple-contrastive" => simple(params, inputs)?,
        "penalty-distribution" => penalty(params, inputs)?,
        "uniformity" => {
            let x = inputs.float::<2>("x")?;
            let loss = config(&UniformityLossConfig::new(), params)?.init().forward(x.clone());
            Outputs::from([("grad_x", gradient(&loss, &x)), ("value", numbers(loss.clone())), ("loss", numbers(loss))])
        }
        "tolerance" => {
            let ToleranceParams { normalization } = read(params)?;
            let all_pairs = match normalization.as_str() {
                "same-class" => false,
                "all-pairs" => true,
                other => return Err(format!("unknown normalization `{other}`")),
            };
            let value = tolerance(inputs.float::<2>("x")?, inputs.int("labels")?, all_pairs);
            Outputs::from([("value", numbers(value.map_err(|error| error.to_string())?))])
        }
        "alignment" => {
            let exponent = params.get("exponent").and_then(Value::as_f64).unwrap_or(2.0);
            Outputs::from([("value", numbers(alignment(inputs.float("x")?, inputs.float("y")?, exponent)))])
        }
        "contrastive-attraction" => over_views(params, inputs, |params| {
            let objective = config(&ContrastiveAttractionLossConfig::new(), params)?.init();
            Ok(Box::new(move |views| objective.forward(views)))
        })?,
        "contrastive-repulsion" => over_views(params, inputs, |params| {
            let objective = config(&ContrastiveRepulsionLossConfig::new(), params)?.init();
            Ok(Box::new(move |views| objective.forward(views)))
        })?,
        "cacr" => over_views(params, inputs, |params| {
            let objective = config(&CacrLossConfig::new(), params)?.init();
            Ok(Box::new(move |views| objective.forward(views)))
        })?,
        "cacr-weights" => {
            let objective = config(&CacrLossConfig::new(), params)?.init();
            let (positive, negative) = objective.weights(inputs.float::<3>("views")?);
            Outputs::from([("positive", numbers(positive)), ("negative", numbers(negative))])
        }
        "cacr-momentum" => {
            let objective = config(&CacrMomentumLossConfig::new(), params)?.init();
            let queries = inputs.float::<3>("queries")?;
            let loss = objective.forward(queries.clone(), inputs.float("keys")?);
            Outputs::from([("grad_queries", gradient(&loss, &queries)), ("loss", numbers(loss))])
        }
        _ => return Ok(None),
    }))
}

type OverViews = Box<dyn Fn(Tensor<3>) -> Tensor<1>>;

fn over_views(
    params: &Map<String, Value>,
    inputs: &Tensors,
    objective: impl Fn(&Map<String, Value>) -> Result<OverViews, String>,
) -> Result<Outputs, String> {
    let objective = objective(params)?;
    let views = inputs.float::<3>("views")?;
    let loss = objective(views.clone());
    Ok(Outputs::from([("grad_views", gradient(&loss, &views)), ("loss", numbers(loss))]))
}

fn simple(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = as_they_are(&SimpleContrastiveLossConfig::new(), params)?.init();
    let (anchors, positives) = (inputs.float::<2>("anchors")?, inputs.float::<2>("positives")?);
    let negatives = if inputs.has("negatives") { Some(inputs.float::<2>("negatives")?) } else { None };
    let loss = objective.forward_no_reduction(anchors.clone(), positives.clone(), negatives.clone()).mean();
    let gradients = loss.backward();
    let grad = |x: &Tensor<2>| x.grad(&gradients).map_or_else(|| vec![0.0; x.shape().num_elements()], numbers);
    let mut outputs = Outputs::from([("grad_anchors", grad(&anchors)), ("grad_positives", grad(&positives))]);
    if let Some(negatives) = &negatives {
        outputs.insert("grad_negatives", grad(negatives));
    }
    outputs.insert("loss", numbers(loss));
    Ok(outputs)
}

fn penalty(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let AtTemperature { temperature } = read(params)?;
    let negatives = if inputs.has("negatives") { Some(inputs.float::<2>("negatives")?) } else { None };
    let found = penalty_distribution(inputs.float("anchors")?, inputs.float("positives")?, negatives, temperature);
    let found = found.map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("relative_penalty", numbers(found.relative_penalty)),
        ("entropy", numbers(found.entropy)),
        ("positive_gradient", numbers(found.positive_gradient)),
        ("negative_gradient", numbers(found.negative_gradient)),
    ]))
}
