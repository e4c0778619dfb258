//! The Mann-Whitney loss: are scores of different queries comparable, and what does it cost in ranking?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::concepts::{self, Budget, NUMBERS, documents, queries, sources};
use crate::findings::Findings;
use crate::scifact::{self, RealArm};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian::ranking::{MwLossConfig, PairwiseSquaredHingeLossConfig, ScoreContrastiveLossConfig, StarLossConfig};
use contrarian_lab::metrics::pools::{self, pooled_auc};
use contrarian_lab::retrieval::{BagEncoder, ConceptWorld, ConceptWorldConfig, ExactIndex};
use contrarian_lab::stats::Sides;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "a generated collection of 2,000 documents and a table of word vectors instead of MiniLM or XLM-R on NLI, NQ, SQuAD and MS \
                       MARCO; no hard negatives";
const REPORTED: &str = "AUC, mean of four data sets, MiniLM: .85 with the contrastive loss, .91 with Mann-Whitney; MRR .52 and .53 (table 1)";
const EXACT: &str = "follows from the definition (section 3)";

const CLAIMS: &[Claim] = &[
    Claim {
        id: "pooled-auc",
        statement: "the AUC of all queries' scores in one pool (positives, and the 500 best other documents of each query) is higher with the \
                    Mann-Whitney loss than with the contrastive loss",
        reported: REPORTED,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    },
    Claim {
        id: "ranking-kept",
        statement: "the MRR@10 with the Mann-Whitney loss, .01 added, exceeds that with the contrastive loss: it is no worse than -.01",
        reported: REPORTED,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    },
    Claim {
        id: "shift",
        statement: "adding a number to all scores of a query changes the contrastive loss by less than 1e-9, and the Mann-Whitney loss by more",
        reported: EXACT,
        differs: "",
        test: Test::Always,
    },
    Claim {
        id: "offsets-ruin-auc",
        statement: "with Gaussian offsets of deviation 1000 a query the area over the curve of bounded scores is within .05 of 1/2, while the \
                    contrastive loss stays as it is",
        reported: "the area over the curve tends to 1/2 (lemma 1)",
        differs: "2,000 queries of 8 passages; the area is a mean over finitely many offsets",
        test: Test::Always,
    },
    Claim {
        id: "bound",
        statement: "the mean Mann-Whitney loss divided by ln 2 is at least the area over the curve, at every temperature",
        reported: "lemma 2",
        differs: "",
        test: Test::Always,
    },
];

