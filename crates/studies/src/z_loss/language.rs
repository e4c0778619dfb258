use super::Settings;
use super::words::{Corpus, Pairs, generated, shakespeare};
use crate::claim::Evidence;
use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements, best_by};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use contrarian::classification::{TwoLevelSoftmax, TwoLevelSoftmaxConfig};
use contrarian::registry::{ObjectiveSpec, RegistryError, TaskContext};
use contrarian::{LogitBatch, LogitObjective, ObjectiveState};
use contrarian_lab::data::Sampler;
use contrarian_lab::fit::{FitConfig, TrainingLoop};
use contrarian_lab::metrics::{Predictions, mean_reciprocal_rank, top_k_accuracy};
use contrarian_lab::model::linear;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

const WIDTH: usize = 32;
const RATE: f64 = 1e-2;
const BATCH: usize = 200;
const SOFTMAX: &str = "log-softmax";
const SQUARED: &str = "squared error";

/// `k`, the accuracy among the first `k` on the test data, and the same on the validation data.
const TOP: [(usize, &str, &str); 5] = [
    (1, "top-1", "validation top-1"),
    (5, "top-5", "validation top-5"),
    (10, "top-10", "validation top-10"),
    (20, "top-20", "validation top-20"),
    (50, "top-50", "validation top-50"),
];
const SHOWN: [&str; 6] = ["top-1", "top-5", "top-10", "top-20", "top-50", "MRR"];

#[derive(Clone)]
enum Arm {
    /// An objective of the registry over dense outputs.
    Dense(String),
    TwoLevel,
}

impl Arm {
    /// What orders words as the objective's own probability does: not every one of them grows with the output.
    fn order(&self, output: f64) -> f64 {
        match self {
            Self::Dense(spec) if spec == "taylor-softmax" => (1.0 + output).powi(2),
            Self::Dense(spec) if spec == "spherical-softmax" => output.powi(2),
            _ => output,
        }
    }
}

/// Part 3: what the losses rank.
pub fn language(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 3], StudyError> {
    let mut arms: Vec<(String, Arm)> = [
        (SOFTMAX, "cross-entropy"),
        (SQUARED, "spherical-squared-error"),
        ("Taylor softmax", "taylor-softmax"),
        ("spherical softmax", "spherical-softmax"),
    ]
    .map(|(name, spec)| (name.into(), Arm::Dense(spec.into())))
    .into();
    arms.push(("two-level softmax".into(), Arm::TwoLevel));
    let tuned: Vec<String> =
        s.a.iter().flat_map(|a| s.b.iter().map(move |b| format!("z-loss(a={a}, b={b}, eps=1e-12)"))).collect();
    arms.extend(tuned.iter().map(|spec| (spec.clone(), Arm::Dense(spec.clone()))));

    let made = Measurements::collect(context, "generated language", &arms, s.seeds, |arm, seed| {
        measure(arm, &generated(s.words, s.pairs, seed), s, context, seed)
    })?;
    findings.measurements.extend(made.lines());
    findings.tables.push(made.table(&format!("a generated language of {} words", s.words), &SHOWN));
    let chosen = |test: &str, validation: &str| chosen(&made, &tuned, s.seeds, test, validation);
    let against = |arm: &str, at: usize| {
        let (_, test, validation) = TOP[at];
        Evidence::paired(&chosen(test, validation), &made.values(arm, test))
    };
    let best = TOP.map(|(_, test, validation)| {
        let values = chosen(test, validation);
        format!("{test} {:.3}", values.iter().sum::<f64>() / values.len() as f64)
    });
    findings
        .notes
        .push(format!("Z-loss with a and b chosen on validation data for each measure: {}.", best.join(", ")));

    match shakespeare(context.data.as_deref(), s.real_words, s.real_pairs)? {
        Some(corpus) => {
            let real = Measurements::collect(context, "Shakespeare", &arms, s.real_seeds, |arm, seed| {
                measure(arm, &corpus, s, context, seed)
            })?;
            findings.measurements.extend(real.lines());
            findings.tables.push(real.table("the next word in Shakespeare's plays, given the one before it", &SHOWN));
        }
        None => findings.notes.push("Shakespeare's plays are not in the data folder: that part was left out.".into()),
    }
    Ok([against(SQUARED, 0), against(SOFTMAX, 3), against(SOFTMAX, 4)])
}

/// For each seed the test value of the candidate that is best on the seed's validation data.
fn chosen(made: &Measurements, candidates: &[String], seeds: usize, test: &str, validation: &str) -> Vec<f64> {
    let of_seed = |seed: usize| {
        let best = best_by(candidates, |arm| made.values(arm, validation)[seed]).expect("there are candidates");
        made.values(best, test)[seed]
    };
    (0..seeds).map(of_seed).collect()
}

