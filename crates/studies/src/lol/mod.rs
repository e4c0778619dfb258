//! LoL: does penalising revisions that lose with more feedback keep rewritten queries from drifting?

mod rewriter;
mod world;

use crate::claim::{Claim, Test, judge};
use crate::concepts::Budget;
use crate::findings::{Chart, Findings, Series};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::ranking::{FeedbackSampler, LolRegulariserConfig, ReformulationLossConfig, vector_rocchio};
use contrarian_lab::data::Matrix;
use contrarian_lab::metrics::{Gain, Relevance, drift_report};
use contrarian_lab::retrieval::ExactIndex;
use contrarian_lab::stats::Sides;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rewriter::{AttentionRewriter, Sequences};
use serde::{Deserialize, Serialize};
use world::{DIM, IntentWorld, MOST, OF_INTENT, Queries};

const DIFFERS: &str = "generated vectors of 400 intents and a small attention rewriter instead of MS MARCO with uniCOIL and ANCE; a relevant document \
                       is drawn in training, where the authors take the hardest";
const REPORTED: &str = "more effective and more robust than the same rewriter without the regulariser (abstract)";

const fn gain(id: &'static str, statement: &'static str) -> Claim {
    Claim {
        id,
        statement,
        reported: REPORTED,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    }
}

const CLAIMS: &[Claim] = &[
    gain("fewer-violations", "the mean violation with lambda 1 is below that with lambda 0, at as many revisions"),
    gain("better-at-five", "the nDCG@10 with 5 documents of feedback and lambda 4 exceeds that with lambda 0"),
    gain(
        "less-drift",
        "the nDCG@10 with 5 documents less that with 1 is larger (less negative) with lambda 4 than with lambda 0",
    ),
    gain(
        "best-is-kept",
        "the best nDCG@10 over amounts with lambda 1, .01 added, exceeds that with lambda 0: it is no worse than -.01",
    ),
];

pub const STUDY: Study = Study {
    id: "lol",
    title: "LoL: A Comparative Regularization Loss over Query Reformulation Losses for Pseudo-Relevance Feedback",
    authors: "Zhu, Pang, Lan et al. 2022",
    arxiv: "2204.11545",
    summary: "A rewriter learns to use the first documents found as feedback, with and without the comparative regulariser; judged on queries of \
              unseen intents with 0 to 5 documents, beside Rocchio's plain average and the query as it is.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    intents: usize,
    train_queries: usize,
    test_queries: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    scale: f64,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            intents: 400,
            train_queries: 2000,
            test_queries: 400,
            steps: 400,
            batch_size: 32,
            learning_rate: 3e-3,
            scale: 10.0,
        };
        match preset {
            Preset::Smoke => Self { seeds: 2, intents: 40, train_queries: 200, test_queries: 60, steps: 40, ..base },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.steps, batch: self.batch_size, rate: self.learning_rate }
    }

    fn check(&self) -> Result<(), StudyError> {
        let bad = |reason: &str| Err(StudyError::Settings { study: STUDY.id, reason: reason.into() });
        if self.intents < 8 || self.train_queries == 0 || self.test_queries == 0 {
            return bad("there must be 8 intents at least, and queries to train and to test with");
        }
        if !(self.scale > 0.0 && self.scale.is_finite()) {
            return bad("the scale must be above 0");
        }
        self.budget().check(STUDY.id)
    }
}

#[derive(Clone, Copy)]
enum Arm {
    AsItIs,
    Rocchio {
        beta: f64,
    },
    /// Revisions besides the first, and the weight of the regulariser.
    Learned {
        n_compare: usize,
        lambda: f64,
    },
}

