//! NGAME: do mini-batches of neighbours give hard negatives for nothing?

use crate::claim::{Claim, Evidence, Test, judge};
use crate::concepts::{self, Budget, documents, queries};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::negatives::NgameSampler;
use contrarian::ranking::{ReformulationLossConfig, TripletOhnmLossConfig};
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::retrieval::{BagEncoder, ConceptWorld, ConceptWorldConfig, ExactIndex};
use contrarian_lab::stats::Sides;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::time::Instant;

const DIFFERS: &str = "a generated collection of 2,000 labels read as documents, all relevant ones known, and a table of word vectors instead of Amazon's \
                       131,073 labels and DistilBERT";
const REPORTED: &str = "up to 16% more accurate than earlier methods (abstract)";

const fn gain(id: &'static str, statement: &'static str, reported: &'static str) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: DIFFERS,
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    }
}

const CLAIMS: &[Claim] = &[
    gain("over-random", "P@1 with batches of clusters exceeds that with random batches, at as many steps", REPORTED),
    gain(
        "harder-batches",
        "the mean hardest negative of a batch is nearer with clusters than with random batches",
        "batches of neighbours hold the hardest negatives (theorem 1)",
    ),
    Claim {
        id: "cheap-clusters",
        statement: "embedding and clustering take less than a quarter of the time of training, in every run",
        reported: "mining is all but free (section 3)",
        differs: DIFFERS,
        test: Test::Always,
    },
];