/// The word before, embedded, through a rectified layer, to the words.
#[derive(Module, Debug)]
struct WordModel {
    embedding: Param<Tensor<2>>,
    hidden: Linear,
    output: Output,
}

#[derive(Module, Debug)]
enum Output {
    Dense(Linear),
    TwoLevel(TwoLevelSoftmax),
}

impl WordModel {
    fn new(corpus: &Corpus, arm: &Arm, seed: u64) -> Self {
        let device = Device::flex().autodiff();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let embedding: Vec<f32> = (0..corpus.contexts * WIDTH).map(|_| rng.random_range(-1.0..1.0)).collect();
        let hidden = linear(WIDTH, WIDTH, &device, &mut rng);
        let output = match arm {
            Arm::Dense(_) => Output::Dense(linear(WIDTH, corpus.words, &device, &mut rng)),
            Arm::TwoLevel => {
                Output::TwoLevel(TwoLevelSoftmaxConfig::new(WIDTH, corpus.words).init(&device, rng.random()))
            }
        };
        let embedding = Param::from_data(TensorData::new(embedding, [corpus.contexts, WIDTH]), &device);
        Self { embedding, hidden, output }
    }

    fn hidden(&self, contexts: Tensor<1, Int>) -> Tensor<2> {
        activation::relu(self.hidden.forward(self.embedding.val().select(0, contexts)))
    }

    /// Numbers that rank the words.
    fn scores(&self, contexts: Tensor<1, Int>) -> Tensor<2> {
        let hidden = self.hidden(contexts);
        match &self.output {
            Output::Dense(layer) => layer.forward(hidden),
            Output::TwoLevel(layer) => layer.log_probabilities(hidden),
        }
    }
}

fn measure(arm: &Arm, corpus: &Corpus, s: &Settings, context: &Context, seed: u64) -> Result<Measured, String> {
    let objective: Option<Box<dyn LogitObjective>> = match arm {
        Arm::Dense(spec) => {
            let spec: ObjectiveSpec = spec.parse().map_err(|error: RegistryError| error.to_string())?;
            let counts = TaskContext { class_counts: vec![1; corpus.words] };
            Some(spec.build(&counts).map_err(|error| error.to_string())?)
        }
        Arm::TwoLevel => None,
    };
    let config = FitConfig::new().with_learning_rate(RATE).with_batch_size(BATCH).with_epochs(s.epochs);
    let training = TrainingLoop {
        stop: Some(context.stop),
        ..TrainingLoop::new(&config, Sampler::Shuffled { rows: corpus.train.words.len() }, seed)
    };
    let device = Device::flex().autodiff();
    let mut state = ObjectiveState::Stateless;
    let fitted = training
        .run(WordModel::new(corpus, arm, seed), |model: &WordModel, rows, _| {
            let of = |values: &[usize]| indices(rows.iter().map(|&row| values[row]), &device);
            let (contexts, words) = (of(&corpus.train.contexts), of(&corpus.train.words));
            match (&model.output, &objective) {
                (Output::TwoLevel(layer), _) => layer.forward(model.hidden(contexts), words),
                (_, Some(objective)) => objective.loss(LogitBatch::new(model.scores(contexts), words), &mut state),
                (_, None) => unreachable!("a dense output has an objective"),
            }
        })
        .map_err(|error| error.to_string())?;
    let (test, validation) = (
        ranked(&fitted.model, arm, &corpus.test, corpus.words)?,
        ranked(&fitted.model, arm, &corpus.validation, corpus.words)?,
    );
    let mut measured = Measured::from([("MRR", mean_reciprocal_rank(&test))]);
    for (k, on_test, on_validation) in TOP {
        measured.insert(on_test, top_k_accuracy(&test, k));
        measured.insert(on_validation, top_k_accuracy(&validation, k));
    }
    Ok(measured)
}

fn ranked(model: &WordModel, arm: &Arm, pairs: &Pairs, words: usize) -> Result<Predictions, String> {
    let scores = model.scores(indices(pairs.contexts.iter().copied(), &Device::flex()));
    let scores: Vec<f32> = scores.into_data().try_to_vec().map_err(|error| format!("{error:?}"))?;
    let probabilities = scores.into_iter().map(|score| arm.order(f64::from(score))).collect();
    Ok(Predictions { probabilities, classes: words, labels: pairs.words.clone() })
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.map(|value| value as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
