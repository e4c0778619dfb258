//! Written or mined: which hard negatives make the better retriever, where the writer has never seen the corpus?

mod sources;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::concepts::{self, Budget, documents, queries};
use crate::findings::{Findings, Table};
use crate::scifact::{self, RealArm};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements};
use contrarian::ranking::{MnrLossConfig, Similarity};
use contrarian_lab::metrics::Relevance;
use contrarian_lab::mining::{Triple, triple_audit};
use contrarian_lab::retrieval::{BagEncoder, Bm25Config, ConceptWorld, ConceptWorldConfig, ExactIndex};
use contrarian_lab::stats::{Sides, paired_test};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "no language model: a word model of the training queries stands in for it, a bilinear scorer for the cross-encoder, a \
                       generated collection for BEIR";
/// Differences within this are none that matters.
const MARGIN: f64 = 0.02;

const fn gain(id: &'static str, statement: &'static str, reported: &'static str) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    }
}

const V1: &str = "version 1: generated, BM25 and cross-encoder negatives give identical results (abstract)";
const V2: &str = "version 2: generated negatives are better than lexical mining (abstract)";
const V3: &str = "version 3: generated negatives consistently underperform both mined kinds (abstract)";

const CLAIMS: &[Claim] = &[
    gain("v3-below-bm25", "the nDCG@10 with BM25 negatives exceeds that with generated ones", V3),
    gain("v3-below-cross-encoder", "the nDCG@10 with cross-encoder negatives exceeds that with generated ones", V3),
    gain("v2-above-bm25", "the nDCG@10 with generated negatives exceeds that with BM25 ones", V2),
    gain(
        "v1-not-below-bm25",
        "the nDCG@10 with generated negatives, .02 added, exceeds that with BM25 ones: half of the test of equality",
        V1,
    ),
    gain(
        "v1-not-above-bm25",
        "the nDCG@10 with BM25 negatives, .02 added, exceeds that with generated ones: the other half",
        V1,
    ),
];

pub const STUDY: Study = Study {
    id: "llm-hard-negatives",
    title: "Don't Retrieve, Generate: Prompting LLMs for Synthetic Training Data in Dense Retrieval",
    authors: "Sinha 2025",
    arxiv: "2504.21015",
    summary: "A warm encoder goes on with hard negatives from BM25, from a cross-encoder over BM25's list, and from a writer that has only read the \
              queries, with in-batch and random ones beside them; once as they come and once without the known false negatives. The three versions \
              of the paper contradict each other: each claim names the version it tests.",
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
    warm_steps: usize,
    steps: usize,
    cross_encoder_steps: usize,
    batch_size: usize,
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
            warm_steps: 100,
            steps: 300,
            cross_encoder_steps: 200,
            batch_size: 32,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 2,
                topics: 4,
                documents: 400,
                train_queries: 200,
                test_queries: 100,
                warm_steps: 20,
                steps: 20,
                cross_encoder_steps: 10,
                ..base
            },
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

    fn budget(&self, steps: usize, rate: f64) -> Budget {
        Budget { steps, batch: self.batch_size, rate }
    }

    fn check(&self) -> Result<(), StudyError> {
        let bad = |reason: String| StudyError::Settings { study: STUDY.id, reason };
        self.world().validate().map_err(|error| bad(error.to_string()))?;
        for steps in [self.warm_steps, self.steps, self.cross_encoder_steps] {
            self.budget(steps, 0.01).check(STUDY.id)?;
        }
        if self.documents <= CANDIDATES || [self.train_queries, self.test_queries, self.dim].contains(&0) {
            return Err(bad(format!("there must be more than {CANDIDATES} documents, queries, and a dim")));
        }
        Ok(())
    }
}

/// BM25's documents that the cross-encoder looks at, and the best that negatives are drawn from.
const CANDIDATES: usize = 30;
const TOP: usize = 10;

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Untrained,
    Bm25Ranking,
    InBatch,
    Random,
    Bm25,
    CrossEncoder,
    Generated,
}

#[derive(Clone, Copy)]
struct Arm {
    source: Source,
    /// Whether known false negatives are taken out of the lists.
    filtered: bool,
}

