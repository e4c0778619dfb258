//! The one table from a golden case's function and parameters to our code.

mod activation;
mod adaptation;
mod audit;
mod bags;
mod calibration;
mod cleaning;
mod contrastive;
mod extreme;
mod feedback;
mod few_shot;
mod games;
mod generated;
mod hyperbolic;
mod judged;
mod metric_learning;
mod pruning;
mod ranking;
mod recommend;
mod retrieval;
mod series;
mod spherical;

use burn::config::Config;
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use contrarian::classification::*;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Floating-point type a case is run in.
#[derive(Debug, Clone, Copy)]
pub enum Precision {
    F64,
    F32,
}

/// A case's inputs, handed out as tensors.
pub struct Tensors<'a> {
    arrays: BTreeMap<&'a str, (Vec<usize>, Vec<f64>)>,
    dtype: DType,
    device: Device,
}

type Outputs = BTreeMap<&'static str, Vec<f64>>;

impl<'a> Tensors<'a> {
    pub fn new(arrays: BTreeMap<&'a str, (Vec<usize>, Vec<f64>)>, precision: Precision) -> Self {
        let dtype = match precision {
            Precision::F64 => DType::F64,
            Precision::F32 => DType::F32,
        };
        Self { arrays, dtype, device: Device::flex().autodiff() }
    }

    fn get(&self, name: &str) -> Result<&(Vec<usize>, Vec<f64>), String> {
        self.arrays.get(name).ok_or_else(|| format!("the case has no input `{name}`"))
    }

    fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// A leaf whose gradient can be asked for.
    fn float<const D: usize>(&self, name: &str) -> Result<Tensor<D>, String> {
        let (shape, data) = self.get(name)?;
        Ok(self.make(shape, data).require_grad())
    }

    fn make<const D: usize>(&self, shape: &[usize], data: &[f64]) -> Tensor<D> {
        let data = TensorData::new(data.to_vec(), shape.to_vec()).convert_dtype(self.dtype);
        Tensor::from_data(data, (&self.device, self.dtype))
    }

