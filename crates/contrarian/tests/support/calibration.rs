//! Golden cases of the room `calibration`.

use super::{Outputs, Tensors, config, numbers, read};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Gradients, Tensor};
use contrarian::calibration::*;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Several gradients of one backward pass, which Burn runs only once.
fn slopes<const D: usize>(gradients: &Gradients, leaf: &Tensor<D>) -> Vec<f64> {
    leaf.grad(gradients).map_or_else(|| vec![0.0; leaf.shape().num_elements()], numbers)
}

fn truths(values: &[f64]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(u8::from(value != 0.0))).collect()
}

pub fn correctness_aware(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&CorrectnessAwareLossConfig::new(), params)?.init();
    let (logits, labels) = (inputs.float::<2>("logits")?, inputs.int("labels")?);
    let temperature = inputs.float::<1>("temperature")?;
    let loss = objective.forward(logits.clone(), labels.clone(), temperature.clone());
    let per_example = objective.forward_no_reduction(logits.clone(), labels.clone(), temperature.clone());
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("correct", numbers(correctness(logits.clone(), labels).float())),
        ("confidence", numbers(confidence(logits.clone(), temperature.clone()))),
        ("per_example", numbers(per_example)),
        ("grad_temperature", slopes(&gradients, &temperature)),
        ("grad_logits", slopes(&gradients, &logits)),
        ("loss", numbers(loss)),
    ]))
}

pub fn features(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let features = config(&TransformConsistencyFeaturesConfig::new(), params)?.init();
    let features = features.forward(inputs.float("logits")?, inputs.float("transformed_logits")?);
    Ok(Outputs::from([("features", numbers(features.map_err(|error| error.to_string())?))]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Net {
    top_k: usize,
    hidden: Option<usize>,
    n_features: Option<usize>,
    #[serde(alias = "min")]
    min_temperature: f64,
    #[serde(alias = "max")]
    max_temperature: f64,
    weighting: Weighting,
}

impl Default for Net {
    fn default() -> Self {
        Self {
            top_k: 4,
            hidden: None,
            n_features: None,
            min_temperature: 0.1,
            max_temperature: 10.0,
            weighting: Weighting::Balanced,
        }
    }
}

pub fn temperature_net(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let case: Net = read(params)?;
    let (w1, b1, w2) = (inputs.float::<2>("w1")?, inputs.float::<1>("b1")?, inputs.float::<1>("w2")?);
    // A number without a shape is a vector of one.
    let b2 = inputs.make::<1>(&[1], &inputs.get("b2")?.1).require_grad();
    let [n_features, hidden] = w1.dims();
    for (name, given, found) in [("hidden", case.hidden, hidden), ("n_features", case.n_features, n_features)] {
        if given.is_some_and(|given| given != found) {
            return Err(format!("`{name}` is {given:?}, and w1 has {found}"));
        }
    }
    let settings = TemperatureNetConfig::new(n_features)
        .with_hidden(hidden)
        .with_min(case.min_temperature)
        .with_max(case.max_temperature);
    settings.validate().map_err(|error| error.to_string())?;
    let linear = |weight: Tensor<2>, bias: Tensor<1>| Linear {
        weight: Param::from_tensor(weight),
        bias: Some(Param::from_tensor(bias)),
    };
    let net = TemperatureNet {
        hidden: linear(w1.clone(), b1.clone()),
        output: linear(w2.clone().reshape([hidden, 1]).detach().require_grad(), b2.clone()),
        min: settings.min,
        max: settings.max,
    };
    let (logits, labels) = (inputs.float::<2>("logits")?, inputs.int("labels")?);
    let features = match inputs.has("features") {
        true => inputs.float::<2>("features")?,
        false => TransformConsistencyFeaturesConfig::new()
            .with_top_k(case.top_k)
            .init()
            .forward(logits.clone(), inputs.float("transformed_logits")?)
            .map_err(|error| error.to_string())?,
    };
    let temperature = net.forward(features.clone().detach());
    let objective = CorrectnessAwareLossConfig::new().with_weighting(case.weighting).init();
    let loss = objective.forward(logits, labels, temperature.clone());
    let gradients = loss.backward();
    Ok(Outputs::from([
        ("features", numbers(features)),
        ("temperature", numbers(temperature)),
        ("grad_w1", slopes(&gradients, &net.hidden.weight.val())),
        ("grad_b1", slopes(&gradients, &net.hidden.bias.as_ref().expect("it was set").val())),
        ("grad_w2", slopes(&gradients, &net.output.weight.val())),
        ("grad_b2", slopes(&gradients, &net.output.bias.as_ref().expect("it was set").val())),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Bins {
    bins: usize,
}

impl Default for Bins {
    fn default() -> Self {
        Self { bins: CalibrationMetrics::default().bins }
    }
}

/// From confidences and outcomes, or from logits, labels and (if given) temperatures.
pub fn metrics(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Bins { bins } = read(params)?;
    let mut outputs = Outputs::new();
    let (conf, right) = if inputs.has("confidence") {
        (inputs.get("confidence")?.1.clone(), truths(&inputs.get("correct")?.1))
    } else {
        let (logits, labels) = (inputs.float::<2>("logits")?, inputs.int("labels")?);
        let temperature = match inputs.has("temperature") {
            true => inputs.float::<1>("temperature")?,
            false => inputs.make(&[logits.dims()[0]], &vec![1.0; logits.dims()[0]]),
        };
        let nll = negative_log_likelihood(logits.clone(), labels.clone(), temperature.clone());
        outputs.insert("nll", numbers(nll));
        (numbers(confidence(logits.clone(), temperature)), numbers(correctness(logits, labels).float()))
    };
    let right: Vec<bool> = right.iter().map(|&value| value != 0.0).collect();
    let found = CalibrationMetrics { bins }.measure(&conf, &right).map_err(|error| error.to_string())?;
    let drawn = reliability_bins(&conf, &right, bins);
    outputs.extend([
        ("ece", vec![found.ece]),
        ("adaptive_ece", vec![found.adaptive_ece]),
        ("kernel", vec![found.kernel]),
        ("ks", vec![found.ks]),
        ("top1_brier", vec![found.top1_brier]),
        ("auroc", found.auroc.into_iter().collect()),
        ("bin_center", drawn.iter().map(|bin| bin.center).collect()),
        ("bin_confidence", drawn.iter().map(|bin| bin.confidence).collect()),
        ("bin_accuracy", drawn.iter().map(|bin| bin.accuracy).collect()),
        ("bin_count", drawn.iter().map(|bin| bin.count as f64).collect()),
    ]);
    Ok(outputs)
}
