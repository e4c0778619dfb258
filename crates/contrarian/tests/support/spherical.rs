//! Golden cases of the spherical losses, the factored output layer and the two-level softmax.

use super::*;
use burn::module::{Param, ParamId};
use contrarian::{LogitBatch, LogitObjective, ObjectiveState};
use contrarian_kernels::{FactoredOutputLayer, Real};

/// What the cases need of a loss: both of its forms.
trait Both: SphericalLoss + LogitObjective {
    fn per_example(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1>;
}

macro_rules! both {
    ($($name:ident),*) => {$(
        impl Both for $name {
            fn per_example(&self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
                self.forward_no_reduction(logits, labels)
            }
        }
    )*};
}

both!(ZLoss, TaylorSoftmaxLoss, SphericalSoftmaxLoss, SphericalSquaredError);

fn build(function: &str, params: &Map<String, Value>) -> Result<Box<dyn Both>, String> {
    Ok(match function {
        "ZLoss" => Box::new(config(&ZLossConfig::new(), params)?.init()),
        "TaylorSoftmaxLoss" => Box::new(config(&TaylorSoftmaxLossConfig::new(), params)?.init()),
        "SphericalSoftmaxLoss" => Box::new(config(&SphericalSoftmaxLossConfig::new(), params)?.init()),
        "SphericalSquaredError" => Box::new(config(&SphericalSquaredErrorConfig::new(), params)?.init()),
        _ => return Err(format!("unknown spherical loss `{function}`")),
    })
}

/// The form over logits, and the statistics with the partial derivatives of the form over statistics.
pub fn loss(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = build(function, params)?;
    let (logits, labels) = (inputs.float::<2>("logits")?, inputs.int("labels")?);
    let batch = LogitBatch::new(logits.clone(), labels.clone());
    let loss = objective.loss(batch, &mut ObjectiveState::Stateless);
    let mut outputs = Outputs::from([
        ("per_example", numbers(objective.per_example(logits.clone(), labels))),
        ("grad_logits", gradient(&loss, &logits)),
        ("loss", numbers(loss)),
    ]);
    let (shape, data) = inputs.get("logits")?;
    for (row, &label) in data.chunks(shape[1]).zip(&inputs.get("labels")?.1) {
        let (q, s): (f64, f64) = (row.iter().map(|o| o * o).sum(), row.iter().sum());
        let target = row[label as usize];
        let partials = objective.value_and_partials(q, s, target, row.len());
        let numbers = [
            ("q", q),
            ("s", s),
            ("target_logit", target),
            ("dl_dq", partials.dq),
            ("dl_ds", partials.ds),
            ("dl_dtarget", partials.dtarget),
        ];
        for (name, number) in numbers {
            outputs.entry(name).or_default().push(number);
        }
    }
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepsCase {
    loss: String,
    #[serde(default)]
    loss_params: Map<String, Value>,
    eta: f64,
    reduction: Option<String>,
    steps: usize,
}

pub fn steps(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut outputs = match inputs.dtype {
        DType::F64 => kernel_steps::<f64>(params, inputs)?,
        _ => kernel_steps::<f32>(params, inputs)?,
    };
    // The layer for Burn holds f32 weights whatever the precision of the tensors.
    if inputs.dtype == DType::F32 {
        outputs.extend(burn_steps(params, inputs)?);
    }
    Ok(outputs)
}

/// The case's loss, its steps, batch size, number of classes, and the factor of the reduction.
#[expect(clippy::type_complexity, reason = "used twice, right below")]
fn read_steps(
    params: &Map<String, Value>,
    inputs: &Tensors,
) -> Result<(Box<dyn Both>, StepsCase, [usize; 3], f64), String> {
    let case: StepsCase = read(params)?;
    let [steps, m, dim] = inputs.get("hidden")?.0[..] else {
        return Err("hidden must be [steps, m, d]".into());
    };
    if case.steps != steps {
        return Err(format!("{} steps, but hidden vectors for {steps}", case.steps));
    }
    let factor = match case.reduction.as_deref() {
        None | Some("sum") => 1.0,
        Some("mean") => 1.0 / m as f64,
        Some(other) => return Err(format!("unknown reduction `{other}`")),
    };
    let classes = inputs.get("v")?.0[0];
    Ok((build(&case.loss, &case.loss_params)?, case, [m, dim, classes], factor))
}

fn layer<T: Real>(inputs: &Tensors, classes: usize) -> Result<FactoredOutputLayer<T>, String> {
    let v = inputs.get("v")?.1.iter().map(|&v| T::of(v)).collect();
    let (u, omega) = (&inputs.get("u")?.1, inputs.get("omega")?.1.clone());
    FactoredOutputLayer::from_factors(classes, v, u, omega).map_err(|error| error.to_string())
}

fn doubles<T: Real>(values: &[T], factor: f64) -> Vec<f64> {
    values.iter().map(|x| x.f64() * factor).collect()
}

fn kernel_steps<T: Real>(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (loss, case, [m, dim, classes], factor) = read_steps(params, inputs)?;
    let mut layer = layer::<T>(inputs, classes)?;
    let hidden: Vec<T> = inputs.get("hidden")?.1.iter().map(|&h| T::of(h)).collect();
    let labels: Vec<usize> = inputs.get("labels")?.1.iter().map(|&label| label as usize).collect();
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (hidden, labels) in hidden.chunks(m * dim).zip(labels.chunks(m)) {
        let step = layer.step(hidden, labels, &*loss, case.eta * factor).map_err(|error| error.to_string())?;
        losses.push(doubles(&step.losses, factor).iter().sum());
        gradients.extend(doubles(&step.grad_hidden, factor));
    }
    let weights = layer.dense_weight().map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("losses", losses),
        ("grad_hidden", gradients),
        ("w_dense_after", doubles(&weights, 1.0)),
        ("q_after", layer.gram().to_vec()),
        ("w_bar_after", layer.row_sum().to_vec()),
    ]))
}

