//! AR2: does a retriever learn more from a ranker that it plays against than from labels alone?

use crate::claim::{Claim, Test, judge};
use crate::concepts::{self, Budget, NUMBERS, documents, queries};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::ranking::{Ar2RetrieverLossConfig, RerankListwiseLossConfig, ScoreContrastiveLossConfig};
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::retrieval::{
    BagEncoder, ConceptWorld, ConceptWorldConfig, ExactIndex, MaxSimRanker, PlainRanker, rerank,
};
use contrarian_lab::stats::Sides;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;
use serde::{Deserialize, Serialize};

const DIFFERS: &str = "a generated collection with about 8 relevant documents a query of which one is labelled, a table of word vectors and a small \
                       ranker of word pairs instead of Wikipedia and ERNIE; nDCG@10 against all relevant documents";

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
    gain(
        "over-labels",
        "the nDCG@10 of the retriever trained with AR2 (lambda .2, temperature 2) exceeds that of as many steps on the same mined lists with the \
         label alone",
        "Natural Questions R@5 77.9 (+2.1), MS MARCO MRR@10 39.5 (+1.3) over earlier retrievers (abstract)",
    ),
    gain(
        "ranker-knows-more",
        "the nDCG@10 of the warm retriever's first 50, ranked again by the ranker, exceeds that of the retriever: else there is nothing to learn \
         from it",
        "taken for granted",
    ),
];

pub const STUDY: Study = Study {
    id: "ar2",
    title: "Adversarial Retriever-Ranker for Dense Text Retrieval",
    authors: "Zhang, Gong, Shen et al. 2021",
    arxiv: "2110.03611",
    summary: "A retriever and a ranker of word pairs are warmed up on a generated collection; then the ranker learns from what the retriever finds and \
              the retriever from the ranker, in cycles. Beside it the same steps on labels alone, distillation alone and the game alone.",
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
    warm_steps: usize,
    ranker_warm_steps: usize,
    cycles: usize,
    ranker_steps: usize,
    retriever_steps: usize,
    batch_size: usize,
    mined: usize,
    negatives: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            topics: 20,
            documents: 2000,
            train_queries: 3000,
            test_queries: 300,
            warm_steps: 200,
            ranker_warm_steps: 300,
            cycles: 4,
            ranker_steps: 30,
            retriever_steps: 80,
            batch_size: 32,
            mined: 30,
            negatives: 7,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 2,
                topics: 4,
                documents: 400,
                train_queries: 200,
                test_queries: 100,
                warm_steps: 20,
                ranker_warm_steps: 20,
                cycles: 1,
                ranker_steps: 10,
                retriever_steps: 10,
                ..base
            },
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
            .with_query_concepts(2)
    }

    fn budget(&self, steps: usize, rate: f64) -> Budget {
        Budget { steps, batch: self.batch_size, rate }
    }

    fn check(&self) -> Result<(), StudyError> {
        let bad = |reason: String| StudyError::Settings { study: STUDY.id, reason };
        self.world().validate().map_err(|error| bad(error.to_string()))?;
        for steps in [self.warm_steps, self.ranker_warm_steps, self.ranker_steps, self.retriever_steps] {
            self.budget(steps, 0.01).check(STUDY.id)?;
        }
        if self.negatives == 0 || self.mined < self.negatives || self.documents <= self.mined {
            return Err(bad(
                "there must be a negative, as many mined documents as negatives, and more documents than mined".into(),
            ));
        }
        if self.train_queries == 0 || self.test_queries == 0 {
            return Err(bad("there must be queries to train and to test with".into()));
        }
        Ok(())
    }
}

/// Numbers of a retriever's vectors.
const DIM: usize = 32;

#[derive(Clone, Copy)]
enum Arm {
    Warm,
    Labels,
    Game { lambda: f64, temperature: f64 },
}