const ARMS: [(&str, Arm); 7] = [
    ("the query as it is", Arm::AsItIs),
    ("Rocchio, beta .5", Arm::Rocchio { beta: 0.5 }),
    ("Rocchio, beta 1", Arm::Rocchio { beta: 1.0 }),
    ("one revision", Arm::Learned { n_compare: 0, lambda: 0.0 }),
    ("lambda 0", Arm::Learned { n_compare: 1, lambda: 0.0 }),
    ("lambda 1", Arm::Learned { n_compare: 1, lambda: 1.0 }),
    ("lambda 4", Arm::Learned { n_compare: 1, lambda: 4.0 }),
];
const AMOUNTS: [&str; MOST + 1] = ["nDCG@10, 0", "nDCG@10, 1", "nDCG@10, 2", "nDCG@10, 3", "nDCG@10, 4", "nDCG@10, 5"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = ARMS.map(|(name, arm)| (name.to_string(), arm)).to_vec();
    let measured = Measurements::collect(context, "intents", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let between = |number: &str, arms: [&str; 2], added: f64| measured.evidence(number, arms, |[a, b]| a - b + added);
    let evidence = [
        between("mean violation", ["lambda 0", "lambda 1"], 0.0),
        between(AMOUNTS[MOST], ["lambda 4", "lambda 0"], 0.0),
        between("drift", ["lambda 4", "lambda 0"], 0.0),
        between("best", ["lambda 1", "lambda 0"], 0.01),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    let numbers: Vec<&'static str> =
        AMOUNTS.into_iter().chain(["best", "drift", "mean violation", "violation rate", "seconds"]).collect();
    findings
        .tables
        .push(measured.table("Queries of unseen intents, by documents of feedback (mean ± s.d. over seeds)", &numbers));
    let line = |(name, _): &(&str, Arm)| Series {
        name: (*name).into(),
        points: AMOUNTS
            .iter()
            .enumerate()
            .map(|(amount, number)| (amount as f64, measured.mean(name, number)))
            .collect(),
    };
    findings.charts.push(Chart {
        title: "nDCG@10 by documents of feedback (mean over seeds)".into(),
        x_label: "documents of feedback".into(),
        y_label: "nDCG@10".into(),
        series: ARMS.iter().map(line).collect(),
    });
    let best = |arm: &str| measured.mean(arm, "best");
    let rocchio = best("Rocchio, beta .5").max(best("Rocchio, beta 1"));
    let learned = ["lambda 0", "lambda 1", "lambda 4"].map(best).into_iter().fold(f64::NEG_INFINITY, f64::max);
    findings.notes.push(format!(
        "The control is Rocchio's plain average: its best nDCG@10 over amounts is {rocchio:.3}, that of the learned rewriters {learned:.3}. \
         {}",
        if rocchio >= learned {
            "No learned rewriter beats it here: the regulariser repairs the drift of learned rewriting, and not more."
        } else {
            "Learning adds to it here."
        }
    ));
    Ok(findings)
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let world = IntentWorld::generate(s.intents, s.train_queries, s.test_queries, seed);
    let rewriter = match arm {
        Arm::Learned { n_compare, lambda } => Some(train(s, &world, n_compare, lambda, seed)?),
        _ => None,
    };
    let index = ExactIndex::new(world.documents.clone());
    let relevant: Vec<Vec<usize>> = world.test.intents.iter().map(|intent| IntentWorld::relevant(*intent)).collect();
    let mut losses = vec![Vec::new(); relevant.len()];
    let mut measured = Measured::new();
    for (amount, name) in AMOUNTS.iter().enumerate() {
        let rewritten = rewrite(&world, &world.test, arm, rewriter.as_ref(), amount);
        let found = index.search(&matrix(rewritten.clone()), 10);
        let scores: Vec<f64> = found
            .iter()
            .zip(&relevant)
            .map(|(hits, relevant)| {
                let ranking: Vec<usize> = hits.iter().map(|hit| hit.document).collect();
                Relevance::binary(relevant.iter().copied()).ndcg(&ranking, 10, Gain::Linear)
            })
            .collect();
        measured.insert(name, mean(&scores));
        let loss = ReformulationLossConfig::new().init();
        let of_amount = loss.forward_no_reduction(rewritten.mul_scalar(s.scale), tensor(&world.documents), &relevant);
        for (losses, loss) in losses.iter_mut().zip(of_amount.into_data().iter::<f64>()) {
            losses.push(loss);
        }
    }
    let report = drift_report(&losses);
    measured.insert("best", AMOUNTS.iter().map(|name| measured[name]).fold(f64::NEG_INFINITY, f64::max));
    measured.insert("drift", measured[AMOUNTS[MOST]] - measured[AMOUNTS[1]]);
    measured.insert("mean violation", report.mean_violation);
    measured.insert("violation rate", report.violation_rate);
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

fn train(
    s: &Settings,
    world: &IntentWorld,
    n_compare: usize,
    lambda: f64,
    seed: u64,
) -> Result<AttentionRewriter, String> {
    let device = Device::flex().autodiff();
    let documents = Tensor::<2>::from_data(tensor(&world.documents).into_data(), &device);
    let sampler = FeedbackSampler::new().with_max_feedback(MOST).with_n_compare(n_compare);
    let regulariser = LolRegulariserConfig::new().with_lambda(lambda).init();
    let loss = ReformulationLossConfig::new().init();
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0066_6565_6462);
    let train = &world.train;
    let trained = s.budget().train(AttentionRewriter::new(&device, seed), s.train_queries, seed, |model, rows| {
        let revisions: Vec<Vec<Vec<usize>>> =
            rows.iter().map(|&row| sampler.sample(&train.feedback[row], rng)).collect();
        let counts: Vec<Vec<usize>> = revisions.iter().map(|query| query.iter().map(Vec::len).collect()).collect();
        let feedback: Vec<Vec<usize>> = revisions.into_iter().flatten().collect();
        let expanded: Vec<usize> = rows.iter().flat_map(|&row| std::iter::repeat_n(row, n_compare + 1)).collect();
        let rewritten = model.rewrite(&Sequences::new(&train.vectors, &expanded, &world.documents, &feedback));
        let relevant: Vec<Vec<usize>> = expanded.iter().map(|&row| IntentWorld::relevant(train.intents[row])).collect();
        // The revisions of a query share their target.
        let targets: Vec<usize> = rows
            .iter()
            .flat_map(|&row| {
                let target = train.intents[row] * OF_INTENT + rng.random_range(0..OF_INTENT);
                std::iter::repeat_n(target, n_compare + 1)
            })
            .collect();
        let scores = rewritten.mul_scalar(s.scale).matmul(documents.clone().transpose());
        let losses = loss.towards(scores, &relevant, &targets).reshape([rows.len(), n_compare + 1]);
        regulariser.forward(losses, &counts).0
    })?;
    Ok(trained.valid())
}

/// The queries `[n, DIM]` with the first `amount` documents found as feedback.
fn rewrite(
    world: &IntentWorld,
    queries: &Queries,
    arm: Arm,
    rewriter: Option<&AttentionRewriter>,
    amount: usize,
) -> Tensor<2> {
    let feedback: Vec<Vec<usize>> = queries.feedback.iter().map(|found| found[..amount].to_vec()).collect();
    let rows = queries.vectors.rows;
    match (arm, rewriter) {
        (Arm::Rocchio { beta }, _) => {
            let of_query = |found: &Vec<usize>| {
                let mut padded = world.documents.gather(found).data;
                padded.resize(MOST * DIM, 0.0);
                padded
            };
            let data: Vec<f32> = feedback.iter().flat_map(of_query).collect();
            let mask: Vec<bool> = (0..rows * MOST).map(|cell| cell % MOST < amount).collect();
            let feedback = Tensor::<3>::from_data(TensorData::new(data, [rows, MOST, DIM]), &Device::flex());
            let mask = Tensor::<2, Bool>::from_data(TensorData::new(mask, [rows, MOST]), &Device::flex());
            let revised = vector_rocchio(tensor(&queries.vectors), feedback, mask, 1.0, beta);
            contrarian::contrastive::normalize_rows(revised)
        }
        (Arm::Learned { .. }, Some(rewriter)) => {
            let all: Vec<usize> = (0..rows).collect();
            rewriter.rewrite(&Sequences::new(&queries.vectors, &all, &world.documents, &feedback))
        }
        _ => tensor(&queries.vectors),
    }
}

fn tensor(x: &Matrix) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.data.clone(), [x.rows, x.cols]), &Device::flex())
}

fn matrix(x: Tensor<2>) -> Matrix {
    let [rows, cols] = x.dims();
    Matrix { rows, cols, data: x.into_data().try_to_vec().expect("models are f32") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { scale: 0.0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("scale"));
        let s = Settings { steps: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().is_err());
    }
}
