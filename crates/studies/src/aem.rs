//! Attention entropy: does spreading the attention of a bag model raise its test AUC when bags are few?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Chart, Findings, Series};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, best_by};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::classification::CrossEntropyLossConfig;
use contrarian::multiple_instance::{
    AttentionDropout, BagModel, Bags, GatedAttentionMil, GatedAttentionMilConfig, PoolMilConfig,
};
use contrarian::regularization::{AttentionEntropyRegularizerConfig, top_attention_share};
use contrarian_lab::data::{BagSet, CsvOptions, DataError, Sampler, load_csv};
use contrarian_lab::fit::{FitConfig, OptimizerKind, TrainingLoop};
use contrarian_lab::metrics::roc_auc;
use contrarian_lab::model::Mode;
use contrarian_lab::stats::{Sides, ranks};
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "generated bags instead of slides, 60 of them for training";

const CLAIMS: &[Claim] = &[
    Claim {
        id: "auc-gain",
        statement: "test AUC with the weight chosen on validation among four positive ones exceeds that without the term",
        reported: "consistent gains on three benchmarks with four feature extractors (abstract)",
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Two },
    },
    Claim {
        id: "entropy-rises",
        statement: "the mean test attention entropy rises with every step of the weight",
        reported: "the weight controls how far attention is spread",
        differs: DIFFERS,
        test: Test::Always,
    },
    Claim {
        id: "entropy-goes-with-auc",
        statement: "within a seed, test attention entropy and test AUC have a positive rank correlation over the weights",
        reported: "attention entropy correlates positively with performance (abstract)",
        differs: "generated bags; the correlation is taken seed by seed and tested over seeds",
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Two },
    },
];

pub const STUDY: Study = Study {
    id: "aem",
    title: "AEM: Attention Entropy Maximization for Multiple Instance Learning",
    authors: "Zhang, Li, Sun et al. 2024",
    arxiv: "2406.15303",
    summary: "Gated attention learns from few bags, with five weights of the entropy term, against mean and max pooling and \
              attention dropout. Task one: 5 to 20% of a positive bag's instances are marked. Task two: a single one of 60 \
              is, so that spread attention is the wrong answer (descriptive). Where the data folder has them, also the MUSK, \
              Fox, Tiger and Elephant benchmarks.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_bags: usize,
    validation_bags: usize,
    test_bags: usize,
    epochs: usize,
    all_arms: bool,
    real_seeds: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 8,
            train_bags: 60,
            validation_bags: 100,
            test_bags: 400,
            epochs: 30,
            all_arms: true,
            real_seeds: 2,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                train_bags: 20,
                validation_bags: 20,
                test_bags: 40,
                epochs: 3,
                all_arms: false,
                real_seeds: 1,
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 30, real_seeds: 10, ..base },
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Attention { weight: f64, dropout: bool },
    Mean,
    Max,
}

/// A model on one of the two tasks.
#[derive(Clone, Copy)]
struct Arm {
    kind: Kind,
    needle: bool,
}

const WEIGHTS: [(&str, f64); 5] =
    [("weight 0", 0.0), ("weight 0.1", 0.1), ("weight 0.03", 0.03), ("weight 0.3", 0.3), ("weight 1", 1.0)];
/// By rising weight.
const RISING: [&str; 5] = ["weight 0", "weight 0.03", "weight 0.1", "weight 0.3", "weight 1"];
const INSTANCES: usize = 60;
const FEATURES: usize = 32;

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let attention = |weight: f64, dropout: bool| Kind::Attention { weight, dropout };
    let weights = if s.all_arms { &WEIGHTS[..] } else { &WEIGHTS[..2] };
    let mut arms: Vec<(String, Arm)> = Vec::new();
    let mut add = |name: &str, kind: Kind, needle: bool| arms.push((name.into(), Arm { kind, needle }));
    for &(name, weight) in weights {
        add(name, attention(weight, false), false);
    }
    if s.all_arms {
        add("attention dropout", attention(0.0, true), false);
        add("mean pooling", Kind::Mean, false);
        add("max pooling", Kind::Max, false);
        add("one instance: weight 0", attention(0.0, false), true);
        add("one instance: weight 0.1", attention(0.1, false), true);
        add("one instance: weight 1", attention(1.0, false), true);
        add("one instance: mean pooling", Kind::Mean, true);
        add("one instance: max pooling", Kind::Max, true);
    }
    let measured = Measurements::collect(context, "auc", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let mut findings = Findings::default();
    let evidence = if s.all_arms { evidence(&s, &measured) } else { CLAIMS.iter().map(|_| untested()).collect() };
    for (claim, evidence) in CLAIMS.iter().zip(&evidence) {
        findings.claims.push(judge(claim, evidence));
    }
    let columns = ["test AUC", "validation AUC", "entropy", "top-10 share"];
    findings.tables.push(measured.table("Test AUC and attention (mean ± s.d. over seeds; log 60 = 4.094)", &columns));
    if s.all_arms {
        let line = |name: &str, number: &str| Series {
            name: name.into(),
            points: RISING.iter().map(|arm| (measured.mean(arm, "entropy"), measured.mean(arm, number))).collect(),
        };
        findings.charts.push(Chart {
            title: "Test AUC over attention entropy, weights 0 to 1".into(),
            x_label: "attention entropy (nats)".into(),
            y_label: "AUC".into(),
            series: vec![line("test", "test AUC"), line("validation", "validation AUC")],
        });
        findings.notes.push(format!(
            "Mean pooling, the limit of spread attention, reaches a test AUC of {:.3}; the largest weight {:.3}. Where one \
             instance of 60 decides, they reach {:.3} and {:.3}, and attention without the term {:.3}.",
            measured.mean("mean pooling", "test AUC"),
            measured.mean("weight 1", "test AUC"),
            measured.mean("one instance: mean pooling", "test AUC"),
            measured.mean("one instance: weight 1", "test AUC"),
            measured.mean("one instance: weight 0", "test AUC"),
        ));
    }
    findings.measurements = measured.lines();
    match on_benchmarks(&s, context)? {
        Some(real) => {
            let columns = ["test AUC", "validation AUC", "entropy", "top-10 share"];
            findings
                .tables
                .push(real.table("Multiple-instance benchmarks (60/20/20% of the bags; descriptive)", &columns));
            findings.measurements.extend(real.lines());
        }
        None => findings.notes.push("Generated bags only: no benchmark is in the data folder.".into()),
    }
    findings.notes.push("The slides of the paper cannot be had.".into());
    Ok(findings)
}

