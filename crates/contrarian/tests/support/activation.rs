//! Golden cases of the rooms `activation` and `diagnostics`.

use super::{Outputs, Tensors, config, numbers, read};
use burn::module::Param;
use burn::tensor::Tensor;
use contrarian::activation::{CrReluConfig, IncreasingActivation, InputDensity, eafo_correction};
use contrarian::diagnostics::{
    ImbalancedGeometry, NeuralCollapseMetrics, UnconstrainedFeatureObjectiveConfig, activation_output_entropy,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A leaf's gradient: one backward pass serves all leaves, and takes the graph away.
macro_rules! grad {
    ($leaf:expr, $gradients:expr) => {{
        let leaf = $leaf;
        leaf.grad(&$gradients).map_or_else(|| vec![0.0; leaf.shape().num_elements()], numbers)
    }};
}

pub fn crrelu(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let config = config(&CrReluConfig::new(), params)?;
    let mut activation = config.init(&inputs.device);
    activation.epsilon = Param::from_tensor(inputs.make(&[1], &[config.epsilon])).set_require_grad(config.learnable);
    let (shape, data) = inputs.get("x")?;
    let x: Tensor<1> = inputs.make(&[data.len()], data).require_grad();
    // Any shape is allowed: the activation sees the case's own where it has two axes.
    let y = match shape[..] {
        [rows, columns] => activation.forward(x.clone().reshape([rows, columns])).reshape([data.len()]),
        _ => activation.forward(x.clone()),
    };
    let (_, cotangent) = inputs.get("cotangent")?;
    let gradients = (y.clone() * inputs.make(&[data.len()], cotangent)).sum().backward();
    Ok(Outputs::from([
        ("grad_x", grad!(&x, gradients)),
        ("grad_epsilon", grad!(activation.epsilon.val(), gradients)),
        ("y", numbers(y)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entropy {
    activation: String,
    input_density: String,
}

fn entropy_params(params: &Map<String, Value>) -> Result<(IncreasingActivation, InputDensity), String> {
    let Entropy { activation, input_density } = read(params)?;
    let slope = |text: &str| text.replace('_', ".").parse::<f64>().ok();
    let activation = match activation.as_str() {
        "relu_positive" => IncreasingActivation::ReluPositive,
        "tanh" => IncreasingActivation::Tanh,
        "sigmoid" => IncreasingActivation::Sigmoid { scale: 1.0 },
        "softplus" => IncreasingActivation::Softplus,
        "normal_cdf" => IncreasingActivation::NormalCdf,
        name => match name.strip_prefix("leaky_").and_then(slope) {
            Some(slope) => IncreasingActivation::LeakyRelu { slope },
            None => return Err(format!("unknown activation `{name}`")),
        },
    };
    match input_density.as_str() {
        "standard_normal" => Ok((activation, InputDensity::STANDARD_NORMAL)),
        name => Err(format!("unknown density `{name}`")),
    }
}

pub fn eafo(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (activation, density) = entropy_params(params)?;
    let (_, y) = inputs.get("y")?;
    let inverse = |&y: &f64| activation.inverse(y).ok_or_else(|| format!("{y} is no value of {activation:?}"));
    let inverses = y.iter().map(inverse).collect::<Result<Vec<_>, _>>()?;
    Ok(Outputs::from([
        ("inverse", inverses.iter().map(|g| g.value).collect()),
        ("inverse_d1", inverses.iter().map(|g| g.first).collect()),
        ("inverse_d2", inverses.iter().map(|g| g.second).collect()),
        ("eta", inverses.iter().map(|&g| eafo_correction(&density, g)).collect()),
    ]))
}

pub fn output_entropy(params: &Map<String, Value>) -> Result<Outputs, String> {
    let (activation, density) = entropy_params(params)?;
    let entropy = activation_output_entropy(&density, activation.lower_end(), |x| activation.log_slope(x));
    Ok(Outputs::from([("entropy", vec![entropy.map_err(|error| error.to_string())?])]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metrics {
    n_classes: usize,
    #[serde(default)]
    ignore_missing: bool,
}

pub fn neural_collapse(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Metrics { n_classes, ignore_missing } = read(params)?;
    let metrics = NeuralCollapseMetrics::new(n_classes).map_err(|error| error.to_string())?;
    let metrics = if ignore_missing { metrics.ignore_missing() } else { metrics };
    let bias = if inputs.has("bias") { Some(inputs.float::<1>("bias")?) } else { None };
    let (features, labels) = (inputs.float("features")?, inputs.int("labels")?);
    let found = metrics.compute(features, labels, inputs.float("weight")?, bias).map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("nc1", vec![found.nc1]),
        ("nc2_weight_etf", vec![found.nc2_weight_etf]),
        ("nc2_weight_orthogonal", vec![found.nc2_weight_orthogonal]),
        ("nc2_means_etf", vec![found.nc2_means_etf]),
        ("nc2_means_orthogonal", vec![found.nc2_means_orthogonal]),
        ("nc3_etf", vec![found.nc3_etf]),
        ("nc3_orthogonal", vec![found.nc3_orthogonal]),
        ("nc3_self_dual", vec![found.nc3_self_dual]),
        ("nc3_self_dual_centred", vec![found.nc3_self_dual_centred]),
        ("nc4_disagreement", vec![found.nc4_disagreement]),
    ]))
}

pub fn imbalanced_geometry(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let geometry = config(&ImbalancedGeometry::new(), params)?;
    let (_, counts) = inputs.get("counts")?;
    let counts: Vec<usize> = counts.iter().map(|&count| count as usize).collect();
    let found = geometry.compute(&counts).map_err(|error| error.to_string())?;
    let threshold = geometry.collapse_threshold(counts.iter().sum()).map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("x", found.x),
        ("singular_value", found.singular_value),
        ("weight_gram_diag", found.weight_gram_diag),
        ("feature_gram_diag", found.feature_gram_diag),
        ("logit_diag", found.logit_diag),
        ("min_loss", vec![found.min_loss]),
        ("collapsed", found.collapsed.into_iter().map(|gone| f64::from(u8::from(gone))).collect()),
        ("collapse_threshold", vec![threshold]),
    ]))
}

pub fn unconstrained_features(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let config = config(&UnconstrainedFeatureObjectiveConfig::new(), params)?;
    let objective = config.init();
    let features = inputs.float::<2>("features")?;
    let weights = (1..=config.depth).map(|m| inputs.float::<2>(&format!("w{m}"))).collect::<Result<Vec<_>, _>>()?;
    let bias = if inputs.has("bias") { Some(inputs.float::<1>("bias")?) } else { None };
    let loss = objective.forward(features.clone(), inputs.int("labels")?, &weights, bias.clone());
    let names = ["grad_w1", "grad_w2", "grad_w3", "grad_w4", "grad_w5", "grad_w6", "grad_w7", "grad_w8", "grad_w9"];
    let gradients = loss.backward();
    let mut outputs = Outputs::from([("grad_features", grad!(&features, gradients)), ("loss", numbers(loss))]);
    outputs.extend(names.into_iter().zip(&weights).map(|(name, weight)| (name, grad!(weight, gradients))));
    if let Some(bias) = bias {
        outputs.insert("grad_bias", grad!(&bias, gradients));
    }
    Ok(outputs)
}
