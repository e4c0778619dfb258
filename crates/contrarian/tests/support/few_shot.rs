//! Episodes of few-shot learning and discovery of novel classes.

use super::{Outputs, Tensors, config, gradient, numbers, read};
use burn::tensor::Tensor;
use contrarian::contrastive::*;
use contrarian::negatives::NegativeLearningConfig;
use contrarian::regularization::*;
use contrarian_lab::metrics;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A case of one of the functions here; `None` when the name is none of them.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "prototypes" => of_classes(params, inputs)?,
        "prototypical" => prototypical(params, inputs)?,
        "proto-triplet" => {
            let objective = config(&ProtoTripletConfig::new(), params)?.init();
            let (queries, means) = (inputs.float::<2>("queries")?, inputs.float::<2>("prototypes")?);
            let per_example = objective.forward_no_reduction(queries.clone(), inputs.int("labels")?, means.clone());
            let loss = per_example.clone().mean();
            of_two(per_example, loss, [("grad_queries", &queries), ("grad_prototypes", &means)])
        }
        "icnn-score" | "icnn-loss" => icnn(function, params, inputs)?,
        "mean-of-objectives" => {
            let values = inputs.float::<1>(if inputs.has("losses") { "losses" } else { "values" })?;
            let terms = values.clone().split(1, 0);
            let loss = mean_of_objectives(terms);
            Outputs::from([("value", numbers(loss.clone())), ("loss", numbers(loss))])
        }
        "negative-learning" => {
            let objective = config(&NegativeLearningConfig::new(Vec::new()), params)?.init();
            let logits = inputs.float::<2>("logits")?;
            let loss = objective.forward(logits.clone());
            let per_example = numbers(objective.forward_no_reduction(logits.clone()));
            Outputs::from([
                ("per_example", per_example),
                ("grad_logits", gradient(&loss, &logits)),
                ("loss", numbers(loss)),
            ])
        }
        "novel-entropy" => {
            let objective = config(&NovelEntropyConfig::new(Vec::new()), params)?.init();
            let logits = inputs.float::<2>("logits")?;
            let loss = objective.forward(logits.clone());
            Outputs::from([("grad_logits", gradient(&loss, &logits)), ("loss", numbers(loss))])
        }
        "novel-variance" => {
            let objective = config(&NovelVarianceConfig::new(Vec::new()), params)?.init();
            let logits = inputs.float::<2>("logits")?;
            let loss = objective.forward(logits.clone());
            Outputs::from([("grad_logits", gradient(&loss, &logits)), ("loss", numbers(loss))])
        }
        "nev-ncd" => {
            let objective = config(&NevNcdConfig::new(Vec::new(), Vec::new()), params)?.init();
            let (labeled, unlabeled) = (inputs.float::<2>("labeled_logits")?, inputs.float::<2>("unlabeled_logits")?);
            let loss = objective.forward(labeled.clone(), inputs.int("labels")?, unlabeled.clone());
            let gradients = [("grad_labeled_logits", &labeled), ("grad_unlabeled_logits", &unlabeled)];
            of_two(loss.clone(), loss, gradients)
        }
        "sinkhorn-assignment" => {
            let objective = config(&SinkhornAssignmentConfig::new(), params)?.init();
            Outputs::from([("assignment", numbers(objective.forward(inputs.float::<2>("logits")?)))])
        }
        "clustering-accuracy" | "normalized-mutual-information" | "adjusted-rand-index" => {
            clusters(function, params, inputs)?
        }
        "linear-assignment" => assignment(params, inputs)?,
        "novel-share" => novel_share(params, inputs)?,
        _ => return Ok(None),
    }))
}