const ARMS: [(&str, Arm); 6] = [
    ("warm retriever", Arm::Warm),
    ("labels alone", Arm::Labels),
    ("AR2, lambda .2, t 2", Arm::Game { lambda: 0.2, temperature: 2.0 }),
    ("AR2, lambda .5, t 1", Arm::Game { lambda: 0.5, temperature: 1.0 }),
    ("distillation alone, t 2", Arm::Game { lambda: 0.0, temperature: 2.0 }),
    ("game alone", Arm::Game { lambda: 1.0, temperature: 2.0 }),
];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, Arm)> = ARMS.map(|(name, arm)| (name.to_string(), arm)).to_vec();
    let measured = Measurements::collect(context, "concepts", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let knows = measured.values("warm retriever", "reranked");
    let found = measured.values("warm retriever", "nDCG@10");
    let evidence = [
        measured.evidence("nDCG@10", ["AR2, lambda .2, t 2", "labels alone"], |[ours, theirs]| ours - theirs),
        crate::claim::Evidence::paired(&knows, &found),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    let numbers: Vec<&'static str> =
        NUMBERS.into_iter().chain(["reranked", "reranked at the end", "seconds"]).collect();
    findings.tables.push(measured.table("Test queries (mean ± s.d. over seeds)", &numbers));
    let ndcg = |arm: &str| measured.mean(arm, "nDCG@10");
    findings.notes.push(format!(
        "By setting, nDCG@10 is {:.3} with labels alone, {:.3} with lambda .2 and temperature 2, {:.3} with the \
         authors' lambda .5 and temperature 1, {:.3} with distillation alone, {:.3} with the game alone.",
        ndcg("labels alone"),
        ndcg("AR2, lambda .2, t 2"),
        ndcg("AR2, lambda .5, t 1"),
        ndcg("distillation alone, t 2"),
        ndcg("game alone")
    ));
    findings.notes.push(
        "`reranked` is the nDCG@10 of the warm retriever's first 50 documents in the order of the ranker, `reranked at the end` by the ranker of \
         the last cycle."
            .into(),
    );
    Ok(findings)
}

fn measure(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let world = s.world().generate(seed);
    let device = Device::flex().autodiff();
    let count = s.train_queries;
    let start = concepts::encoder(&world, DIM, false, seed);
    let mut retriever = s.budget(s.warm_steps, 0.02).train(start, count, seed, |model, rows| {
        let own = concepts::sources(&world, rows);
        let scores = model.forward(&queries(&world, rows)).matmul(model.forward(&documents(&world, &own)).transpose());
        let same = concepts::differ(&own, &own, &device).bool_not();
        ScoreContrastiveLossConfig::new().with_temperature(1.0).init().forward(scores, Some(same))
    })?;
    let warm = retriever.clone();
    let mut lists = concepts::mine(&world, &retriever, s.mined);
    let mut ranker = MaxSimRanker::new(world.vocabulary, &device, seed.wrapping_add(7));
    let learns = !matches!(arm, Arm::Labels);
    if learns {
        ranker = train_ranker(s, &world, ranker, &lists, s.budget(s.ranker_warm_steps, 0.01), seed)?;
    }
    let before = learns.then(|| reranked(&world, &warm, &ranker.plain()));
    if !matches!(arm, Arm::Warm) {
        for cycle in 1..=s.cycles as u64 {
            let seed = seed.wrapping_mul(101).wrapping_add(cycle);
            let mut scores = Vec::new();
            if learns {
                ranker = train_ranker(s, &world, ranker, &lists, s.budget(s.ranker_steps, 0.003), seed)?;
                scores = ranker_scores(&world, &ranker.plain(), &lists);
            }
            retriever = train_retriever(s, &world, retriever, &lists, &scores, arm, seed)?;
            lists = concepts::mine(&world, &retriever, s.mined);
        }
    }
    let mut measured = concepts::evaluate(&world, &retriever);
    if let Some(before) = before {
        measured.insert("reranked", before);
        measured.insert("reranked at the end", reranked(&world, &warm, &ranker.plain()));
    }
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

/// Places of the candidates of each query: the label, and some of its mined list.
fn draw(s: &Settings, lists: &[Vec<usize>], rows: &[usize], rng: &mut Xoshiro256PlusPlus) -> Vec<Vec<usize>> {
    rows.iter().map(|&row| sample(rng, lists[row].len(), s.negatives).into_vec()).collect()
}

fn train_ranker(
    s: &Settings,
    world: &ConceptWorld,
    ranker: MaxSimRanker,
    lists: &[Vec<usize>],
    budget: Budget,
    seed: u64,
) -> Result<MaxSimRanker, String> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0072_616e_6b65);
    budget.train(ranker, s.train_queries, seed, |ranker, rows| {
        let drawn = draw(s, lists, rows, rng);
        let candidates: Vec<Vec<&[u32]>> = rows
            .iter()
            .zip(&drawn)
            .map(|(&row, drawn)| {
                let negatives = drawn.iter().map(|&at| lists[row][at]);
                let all = std::iter::once(world.train[row].source).chain(negatives);
                all.map(|document| world.documents[document].as_slice()).collect()
            })
            .collect();
        let scores = ranker.forward(&queries(world, rows), &candidates);
        let target = Tensor::<1, Int>::zeros([rows.len()], &scores.device());
        RerankListwiseLossConfig::new().init().forward(scores, target)
    })
}