    fn int(&self, name: &str) -> Result<Tensor<1, Int>, String> {
        let (shape, data) = self.get(name)?;
        let data: Vec<i64> = data.iter().map(|&value| value as i64).collect();
        Ok(Tensor::from_data(TensorData::new(data, shape.clone()), &self.device))
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn gradient<const D: usize>(loss: &Tensor<1>, leaf: &Tensor<D>) -> Vec<f64> {
    slope(&loss.backward(), leaf)
}

/// A leaf's part of the gradients of a loss that has several leaves.
fn slope<const D: usize>(gradients: &Gradients, leaf: &Tensor<D>) -> Vec<f64> {
    leaf.grad(gradients).map_or_else(|| vec![0.0; leaf.shape().num_elements()], numbers)
}

/// Defaults overwritten by the case's parameters; a parameter that the configuration lacks is an error.
fn config<C: Config>(defaults: &C, params: &Map<String, Value>) -> Result<C, String> {
    let mut value = serde_json::to_value(defaults).unwrap();
    let fields = value.as_object_mut().unwrap();
    for (name, given) in params {
        *fields.get_mut(name).ok_or_else(|| format!("unknown parameter `{name}`"))? = given.clone();
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// Value, per-example values and gradient of an objective over logits `[n, k]`.
macro_rules! over_logits {
    ($config:ident, $params:expr, $inputs:expr) => {{
        let objective = config(&$config::new(), $params)?.init();
        let (logits, labels) = ($inputs.float::<2>("logits")?, $inputs.int("labels")?);
        let loss = objective.forward(logits.clone(), labels.clone());
        Outputs::from([
            ("per_example", numbers(objective.forward_no_reduction(logits.clone(), labels))),
            ("grad_logits", gradient(&loss, &logits)),
            ("loss", numbers(loss)),
        ])
    }};
}

/// The same for a binary objective over scores `[n]`.
macro_rules! over_scores {
    ($config:ident, $params:expr, $inputs:expr) => {{
        let objective = config(&$config::new(), $params)?.init();
        let (logits, labels) = ($inputs.float::<1>("logits")?, $inputs.int("labels")?);
        let loss = objective.forward(logits.clone(), labels.clone());
        Outputs::from([
            ("per_example", numbers(objective.forward_no_reduction(logits.clone(), labels))),
            ("grad_logits", gradient(&loss, &logits)),
            ("loss", numbers(loss)),
        ])
    }};
}

/// Evaluates the functions of a room, and knows no others.
type Room = fn(&str, &Map<String, Value>, &Tensors) -> Result<Option<Outputs>, String>;

/// Rooms that keep their own tables.
const ROOMS: &[Room] = &[
    adaptation::evaluate,
    audit::evaluate,
    cleaning::evaluate,
    contrastive::evaluate,
    extreme::evaluate,
    feedback::evaluate,
    few_shot::evaluate,
    games::evaluate,
    generated::evaluate,
    judged::evaluate,
    recommend::evaluate,
    retrieval::evaluate,
    series::evaluate,
];

/// Runs a case; the outputs it can give, by name.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    Ok(match function {
        "CrossEntropyLoss" => over_logits!(CrossEntropyLossConfig, params, inputs),
        "FocalLoss" => over_logits!(FocalLossConfig, params, inputs),
        "BrierLoss" | "MseProbLoss" => over_logits!(BrierLossConfig, params, inputs),
        "GceLoss" => over_logits!(GceLossConfig, params, inputs),
        "MaeLoss" => over_logits!(MaeLossConfig, params, inputs),
        "CrammerSingerLoss" => over_logits!(CrammerSingerLossConfig, params, inputs),
        "WestonWatkinsLoss" => over_logits!(WestonWatkinsLossConfig, params, inputs),
        "SymmetricCeLoss" => over_logits!(SymmetricCeLossConfig, params, inputs),
        "NceRceLoss" => over_logits!(NceRceLossConfig, params, inputs),
        "NceAulLoss" => over_logits!(NceAulLossConfig, params, inputs),
        "NceAgceLoss" => over_logits!(NceAgceLossConfig, params, inputs),
        "JensenShannonLoss" => over_logits!(JensenShannonLossConfig, params, inputs),
        "CompSumLoss" => over_logits!(CompSumLossConfig, params, inputs),
        "RhoMarginCompSumLoss" => over_logits!(RhoMarginCompSumLossConfig, params, inputs),
        "LdrKlLoss" => over_logits!(LdrKlLossConfig, params, inputs),
        "HingeLoss" => over_scores!(HingeLossConfig, params, inputs),
        "LogisticLoss" | "BceLoss" => over_scores!(LogisticLossConfig, params, inputs),
        "ExponentialLoss" => over_scores!(ExponentialLossConfig, params, inputs),
        "SigmoidFocalLoss" => over_scores!(SigmoidFocalLossConfig, params, inputs),
        "MseOnProbabilities" => over_scores!(MseOnProbabilitiesConfig, params, inputs),
        "SmoothAdvCompSumLoss" => smooth_adversarial(params, inputs)?,
        "HConsistencyTransform" => h_consistency(params, inputs)?,
        "minimizability_gap_bound" => gap_bound(params)?,
        "BinaryDiceLoss" => binary_dice(params, inputs)?,
        "MulticlassDiceLoss" => {
            let objective = config(&MulticlassDiceLossConfig::new(), params)?.init();
            let logits = inputs.float::<2>("logits")?;
            let loss = objective.forward(logits.clone(), inputs.int("labels")?);
            Outputs::from([("grad_logits", gradient(&loss, &logits)), ("loss", numbers(loss))])
        }
        "TverskyLoss" => {
            let objective = config(&TverskyLossConfig::new(), params)?.init();
            let logits = inputs.float::<1>("logits")?;
            let loss = objective.forward(logits.clone(), inputs.int("labels")?);
            Outputs::from([("grad_logits", gradient(&loss, &logits)), ("loss", numbers(loss))])
        }
        "AnyLoss" => any_loss(params, inputs)?,
        "soft_confusion" => confusion(params, inputs)?,
        "HypCeLoss" => hyperbolic::cross_entropy(params, inputs)?,
        "HypPcLoss" => hyperbolic::pairwise_confusion(params, inputs)?,
        "FeatureClip" => hyperbolic::clip(params, inputs)?,
        "ToPoincare" => hyperbolic::to_poincare(params, inputs)?,
        "HyperbolicMlr" => hyperbolic::logistic_regression(params, inputs)?,
        "PseudoNegativeSampler" => hyperbolic::pseudo_negatives(params, inputs)?,
        _ if function.starts_with("PoincareBall.") => hyperbolic::ball(function, params, inputs)?,
        "AldrKlLoss" => aldr(params, inputs)?,
        "EnsLoss" => ens_loss(params, inputs)?,
        "CorrectnessAwareLoss" => calibration::correctness_aware(params, inputs)?,
        "TransformConsistencyFeatures" => calibration::features(params, inputs)?,
        "TemperatureNet" => calibration::temperature_net(params, inputs)?,
        "CalibrationMetrics" => calibration::metrics(params, inputs)?,
        "CrRelu" => activation::crrelu(params, inputs)?,
        "eafo_correction" => activation::eafo(params, inputs)?,
        "activation_output_entropy" => activation::output_entropy(params)?,
        "NeuralCollapseMetrics" => activation::neural_collapse(params, inputs)?,
        "ImbalancedGeometry" => activation::imbalanced_geometry(params, inputs)?,
        "UnconstrainedFeatureObjective" => activation::unconstrained_features(params, inputs)?,
        "ClassDependentLoss" => pruning::class_dependent(params, inputs)?,
        "PairwiseSquaredHinge" => pruning::pairwise(params, inputs)?,
        "effective_number_weights" => pruning::effective_number(params, inputs)?,
        "MagnitudeIncrease.prune" | "MagnitudeFinal.prune" => pruning::magnitude(function, params, inputs)?,
        "Snip.prune" => pruning::snip(params, inputs)?,
        "BinaryDetectionMetrics" => pruning::detection(params, inputs)?,
        "AttentionEntropyRegularizer" => bags::attention_entropy(params, inputs)?,
        "GatedAttentionMil+AttentionEntropyRegularizer" => bags::gated_bag(params, inputs)?,
        "cosine_weight_annealing" => bags::annealing(params, inputs)?,
        "mw_loss" => ranking::mw_loss(params, inputs)?,
        "mw_loss_pools" => ranking::mw_loss_pools(params, inputs)?,
        "roc_curve" => ranking::roc_curve(inputs)?,
        "pld_loss" => ranking::pld_loss(params, inputs)?,
        "ZLoss" | "TaylorSoftmaxLoss" | "SphericalSoftmaxLoss" | "SphericalSquaredError" => {
            spherical::loss(function, params, inputs)?
        }
        "FactoredOutputLayer.step" => spherical::steps(params, inputs)?,
        "TwoLevelSoftmax" => spherical::two_level(params, inputs)?,
        "arc-face" | "cos-face" | "am-softmax" | "mag-face" | "unpg" => {
            metric_learning::head(function, params, inputs)?
        }
        "triplet" | "pair-contrastive" | "circle" | "multi-similarity" | "supervised-contrastive" => {
            metric_learning::embeddings(function, params, inputs)?
        }
        "batch-negative-similarities" => metric_learning::negative_similarities(params, inputs)?,
        "whisker-filter" => metric_learning::filter(params, inputs)?,
        "well-discriminative-gap" => metric_learning::gap(params, inputs)?,
        "verification" => metric_learning::verification(params, inputs)?,
        _ => ROOMS
            .iter()
            .find_map(|room| room(function, params, inputs).transpose())
            .ok_or_else(|| format!("unknown function `{function}`"))??,
    })
}

fn smooth_adversarial(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&SmoothAdvCompSumLossConfig::new(), params)?.init();
    let (clean, adversarial) = (inputs.float::<2>("logits_clean")?, inputs.float::<2>("logits_adv")?);
    let labels = inputs.int("labels")?;
    let loss = objective.forward(clean.clone(), adversarial.clone(), labels.clone());
    Ok(Outputs::from([
        ("grad_logits_clean", gradient(&loss, &clean)),
        ("grad_logits_adv", {
            let loss = objective.forward(clean.clone(), adversarial.clone(), labels.clone());
            gradient(&loss, &adversarial)
        }),
        ("per_example", numbers(objective.forward_no_reduction(clean, adversarial, labels))),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HConsistency {
    tau: f64,
    n_classes: usize,
}

fn read<T: for<'de> Deserialize<'de>>(params: &Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(params.clone())).map_err(|error| error.to_string())
}

fn h_consistency(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let HConsistency { tau, n_classes } = read(params)?;
    let h = HConsistencyTransform::new(tau, n_classes).map_err(|error| error.to_string())?;
    let mut outputs = Outputs::new();
    if inputs.has("beta") {
        let (_, beta) = inputs.get("beta")?;
        outputs.insert("transform", beta.iter().map(|&b| h.transform(b)).collect());
    }
    if inputs.has("t") {
        let (_, t) = inputs.get("t")?;
        outputs.insert("gamma", t.iter().map(|&t| h.gamma(t)).collect());
        outputs.insert("gamma_upper", t.iter().map(|&t| h.gamma_upper(t)).collect());
    }
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GapBound {
    tau: f64,
    k: usize,
    score_bound: f64,
    best_sum_exp_loss: f64,
}

fn gap_bound(params: &Map<String, Value>) -> Result<Outputs, String> {
    let GapBound { tau, k, score_bound, best_sum_exp_loss } = read(params)?;
    let bound = minimizability_gap_bound(tau, k, score_bound, best_sum_exp_loss);
    Ok(Outputs::from([("bound", vec![bound]), ("value", vec![bound])]))
}

fn binary_dice(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&BinaryDiceLossConfig::new(), params)?.init();
    let (logits, labels) = (inputs.float::<1>("logits")?, inputs.int("labels")?);
    let loss = match inputs.has("mask") {
        true => objective.forward_masked(logits.clone(), labels, inputs.int("mask")?.not_equal_scalar(0)),
        false => objective.forward(logits.clone(), labels),
    };
    Ok(Outputs::from([("grad_logits", gradient(&loss, &logits)), ("loss", numbers(loss))]))
}

fn any_loss(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&AnyLossConfig::new(), params)?.init();
    let input = if inputs.has("probabilities") { "probabilities" } else { "logits" };
    let (scores, labels) = (inputs.float::<1>(input)?, inputs.int("labels")?);
    let loss = objective.forward(scores.clone(), labels.clone());
    let grad = if input == "logits" { "grad_logits" } else { "grad_probabilities" };
    let counts = objective.confusion(scores.clone(), labels);
    let counts = [counts.tp, counts.fp, counts.fn_, counts.tn].map(numbers).concat();
    Ok(Outputs::from([(grad, gradient(&loss, &scores)), ("confusion_tp_fp_fn_tn", counts), ("loss", numbers(loss))]))
}

fn confusion(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    if let Some(name) = params.keys().next() {
        return Err(format!("unknown parameter `{name}`"));
    }
    let name = if inputs.has("yh") { "yh" } else { "decisions" };
    let yes = inputs.float::<1>(name)?;
    let (shape, labels) = inputs.get(if inputs.has("y") { "y" } else { "labels" })?;
    let counts = soft_confusion(yes.clone(), yes.neg().add_scalar(1.0), inputs.make(shape, labels));
    let [tp, fp, fn_, tn] = [counts.tp, counts.fp, counts.fn_, counts.tn].map(numbers);
    let all = [tp.clone(), fp.clone(), fn_.clone(), tn.clone()].concat();
    Ok(Outputs::from([("confusion_tp_fp_fn_tn", all), ("tp", tp), ("fp", fp), ("fn", fn_), ("tn", tn)]))
}

fn aldr(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = params.clone();
    params.remove("visits");
    let examples = params.remove("n_examples").and_then(|n| n.as_u64());
    let objective = config(&AldrKlLossConfig::new(), &params)?.init();
    let (shape, data) = inputs.get("logits")?;
    let [visits, batch, classes] = shape[..] else {
        return Err("logits must be [visits, n, K]".into());
    };
    let (labels, ids) = (inputs.int("labels")?, inputs.int("ids")?);
    let (_, id_numbers) = inputs.get("ids")?;
    let largest = id_numbers.iter().fold(0.0f64, |m, &id| m.max(id)) as usize;
    let examples = examples.map_or(largest + 1, |n| n as usize);
    let mut lambdas: Tensor<1> = inputs.make(&[examples], &vec![objective.lambda0; examples]).without_autodiff();
    let (mut losses, mut tables, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
    for visit in 0..visits {
        let size = batch * classes;
        let logits = inputs.make::<2>(&[batch, classes], &data[visit * size..(visit + 1) * size]).require_grad();
        let (loss, updated) = objective.forward(logits.clone(), labels.clone(), ids.clone(), lambdas);
        lambdas = updated;
        gradients.extend(gradient(&loss, &logits));
        losses.extend(numbers(loss));
        tables.extend(numbers(lambdas.clone().select(0, ids.clone())));
    }
    Ok(Outputs::from([("losses", losses), ("lambdas", tables), ("grad_logits", gradients)]))
}

fn ens_loss(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&EnsLossConfig::new(), params)?.init();
    let (logits, labels) = (inputs.float::<1>("logits")?, inputs.int("labels")?);
    let (_, noise) = inputs.get("noise")?;
    let surrogate = objective.forward_with_noise(logits.clone(), labels.clone(), noise);
    Ok(Outputs::from([
        ("loss_derivatives", objective.derivatives(logits.clone(), labels, noise)),
        ("grad_logits", gradient(&surrogate, &logits)),
        ("surrogate", numbers(surrogate)),
    ]))
}