/// A loss of two sets, with the gradients of both.
fn of_two(per_example: Tensor<1>, loss: Tensor<1>, leaves: [(&'static str, &Tensor<2>); 2]) -> Outputs {
    let gradients = loss.backward();
    let grad = |x: &Tensor<2>| x.grad(&gradients).map_or_else(|| vec![0.0; x.shape().num_elements()], numbers);
    let mut outputs = Outputs::from([("per_example", numbers(per_example)), ("loss", numbers(loss))]);
    outputs.extend(leaves.map(|(name, leaf)| (name, grad(leaf))));
    outputs
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Classes {
    classes: Option<usize>,
}

/// Classes of a case that does not give them.
fn classes_of(inputs: &Tensors, labels: &str) -> Result<usize, String> {
    Ok(inputs.get(labels)?.1.iter().fold(0.0f64, |m, &label| m.max(label)) as usize + 1)
}

fn of_classes(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Classes { classes } = read(params)?;
    let classes = classes.map_or_else(|| classes_of(inputs, "labels"), Ok)?;
    let found = prototypes(inputs.float::<2>("embeddings")?, inputs.int("labels")?, classes);
    Ok(Outputs::from([("prototypes", numbers(found.map_err(|error| error.to_string())?))]))
}

fn prototypical(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&PrototypicalConfig::new(classes_of(inputs, "support_labels")?), params)?.init();
    let (support, queries) = (inputs.float::<2>("support")?, inputs.float::<2>("queries")?);
    let (of_support, labels) = (inputs.int("support_labels")?, inputs.int("labels")?);
    let per_example = objective.forward_no_reduction(support.clone(), of_support, queries.clone(), labels);
    let loss = per_example.clone().mean();
    Ok(of_two(per_example, loss, [("grad_support", &support), ("grad_queries", &queries)]))
}

fn icnn(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&IcnnLossConfig::new(), params)?.init();
    let (x, labels) = (inputs.float::<2>("x")?, inputs.int("labels")?);
    if !inputs.has("targets") {
        let score = objective.score(x.clone(), labels.clone());
        let result = if function == "icnn-score" { score.clone() } else { objective.forward(x.clone(), labels) };
        let grad = gradient(&result, &x);
        return Ok(Outputs::from([("score", numbers(score)), ("grad_x", grad), ("loss", numbers(result))]));
    }
    let (targets, of_targets) = (inputs.float::<2>("targets")?, inputs.int("target_labels")?);
    let score = objective.score_against(x.clone(), labels.clone(), targets.clone(), of_targets.clone());
    let result = match function {
        "icnn-score" => score.clone(),
        _ => objective.forward_against(x.clone(), labels, targets.clone(), of_targets),
    };
    Ok(of_two(score.clone(), result, [("grad_x", &x), ("grad_targets", &targets)])
        .into_iter()
        .chain([("score", numbers(score))])
        .collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn indices(inputs: &Tensors, name: &str) -> Result<Vec<usize>, String> {
    Ok(inputs.get(name)?.1.iter().map(|&value| value as usize).collect())
}

fn clusters(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let (labels, predictions) = (indices(inputs, "labels")?, indices(inputs, "predictions")?);
    let value = match function {
        "clustering-accuracy" => metrics::clustering_accuracy(&labels, &predictions),
        "normalized-mutual-information" => metrics::normalized_mutual_information(&labels, &predictions),
        _ => metrics::adjusted_rand_index(&labels, &predictions),
    };
    Ok(Outputs::from([("value", vec![value])]))
}

fn assignment(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Nothing {} = read(params)?;
    let (shape, cost) = inputs.get("cost")?;
    let &[rows, columns] = &shape[..] else { return Err("costs must be [rows, columns]".into()) };
    let given = metrics::assign(cost, rows, columns);
    let pairs = given.iter().enumerate().filter_map(|(row, column)| Some(cost[row * columns + (*column)?]));
    let total = pairs.sum();
    let columns = given.iter().map(|column| column.map_or(-1.0, |column| column as f64)).collect();
    Ok(Outputs::from([("assignment", columns), ("value", vec![total])]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Novel {
    novel: Vec<usize>,
}

fn novel_share(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Novel { novel } = read(params)?;
    let (shape, logits) = inputs.get("logits")?;
    Ok(Outputs::from([("value", vec![metrics::share_of_classes(logits, shape[1], &novel)])]))
}