pub const STUDY: Study = Study {
    id: "mw-loss",
    title: "Optimizing What Matters: AUC-Driven Learning for Robust Neural Retrieval",
    authors: "Sheikholeslami, Hosseini, Bechard et al. 2025",
    arxiv: "2510.00137",
    summary: "An encoder of cosines is trained on a generated collection with the contrastive loss and with the Mann-Whitney loss, which compares \
              positives with negatives of all queries; with pairs of one query alone and with a squared hinge beside them. Judged by one \
              AUC over all queries, the AUC within queries, and ranking.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    real_seeds: usize,
    topics: usize,
    documents: usize,
    train_queries: usize,
    test_queries: usize,
    dim: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    temperature: f64,
    top: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            real_seeds: 0,
            topics: 20,
            documents: 2000,
            train_queries: 3000,
            test_queries: 300,
            dim: 64,
            steps: 400,
            batch_size: 32,
            learning_rate: 0.02,
            temperature: 0.05,
            top: 500,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 2, topics: 5, documents: 500, train_queries: 150, test_queries: 150, steps: 80, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, real_seeds: 5, ..base },
        }
    }

    fn world(&self) -> ConceptWorldConfig {
        ConceptWorldConfig::new()
            .with_topics(self.topics)
            .with_documents(self.documents)
            .with_train(self.train_queries)
            .with_test(self.test_queries)
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.steps, batch: self.batch_size, rate: self.learning_rate }
    }

    fn check(&self) -> Result<(), StudyError> {
        let named = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
        self.world().validate().map_err(named)?;
        self.budget().check(STUDY.id)?;
        MwLossConfig::new().with_temperature(self.temperature).validate().map_err(named)?;
        for (field, value) in [
            ("train_queries", self.train_queries),
            ("test_queries", self.test_queries),
            ("dim", self.dim),
            ("top", self.top),
        ] {
            if value == 0 {
                return Err(named(InvalidParameter::new(field, value, "at least 1")));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Arm {
    Untrained,
    Contrastive,
    MannWhitney,
    /// Pairs of a query alone.
    RankNet,
    /// A squared hinge over the pairs of all queries.
    Hinge,
}

const ARMS: [(&str, Arm); 5] = [
    ("untrained", Arm::Untrained),
    ("contrastive", Arm::Contrastive),
    ("Mann-Whitney", Arm::MannWhitney),
    ("pairs within queries", Arm::RankNet),
    ("squared hinge over all pairs", Arm::Hinge),
];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = ARMS.map(|(name, arm)| (name.to_string(), arm)).to_vec();
    let measured = Measurements::collect(context, "concepts", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let more = |number: &str, added: f64| {
        measured.evidence(number, ["Mann-Whitney", "contrastive"], |[ours, theirs]| ours - theirs + added)
    };
    let evidence = [more("pooled AUC", 0.0), more("MRR@10", 0.01), shift(), offsets(), bound()];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    let numbers: Vec<&'static str> =
        ["pooled AUC", "AUC a query", "calibration gap"].into_iter().chain(NUMBERS).chain(["seconds"]).collect();
    findings.tables.push(measured.table("Test queries (mean ± s.d. over seeds)", &numbers));
    findings.notes.push(
        "`shift` and `bound` are checks of the implementation: data cannot refute them, an error would. The calibration gap is what one \
         threshold for all queries loses against a threshold for each."
            .into(),
    );
    scifact::add_real(
        &mut findings,
        context,
        &[
            ("MiniLM as it is", RealArm::Encoder(None)),
            ("contrastive", RealArm::Encoder(Some("mnr"))),
            ("Mann-Whitney", RealArm::Encoder(Some("mw"))),
            ("pairs within queries", RealArm::Encoder(Some("star"))),
        ],
        s.real_seeds,
    )?;
    Ok(findings)
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let world = s.world().generate(seed);
    let model = concepts::encoder(&world, s.dim, true, seed);
    let trained = match arm {
        Arm::Untrained => model,
        _ => s.budget().train(model, s.train_queries, seed, |model, rows| loss(s, &world, model, rows, arm))?,
    };
    let mut measured = concepts::evaluate(&world, &trained);
    measured.extend(pooled(s, &world, &trained)?);
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// The loss of a batch over cosines; a document that is the label of two queries is no negative of either.
fn loss(s: &Settings, world: &ConceptWorld, model: &BagEncoder, rows: &[usize], arm: Arm) -> Tensor<1> {
    let own = sources(world, rows);
    let scores = model.forward(&queries(world, rows)).matmul(model.forward(&documents(world, &own)).transpose());
    let negative = concepts::differ(&own, &own, &scores.device());
    let ignore = || Some(negative.clone().bool_not());
    let t = s.temperature;
    match arm {
        Arm::Contrastive | Arm::Untrained => {
            ScoreContrastiveLossConfig::new().with_temperature(t).init().forward(scores, ignore())
        }
        Arm::MannWhitney => MwLossConfig::new().with_temperature(t).init().forward_scores(scores, ignore()),
        Arm::RankNet => {
            StarLossConfig::new().init().forward_scores(scores.mul_scalar(1.0 / t), None, Some(negative), None)
        }
        Arm::Hinge => {
            let places = |of: &dyn Fn(usize, usize) -> bool| -> Tensor<1> {
                let n = rows.len();
                let cells =
                    (0..n * n).filter(|cell| of(cell / n, cell % n)).map(|cell| cell as i64).collect::<Vec<_>>();
                let count = cells.len();
                let cells = Tensor::<1, Int>::from_data(TensorData::new(cells, [count]), &scores.device());
                scores.clone().reshape([n * n]).select(0, cells)
            };
            let positives = places(&|row, column| row == column);
            PairwiseSquaredHingeLossConfig::new()
                .init()
                .forward(positives, places(&|row, column| own[row] != own[column]))
        }
    }
}

/// The AUC of the test queries in one pool and by query: the label against the best other documents.
fn pooled(s: &Settings, world: &ConceptWorld, model: &BagEncoder) -> Result<Measured, String> {
    let (vectors, asked) = (model.embed(&world.documents), model.embed(&concepts::words(&world.test)));
    let dot = |query: usize, document: usize| -> f64 {
        let pairs = asked.row(query).iter().zip(vectors.row(document));
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let own: Vec<[usize; 1]> = world.test.iter().map(|query| [query.source]).collect();
    let positives: Vec<Vec<f64>> = own.iter().enumerate().map(|(query, own)| vec![dot(query, own[0])]).collect();
    let exclude: Vec<&[usize]> = own.iter().map(<[usize; 1]>::as_slice).collect();
    let found = ExactIndex::new(vectors.clone()).search_excluding(&asked, s.top, &exclude);
    let negatives =
        found.iter().enumerate().map(|(query, hits)| hits.iter().map(|hit| dot(query, hit.document)).collect());
    let pools: Vec<(Vec<f64>, Vec<f64>)> = positives.into_iter().zip(negatives).collect();
    let found = pooled_auc(&pools).map_err(|error| error.to_string())?;
    Ok(Measured::from([
        ("pooled AUC", found.pooled),
        ("AUC a query", found.per_query),
        ("calibration gap", found.calibration_gap()),
    ]))
}

/// Random scores `[rows, columns]` in `[-1, 1]`, positives on the diagonal.
fn random_scores(rows: usize, columns: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    (0..rows * columns).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn tensor(scores: &[f64], rows: usize) -> Tensor<2> {
    let data = TensorData::new(scores.to_vec(), [rows, scores.len() / rows]);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn number(loss: Tensor<1>) -> f64 {
    loss.into_scalar::<f64>()
}

/// Each row of `scores` with one offset added.
fn shifted(scores: &[f64], columns: usize, deviation: f64, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let shift = |row: &[f64]| {
        let offset: f64 = StandardNormal.sample(&mut *rng);
        row.iter().map(|score| score + deviation * offset).collect::<Vec<f64>>()
    };
    scores.chunks(columns).flat_map(shift).collect()
}

/// Random matrices of the exact claims, each with its temperature.
fn cases(rng: &mut Xoshiro256PlusPlus) -> Vec<(Vec<f64>, usize, f64)> {
    const TEMPERATURES: [f64; 4] = [0.05, 0.1, 0.5, 2.0];
    (0..40)
        .map(|case| {
            let (rows, extra) = (rng.random_range(2..12), rng.random_range(0..20));
            (random_scores(rows, rows + extra, rng), rows, TEMPERATURES[case % TEMPERATURES.len()])
        })
        .collect()
}

fn contrastive(scores: &[f64], rows: usize, temperature: f64) -> f64 {
    let loss = ScoreContrastiveLossConfig::new().with_temperature(temperature).init();
    number(loss.forward(tensor(scores, rows), None))
}

fn mann_whitney(scores: &[f64], rows: usize, temperature: f64) -> f64 {
    number(MwLossConfig::new().with_temperature(temperature).init().forward_scores(tensor(scores, rows), None))
}

fn shift() -> Evidence {
    const BOUND: f64 = 1e-9;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
    let margins = cases(rng).into_iter().flat_map(|(scores, rows, t)| {
        let moved = shifted(&scores, scores.len() / rows, 1.0, rng);
        let change = |of: fn(&[f64], usize, f64) -> f64| (of(&scores, rows, t) - of(&moved, rows, t)).abs();
        [BOUND - change(contrastive), change(mann_whitney) - BOUND]
    });
    Evidence::margins(&margins.collect::<Vec<f64>>())
}

fn offsets() -> Evidence {
    const QUERIES: usize = 2000;
    const PASSAGES: usize = 8;
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    // The positive of a query is its first passage.
    let scores = random_scores(QUERIES, PASSAGES, rng);
    let moved = shifted(&scores, PASSAGES, 1000.0, rng);
    let over = |scores: &[f64]| {
        let rows = || scores.chunks(PASSAGES);
        let positives: Vec<f64> = rows().map(|row| row[0]).collect();
        let negatives: Vec<f64> = rows().flat_map(|row| row[1..].to_vec()).collect();
        pools::aoc(&positives, &negatives).expect("there are both kinds")
    };
    let softmax = |scores: &[f64]| {
        let row = |row: &[f64]| row.iter().map(|score| (score - row[0]).exp()).sum::<f64>().ln();
        scores.chunks(PASSAGES).map(row).sum::<f64>() / QUERIES as f64
    };
    Evidence::margins(&[0.05 - (over(&moved) - 0.5).abs(), 1e-9 - (softmax(&scores) - softmax(&moved)).abs()])
}

fn bound() -> Evidence {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
    let margins = cases(rng).into_iter().map(|(scores, rows, t)| {
        let columns = scores.len() / rows;
        let (positives, negatives): (Vec<_>, Vec<_>) =
            scores.iter().enumerate().partition(|(cell, _)| cell / columns == cell % columns);
        let values = |cells: Vec<(usize, &f64)>| cells.into_iter().map(|(_, score)| *score).collect::<Vec<f64>>();
        let over = pools::aoc(&values(positives), &values(negatives)).expect("there are both kinds");
        mann_whitney(&scores, rows, t) / std::f64::consts::LN_2 - over
    });
    Evidence::margins(&margins.collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { temperature: 0.0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("temperature"));
        let s = Settings { top: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("top"));
    }
}
