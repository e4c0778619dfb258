//! Golden cases of the Poincare ball, its losses and the pseudo-negatives.

use super::{Outputs, Tensors, config, gradient, numbers};
use burn::tensor::{Device, Tensor};
use contrarian::classification::{HypCeLossConfig, HypPcLossConfig};
use contrarian::hyperbolic::*;
use contrarian::negatives::PseudoNegativeSamplerConfig;
use serde_json::{Map, Value};

type Params = Map<String, Value>;

/// `sum(value * cotangent)`, whose gradients a case gives; without a cotangent the sum.
fn pulled_back(value: Tensor<2>, inputs: &Tensors) -> Tensor<1> {
    match inputs.get("cotangent") {
        Ok((_, cotangent)) => (value.clone() * inputs.make::<2>(&value.dims(), cotangent)).sum(),
        Err(_) => value.sum(),
    }
}

/// Gradients of one backward pass, by the named leaves.
fn gradients(loss: &Tensor<1>, leaves: &[(&'static str, &Tensor<2>)]) -> Outputs {
    let found = loss.backward();
    let of = |leaf: &Tensor<2>| leaf.grad(&found).map_or_else(|| vec![0.0; leaf.shape().num_elements()], numbers);
    leaves.iter().map(|(name, leaf)| (*name, of(leaf))).collect()
}

/// Value of a map of rows and its gradients by the named leaves.
fn mapped(value: Tensor<2>, leaves: &[(&'static str, &Tensor<2>)], inputs: &Tensors) -> Outputs {
    let mut outputs = gradients(&pulled_back(value.clone(), inputs), leaves);
    let values = numbers(value);
    outputs.extend(["value", "points", "logits"].map(|name| (name, values.clone())));
    outputs
}

pub fn ball(function: &str, params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = params.clone();
    let eps = params.remove("eps").and_then(|eps| eps.as_f64()).unwrap_or(1e-3);
    let ball = config(&PoincareBallConfig::new(), &params)?.init();
    let of = |name: &str| inputs.float::<2>(name);
    let first = |names: [&'static str; 2]| if inputs.has(names[0]) { names[0] } else { names[1] };
    let one = |value: Tensor<2>, leaf: &Tensor<2>, name: &str| {
        let name = if name == "v" {
            "grad_v"
        } else if name == "y" {
            "grad_y"
        } else {
            "grad_x"
        };
        mapped(value, &[(name, leaf)], inputs)
    };
    let two = |value: Tensor<2>, x: &Tensor<2>, y: &Tensor<2>, second: &'static str| {
        mapped(value, &[("grad_x", x), (second, y)], inputs)
    };
    Ok(match function.trim_start_matches("PoincareBall.") {
        "expmap0" => {
            let v = of("v")?;
            one(ball.expmap0(v.clone()), &v, "v")
        }
        "logmap0" => {
            let name = first(["y", "x"]);
            let y = of(name)?;
            one(ball.logmap0(y.clone()), &y, name)
        }
        "expmap" => {
            let (x, v) = (of("x")?, of("v")?);
            two(ball.expmap(x.clone(), v.clone()), &x, &v, "grad_v")
        }
        "mobius_add" => {
            let (x, y) = (of("x")?, of("y")?);
            two(ball.mobius_add(x.clone(), y.clone()), &x, &y, "grad_y")
        }
        "distance" => {
            let (x, y) = (of("x")?, of("y")?);
            two(ball.distance(x.clone(), y.clone()), &x, &y, "grad_y")
        }
        "distance_matrix" => {
            let (x, y) = (of("x")?, of("y")?);
            two(ball.distance_matrix(x.clone(), y.clone()), &x, &y, "grad_y")
        }
        "conformal_factor" => {
            let x = of("x")?;
            one(ball.conformal_factor(x.clone()), &x, "x")
        }
        "project" => {
            let x = of("x")?;
            one(ball.project(x.clone(), eps), &x, "x")
        }
        unknown => return Err(format!("unknown function `PoincareBall.{unknown}`")),
    })
}

pub fn clip(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let clip = config(&FeatureClipConfig::new(), params)?.init();
    let v = inputs.float::<2>("v")?;
    Ok(mapped(clip.forward(v.clone()), &[("grad_v", &v)], inputs))
}

pub fn to_poincare(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let name = if inputs.has("features") { "features" } else { "v" };
    let v = inputs.float::<2>(name)?;
    let dim = v.dims()[1];
    let mut layer = config(&ToPoincareConfig::new(dim), params)?.init(&Device::flex().autodiff());
    let base = inputs.float::<1>("xp").unwrap_or_else(|_| inputs.make(&[dim], &vec![0.0; dim]).require_grad());
    layer.base = layer.base.map(|param| param.map(|_| base.clone()));
    let grad = if name == "v" { "grad_v" } else { "grad_features" };
    let mut outputs = mapped(layer.forward(v.clone()), &[(grad, &v)], inputs);
    outputs.insert("grad_xp", gradient(&pulled_back(layer.forward(v), inputs), &base));
    Ok(outputs)
}

pub fn logistic_regression(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let (points, normals) = (inputs.float::<2>("points")?, inputs.float::<2>("normals")?);
    let offsets = inputs.float::<2>("offsets_tangent")?;
    let [classes, dim] = normals.dims();
    let mut layer = config(&HyperbolicMlrConfig::new(dim, classes), params)?.init(&Device::flex().autodiff(), 0);
    layer.normals = layer.normals.map(|_| normals.clone());
    layer.offsets = layer.offsets.map(|_| offsets.clone());
    let leaves = [("grad_points", &points), ("grad_normals", &normals), ("grad_offsets_tangent", &offsets)];
    Ok(mapped(layer.forward(points.clone()), &leaves, inputs))
}

pub fn cross_entropy(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&HypCeLossConfig::new(), params)?.init();
    let (points, normals) = (inputs.float::<2>("points")?, inputs.float::<2>("normals")?);
    let (offsets, labels) = (inputs.float::<2>("offsets_tangent")?, inputs.int("labels")?);
    let each = objective.forward_no_reduction(points.clone(), labels.clone(), normals.clone(), offsets.clone());
    let loss = objective.forward(points.clone(), labels, normals.clone(), offsets.clone());
    let leaves = [("grad_points", &points), ("grad_normals", &normals), ("grad_offsets_tangent", &offsets)];
    let mut outputs = gradients(&loss, &leaves);
    outputs.insert("loss", numbers(loss));
    outputs.insert("per_example", numbers(each));
    outputs.insert("logits", numbers(objective.ball.gyroplane_logits(points, normals, offsets)));
    Ok(outputs)
}

pub fn pairwise_confusion(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&HypPcLossConfig::new(), params)?.init();
    let points = inputs.float::<2>("points")?;
    let loss = objective.forward(points.clone());
    Ok(Outputs::from([("grad_points", gradient(&loss, &points)), ("loss", numbers(loss))]))
}

pub fn pseudo_negatives(params: &Params, inputs: &Tensors) -> Result<Outputs, String> {
    let sampler = config(&PseudoNegativeSamplerConfig::new(), params)?.init();
    let (features, noise) = (inputs.float::<2>("features")?, inputs.float::<2>("noise")?);
    let (samples, mean) = sampler.forward_with_noise(features, inputs.float::<1>("previous_mean")?, noise);
    Ok(Outputs::from([("samples", numbers(samples)), ("next_mean", numbers(mean))]))
}
