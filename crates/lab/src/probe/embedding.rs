//! Measurements of objectives over embeddings and pairs, from the gradient of the objective itself.
//!
//! The embeddings are laid out so that one gradient tells every similarity's part: anchor `x_0 = e`, every other item at
//! `z_j = h_j e + sqrt(1 - h_j^2) u_j` with the axes `u_j` orthogonal to each other and to `e`. The gradient by `x_0` has
//! then the component `dL/ds_0j sqrt(1 - h_j^2)` along `u_j`, whatever else the objective does, and scaling rows to length
//! 1 takes away only what lies along `e`.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::EmbeddingBatch;
use contrarian::registry::{EmbeddingTask, ObjectiveSpec, RegistryError, find_embedding};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

/// Temperatures of the hardness curve.
const TEMPERATURES: [f64; 5] = [0.05, 0.1, 0.2, 0.5, 1.0];
/// Batch sizes; the norms are relative to the last.
const BATCHES: [usize; 4] = [8, 32, 128, 512];
/// Negatives of the hardness curve: a tenth of them is a whole number.
const NEGATIVES: usize = 40;
/// Random layouts of a point of the hardness curve.
const DRAWS: u64 = 8;
/// Similarity of the anchor and its positive.
const POSITIVE: f64 = 0.8;
/// Similarities of the negatives lie in this range.
const HARDNESS: (f64, f64) = (-0.4, 0.9);

/// How the gradient is shared among the negatives.
#[derive(Debug, Clone, Serialize)]
pub struct Hardness {
    /// The temperature; `None` where the objective has none.
    pub temperature: Option<f64>,
    /// Share of the hardest tenth of the negatives in the sum of `|dL/ds|`; `None` where all are 0.
    pub hardest_tenth: Option<f64>,
    /// Entropy of the shares over that of equal shares: 1 where all negatives weigh alike, 0 where one has all.
    pub entropy: Option<f64>,
}

/// What changes with the batch.
#[derive(Debug, Clone, Serialize)]
pub struct BatchSize {
    /// Items of the batch.
    pub items: usize,
    /// Norm of the anchor's gradient times the rows the loss is a mean of.
    pub gradient: f64,
    /// The norm relative to that of the largest batch; `None` where that is 0.
    pub relative: Option<f64>,
    /// Positive's gradient relative to that of the decoupled loss, `n T |dL/ds_00|`; `None` where there is no such limit.
    pub coupling: Option<f64>,
}

/// A batch with too few classes or examples for the objective.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// What the batch is, `one class`.
    pub batch: &'static str,
    /// The loss.
    pub value: f64,
    /// Norm of the gradient, by all embeddings or by the example without a positive.
    pub gradient: f64,
}

/// What was measured of one objective over embeddings.
#[derive(Debug, Clone, Serialize)]
pub struct PairCard {
    /// The objective with its parameters.
    pub objective: String,
    /// Whether it sees labels (otherwise pairs).
    pub labels: bool,
    /// Whether it learns class weights.
    pub class_weights: bool,
    /// Sharing among the negatives as the objective is set.
    pub hardness: Hardness,
    /// The same over the temperature; empty where there is none.
    pub by_temperature: Vec<Hardness>,
    /// Over the size of the batch.
    pub batches: Vec<BatchSize>,
    /// Batches with too few classes or examples; empty for pairs.
    pub coverage: Vec<Coverage>,
}

/// Embeddings of `items` pairs around the anchor 0.
struct Layout {
    dim: usize,
    anchors: Vec<f64>,
    positives: Vec<f64>,
    /// Similarity of the anchor and every item's second view.
    similarity: Vec<f64>,
}