/// Sets of real bags in the folder `mil_benchmarks`.
const BENCHMARKS: [&str; 5] = ["musk1", "musk2", "fox", "tiger", "elephant"];

fn on_benchmarks(s: &Settings, context: &Context) -> Result<Option<Measurements>, StudyError> {
    let Some(folder) = context.data.as_ref().map(|data| data.join("mil_benchmarks")) else { return Ok(None) };
    let mut arms: Vec<(String, (BagSet, Kind))> = Vec::new();
    for name in BENCHMARKS {
        let path = folder.join(format!("{name}.csv.gz"));
        if !path.exists() {
            continue;
        }
        let unusable = |error: DataError| StudyError::Data { name, reason: error.to_string() };
        let table = load_csv(&path, &CsvOptions::default()).map_err(unusable)?;
        let set = BagSet::from_table(&table, "bag", "label").map_err(unusable)?;
        let attention = |weight: f64| Kind::Attention { weight, dropout: false };
        let kinds = [
            ("weight 0", attention(0.0)),
            ("weight 0.1", attention(0.1)),
            ("weight 1", attention(1.0)),
            ("mean pooling", Kind::Mean),
            ("max pooling", Kind::Max),
        ];
        arms.extend(kinds.map(|(arm, kind)| (format!("{name}: {arm}"), (set.clone(), kind))));
    }
    if arms.is_empty() {
        return Ok(None);
    }
    let measured = Measurements::collect(context, "benchmarks", &arms, s.real_seeds, |(set, kind), seed| {
        let (bags, tenths) = (set.labels.len(), |n: usize| set.labels.len() * n / 10);
        let sizes = [tenths(6), tenths(2), bags - tenths(6) - tenths(2)];
        let mut parts = set.clone().shuffled(seed).parts(sizes);
        BagSet::standardise(&mut parts);
        train(s, &parts, *kind, seed)
    })?;
    Ok(Some(measured))
}

fn untested() -> Evidence {
    Evidence::Untested("this preset trains two weights only".into())
}

/// Evidence for the claims, in their order.
fn evidence(s: &Settings, measured: &Measurements) -> Vec<Evidence> {
    let by_weight = |number: &str| -> Vec<Vec<f64>> { RISING.iter().map(|arm| measured.values(arm, number)).collect() };
    let (test, validation, entropy) = (by_weight("test AUC"), by_weight("validation AUC"), by_weight("entropy"));
    let chosen = |seed: usize| best_by(1..RISING.len(), |&arm| validation[arm][seed]).expect("there are four weights");
    let gains = (0..s.seeds).map(|seed| test[chosen(seed)][seed] - test[0][seed]).collect();
    let means: Vec<f64> = RISING.iter().map(|arm| measured.mean(arm, "entropy")).collect();
    let rises: Vec<f64> = means.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let of_seed = |table: &[Vec<f64>], seed: usize| table.iter().map(|values| values[seed]).collect::<Vec<f64>>();
    let correlations =
        (0..s.seeds).map(|seed| rank_correlation(&of_seed(&entropy, seed), &of_seed(&test, seed))).collect();
    vec![
        Evidence::Differences(gains),
        Evidence::Cases {
            checked: rises.len(),
            violations: rises.iter().filter(|rise| **rise <= 0.0).count(),
            slack: rises.iter().copied().fold(f64::INFINITY, f64::min),
        },
        Evidence::Differences(correlations),
    ]
}

