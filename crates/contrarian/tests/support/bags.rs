//! Golden cases of multiple-instance learning and attention entropy.

use super::*;
use burn::module::{Param, ParamId};
use burn::nn::Linear;
use contrarian::multiple_instance::{BagMask, BagModel, Bags, GatedAttentionMil};
use contrarian::regularization::{AttentionEntropyRegularizerConfig, cosine_weight_annealing};

/// Scores `[heads, n]` or `[bags, heads, n]`, with an optional mask `[bags, n]` of ones where there are instances.
pub fn attention_entropy(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut params = params.clone();
    let is_log = params.remove("is_log").and_then(|flag| flag.as_bool()).unwrap_or(false);
    let regulariser = config(&AttentionEntropyRegularizerConfig::new(), &params)?.init();
    let name = ["attention", "log_attention"].into_iter().find(|name| inputs.has(name)).unwrap_or("scores");
    let (shape, data) = inputs.get(name)?;
    let three = match shape[..] {
        [heads, n] => [1, heads, n],
        [bags, heads, n] => [bags, heads, n],
        _ => return Err(format!("`{name}` must be [heads, n] or [bags, heads, n]")),
    };
    let leaf = inputs.make::<3>(&three, data).require_grad();
    let mask = if inputs.has("mask") {
        let (_, mask) = inputs.get("mask")?;
        let mask = inputs.make::<2>(&[three[0], three[2]], mask).inner().not_equal_scalar(0.0);
        Some(BagMask::new(mask).map_err(|error| error.to_string())?)
    } else {
        None
    };
    let weight = regulariser.weight;
    let mut outputs = Outputs::new();
    let loss = if name == "scores" {
        outputs.insert("entropy", numbers(regulariser.entropy(leaf.clone(), mask.as_ref())));
        regulariser.weighted(leaf.clone(), mask.as_ref())
    } else {
        let log = is_log || name == "log_attention";
        regulariser.of_attention(leaf.clone(), log, mask.as_ref()).mul_scalar(weight)
    };
    let found = gradient(&loss, &leaf);
    outputs.extend([("grad_scores", found.clone()), ("grad_attention", found)]);
    outputs.insert("loss", numbers(loss));
    Ok(outputs)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GatedBag {
    aem_weight: f64,
    label: i32,
}

pub fn gated_bag(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let GatedBag { aem_weight, label } = read(params)?;
    let weights = ["reduce", "v", "u", "w", "c"].map(|name| inputs.float::<2>(name));
    let biases = ["bv", "bu", "bw", "bc"].map(|name| inputs.float::<1>(name));
    let [reduce, v, u, w, c] = &weights;
    let [bv, bu, bw, bc] = &biases;
    // Burn's layers hold the transpose.
    let layer = |weight: &Result<Tensor<2>, String>, bias: Option<&Result<Tensor<1>, String>>| {
        Ok::<_, String>(Linear {
            weight: Param::initialized(ParamId::new(), weight.clone()?.transpose()),
            bias: bias.map(|bias| Ok::<_, String>(Param::initialized(ParamId::new(), bias.clone()?))).transpose()?,
        })
    };
    let model = GatedAttentionMil {
        reduce: layer(reduce, None)?,
        value: layer(v, Some(bv))?,
        gate: layer(u, Some(bu))?,
        weight: layer(w, Some(bw))?,
        classifier: layer(c, Some(bc))?,
    };
    let bags = Bags::single(inputs.float("instances")?).map_err(|error| error.to_string())?;
    let output = model.forward(&bags);
    let scores = output.scores.ok_or("the model has attention")?;
    let regulariser = AttentionEntropyRegularizerConfig::new().with_weight(aem_weight).init();
    let label = Tensor::<1, Int>::from_ints([label], &output.logits.device());
    let fit = CrossEntropyLossConfig::new().init().forward(output.logits.clone(), label);
    let loss = fit + regulariser.weighted(scores.clone(), None);
    // One backward pass for all of them: it consumes the graph.
    let gradients = loss.backward();
    let of = |leaf: &Result<Tensor<2>, String>| {
        leaf.clone()?.grad(&gradients).map(numbers).ok_or_else(|| "a weight has no gradient".to_string())
    };
    let of_bias = |leaf: &Result<Tensor<1>, String>| {
        leaf.clone()?.grad(&gradients).map(numbers).ok_or_else(|| "a bias has no gradient".to_string())
    };
    Ok(Outputs::from([
        ("bag_logits", numbers(output.logits)),
        ("attention_scores", numbers(scores)),
        ("grad_reduce", of(reduce)?),
        ("grad_v", of(v)?),
        ("grad_bv", of_bias(bv)?),
        ("grad_u", of(u)?),
        ("grad_bu", of_bias(bu)?),
        ("grad_w", of(w)?),
        ("grad_bw", of_bias(bw)?),
        ("grad_c", of(c)?),
        ("grad_bc", of_bias(bc)?),
        ("loss", numbers(loss)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annealing {
    initial: f64,
    total_steps: usize,
}

pub fn annealing(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Annealing { initial, total_steps } = read(params)?;
    let (_, steps) = inputs.get("step")?;
    let weights = steps.iter().map(|&step| cosine_weight_annealing(initial, total_steps, step as usize)).collect();
    Ok(Outputs::from([("weight", weights)]))
}
