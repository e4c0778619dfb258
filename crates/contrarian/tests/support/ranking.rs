//! The ranking objectives and the metrics of their goldens.

use super::{Outputs, Tensors, config, gradient, numbers, read};
use burn::tensor::{Bool, Int, Tensor, TensorData};
use contrarian::ranking::*;
use contrarian_lab::metrics::pools;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The parameters without one that has a single legal value.
fn without(params: &Map<String, Value>, name: &str, only: &[&str]) -> Result<Map<String, Value>, String> {
    let mut params = params.clone();
    match params.remove(name) {
        Some(value) if !only.iter().any(|only| value == *only) => {
            Err(format!("`{name}` is {value}, not one of {only:?}"))
        }
        _ => Ok(params),
    }
}

pub fn mw_loss(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = without(params, "positive_of_query_i", &["column i"])?;
    let objective = config(&MwLossConfig::new(), &params)?.init();
    let baseline = ScoreContrastiveLossConfig::new().with_temperature(objective.temperature).init();
    let ignore = || -> Result<Option<Tensor<2, Bool>>, String> {
        if !inputs.has("ignore") {
            return Ok(None);
        }
        let (shape, mask) = inputs.get("ignore")?;
        Ok(Some(inputs.make::<2>(shape, mask).not_equal_scalar(0)))
    };
    let scores = inputs.float::<2>("scores")?;
    let loss = objective.forward_scores(scores.clone(), ignore()?);
    let contrastive = baseline.forward(scores.clone(), ignore()?);
    Ok(Outputs::from([
        ("grad_scores", gradient(&loss, &scores)),
        ("contrastive_grad_scores", gradient(&contrastive, &scores)),
        ("loss", numbers(loss)),
        ("contrastive_loss", numbers(contrastive)),
    ]))
}

pub fn mw_loss_pools(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&MwLossConfig::new(), params)?.init();
    let (pos, neg) = (inputs.float::<1>("pos")?, inputs.float::<1>("neg")?);
    let loss = objective.pools(pos.clone(), neg.clone());
    let (positives, negatives) = (numbers(pos.clone()), numbers(neg.clone()));
    let metric =
        |value: Result<f64, pools::PoolError>| value.map(|value| vec![value]).map_err(|error| error.to_string());
    let over_ln2 = |loss: &Tensor<1>| numbers(loss.clone()).into_iter().map(|l| l / std::f64::consts::LN_2).collect();
    Ok(Outputs::from([
        ("auc", metric(pools::auc(&positives, &negatives))?),
        ("aoc_strict", metric(pools::aoc(&positives, &negatives))?),
        ("bound_loss_over_ln2", over_ln2(&loss)),
        ("grad_pos", gradient(&loss, &pos)),
        ("grad_neg", gradient(&objective.pools(pos.clone(), neg.clone()), &neg)),
        ("loss", numbers(loss)),
    ]))
}

pub fn roc_curve(inputs: &Tensors) -> Result<Outputs, String> {
    let ((_, pos), (_, neg)) = (inputs.get("pos")?, inputs.get("neg")?);
    let curve = pools::roc_curve(pos, neg).map_err(|error| error.to_string())?;
    let auc = pools::auc(pos, neg).map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("auc_trapezoid", vec![curve.area()]),
        ("auc_mann_whitney", vec![auc]),
        ("fpr", curve.fpr),
        ("tpr", curve.tpr),
        ("thresholds", curve.thresholds),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pld {
    #[serde(alias = "temperature", default = "one")]
    teacher_temperature: f64,
    #[serde(default)]
    weights: RankWeights,
}

fn one() -> f64 {
    1.0
}

pub fn pld_loss(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let params = without(params, "reduction", &["mean over batch", "mean"])?;
    let mut params = without(&params, "tie_break", &["lower class index first"])?;
    if let Some(Value::Array(_)) = params.get("weights") {
        let numbers = params.remove("weights");
        params.insert("weights".into(), serde_json::json!({ "custom": numbers }));
    }
    let Pld { teacher_temperature, weights } = read(&params)?;
    let objective = PlackettLuceLossConfig::new().with_temperature(teacher_temperature).with_weights(weights).init();
    let student = inputs.float::<2>("student")?;
    let (shape, teacher) = inputs.get("teacher")?;
    let teacher = || inputs.make::<2>(shape, teacher);
    let labels = || inputs.int("labels");
    let loss = objective.forward(student.clone(), teacher(), labels()?);
    let order = teacher_optimal_permutation(teacher(), labels()?);
    let weights = objective.rank_weights(teacher(), order.clone());
    Ok(Outputs::from([
        ("grad_student", gradient(&loss, &student)),
        ("permutation", integers(order)),
        ("weights", numbers(weights)),
        ("loss", numbers(loss)),
    ]))
}

fn integers(tensor: Tensor<2, Int>) -> Vec<f64> {
    let data: TensorData = tensor.into_data();
    data.convert_dtype(burn::tensor::DType::F64).try_to_vec().unwrap()
}
