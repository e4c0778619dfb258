//! One fit, and the verification of what it has not seen.

use super::{NUMBERS, Settings};
use crate::support::Measured;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::classification::{MarginHead, NormalizedLinear, NormalizedLinearConfig, UnpgLoss};
use contrarian::contrastive::{CircleLoss, MultiSimilarityLoss, PairContrastiveLoss, TripletLoss};
use contrarian::diagnostics::pair_separation;
use contrarian_lab::data::{Dataset, Matrix, Sampler};
use contrarian_lab::fit::{Examples, FitConfig, OptimizerKind, Schedule, TrainingLoop, transform};
use contrarian_lab::metrics::verification;
use contrarian_lab::model::{Encoder, EncoderConfig};

#[derive(Debug, Clone)]
pub enum Objective {
    Head(MarginHead),
    Unified(UnpgLoss),
    WithTriplet(MarginHead, TripletLoss),
    WithPairs(MarginHead, PairContrastiveLoss),
    Triplet(TripletLoss),
    Circle(CircleLoss),
    MultiSimilarity(MultiSimilarityLoss),
}

impl Objective {
    fn loss(&self, features: Tensor<2>, weights: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
        match self {
            Self::Head(head) => head.forward(features, weights, labels),
            Self::Unified(unified) => unified.forward(features, weights, labels),
            Self::WithTriplet(head, triplet) => {
                head.forward(features.clone(), weights, labels.clone()) + triplet.forward(features, labels)
            }
            Self::WithPairs(head, pairs) => {
                head.forward(features.clone(), weights, labels.clone()) + pairs.forward(features, labels)
            }
            Self::Triplet(triplet) => triplet.forward(features, labels),
            Self::Circle(circle) => circle.forward(features, labels),
            Self::MultiSimilarity(multi) => multi.forward(features, labels),
        }
    }
}

/// A network for features, and a weight for each identity it learns.
#[derive(Module, Debug)]
struct Recognizer {
    encoder: Encoder,
    identities: NormalizedLinear,
}

/// Trains on some identities and embeds the rows of others.
///
/// # Errors
/// When the fit fails.
pub fn embed(
    s: &Settings,
    train: &Dataset,
    test: &Dataset,
    objective: &Objective,
    seed: u64,
) -> Result<Matrix, String> {
    const FEATURES: usize = 16;
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::Sgd { momentum: 0.9, nesterov: false })
        .with_learning_rate(s.learning_rate)
        .with_weight_decay(5e-4)
        .with_schedule(Schedule::Cosine)
        .with_batch_size(s.batch_size)
        .with_epochs(s.steps);
    let device = Device::flex().autodiff();
    let encoder = EncoderConfig::new(train.x.cols).with_width(96).with_features(96).with_projection(FEATURES);
    let model = Recognizer {
        encoder: encoder.init(&device, seed),
        identities: NormalizedLinearConfig::new(FEATURES, train.classes).init(&device, seed),
    };
    let rows = Examples { x: &train.x, y: &train.y };
    // An epoch is a step.
    let sampler = Sampler::Drawn { rows: train.y.len(), count: s.batch_size };
    let fitted = TrainingLoop::new(&config, sampler, seed).run(model, |model: &Recognizer, chosen, _| {
        let batch = rows.batch(chosen, &device);
        objective.loss(model.encoder.project(batch.x), model.identities.weight.val(), batch.labels)
    });
    let model = fitted.map_err(|error| error.to_string())?.model;
    Ok(transform(&test.x, |x| model.encoder.project(x)))
}

/// Rates over all pairs of rows, by their cosine.
///
/// # Errors
/// When the pairs are all of one kind.
pub fn verify(embeddings: &Matrix, labels: &[usize]) -> Result<Measured, String> {
    let unit: Vec<Vec<f64>> = (0..embeddings.rows)
        .map(|row| {
            let row: Vec<f64> = embeddings.row(row).iter().map(|v| f64::from(*v)).collect();
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            row.into_iter().map(|v| v / length).collect()
        })
        .collect();
    let (mut scores, mut same) = (Vec::new(), Vec::new());
    for i in 0..unit.len() {
        for j in i + 1..unit.len() {
            scores.push(unit[i].iter().zip(&unit[j]).map(|(a, b)| a * b).sum::<f64>());
            same.push(labels[i] == labels[j]);
        }
    }
    let one_kind = || "verification needs pairs of one identity and of two".to_string();
    let found = verification(&scores, &same, &[1e-2, 1e-3]).ok_or_else(one_kind)?;
    let rows = TensorData::new(embeddings.data.clone(), [embeddings.rows, embeddings.cols]);
    let ints = TensorData::new(labels.iter().map(|&label| label as i64).collect(), [labels.len()]);
    let device = Device::flex();
    let space = pair_separation(Tensor::from_data(rows, &device), Tensor::<1, Int>::from_data(ints, &device));
    let space = space.map_err(|error| error.to_string())?;
    let negatives: Vec<f64> = scores.iter().zip(&same).filter(|(_, same)| !**same).map(|(score, _)| *score).collect();
    let [tar, strict, eer, gap, overlap, negative, _] = NUMBERS;
    Ok(Measured::from([
        (tar, found.true_accept_rates[0]),
        (strict, found.true_accept_rates[1]),
        (eer, found.equal_error_rate),
        (gap, space.gap()),
        (overlap, space.overlap),
        (negative, crate::support::mean(&negatives)),
    ]))
}