impl Layout {
    fn draw(items: usize, seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let dim = 2 * items;
        let negatives = (items - 1) as f64;
        // One in every equal part of the range, so that batches differ in their size only.
        let mut hardness =
            |j: usize| HARDNESS.0 + (HARDNESS.1 - HARDNESS.0) * ((j - 1) as f64 + rng.random::<f64>()) / negatives;
        let similarity: Vec<f64> = (0..items).map(|j| if j == 0 { POSITIVE } else { hardness(j) }).collect();
        let (mut anchors, mut positives) = (vec![0.0; items * dim], vec![0.0; items * dim]);
        anchors[0] = 1.0;
        for (j, h) in similarity.iter().enumerate() {
            let row = j * dim;
            positives[row] = *h;
            positives[row + 1 + j] = (1.0 - h * h).sqrt();
            if j > 0 {
                // The item's other view: as near to it as the anchor is to its positive, off along an axis of its own.
                anchors[row] = POSITIVE * positives[row];
                anchors[row + 1 + j] = POSITIVE * positives[row + 1 + j];
                anchors[row + items + j] = (1.0 - POSITIVE * POSITIVE).sqrt();
            }
        }
        Self { dim, anchors, positives, similarity }
    }

    /// `|dL/ds_0j|` of every item, its views together, from the gradient by the anchor.
    fn penalties(&self, gradient: &[f64]) -> Vec<f64> {
        let axis = |(j, h): (usize, &f64)| gradient[1 + j].abs() / (1.0 - h * h).sqrt();
        self.similarity.iter().enumerate().map(axis).collect()
    }
}

/// Rows a loss is the mean of, its value and its gradient by all of them.
struct Measured {
    rows: usize,
    value: f64,
    gradient: Vec<f64>,
}

fn tensor(values: &[f64], dim: usize, device: &Device) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), [values.len() / dim, dim]);
    Tensor::from_data(data, (device, DType::F64))
}

fn finish(leaf: &Tensor<2>, rows: usize, loss: &Tensor<1>) -> Measured {
    let value = loss.clone().into_data().iter::<f64>().next().unwrap_or(f64::NAN);
    let size = leaf.dims().iter().product();
    let gradient = leaf.grad(&loss.backward()).map_or(vec![0.0; size], |g| g.into_data().iter::<f64>().collect());
    Measured { rows, value, gradient }
}

/// The loss of the layout: pairs as they are; both views with the items as classes; or first views with the second views as
/// class weights.
fn measure(task: &EmbeddingTask, layout: &Layout) -> Measured {
    let device = Device::flex().autodiff();
    let items = layout.similarity.len();
    match task {
        EmbeddingTask::Pairs(objective) => {
            let leaf = tensor(&layout.anchors, layout.dim, &device).require_grad();
            let loss = objective.loss(leaf.clone(), tensor(&layout.positives, layout.dim, &device));
            finish(&leaf, items, &loss)
        }
        EmbeddingTask::Labels(objective) if objective.needs_class_weights() => {
            labelled(task, layout, &layout.anchors, &(0..items).collect::<Vec<_>>())
        }
        EmbeddingTask::Labels(_) => {
            let both = [layout.anchors.as_slice(), &layout.positives].concat();
            labelled(task, layout, &both, &(0..2 * items).map(|row| row % items).collect::<Vec<_>>())
        }
    }
}