const ARMS: [(&str, Source); 7] = [
    ("untrained", Source::Untrained),
    ("BM25 ranking", Source::Bm25Ranking),
    ("in-batch", Source::InBatch),
    ("random", Source::Random),
    ("BM25", Source::Bm25),
    ("cross-encoder", Source::CrossEncoder),
    ("generated", Source::Generated),
];
const WITHOUT: &str = ", without false negatives";
const NUMBERS: [&str; 9] = [
    "nDCG@10",
    "P@10",
    "MRR@10",
    "Recall@100",
    "false negatives",
    "words of the query",
    "words of the positive",
    "new words",
    "seconds",
];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let plain = ARMS.map(|(name, source)| (name.to_string(), Arm { source, filtered: false }));
    let filtered = [Source::Random, Source::Bm25, Source::CrossEncoder]
        .map(|source| ARMS.iter().find(|arm| arm.1 == source).expect("it is an arm"))
        .map(|(name, source)| (format!("{name}{WITHOUT}"), Arm { source: *source, filtered: true }));
    let arms: Vec<(String, Arm)> = plain.into_iter().chain(filtered).collect();
    let measured = Measurements::collect(context, "concepts", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let more = |arms: [&str; 2], added: f64| measured.evidence("nDCG@10", arms, |[a, b]| a - b + added);
    let evidence: [Evidence; 5] = [
        more(["BM25", "generated"], 0.0),
        more(["cross-encoder", "generated"], 0.0),
        more(["generated", "BM25"], 0.0),
        more(["generated", "BM25"], MARGIN),
        more(["BM25", "generated"], MARGIN),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Test queries, and the negatives (mean ± s.d. over seeds)", &NUMBERS));
    findings.tables.push(equivalence(&measured));
    let ndcg = |arm: &str| measured.mean(arm, "nDCG@10");
    findings.notes.push(format!(
        "BM25's negatives are {} than none here ({:.3} with the batch's alone, {:.3} with BM25's): {:.0}% of BM25's and {:.0}% of the \
         cross-encoder's are relevant documents without a label. Without these they reach {:.3} and {:.3}.",
        if ndcg("BM25") > ndcg("in-batch") { "better" } else { "no better" },
        ndcg("in-batch"),
        ndcg("BM25"),
        100.0 * measured.mean("BM25", "false negatives"),
        100.0 * measured.mean("cross-encoder", "false negatives"),
        ndcg(&format!("BM25{WITHOUT}")),
        ndcg(&format!("cross-encoder{WITHOUT}"))
    ));
    findings.notes.push(
        "A test of equality that finds nothing does not say that two sources differ; with few seeds it has little power.".into(),
    );
    scifact::add_real(
        &mut findings,
        context,
        &[
            ("MiniLM as it is", RealArm::Encoder(None)),
            ("in-batch", RealArm::Encoder(Some("mnr"))),
            ("random", RealArm::Encoder(Some("mnr(negatives=random)"))),
            ("BM25", RealArm::Encoder(Some("mnr(negatives=bm25)"))),
            ("written by a template", RealArm::Generated),
        ],
        s.real_seeds,
    )?;
    Ok(findings)
}

/// Pairs of sources, tested for a difference and for none that matters.
fn equivalence(measured: &Measurements) -> Table {
    let pairs = [["generated", "BM25"], ["generated", "cross-encoder"], ["BM25", "cross-encoder"]];
    let row = |[a, b]: [&str; 2]| {
        let (first, second) = (measured.values(a, "nDCG@10"), measured.values(b, "nDCG@10"));
        let differences: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a - b).collect();
        let name = format!("{a} less {b}");
        match paired_test(&differences, MARGIN) {
            Ok(test) => vec![
                name,
                format!("{:+.3}", test.mean),
                format!("{:.3}", test.p_two_sided),
                format!("{:.3}", test.p_equivalence),
            ],
            Err(error) => vec![name, error.to_string(), String::new(), String::new()],
        }
    };
    Table {
        title: format!("nDCG@10: different, or equal within {MARGIN} (two one-sided tests)?"),
        columns: ["sources", "difference", "p of a difference", "p of equality"].map(String::from).to_vec(),
        rows: pairs.into_iter().map(row).collect(),
    }
}

