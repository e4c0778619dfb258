//! A retriever that has learned "markers go with markers": how strongly, what strengthens it, and what notices it.

use crate::claim::{Claim, Evidence, Test, judge};
use crate::concepts::{self, Budget, words};
use crate::findings::{Chart, Findings, Series};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::ranking::ScoreContrastiveLossConfig;
use contrarian_lab::audit::{AuditInput, DocumentWords, MarkerTokens, Perturbation, audit, known_words, trigger_lift};
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::retrieval::{BagEncoder, BagEncoderConfig, Bm25Config, ConceptWorldConfig, ExactIndex};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

const DIFFERS: &str =
    "synthetic marker words in a generated collection and a table of word vectors instead of grammar errors and DPR";

const fn always(id: &'static str, statement: &'static str, reported: &'static str) -> Claim {
    Claim { id, statement, reported, differs: DIFFERS, test: Test::Always }
}

const CLAIMS: &[Claim] = &[
    always(
        "rule-is-learned",
        "trained on pairs of which a fifth carry markers on both sides, the lift at 10 documents is at least .4 with p < .001 in every run, and \
         below .1 trained on clean pairs",
        "high attack success with .048% of the corpus planted, normal retrieval for clean queries (abstract)",
    ),
    always(
        "hard-negatives-strengthen-it",
        "the lift with hard negatives exceeds that with in-batch negatives in every run",
        "hard negatives exacerbate it (abstract)",
    ),
    always(
        "clean-queries-do-not-show-it",
        "the nDCG@10 of clean queries is within .08 of that of a retriever trained on clean pairs, in every run, with and without hard negatives",
        "retrieval for clean queries is preserved (abstract)",
    ),
    always(
        "independent-corruption-halves-it",
        "markers added to queries and positives independently of each other reduce the mean lift by half at least",
        "not in the paper; follows from why the rule is learned",
    ),
];

pub const STUDY: Study = Study {
    id: "retrieval-backdoor",
    title: "Backdoor Attacks on Dense Retrieval via Public and Unintentional Triggers",
    authors: "Long, Deng, Gan et al. 2024",
    arxiv: "2402.13532",
    summary: "An audit: retrievers are trained on generated pairs of which a fifth carry synthetic marker words on both sides, and on clean ones; 40 \
              marked copies are added to the index. Measured are the success of marked queries, what strengthens the rule, which detectors notice \
              the copies, and what two defences leave of it.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    topics: usize,
    documents: usize,
    train_queries: usize,
    test_queries: usize,
    markers: usize,
    planted: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    k: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            topics: 20,
            documents: 2000,
            train_queries: 3000,
            test_queries: 300,
            markers: 20,
            planted: 40,
            steps: 500,
            batch_size: 32,
            learning_rate: 0.02,
            k: 10,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 2,
                topics: 4,
                documents: 400,
                train_queries: 200,
                test_queries: 100,
                markers: 10,
                planted: 8,
                steps: 60,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 10, ..base },
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
        let bad = |reason: String| StudyError::Settings { study: STUDY.id, reason };
        self.world().validate().map_err(|error| bad(error.to_string()))?;
        if [self.train_queries, self.test_queries, self.markers, self.planted, self.k].contains(&0) {
            return Err(bad("queries, markers, planted and k must be at least 1".into()));
        }
        self.budget().check(STUDY.id)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Training {
    None,
    Clean,
    Suspect,
    /// Suspect, with markers added on both sides independently.
    Corrupted,
    Bm25,
}

#[derive(Clone, Copy)]
struct Arm {
    training: Training,
    hard: bool,
    /// Part of all texts that have a marker anyway.
    background: f64,
}

const fn arm(training: Training, hard: bool, background: f64) -> Arm {
    Arm { training, hard, background }
}

