//! CET: does weighing unlabelled documents by how likely they were judged undo the harm of a strong retriever's negatives?

mod world;

use crate::claim::{Claim, Test, judge};
use crate::concepts::Budget;
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements, mean};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use contrarian::ranking::{CetConfig, WeightedPairLossConfig, pooling_posterior};
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::stats::Sides;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use world::{ALL, CANDIDATES, PoolQuery, RELEVANCE, false_negative_rate, pool};

const DIFFERS: &str = "generated queries with known relevance and linear models instead of MS MARCO and BERT";

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
        "strong-negatives-hurt",
        "the nDCG@10 of a ranker with negatives of the weak retriever exceeds that with those of the strong one",
        "with negatives from the top results of a stronger retriever the ranker gets worse (abstract)",
    ),
    gain(
        "cet-over-naive",
        "with negatives of the strong retriever, the nDCG@10 of CET (ratio 2) exceeds that of equal weights",
        "significant gains over other sampling strategies on three benchmarks (abstract)",
    ),
];

pub const STUDY: Study = Study {
    id: "cet",
    title: "Hard Negatives or False Negatives: Correcting Pooling Bias in Training Neural Ranking Models",
    authors: "Cai, Guo, Fan et al. 2022",
    arxiv: "2209.05072",
    summary: "Rankers learn from labels that need relevance and the luck of being shown, with negatives from a weak and from a strong retriever, \
              equally weighted or coupled with a selection model; judged by true relevance on fresh queries, beside random negatives, known false \
              negatives removed, and the true posterior as weights.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_queries: usize,
    test_queries: usize,
    steps: usize,
    pairs: usize,
    learning_rate: f64,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self { seeds: 5, train_queries: 300, test_queries: 200, steps: 400, pairs: 64, learning_rate: 0.02 };
        match preset {
            Preset::Smoke => Self { seeds: 2, train_queries: 60, test_queries: 60, steps: 60, ..base },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn budget(&self) -> Budget {
        Budget { steps: self.steps, batch: self.pairs, rate: self.learning_rate }
    }

    fn check(&self) -> Result<(), StudyError> {
        if self.train_queries < 10 || self.test_queries < 10 {
            let reason = "there must be 10 queries at least, to train and to test with".into();
            return Err(StudyError::Settings { study: STUDY.id, reason });
        }
        self.budget().check(STUDY.id)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum List {
    Random,
    Weak,
    Strong,
}

#[derive(Clone, Copy)]
enum Weights {
    Equal,
    /// The ratio, and whether the selection model sees what the relevance model sees.
    Coupled {
        ratio: f64,
        same_inputs: bool,
    },
    /// False negatives are removed from the list.
    Oracle,
    /// One over the true probability of selection for labels, the true posterior of irrelevance for the others.
    Posterior,
}

const ARMS: [(&str, List, Weights); 9] = [
    ("random negatives", List::Random, Weights::Equal),
    ("weak negatives", List::Weak, Weights::Equal),
    ("strong negatives", List::Strong, Weights::Equal),
    ("CET, ratio 2", List::Strong, Weights::Coupled { ratio: 2.0, same_inputs: false }),
    ("CET, ratio 1", List::Strong, Weights::Coupled { ratio: 1.0, same_inputs: false }),
    ("CET, ratio 10", List::Strong, Weights::Coupled { ratio: 10.0, same_inputs: false }),
    ("CET, ratio 2, same inputs", List::Strong, Weights::Coupled { ratio: 2.0, same_inputs: true }),
    ("strong, false negatives removed", List::Strong, Weights::Oracle),
    ("strong, true posterior", List::Strong, Weights::Posterior),
];

const NUMBERS: [&str; 5] = ["nDCG@10", "false negatives", "largest weight", "first loss", "last loss"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check()?;
    let arms: Vec<(String, (List, Weights))> =
        ARMS.map(|(name, list, weights)| (name.to_string(), (list, weights))).to_vec();
    let measured = Measurements::collect(context, "pool", &arms, s.seeds, |arm, seed| measure(&s, *arm, seed))?;
    let minus = |arms: [&str; 2]| measured.evidence("nDCG@10", arms, |[a, b]| a - b);
    let evidence = [minus(["weak negatives", "strong negatives"]), minus(["CET, ratio 2", "strong negatives"])];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Fresh queries, by true relevance (mean ± s.d. over seeds)", &NUMBERS));
    let ndcg = |arm: &str| measured.mean(arm, "nDCG@10");
    let (weak, strong, cet) = (ndcg("weak negatives"), ndcg("strong negatives"), ndcg("CET, ratio 2"));
    findings.notes.push(format!(
        "CET turns {strong:.3} into {cet:.3}; taking the weak retriever's negatives instead gives {weak:.3}, without a second model. {}",
        if weak > cet { "The simpler remedy is the better one here." } else { "CET is the better remedy here." }
    ));
    findings.notes.push(format!(
        "The gain hangs on the ratio and on what the selection model sees: {:.3} at ratio 1, {:.3} at 10, {:.3} where both models see the same.",
        ndcg("CET, ratio 1"),
        ndcg("CET, ratio 10"),
        ndcg("CET, ratio 2, same inputs")
    ));
    Ok(findings)
}

/// Two linear models; the second sees a part of the inputs, or all.
#[derive(Module, Debug)]
struct Models {
    relevance: Param<Tensor<2>>,
    selection: Param<Tensor<2>>,
}

fn measure(s: &Settings, (list, weights): (List, Weights), seed: u64) -> Result<Measured, String> {
    let queries = pool(s.train_queries, seed);
    let device = Device::flex().autodiff();
    let zeros = || Param::from_tensor(Tensor::<2>::zeros([ALL, 1], &device));
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x0070_6169_7273);
    let (mut losses, mut largest) = (Vec::new(), 1.0f64);
    let models = Models { relevance: zeros(), selection: zeros() };
    // The loop's rows only count: a pair is drawn by query, label and list.
    let trained = s.budget().train(models, s.pairs, seed, |models, rows| {
        let pairs: Vec<Pair> = rows.iter().map(|_| Pair::draw(&queries, list, weights, rng)).collect();
        let same = matches!(weights, Weights::Coupled { same_inputs: true, .. });
        let positive = |same| inputs(&pairs, same, |pair| pair.positive, &queries, &device);
        let negative = |same| inputs(&pairs, same, |pair| pair.negative, &queries, &device);
        let score = |x: Tensor<2>, w: &Param<Tensor<2>>| x.matmul(w.val()).reshape([pairs.len()]);
        let relevance = [positive(true), negative(true)].map(|x| score(x, &models.relevance));
        let (loss, plain) = if let Weights::Coupled { ratio, .. } = weights {
            let selection = [positive(same), negative(same)].map(|x| score(x, &models.selection));
            let step = CetConfig::new().with_ratio(ratio).init().forward(relevance, selection);
            largest = largest.max(f64::from(step.relevance_weights.max().into_scalar::<f32>()));
            (step.relevance_loss + step.selection_loss, step.relevance_unweighted)
        } else {
            let weight: Vec<f32> = pairs.iter().map(|pair| pair.weight as f32).collect();
            let weight = Tensor::<1>::from_data(TensorData::new(weight, [pairs.len()]), &device);
            let [positive, negative] = relevance;
            let loss = WeightedPairLossConfig::new().init().forward(positive, negative, Some(weight));
            (loss.clone(), loss.detach())
        };
        losses.push(f64::from(plain.into_scalar::<f32>()));
        loss
    })?;
    let w: Vec<f32> = trained.relevance.val().into_data().try_to_vec().expect("models are f32");
    let fresh = pool(s.test_queries, seed.wrapping_add(1_000_003));
    let scores: Vec<f64> = fresh.iter().filter_map(|query| ndcg(query, &w)).collect();
    let rate = match list {
        List::Random => None,
        List::Weak => Some(false_negative_rate(&queries, |query| &query.weak)),
        List::Strong => Some(false_negative_rate(&queries, |query| &query.strong)),
    };
    let tenth = (losses.len() / 10).max(1);
    let mut measured = Measured::from([
        ("nDCG@10", mean(&scores)),
        ("largest weight", largest),
        ("first loss", mean(&losses[..tenth])),
        ("last loss", mean(&losses[losses.len() - tenth..])),
    ]);
    measured.extend(rate.map(|rate| ("false negatives", rate)));
    Ok(measured)
}

/// A labelled document, and an unlabelled one of the same query.
struct Pair {
    query: usize,
    positive: usize,
    negative: usize,
    weight: f64,
}

impl Pair {
    fn draw(queries: &[PoolQuery], list: List, weights: Weights, rng: &mut Xoshiro256PlusPlus) -> Self {
        loop {
            let query = rng.random_range(0..queries.len());
            let documents = &queries[query].documents;
            let labelled: Vec<usize> = (0..CANDIDATES).filter(|at| documents[*at].labelled).collect();
            let mut candidates = match list {
                List::Random => (0..CANDIDATES).filter(|at| !documents[*at].labelled).collect(),
                List::Weak => queries[query].weak.clone(),
                List::Strong => queries[query].strong.clone(),
            };
            if let Weights::Oracle = weights {
                candidates.retain(|at| !documents[*at].relevant);
            }
            // A query with nothing but labels or false negatives has no pair.
            if candidates.is_empty() {
                continue;
            }
            let positive = labelled[rng.random_range(0..labelled.len())];
            let negative = candidates[rng.random_range(0..candidates.len())];
            let weight = match weights {
                Weights::Posterior => {
                    let unlabelled = pooling_posterior(documents[negative].rho, documents[negative].lam);
                    unlabelled.irrelevant_unlabelled / documents[positive].lam.max(0.05)
                }
                _ => 1.0,
            };
            return Self { query, positive, negative, weight };
        }
    }
}

/// Inputs `[pairs, ALL]`; without `all` those of relevance are 0.
fn inputs(pairs: &[Pair], all: bool, pick: fn(&Pair) -> usize, queries: &[PoolQuery], device: &Device) -> Tensor<2> {
    let of_pair = |pair: &Pair| {
        let mut features = queries[pair.query].documents[pick(pair)].features;
        if !all {
            features[..RELEVANCE].fill(0.0);
        }
        features
    };
    let data: Vec<f32> = pairs.iter().flat_map(of_pair).collect();
    Tensor::from_data(TensorData::new(data, [pairs.len(), ALL]), device)
}

/// nDCG@10 of a linear model by true relevance; `None` without a relevant document.
fn ndcg(query: &PoolQuery, w: &[f32]) -> Option<f64> {
    let relevance = Relevance::binary((0..CANDIDATES).filter(|at| query.documents[*at].relevant));
    let score = |at: &usize| -> f32 { query.documents[*at].features.iter().zip(w).map(|(x, w)| x * w).sum() };
    let mut order: Vec<usize> = (0..CANDIDATES).collect();
    order.sort_by(|a, b| score(b).total_cmp(&score(a)));
    (!relevance.is_empty()).then(|| relevance.ndcg(&order, 10, Gain::Linear))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let s = Settings { pairs: 1, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("batch_size"));
        let s = Settings { train_queries: 1, ..Settings::of(Preset::Default) };
        assert!(s.check().unwrap_err().to_string().contains("queries"));
    }
}