/// Spearman's; 0 where one side is constant.
fn rank_correlation(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (ranks(x, false), ranks(y, false));
    let center = f64::midpoint(x.len() as f64, 1.0);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - center) * (b - center)).sum::<f64>();
    let scale = (product(&x, &x) * product(&y, &y)).sqrt();
    if scale == 0.0 { 0.0 } else { product(&x, &y) / scale }
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let total = s.train_bags + s.validation_bags + s.test_bags;
    let set = match arm.needle {
        true => BagSet::prototypes(total, INSTANCES, FEATURES, 6.0, (0.0, 0.0), seed),
        false => BagSet::prototypes(total, INSTANCES, FEATURES, 3.0, (0.05, 0.2), seed),
    };
    train(s, &set.parts([s.train_bags, s.validation_bags, s.test_bags]), arm.kind, seed)
}

fn train(s: &Settings, parts: &[BagSet; 3], kind: Kind, seed: u64) -> Result<Measured, String> {
    let device = Device::flex().autodiff();
    let features = parts[0].features;
    let pool = PoolMilConfig::new(features, 2).with_reduced(32);
    match kind {
        Kind::Mean => {
            let model = pool.init_mean(&device, seed);
            fit(s, parts, model, seed, |m, bags, _| (m.forward(bags).logits, None))
        }
        Kind::Max => {
            let model = pool.init_max(&device, seed);
            fit(s, parts, model, seed, |m, bags, _| (m.forward(bags).logits, None))
        }
        Kind::Attention { weight, dropout } => {
            let config = GatedAttentionMilConfig::new(features, 2).with_reduced(32).with_attention(32);
            let regulariser = AttentionEntropyRegularizerConfig::new().with_weight(weight).init();
            fit(s, parts, config.init(&device, seed), seed, |model: &GatedAttentionMil, bags, mode| {
                let (h, mut scores) = model.encode(bags);
                if let (true, Mode::Training(rng)) = (dropout, mode) {
                    scores = AttentionDropout::new().drop(scores, bags.mask(), rng);
                }
                let term = (weight > 0.0).then(|| regulariser.weighted(scores.clone(), bags.mask()));
                (model.classify(h, scores, bags.mask()), term)
            })
        }
    }
}

/// Trains one bag a step, as the paper does, and measures the last model.
fn fit<M: BagModel>(
    s: &Settings,
    [train, validation, test]: &[BagSet; 3],
    model: M,
    seed: u64,
    forward: impl Fn(&M, &Bags, &mut Mode) -> (Tensor<2>, Option<Tensor<1>>),
) -> Result<Measured, String> {
    let device = Device::flex().autodiff();
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::AdamW)
        .with_learning_rate(1e-3)
        .with_weight_decay(1e-5)
        .with_batch_size(1)
        .with_epochs(s.epochs);
    let objective = CrossEntropyLossConfig::new().init();
    let pad = |set: &BagSet, rows: &[usize], device: &Device| Bags::pad(&set.slices(rows), set.features, device);
    let all: Vec<Bags> = (0..train.labels.len())
        .map(|bag| pad(train, &[bag], &device))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let step = |model: &M, rows: &[usize], mode: &mut Mode| {
        let (logits, term) = forward(model, &all[rows[0]], mode);
        let label = TensorData::new(vec![train.labels[rows[0]] as i64], [1]);
        let loss = objective.forward(logits, Tensor::from_data(label, &device.clone().inner()));
        match term {
            Some(term) => loss + term,
            None => loss,
        }
    };
    let training = TrainingLoop::new(&config, Sampler::Shuffled { rows: all.len() }, seed);
    let model = training.run(model, step).map_err(|error| error.to_string())?.model;
    let regulariser = AttentionEntropyRegularizerConfig::new().init();
    let mut measured = Measured::new();
    for (number, set) in [("validation AUC", validation), ("test AUC", test)] {
        let rows: Vec<usize> = (0..set.labels.len()).collect();
        let bags = pad(set, &rows, &Device::flex()).map_err(|error| error.to_string())?;
        let output = model.forward(&bags);
        let logits: Vec<f32> = output.logits.into_data().try_to_vec().map_err(|error| format!("{error:?}"))?;
        let odds: Vec<f64> = logits.chunks(2).map(|row| f64::from(row[1]) - f64::from(row[0])).collect();
        let positive: Vec<bool> = set.labels.iter().map(|&label| label == 1).collect();
        measured.insert(number, roc_auc(&odds, &positive).ok_or("a part has one class only")?);
        if let (Some(scores), "test AUC") = (output.scores, number) {
            let average = |x: Tensor<2>| f64::from(x.mean().into_scalar::<f32>());
            measured.insert("entropy", average(regulariser.entropy(scores.clone(), bags.mask())));
            measured.insert("top-10 share", average(top_attention_share(scores, bags.mask(), 10)));
        }
    }
    Ok(measured)
}