fn labelled(task: &EmbeddingTask, layout: &Layout, embeddings: &[f64], labels: &[usize]) -> Measured {
    let EmbeddingTask::Labels(objective) = task else { unreachable!("pairs have no labels") };
    let device = Device::flex().autodiff();
    let leaf = tensor(embeddings, layout.dim, &device).require_grad();
    let ints = labels.iter().map(|&label| label as i64).collect();
    let batch = EmbeddingBatch {
        embeddings: leaf.clone(),
        labels: Tensor::<1, Int>::from_data(TensorData::new(ints, [labels.len()]), &device),
        class_weights: objective.needs_class_weights().then(|| tensor(&layout.positives, layout.dim, &device)),
    };
    finish(&leaf, labels.len(), &objective.loss(batch))
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn hardness(task: &EmbeddingTask, temperature: Option<f64>, seed: u64) -> Hardness {
    let mut shares = Vec::new();
    for draw in 0..DRAWS {
        let layout = Layout::draw(NEGATIVES + 1, seed.wrapping_add(draw));
        // Item 0 is the positive; the negatives get harder with their index.
        let penalties = layout.penalties(&measure(task, &layout).gradient).split_off(1);
        let sum: f64 = penalties.iter().sum();
        if sum > 0.0 {
            let hardest: f64 = penalties[NEGATIVES - NEGATIVES / 10..].iter().sum();
            let entropy: f64 = penalties.iter().map(|p| p / sum).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
            shares.push((hardest / sum, entropy / (NEGATIVES as f64).ln()));
        }
    }
    let mean = |side: fn(&(f64, f64)) -> f64| {
        (!shares.is_empty()).then(|| shares.iter().map(side).sum::<f64>() / shares.len() as f64)
    };
    Hardness { temperature, hardest_tenth: mean(|s| s.0), entropy: mean(|s| s.1) }
}

/// What the positive's gradient of an anchor is without coupling, for losses that are a softmax of the positive against its
/// negatives, or its decoupled form: `1 / T`, and twice that for DCL's sum of both directions.
fn decoupled_slope(spec: &ObjectiveSpec, temperature: Option<f64>) -> Option<f64> {
    let slope = 1.0 / temperature?;
    let one_way = spec.parameters.iter().any(|(name, value)| name == "direction" && value == "one-way");
    match spec.name.as_str() {
        "info-nce" | "nt-xent" | "hard-contrastive" => Some(slope),
        "dcl" => Some(if one_way { slope } else { 2.0 * slope }),
        _ => None,
    }
}

fn batches(task: &EmbeddingTask, decoupled: Option<f64>, seed: u64) -> Vec<BatchSize> {
    let mut sizes: Vec<BatchSize> = Vec::new();
    for items in BATCHES {
        // One layout at large batches, where single negatives hardly matter.
        let draws = (256 / items as u64).clamp(1, DRAWS);
        let (mut gradient, mut coupling) = (0.0, 0.0);
        for draw in 0..draws {
            let layout = Layout::draw(items, seed.wrapping_add(draw));
            let measured = measure(task, &layout);
            let rows = measured.rows as f64;
            gradient += norm(&measured.gradient[..layout.dim]) * rows / draws as f64;
            coupling += layout.penalties(&measured.gradient)[0] * rows / draws as f64;
        }
        sizes.push(BatchSize { items, gradient, relative: None, coupling: decoupled.map(|slope| coupling / slope) });
    }
    let last = sizes.last().map_or(0.0, |size| size.gradient);
    for size in &mut sizes {
        size.relative = (last > 0.0).then_some(size.gradient / last);
    }
    sizes
}

fn coverage(task: &EmbeddingTask, seed: u64) -> Vec<Coverage> {
    let layout = Layout::draw(8, seed);
    let both = [layout.anchors.as_slice(), &layout.positives].concat();
    let one = labelled(task, &layout, &both, &[0; 16]);
    // Class 0 without its second example, and every class so.
    let without = [layout.anchors.as_slice(), &layout.positives[layout.dim..]].concat();
    let lonely = labelled(task, &layout, &without, &(0..8).chain(1..8).collect::<Vec<_>>());
    let single = labelled(task, &layout, &layout.anchors, &(0..8).collect::<Vec<_>>());
    vec![
        Coverage { batch: "one class", value: one.value, gradient: norm(&one.gradient) },
        Coverage {
            batch: "a class with one example",
            value: lonely.value,
            gradient: norm(&lonely.gradient[..layout.dim]),
        },
        Coverage { batch: "one example of every class", value: single.value, gradient: norm(&single.gradient) },
    ]
}

/// Measures an objective over embeddings or pairs.
///
/// # Errors
/// An unknown objective or parameter.
pub fn probe_embedding(spec: &ObjectiveSpec, seed: u64) -> Result<PairCard, RegistryError> {
    let task = spec.build_embedding()?;
    let written =
        spec.parameters.iter().find(|(name, _)| name == "temperature").and_then(|(_, text)| text.parse().ok());
    let default = find_embedding(&spec.name).and_then(|entry| (entry.defaults)()["temperature"].as_f64());
    let temperature = default.map(|default| written.unwrap_or(default));
    let mut by_temperature = Vec::new();
    for t in TEMPERATURES.into_iter().filter(|_| temperature.is_some()) {
        let mut at = spec.clone();
        at.parameters.retain(|(name, _)| name != "temperature");
        at.parameters.push(("temperature".into(), t.to_string()));
        by_temperature.push(hardness(&at.build_embedding()?, Some(t), seed));
    }
    let labels = matches!(task, EmbeddingTask::Labels(_));
    Ok(PairCard {
        objective: spec.to_string(),
        labels,
        class_weights: task.needs_class_weights(),
        hardness: hardness(&task, temperature, seed),
        by_temperature,
        batches: batches(&task, decoupled_slope(spec, temperature), seed),
        coverage: if labels { coverage(&task, seed) } else { Vec::new() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use contrarian::contrastive::negative_positive_coupling;
    use contrarian::registry::EMBEDDING_OBJECTIVES;

    fn card(text: &str) -> PairCard {
        probe_embedding(&text.parse().unwrap(), 3).unwrap()
    }

    #[test]
    fn the_hardest_negatives_lose_weight_as_the_temperature_rises() {
        for name in ["info-nce", "nt-xent", "sup-con"] {
            let card = card(name);
            assert_eq!(card.by_temperature.len(), TEMPERATURES.len());
            for pair in card.by_temperature.windows(2) {
                assert!(pair[0].hardest_tenth > pair[1].hardest_tenth, "{name}: {pair:?}");
                assert!(pair[0].entropy < pair[1].entropy, "{name}: {pair:?}");
            }
        }
        let simple = card("simple-contrastive").hardness;
        assert!((simple.hardest_tenth.unwrap() - 0.1).abs() < 1e-9 && (simple.entropy.unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_coupling_is_that_of_the_paper() {
        let nt_xent = card("nt-xent(temperature=0.1)");
        let coupling: Vec<f64> = nt_xent.batches.iter().map(|b| b.coupling.unwrap()).collect();
        assert!(coupling.windows(2).all(|pair| pair[0] < pair[1]) && coupling.iter().all(|q| *q < 1.0), "{coupling:?}");
        for dcl in ["dcl", "dcl(direction=one-way)"] {
            assert!(card(dcl).batches.iter().all(|b| (b.coupling.unwrap() - 1.0).abs() < 1e-9), "{dcl}");
        }
        // The anchor's and its positive's coefficient, of which NT-Xent's gradient has the mean.
        let device = Device::flex();
        let mut expected = 0.0;
        for draw in 0..DRAWS {
            let layout = Layout::draw(8, 3 + draw);
            let (x, y) = (tensor(&layout.anchors, 16, &device), tensor(&layout.positives, 16, &device));
            for (x, y) in [(x.clone(), y.clone()), (y, x)] {
                let all = negative_positive_coupling(x, y, 0.1).into_data();
                expected += all.iter::<f64>().next().unwrap() / (2 * DRAWS) as f64;
            }
        }
        assert!((coupling[0] - expected).abs() < 1e-9, "{} and {expected}", coupling[0]);
    }

    #[test]
    fn one_class_teaches_a_triplet_nothing() {
        let card = card("triplet");
        assert!(card.labels && !card.class_weights);
        assert_eq!((card.coverage[0].value, card.coverage[0].gradient), (0.0, 0.0));
        assert_eq!(card.coverage[2].gradient, 0.0, "no positives, no triplets");
        assert!(card.hardness.hardest_tenth.unwrap() > 0.1);
    }

    #[test]
    fn every_objective_over_embeddings_has_a_card() {
        for entry in EMBEDDING_OBJECTIVES {
            let card = card(entry.name);
            assert!(card.batches.iter().all(|b| b.gradient.is_finite() && b.gradient > 0.0), "{card:#?}");
            assert!(card.coverage.iter().all(|c| c.value.is_finite() && c.gradient.is_finite()), "{card:#?}");
            assert_eq!(card.coverage.is_empty(), !card.labels, "{}", entry.name);
            assert!(super::super::pair_card_html(&card).contains("<svg"), "{}", entry.name);
        }
    }
}