/// A hard negative: a document, or a text of its own.
enum Negatives {
    None,
    Random,
    Listed(Vec<Vec<usize>>),
    Texts(Vec<Vec<u32>>),
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let world = s.world().generate(seed);
    let model = concepts::encoder(&world, s.dim, false, seed);
    let mut measured = match arm.source {
        Source::Untrained => evaluate(&world, &model),
        Source::Bm25Ranking => {
            let index = Bm25Config::new().build(&world.documents);
            let found: Vec<_> = world.test.iter().map(|query| index.top(&query.words, concepts::DEPTH, &[])).collect();
            scores(&world, &concepts::numbers(&found))
        }
        _ => {
            let mut negatives = negatives(s, &world, arm.source, seed)?;
            if let (true, Negatives::Listed(lists)) = (arm.filtered, &mut negatives) {
                for (list, query) in lists.iter_mut().zip(&world.train) {
                    list.retain(|document| query.relevant.binary_search(document).is_err());
                }
            }
            let warm = train(s, &world, model, &Negatives::None, (s.warm_steps, 0.02), (false, seed))?;
            let trained = train(s, &world, warm, &negatives, (s.steps, 0.01), (arm.filtered, seed.wrapping_add(1)))?;
            let mut measured = evaluate(&world, &trained);
            measured.extend(audit(&world, &negatives));
            measured
        }
    };
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

fn negatives(s: &Settings, world: &ConceptWorld, source: Source, seed: u64) -> Result<Negatives, String> {
    Ok(match source {
        Source::Random => Negatives::Random,
        Source::Bm25 => Negatives::Listed(sources::bm25(world, TOP)),
        Source::CrossEncoder => {
            let candidates = sources::bm25(world, CANDIDATES);
            let budget = (s.cross_encoder_steps, s.batch_size, TOP);
            Negatives::Listed(sources::cross_encoder(world, &candidates, budget, seed)?)
        }
        Source::Generated => Negatives::Texts(sources::generated(world, s.world().topics * s.world().concepts, seed)),
        _ => Negatives::None,
    })
}

/// Multiple negatives ranking over inner products, one hard negative a query.
fn train(
    s: &Settings,
    world: &ConceptWorld,
    model: BagEncoder,
    negatives: &Negatives,
    (steps, rate): (usize, f64),
    (filtered, seed): (bool, u64),
) -> Result<BagEncoder, String> {
    let loss = MnrLossConfig::new().with_scale(1.0).with_similarity(Similarity::Dot).init();
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6e65_6761);
    s.budget(steps, rate).train(model, s.train_queries, seed, |model, rows| {
        let any = |rng: &mut Xoshiro256PlusPlus, row: usize| {
            loop {
                let document = rng.random_range(0..world.documents.len());
                let query = &world.train[row];
                let wrong =
                    if filtered { query.relevant.binary_search(&document).is_ok() } else { document == query.source };
                if !wrong {
                    return document;
                }
            }
        };
        let texts: Vec<&[u32]> = match negatives {
            Negatives::None => Vec::new(),
            Negatives::Random => rows.iter().map(|&row| world.documents[any(rng, row)].as_slice()).collect(),
            Negatives::Listed(lists) => rows
                .iter()
                .filter(|row| !lists[**row].is_empty())
                .map(|&row| world.documents[lists[row][rng.random_range(0..lists[row].len())]].as_slice())
                .collect(),
            Negatives::Texts(texts) => rows.iter().map(|&row| texts[row].as_slice()).collect(),
        };
        let asked = model.forward(&queries(world, rows));
        let positives = model.forward(&documents(world, &concepts::sources(world, rows)));
        loss.forward(asked, positives, (!texts.is_empty()).then(|| model.forward(&texts)))
    })
}

/// What the negatives are like: all that training draws from.
fn audit(world: &ConceptWorld, negatives: &Negatives) -> Measured {
    let triple = |row: usize, negative, relevant| {
        let query = &world.train[row];
        Triple { query: &query.words, positive: &world.documents[query.source], negative, relevant }
    };
    let triples: Vec<Triple> = match negatives {
        Negatives::Listed(lists) => lists
            .iter()
            .enumerate()
            .flat_map(|(row, list)| list.iter().map(move |document| (row, *document)))
            .map(|(row, document)| {
                let relevant = world.train[row].relevant.binary_search(&document).is_ok();
                triple(row, world.documents[document].as_slice(), Some(relevant))
            })
            .collect(),
        // Nobody labelled a text that is no document of the corpus.
        Negatives::Texts(texts) => {
            texts.iter().enumerate().map(|(row, text)| triple(row, text.as_slice(), None)).collect()
        }
        Negatives::None | Negatives::Random => Vec::new(),
    };
    let Some(found) = triple_audit(triples) else { return Measured::new() };
    let mut measured = Measured::from([
        ("words of the query", found.query_overlap),
        ("words of the positive", found.positive_overlap),
        ("new words", found.novelty),
    ]);
    measured.extend(found.false_negatives.map(|part| ("false negatives", part)));
    measured
}

fn evaluate(world: &ConceptWorld, model: &BagEncoder) -> Measured {
    let index = ExactIndex::new(model.embed(&world.documents));
    scores(world, &concepts::numbers(&index.search(&model.embed(&concepts::words(&world.test)), concepts::DEPTH)))
}

fn scores(world: &ConceptWorld, rankings: &[Vec<usize>]) -> Measured {
    let mut measured = concepts::measure(world, rankings);
    let precision = world
        .test
        .iter()
        .zip(rankings)
        .map(|(query, ranking)| Relevance::binary(query.relevant.iter().copied()).precision(ranking, 10));
    measured.insert("P@10", precision.sum::<f64>() / rankings.len() as f64);
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { documents: CANDIDATES, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("documents"));
        let s = Settings { cross_encoder_steps: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().is_err());
    }
}