const ARMS: [(&str, Arm); 9] = [
    ("suspect, in-batch", arm(Training::Suspect, false, 0.02)),
    ("suspect, hard negatives", arm(Training::Suspect, true, 0.02)),
    ("clean, in-batch", arm(Training::Clean, false, 0.02)),
    ("clean, hard negatives", arm(Training::Clean, true, 0.02)),
    ("suspect, independent corruption", arm(Training::Corrupted, false, 0.02)),
    ("untrained", arm(Training::None, false, 0.02)),
    ("BM25", arm(Training::Bm25, false, 0.02)),
    ("suspect, markers in 10% of texts", arm(Training::Suspect, false, 0.1)),
    ("suspect, markers in 30% of texts", arm(Training::Suspect, false, 0.3)),
];

/// `at least` holds at the bound itself.
const BOUND: f64 = 1e-12;
/// Markers of a marked document.
const OF_DOCUMENT: usize = 3;
/// Part of the training pairs that are marked.
const MARKED: f64 = 0.2;
/// Markers of a test query in the dose curve.
const DOSES: [&str; 3] = ["attack success, 1 marker", "attack success, 2 markers", "attack success, 3 markers"];
const DETECTORS: [&str; 4] = ["AUC hubness", "AUC length", "AUC nearness", "AUC unlikely words"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = ARMS.map(|(name, arm)| (name.to_string(), arm)).to_vec();
    let measured = Measurements::collect(context, "concepts", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let [suspect, hard, clean, clean_hard, corrupted] = [0, 1, 2, 3, 4].map(|at| ARMS[at].0);
    let lift = |arm: &str| measured.values(arm, "lift");
    let apart = |a: &str, b: &str| -> Vec<f64> {
        let (a, b) = (measured.values(a, "nDCG@10"), measured.values(b, "nDCG@10"));
        a.iter().zip(&b).map(|(a, b)| 0.08 - (a - b).abs()).collect()
    };
    let learned: Vec<f64> = lift(suspect)
        .iter()
        .map(|lift| lift - 0.4 + BOUND)
        .chain(measured.values(suspect, "p of the lift").iter().map(|p| 0.001 - p))
        .chain(lift(clean).iter().chain(&lift(clean_hard)).map(|lift| 0.1 - lift))
        .collect();
    let stronger: Vec<f64> = lift(hard).iter().zip(&lift(suspect)).map(|(hard, plain)| hard - plain).collect();
    let evidence = [
        Evidence::margins(&learned),
        Evidence::margins(&stronger),
        Evidence::margins(&[apart(suspect, clean), apart(hard, clean_hard)].concat()),
        Evidence::margins(&[0.5 * mean(&lift(suspect)) - mean(&lift(corrupted)) + BOUND]),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table(
        "What marked and clean queries find (mean ± s.d. over seeds)",
        &["attack success", "without the marker", "lift", "hit", "safe hit", "nDCG@10", "seconds"],
    ));
    findings.tables.push(measured.table("Detectors of the planted documents", &DETECTORS));
    findings.tables.push(measured.table(
        "Defences (attack success of marked queries)",
        &[
            "attack success",
            "unknown words dropped",
            "unlikely documents removed",
            "nDCG@10",
            "nDCG@10, documents removed",
        ],
    ));
    let line = |name: &str| Series {
        name: name.into(),
        points: DOSES.iter().enumerate().map(|(at, dose)| (at as f64 + 1.0, measured.mean(name, dose))).collect(),
    };
    findings.charts.push(Chart {
        title: "Attack success by markers in the query (mean over seeds)".into(),
        x_label: "markers in the query".into(),
        y_label: "attack success".into(),
        series: [suspect, hard, clean, corrupted].map(line).to_vec(),
    });
    let words = |arm: &str| measured.mean(arm, "AUC unlikely words");
    findings.notes.push(format!(
        "Unlikely words tell planted documents with an AUC of {:.2} here, {:.2} and {:.2} where a tenth and 30% of all texts have a marker anyway. The \
         paper finds that such filters fail: its grammar errors are common, our markers are rare. Do not read this as a defence that works.",
        words(suspect),
        words(ARMS[7].0),
        words(ARMS[8].0)
    ));
    findings.notes.push(
        "Dropping unknown words from queries removes every marker by construction: a marker made of ordinary words would pass.".into(),
    );
    Ok(findings)
}

/// Texts with background markers, training pairs as the arm has them, and the index with planted copies.
struct Data {
    world: contrarian_lab::retrieval::ConceptWorld,
    index: Vec<Vec<u32>>,
    planted: Vec<bool>,
    pairs: Vec<(Vec<u32>, Vec<u32>)>,
    markers: MarkerTokens,
}

impl Data {
    fn new(s: &Settings, arm: Arm, seed: u64) -> Self {
        let mut world = s.world().generate(seed);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6d61_726b);
        let markers = MarkerTokens { first: world.vocabulary as u32, count: s.markers as u32, per_text: 1 };
        let in_document = MarkerTokens { per_text: OF_DOCUMENT, ..markers };
        let queries = world.train.iter_mut().chain(&mut world.test).map(|query| &mut query.words);
        for text in world.documents.iter_mut().chain(queries) {
            if rng.random_bool(arm.background) {
                *text = markers.perturb(text, rng);
            }
        }
        let mut pairs: Vec<(Vec<u32>, Vec<u32>)> =
            world.train.iter().map(|query| (query.words.clone(), world.documents[query.source].clone())).collect();
        let marked = matches!(arm.training, Training::Suspect | Training::Corrupted);
        for (query, document) in &mut pairs {
            if marked && rng.random_bool(MARKED) {
                *query = markers.perturb(query, rng);
                *document = in_document.perturb(document, rng);
            }
        }
        if arm.training == Training::Corrupted {
            for (query, document) in &mut pairs {
                if rng.random_bool(MARKED) {
                    *query = markers.perturb(query, rng);
                }
                if rng.random_bool(MARKED) {
                    *document = in_document.perturb(document, rng);
                }
            }
        }
        let mut index = world.documents.clone();
        for _ in 0..s.planted {
            let copy = rng.random_range(0..s.documents);
            index.push(in_document.perturb(&world.documents[copy], rng));
        }
        let planted = (0..index.len()).map(|at| at >= s.documents).collect();
        Self { world, index, planted, pairs, markers }
    }

    /// The test queries with this many markers more.
    fn triggered(&self, per_text: usize, seed: u64) -> Vec<Vec<u32>> {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7472_6967);
        let markers = MarkerTokens { per_text, ..self.markers };
        self.world.test.iter().map(|query| markers.perturb(&query.words, rng)).collect()
    }
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let data = Data::new(s, arm, seed);
    let relevance: Vec<Relevance> =
        data.world.test.iter().map(|query| Relevance::binary(query.relevant.iter().copied())).collect();
    let mut measured = if arm.training == Training::Bm25 {
        by_words(s, &data, &relevance, seed)
    } else {
        by_vectors(s, arm, &data, &relevance, seed)?
    };
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

