//! Golden cases of time series: bad pairs, and the networks and measures of transfer between recordings.

use super::{Outputs, Tensors, config, gradient, numbers, read};
use burn::module::{Param, ParamId};
use burn::nn::BatchNormConfig;
use burn::tensor::{Device, Tensor};
use contrarian::classification::CroppedLossConfig;
use contrarian::contrastive::{DynamicBadPairMiningConfig, NtXentLossConfig};
use contrarian::diagnostics::linear_cka;
use contrarian::negatives::{BadPairMinerConfig, BadPairs};
use contrarian_lab::fit::layerwise_learning_rates;
use contrarian_lab::metrics::{ConfusionMatrix, TransferReport, recording_average};
use contrarian_lab::model::{CausalConvolution, Mode, SeriesNetwork, ShallowNet, TemporalBlock, weight_norm};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Runs a case of this room; `None` where the function is not of it.
pub fn evaluate(function: &str, params: &Map<String, Value>, inputs: &Tensors) -> Result<Option<Outputs>, String> {
    Ok(Some(match function {
        "nt-xent-pairwise" => pair_losses(params, inputs)?,
        "pair-loss-memory" => memory(params, inputs)?,
        "bad-pair-miner" => miner(params, inputs)?,
        "dbpm" => weighted(params, inputs)?,
        "linear-cka" => cka(params, inputs)?,
        "shallow-net" => shallow_net(params, inputs)?,
        "temporal-block" => temporal_block(params, inputs)?,
        "weight-norm" => {
            let (v, gain) = (inputs.float::<3>("v")?, inputs.float::<1>("gain")?);
            Outputs::from([("weight", numbers(weight_norm(v, gain)))])
        }
        "cropped-loss" => cropped(params, inputs)?,
        "recording-average" => recordings(params, inputs)?,
        "layerwise-learning-rates" => rates(params)?,
        "transfer-report" => transfer(inputs)?,
        "balanced-accuracy" => balanced_accuracy(inputs)?,
        _ => return Ok(None),
    }))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn pair_losses(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&NtXentLossConfig::new().with_temperature(0.2), params)?.init();
    let (first, second) = (inputs.float::<2>("first")?, inputs.float::<2>("second")?);
    let losses = objective.forward_by_item(first.clone(), second.clone());
    // Upstream gradients that are all the same, and (again) the mean that the kernel differentiates itself.
    let mean = losses.clone().mean();
    let again = objective.forward(first.clone(), second.clone());
    Ok(Outputs::from([
        ("again:grad_first", gradient(&again, &first)),
        ("again:loss", numbers(again)),
        ("grad_first", gradient(&mean, &first)),
        ("grad_second", gradient(&objective.forward_by_item(first, second.clone()).mean(), &second)),
        ("pair_losses", numbers(losses)),
        ("loss", numbers(mean)),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    total_epochs: usize,
    weighting: contrarian::negatives::HistoryWeighting,
}

fn memory(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Memory { total_epochs, weighting } = read(params)?;
    let miner = BadPairMinerConfig::new().with_max_epochs(total_epochs).with_weighting(weighting).init();
    let found = miner.mine_history(inputs.float("history")?).map_err(text)?;
    Ok(Outputs::from([("mean", found.mean)]))
}

fn flags(of: &[bool]) -> Vec<f64> {
    of.iter().map(|&flag| f64::from(u8::from(flag))).collect()
}

fn miner(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let miner = config(&BadPairMinerConfig::new(), params)?.init();
    let BadPairs { mean, mu, sigma, noisy, faulty } = miner.mine_history(inputs.float("history")?).map_err(text)?;
    Ok(Outputs::from([
        ("mean", mean),
        ("mu", vec![mu]),
        ("sigma", vec![sigma]),
        ("noisy", flags(&noisy)),
        ("faulty", flags(&faulty)),
    ]))
}

fn weighted(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let mut miner = params.clone();
    let mut own = Map::new();
    for name in ["temperature", "peak_normalized", "warm_up"] {
        own.extend(miner.remove(name).map(|value| (name.to_string(), value)));
    }
    let mut settings = config(&DynamicBadPairMiningConfig::new(), &own)?;
    settings.miner = config(&BadPairMinerConfig::new(), &miner)?;
    let objective = settings.init();
    let bad = objective.miner.mine_history(inputs.float("history")?).map_err(text)?;
    let (_, items) = inputs.get("indices")?;
    let items: Vec<usize> = items.iter().map(|&item| item as usize).collect();
    let (first, second) = (inputs.float::<2>("first")?, inputs.float::<2>("second")?);
    let losses = objective.pair_losses(first.clone(), second.clone());
    let loss = || objective.forward(first.clone(), second.clone(), &items, Some(&bad));
    Ok(Outputs::from([
        ("weights", numbers(objective.weights(losses.clone(), &items, &bad))),
        ("pair_losses", numbers(losses)),
        ("grad_first", gradient(&loss(), &first)),
        ("grad_second", gradient(&loss(), &second)),
        ("loss", numbers(loss())),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cka {
    #[serde(default)]
    debiased: bool,
}

fn cka(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Cka { debiased } = read(params)?;
    let value = linear_cka(inputs.float("x")?, inputs.float("y")?, debiased).map_err(text)?;
    Ok(Outputs::from([("value", vec![value])]))
}

/// A parameter for inference: networks of the lab go by the device they are on.
fn fixed<const D: usize>(inputs: &Tensors, name: &str) -> Result<Param<Tensor<D>>, String> {
    Ok(Param::initialized(ParamId::new(), plain(inputs, name)?))
}

fn plain<const D: usize>(inputs: &Tensors, name: &str) -> Result<Tensor<D>, String> {
    let (shape, data) = inputs.get(name)?;
    Ok(inputs.make::<D>(shape, data).without_autodiff())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shallow {
    #[serde(default = "Shallow::pool")]
    pool: usize,
    #[serde(default = "Shallow::stride")]
    stride: usize,
    #[serde(default = "Shallow::epsilon")]
    epsilon: f64,
}

impl Shallow {
    fn pool() -> usize {
        75
    }

    fn stride() -> usize {
        15
    }

    fn epsilon() -> f64 {
        1e-6
    }
}

fn shallow_net(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Shallow { pool, stride, epsilon } = read(params)?;
    let filters = inputs.get("spatial_weight")?.0[0];
    let mut norm = BatchNormConfig::new(filters).init(&Device::flex());
    norm.gamma = fixed(inputs, "norm_scale")?;
    norm.beta = fixed(inputs, "norm_shift")?;
    norm.running_mean = burn::module::RunningState::new(plain(inputs, "norm_mean")?);
    norm.running_var = burn::module::RunningState::new(plain(inputs, "norm_variance")?);
    let model = ShallowNet {
        time_weight: fixed(inputs, "time_weight")?,
        time_bias: fixed(inputs, "time_bias")?,
        spatial_weight: fixed(inputs, "spatial_weight")?,
        norm,
        class_weight: fixed(inputs, "class_weight")?,
        class_bias: fixed(inputs, "class_bias")?,
        pool,
        stride,
        dropout: 0.5,
        epsilon,
    };
    let logits = model.logits(plain(inputs, "x")?, &mut Mode::Inference);
    Ok(Outputs::from([("logits", numbers(logits))]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    dilation: usize,
}

fn temporal_block(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Block { dilation } = read(params)?;
    let convolution = |weight: &str, bias: &str| {
        Ok::<_, String>(CausalConvolution::from_weight(plain(inputs, weight)?, plain(inputs, bias)?, dilation))
    };
    let shortcut = inputs.has("wd");
    let block = TemporalBlock {
        first: convolution("w1", "b1")?,
        second: convolution("w2", "b2")?,
        shortcut_weight: shortcut.then(|| fixed(inputs, "wd")).transpose()?,
        shortcut_bias: shortcut.then(|| fixed(inputs, "bd")).transpose()?,
        dropout: 0.5,
    };
    let y = block.forward(plain(inputs, "x")?, &mut Mode::Inference);
    Ok(Outputs::from([("y", numbers(y))]))
}

fn cropped(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let objective = config(&CroppedLossConfig::new(), params)?.init();
    let (logits, labels) = (inputs.float::<3>("logits")?, inputs.int("labels")?);
    let loss = objective.forward(logits.clone(), labels.clone());
    Ok(Outputs::from([
        ("per_example", numbers(objective.forward_no_reduction(logits.clone(), labels))),
        ("grad_logits", gradient(&loss, &logits)),
        ("loss", numbers(loss)),
    ]))
}

fn indices(inputs: &Tensors, name: &str) -> Result<Vec<usize>, String> {
    Ok(inputs.get(name)?.1.iter().map(|&index| index as usize).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recordings {
    recordings: usize,
}

fn recordings(params: &Map<String, Value>, inputs: &Tensors) -> Result<Outputs, String> {
    let Recordings { recordings } = read(params)?;
    let (shape, windows) = inputs.get("log_probabilities")?;
    let found = recording_average(windows, shape[1], &indices(inputs, "recordings")?, recordings).map_err(text)?;
    Ok(Outputs::from([
        ("log_probabilities", found.log_probabilities),
        ("predictions", found.predictions.into_iter().map(|class| class as f64).collect()),
    ]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rates {
    base: f64,
    #[serde(default = "Rates::usual")]
    decay: f64,
    groups: usize,
}

impl Rates {
    fn usual() -> f64 {
        2.6
    }
}

fn rates(params: &Map<String, Value>) -> Result<Outputs, String> {
    let Rates { base, decay, groups } = read(params)?;
    Ok(Outputs::from([("rates", layerwise_learning_rates(base, decay, groups).map_err(text)?)]))
}

fn transfer(inputs: &Tensors) -> Result<Outputs, String> {
    let arm = |name: &str| inputs.get(name).map(|(_, values)| values.as_slice());
    let found = TransferReport::new(arm("scratch")?, arm("fine_tuned")?, arm("source_before")?, arm("source_after")?);
    let found = found.map_err(text)?;
    Ok(Outputs::from([("gain", vec![found.gain.mean]), ("forgetting", vec![found.forgetting.mean])]))
}

fn balanced_accuracy(inputs: &Tensors) -> Result<Outputs, String> {
    let (truth, decided) = (indices(inputs, "labels")?, indices(inputs, "predictions")?);
    let classes = truth.iter().chain(&decided).max().map_or(0, |largest| largest + 1);
    let value = ConfusionMatrix::new(&truth, &decided, classes).balanced_accuracy().ok_or("there are no rows")?;
    Ok(Outputs::from([("value", vec![value])]))
}