/// The ranker's scores of each query's label and mined documents, once a cycle: it stays as it is while the retriever learns.
fn ranker_scores(world: &ConceptWorld, ranker: &PlainRanker, lists: &[Vec<usize>]) -> Vec<Vec<f32>> {
    let of_query = |(row, list): (usize, &Vec<usize>)| {
        let query = &world.train[row];
        let all = std::iter::once(query.source).chain(list.iter().copied());
        all.map(|document| ranker.score(&query.words, &world.documents[document])).collect()
    };
    lists.iter().enumerate().map(of_query).collect()
}

fn train_retriever(
    s: &Settings,
    world: &ConceptWorld,
    retriever: BagEncoder,
    lists: &[Vec<usize>],
    ranker: &[Vec<f32>],
    arm: Arm,
    seed: u64,
) -> Result<BagEncoder, String> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7265_7472);
    let candidates = s.negatives + 1;
    s.budget(s.retriever_steps, 0.01).train(retriever, s.train_queries, seed, |model, rows| {
        let drawn = draw(s, lists, rows, rng);
        let listed: Vec<usize> = rows
            .iter()
            .zip(&drawn)
            .flat_map(|(&row, drawn)| {
                std::iter::once(world.train[row].source).chain(drawn.iter().map(move |&at| lists[row][at]))
            })
            .collect();
        let asked = model.forward(&queries(world, rows)).reshape([rows.len(), 1, DIM]);
        let found = model.forward(&documents(world, &listed)).reshape([rows.len(), candidates, DIM]);
        let scores = (found * asked).sum_dim(2).reshape([rows.len(), candidates]);
        let device = scores.device();
        match arm {
            Arm::Game { lambda, temperature } => {
                let taught: Vec<f32> = rows
                    .iter()
                    .zip(&drawn)
                    .flat_map(|(&row, drawn)| {
                        std::iter::once(ranker[row][0]).chain(drawn.iter().map(move |&at| ranker[row][at + 1]))
                    })
                    .collect();
                let taught = Tensor::<2>::from_data(TensorData::new(taught, [rows.len(), candidates]), &device);
                let loss = Ar2RetrieverLossConfig::new().with_lambda(lambda).with_temperature(temperature).init();
                loss.forward(scores, taught)
            }
            _ => RerankListwiseLossConfig::new().init().forward(scores, Tensor::<1, Int>::zeros([rows.len()], &device)),
        }
    })
}

/// nDCG@10 of the retriever's first 50 documents in the order of the ranker.
fn reranked(world: &ConceptWorld, retriever: &BagEncoder, ranker: &PlainRanker) -> f64 {
    const DEPTH: usize = 50;
    let index = ExactIndex::new(retriever.embed(&world.documents));
    let found = index.search(&retriever.embed(&concepts::words(&world.test)), DEPTH);
    let again = rerank(&found, DEPTH, |query, found| {
        found.iter().map(|&document| ranker.score(&world.test[query].words, &world.documents[document])).collect()
    });
    let score = |(query, ranking): (&contrarian_lab::retrieval::ConceptQuery, Vec<usize>)| {
        Relevance::binary(query.relevant.iter().copied()).ndcg(&ranking, 10, Gain::Linear)
    };
    let scores: Vec<f64> = world.test.iter().zip(concepts::numbers(&again)).map(score).collect();
    crate::support::mean(&scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { negatives: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("negative"));
        let s = Settings { ranker_steps: 0, ..Settings::of(Preset::Default) };
        assert!(s.check().is_err());
    }
}