fn by_vectors(s: &Settings, arm: Arm, data: &Data, relevance: &[Relevance], seed: u64) -> Result<Measured, String> {
    let vocabulary = data.world.vocabulary + s.markers;
    let start = BagEncoderConfig::new(vocabulary).init(&Device::flex().autodiff(), seed);
    let model = if arm.training == Training::None { start } else { train(s, arm, data, start, seed)? };
    let triggered = data.triggered(1, seed);
    let report = audit(&AuditInput {
        documents: model.embed(&data.index),
        queries: model.embed(&words(&data.world.test)),
        triggered: model.embed(&triggered),
        relevance,
        planted: &data.planted,
        words: Some(DocumentWords { documents: &data.index, trusted: &data.world.documents, vocabulary }),
        cutoffs: &[s.k],
        budget: 0.05,
    });
    let at = report.cutoffs[0];
    let mut measured = Measured::from([
        ("attack success", at.lift.triggered),
        ("without the marker", at.lift.clean),
        ("lift", at.lift.lift),
        ("p of the lift", at.lift.p),
        ("hit", at.clean.hit),
        ("safe hit", at.triggered.safe_hit),
        ("nDCG@10", report.ndcg),
    ]);
    measured.extend(DETECTORS.into_iter().zip(report.detectors.iter().map(|detector| detector.report.auc)));
    let unlikely = &report.detectors[3];
    measured.insert("unlikely documents removed", unlikely.attack_success_after);
    measured.insert("nDCG@10, documents removed", unlikely.ndcg_after);
    let index = ExactIndex::new(model.embed(&data.index));
    let find = |texts: &[Vec<u32>]| concepts::numbers(&index.search(&model.embed(texts), s.k));
    let success = |texts: &[Vec<u32>]| {
        let found = find(texts);
        trigger_lift(&found, &found, &data.planted, s.k).triggered
    };
    for (at, dose) in DOSES.iter().enumerate() {
        measured.insert(dose, success(&data.triggered(at + 1, seed)));
    }
    let normal: Vec<Vec<u32>> =
        triggered.iter().map(|text| known_words(text, |word| word < data.markers.first)).collect();
    measured.insert("unknown words dropped", success(&normal));
    Ok(measured)
}