pub const STUDY: Study = Study {
    id: "ngame",
    title: "NGAME: Negative Mining-aware Mini-batching for Extreme Classification",
    authors: "Dahiya, Gupta, Saini et al. 2022",
    arxiv: "2207.04452",
    summary: "A Siamese encoder learns to tag queries with documents from random batches and from batches of clustered queries; beside them hard negatives \
              found anew as often, which cost encodings, and all labels as negatives.",
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
    dim: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    cluster_size: usize,
    refresh: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            topics: 20,
            documents: 2000,
            train_queries: 3000,
            test_queries: 300,
            dim: 64,
            steps: 600,
            batch_size: 64,
            learning_rate: 0.02,
            cluster_size: 16,
            refresh: 5,
        };
        match preset {
            Preset::Smoke => {
                Self { seeds: 2, topics: 5, documents: 500, train_queries: 500, test_queries: 100, steps: 60, ..base }
            }
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
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

    fn sampler(&self) -> NgameSampler {
        NgameSampler::new(self.batch_size).with_refresh(self.refresh).with_initial_cluster_size(self.cluster_size)
    }

    fn check(&self) -> Result<(), StudyError> {
        let bad = |reason: String| StudyError::Settings { study: STUDY.id, reason };
        self.world().validate().map_err(|error| bad(error.to_string()))?;
        self.sampler().validate().map_err(|error| bad(error.to_string()))?;
        if self.train_queries < self.batch_size || self.test_queries == 0 || self.dim == 0 {
            return Err(bad("there must be a batch of training queries, a test query, and a dim".into()));
        }
        self.budget().check(STUDY.id)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Arm {
    Random,
    Clusters,
    /// A hard negative a query, found anew as often as clusters are.
    Mined,
    AllLabels,
}

const ARMS: [(&str, Arm); 4] = [
    ("random batches", Arm::Random),
    ("NGAME", Arm::Clusters),
    ("mined negatives", Arm::Mined),
    ("all labels", Arm::AllLabels),
];
const NUMBERS: [&str; 6] = ["P@1", "nDCG@10", "Recall@100", "hardest negative", "mining seconds", "seconds"];
/// Steps from which a run is long enough to be timed.
const FEWEST_TIMED: usize = 300;

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = ARMS.map(|(name, arm)| (name.to_string(), arm)).to_vec();
    let measured = Measurements::collect(context, "concepts", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let more = |number: &str| measured.evidence(number, ["NGAME", "random batches"], |[ours, random]| ours - random);
    let (mining, all) = (measured.values("NGAME", "mining seconds"), measured.values("NGAME", "seconds"));
    let shares: Vec<f64> = mining.iter().zip(&all).map(|(mining, all)| 0.25 - mining / all).collect();
    let timed = if s.steps < FEWEST_TIMED {
        Evidence::Untested(format!("fewer than {FEWEST_TIMED} steps are too short to be timed"))
    } else {
        Evidence::margins(&shares)
    };
    let evidence = [more("P@1"), more("hardest negative"), timed];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings
        .tables
        .push(measured.table("Test queries, against all relevant documents (mean ± s.d. over seeds)", &NUMBERS));
    let recall = |arm: &str| measured.mean(arm, "Recall@100");
    findings.notes.push(format!(
        "Recall@100 is {:.3} with random batches and {:.3} with clusters: {}.",
        recall("random batches"),
        recall("NGAME"),
        if recall("NGAME") < recall("random batches") {
            "harder negatives are bought with the far field"
        } else {
            "harder negatives cost nothing in the far field"
        }
    ));
    findings
        .notes
        .push("`mining seconds` is the time that embedding and clustering or searching take, of all `seconds`.".into());
    Ok(findings)
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = Instant::now();
    let world = s.world().generate(seed);
    let model = concepts::encoder(&world, s.dim, true, seed);
    let mut state = Batches {
        s,
        world: &world,
        arm,
        rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6e67_616d),
        epoch: 0,
        left: Vec::new(),
        clusters: None,
        lists: Vec::new(),
        mining: 0.0,
    };
    let mut hardness = Vec::new();
    // The loop's rows only count: batches are drawn here.
    let trained = s.budget().train(model, s.train_queries, seed, |model, _| {
        let rows = state.next(model);
        let (loss, hardest) = state.loss(model, &rows);
        hardness.extend(hardest);
        loss
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let found =
        ExactIndex::new(trained.embed(&world.documents)).search(&trained.embed(&concepts::words(&world.test)), 100);
    let rankings = concepts::numbers(&found);
    let over = |of: &dyn Fn(&Relevance, &[usize]) -> f64| {
        let values = world.test.iter().zip(&rankings);
        let values: Vec<f64> =
            values.map(|(query, ranking)| of(&Relevance::binary(query.relevant.iter().copied()), ranking)).collect();
        mean(&values)
    };
    let mut measured = Measured::from([
        ("P@1", over(&|relevance, ranking| relevance.precision(ranking, 1))),
        ("nDCG@10", over(&|relevance, ranking| relevance.ndcg(ranking, 10, Gain::Linear))),
        ("Recall@100", over(&|relevance, ranking| relevance.recall(ranking, 100))),
        ("mining seconds", state.mining),
        ("seconds", seconds),
    ]);
    if !hardness.is_empty() {
        measured.insert("hardest negative", mean(&hardness[hardness.len() / 2..]));
    }
    Ok(measured)
}

/// The batches of the arms, epoch after epoch.
struct Batches<'a> {
    s: &'a Settings,
    world: &'a ConceptWorld,
    arm: Arm,
    rng: Xoshiro256PlusPlus,
    epoch: usize,
    /// Batches of this epoch that are still to come, the next one last.
    left: Vec<Vec<usize>>,
    clusters: Option<Vec<Vec<usize>>>,
    /// Hard negatives of each query.
    lists: Vec<Vec<usize>>,
    /// Seconds of embedding, clustering and searching.
    mining: f64,
}

impl Batches<'_> {
    fn next(&mut self, model: &BagEncoder) -> Vec<usize> {
        if let Some(batch) = self.left.pop() {
            return batch;
        }
        let sampler = self.s.sampler();
        let started = Instant::now();
        let mines = sampler.clusters_at(self.epoch);
        if mines && self.arm == Arm::Clusters {
            let vectors = model.embed(&concepts::words(&self.world.train));
            let points: Vec<f64> = vectors.data.iter().map(|value| f64::from(*value)).collect();
            self.clusters = Some(sampler.cluster(self.epoch, &points, vectors.cols, &mut self.rng));
        }
        if mines && self.arm == Arm::Mined {
            self.lists = mined(self.world, model);
        }
        let alone = || (0..self.world.train.len()).map(|query| vec![query]).collect();
        let clusters = self.clusters.clone().unwrap_or_else(alone);
        self.left = sampler.epoch(clusters, &mut self.rng);
        self.epoch += 1;
        self.mining += started.elapsed().as_secs_f64();
        // The last batch of an epoch may hold a single query, which has no negative.
        self.left.retain(|batch| batch.len() > 1);
        self.left.reverse();
        self.left.pop().expect("there is a batch of training queries")
    }

    /// The loss of a batch, and the cosine of each query's hardest negative in it.
    fn loss(&mut self, model: &BagEncoder, rows: &[usize]) -> (Tensor<1>, Vec<f64>) {
        let world = self.world;
        let drawn = |rng: &mut Xoshiro256PlusPlus, row: usize| {
            let relevant = &world.train[row].relevant;
            relevant[rng.random_range(0..relevant.len())]
        };
        let mut columns: Vec<usize> = rows.iter().map(|&row| drawn(&mut self.rng, row)).collect();
        if let Some(lists) = (!self.lists.is_empty()).then_some(&self.lists) {
            let hard = rows.iter().filter(|row| !lists[**row].is_empty());
            columns.extend(hard.map(|&row| lists[row][self.rng.random_range(0..lists[row].len())]).collect::<Vec<_>>());
        }
        let asked = model.forward(&queries(world, rows));
        if self.arm == Arm::AllLabels {
            let all: Vec<usize> = (0..world.documents.len()).collect();
            let scores = asked.matmul(model.forward(&documents(world, &all)).transpose());
            let relevant: Vec<Vec<usize>> = rows.iter().map(|&row| world.train[row].relevant.clone()).collect();
            let loss = ReformulationLossConfig::new().init();
            // Cosines need a temperature; that of the triplet's weights.
            return (loss.towards(scores.mul_scalar(10.0), &relevant, &columns[..rows.len()]).mean(), Vec::new());
        }
        let scores = asked.matmul(model.forward(&documents(world, &columns)).transpose());
        let positive: Vec<bool> = rows
            .iter()
            .flat_map(|&row| columns.iter().map(move |column| world.train[row].relevant.binary_search(column).is_ok()))
            .collect();
        let values: Vec<f32> = scores.to_data().try_to_vec().expect("models are f32");
        let hardest =
            values.chunks(columns.len()).zip(positive.chunks(columns.len())).filter_map(|(scores, positive)| {
                let negatives = scores.iter().zip(positive).filter(|(_, positive)| !**positive);
                negatives.map(|(score, _)| f64::from(*score)).reduce(f64::max)
            });
        let hardest = hardest.collect();
        let device = Device::flex().autodiff();
        let positive = Tensor::<2, Bool>::from_data(TensorData::new(positive, [rows.len(), columns.len()]), &device);
        (TripletOhnmLossConfig::new().init().forward(scores, positive), hardest)
    }
}

/// The ten nearest documents of each training query that are not relevant.
fn mined(world: &ConceptWorld, model: &BagEncoder) -> Vec<Vec<usize>> {
    let exclude: Vec<&[usize]> = world.train.iter().map(|query| query.relevant.as_slice()).collect();
    let index = ExactIndex::new(model.embed(&world.documents));
    concepts::numbers(&index.search_excluding(&model.embed(&concepts::words(&world.train)), 10, &exclude))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { cluster_size: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("initial_cluster_size"));
        let s = Settings { dim: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("dim"));
    }
}