/// The same through the layer for Burn, which takes the mean: `m` times its numbers are those of the sum.
fn burn_steps(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let (loss, case, [m, dim, classes], factor) = read_steps(params, inputs)?;
    let mut layer = FactoredOutput { layer: layer(inputs, classes)? };
    let scale = m as f64 * factor;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (hidden, labels) in inputs.get("hidden")?.1.chunks(m * dim).zip(inputs.get("labels")?.1.chunks(m)) {
        let hidden = inputs.make::<2>(&[m, dim], hidden).require_grad();
        let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [m]), &inputs.device);
        let value =
            layer.forward(hidden.clone(), labels, &*loss, case.eta * scale).map_err(|error| error.to_string())?;
        gradients.extend(gradient(&value, &hidden).iter().map(|g| g * scale));
        losses.extend(numbers(value).iter().map(|value| value * scale));
    }
    let weights = layer.layer.dense_weight().map_err(|error| error.to_string())?;
    Ok(Outputs::from([
        ("again:losses", losses),
        ("again:grad_hidden", gradients),
        ("again:w_dense_after", doubles(&weights, 1.0)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TwoLevelCase {
    n_clusters: Option<usize>,
    cluster_size: Option<usize>,
    n_classes: Option<usize>,
}

pub fn two_level(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let TwoLevelCase { n_clusters, cluster_size, n_classes } = read(params)?;
    let [clusters, size] = inputs.get("b2")?.0[..] else {
        return Err("b2 must be [clusters, places]".into());
    };
    if n_clusters.is_some_and(|n| n != clusters) || cluster_size.is_some_and(|n| n != size) {
        return Err(format!("b2 has {clusters} clusters of {size}"));
    }
    let (w1, b1) = (inputs.float::<2>("w1")?, inputs.float::<1>("b1")?);
    let (w2, b2) = (inputs.float::<3>("w2")?, inputs.float::<2>("b2")?);
    let layer = TwoLevelSoftmax {
        classes: n_classes.unwrap_or(clusters * size),
        w1: Param::initialized(ParamId::new(), w1.clone()),
        b1: Param::initialized(ParamId::new(), b1.clone()),
        w2: Param::initialized(ParamId::new(), w2.clone()),
        b2: Param::initialized(ParamId::new(), b2.clone()),
    };
    let (hidden, labels) = (inputs.float::<2>("hidden")?, inputs.int("labels")?);
    let again = || layer.forward(hidden.clone(), labels.clone());
    let [m, _] = hidden.dims();
    let all = layer.log_probabilities(hidden.clone());
    let picked = all.gather(1, labels.clone().reshape([m, 1])).neg();
    Ok(Outputs::from([
        ("loss", numbers(again())),
        ("per_example", numbers(layer.forward_no_reduction(hidden.clone(), labels.clone()))),
        ("again:per_example", numbers(picked)),
        ("grad_hidden", gradient(&again(), &hidden)),
        ("grad_w1", gradient(&again(), &w1)),
        ("grad_b1", gradient(&again(), &b1)),
        ("grad_w2", gradient(&again(), &w2)),
        ("grad_b2", gradient(&again(), &b2)),
    ]))
}