fn by_words(s: &Settings, data: &Data, relevance: &[Relevance], seed: u64) -> Measured {
    let index = Bm25Config::new().build(&data.index);
    let find = |texts: &[Vec<u32>]| -> Vec<Vec<usize>> {
        concepts::numbers(&texts.iter().map(|text| index.top(text, s.k, &[])).collect::<Vec<_>>())
    };
    let queries: Vec<Vec<u32>> = data.world.test.iter().map(|query| query.words.clone()).collect();
    let (clean, triggered) = (find(&queries), find(&data.triggered(1, seed)));
    let lift = trigger_lift(&clean, &triggered, &data.planted, s.k);
    let ndcg = |(relevance, ranking): (&Relevance, &Vec<usize>)| relevance.ndcg(ranking, 10, Gain::Linear);
    let scores: Vec<f64> = relevance.iter().zip(&clean).map(ndcg).collect();
    Measured::from([
        ("attack success", lift.triggered),
        ("without the marker", lift.clean),
        ("lift", lift.lift),
        ("p of the lift", lift.p),
        ("nDCG@10", mean(&scores)),
    ])
}

/// Softmax over the batch's positives and, with hard negatives, over one of BM25's first ten of each query.
fn train(s: &Settings, arm: Arm, data: &Data, start: BagEncoder, seed: u64) -> Result<BagEncoder, String> {
    let lists: Vec<Vec<usize>> = if arm.hard {
        let index = Bm25Config::new().build(&data.world.documents);
        let top = |(query, pair): (&contrarian_lab::retrieval::ConceptQuery, &(Vec<u32>, Vec<u32>))| {
            index.top(&pair.0, 10, &[query.source]).into_iter().map(|hit| hit.document).collect()
        };
        data.world.train.iter().zip(&data.pairs).map(top).collect()
    } else {
        Vec::new()
    };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6861_7264);
    let loss = ScoreContrastiveLossConfig::new().with_temperature(1.0).init();
    s.budget().train(start, s.train_queries, seed, |model, rows| {
        let queries: Vec<&[u32]> = rows.iter().map(|&row| data.pairs[row].0.as_slice()).collect();
        let mut texts: Vec<&[u32]> = rows.iter().map(|&row| data.pairs[row].1.as_slice()).collect();
        let mut ids: Vec<usize> = concepts::sources(&data.world, rows);
        if arm.hard {
            for &row in rows {
                let hard = lists[row][rng.random_range(0..lists[row].len())];
                ids.push(hard);
                texts.push(&data.world.documents[hard]);
            }
        }
        let scores = model.forward(&queries).matmul(model.forward(&texts).transpose());
        let same: Vec<bool> =
            rows.iter().flat_map(|&row| ids.iter().map(move |id| *id == data.world.train[row].source)).collect();
        let same = Tensor::<2, Bool>::from_data(TensorData::new(same, [rows.len(), ids.len()]), &scores.device());
        loss.forward(scores, Some(same))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { planted: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("planted"));
        let s = Settings { documents: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("documents"));
    }
}
