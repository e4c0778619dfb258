//! UniME-V2: does a judge that removes false negatives, or gives soft labels, train better embeddings?

mod reranker;
mod retriever;
mod topics;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Findings, Table};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::{Measured, Measurements};
use contrarian::InvalidParameter;
use contrarian::ranking::Divergence;
use contrarian_lab::stats::Sides;
use retriever::{Arm, Budget, NEGATIVES};
use serde::{Deserialize, Serialize};
use topics::{PER_TOPIC, topics};

const DIFFERS: &str = "generated queries and documents with known graded relevance and two small towers instead of images, texts \
                       and a large multimodal model; the judge is the true relevance with an error";

const fn gain(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64) -> Claim {
    let test = Test::Gain { smallest, alpha: 0.05, sides: Sides::Two };
    Claim { id, statement, reported, differs: DIFFERS, test }
}

const REPORTED: &str = "state of the art on average on MMEB and several retrieval tasks (abstract)";

const CLAIMS: &[Claim] = &[
    gain(
        "false-negatives",
        "nDCG@10 with judged hard negatives exceeds that with unfiltered hard negatives by more than .05",
        REPORTED,
        0.05,
    ),
    gain(
        "soft-scores",
        "nDCG@10 of soft-score alignment exceeds that of in-batch negatives by more than .02",
        REPORTED,
        0.02,
    ),
    gain(
        "unfiltered-hurts",
        "with 11 true neighbours a query, nDCG@10 with unfiltered hard negatives is below that of in-batch negatives (control)",
        "that such negatives are often unlabelled positives is what the method sets out from",
        0.0,
    ),
    gain(
        "joint-reranker",
        "recall@1 of ten reranked documents is higher with the joint loss than with the pairwise loss alone",
        "pairwise and listwise training are used together",
        0.0,
    ),
];

pub const STUDY: Study = Study {
    id: "unime-v2",
    title: "UniME-V2: MLLM-as-a-Judge for Universal Multimodal Embedding Learning",
    authors: "Gu, Yang, Zhang et al. 2025",
    arxiv: "2510.13515",
    summary: "Two towers learn to retrieve documents of topics, twelve to a topic, of which one is labelled. After a first phase with \
              in-batch negatives a judge scores the nearest fifty; a second phase goes on in-batch, with the nearest as \
              negatives, with judged negatives, or with the judge's scores as soft labels. Test queries search all documents, \
              graded by true relevance. A scorer of pairs reranks the first ten.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    topics: usize,
    first_steps: usize,
    second_steps: usize,
    reranker_steps: usize,
    batch_size: usize,
    learning_rate: f64,
    all_arms: bool,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            topics: 60,
            first_steps: 300,
            second_steps: 300,
            reranker_steps: 300,
            batch_size: 64,
            learning_rate: 2e-3,
            all_arms: true,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                topics: 10,
                first_steps: 40,
                second_steps: 40,
                reranker_steps: 40,
                all_arms: false,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let require = |holds: bool, field: &str, value: f64, allowed: &str| match holds {
            true => Ok(()),
            false => Err(InvalidParameter::new(field, value, allowed)),
        };
        require(self.topics >= 2, "topics", self.topics as f64, "at least 2")?;
        for (field, steps) in [
            ("first_steps", self.first_steps),
            ("second_steps", self.second_steps),
            ("reranker_steps", self.reranker_steps),
        ] {
            require(steps >= 1, field, steps as f64, "at least 1")?;
        }
        require(self.batch_size >= 2, "batch_size", self.batch_size as f64, "at least 2")?;
        let rate = self.learning_rate;
        require(rate > 0.0 && rate.is_finite(), "learning_rate", rate, "finite and above 0")
    }

    fn budget(&self, steps: usize) -> Budget {
        Budget { steps, batch: self.batch_size, rate: self.learning_rate }
    }
}

const ARMS: [(&str, Arm); 6] = [
    ("in-batch", Arm::InBatch),
    ("unfiltered hard", Arm::Unfiltered),
    ("judged hard", Arm::Judged),
    ("soft alignment", Arm::Soft(Divergence::Jeffreys)),
    ("forward KL", Arm::Soft(Divergence::ForwardKl)),
    ("margin MSE", Arm::MarginMse),
];
const CLAIMED: usize = 4;
const PAIRWISE: &str = "pairwise";
const JOINT: &str = "pairwise + listwise";

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let bad = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
    s.check().map_err(bad)?;
    let count = if s.all_arms { ARMS.len() } else { CLAIMED };
    let arms: Vec<(String, Arm)> = ARMS[..count].iter().map(|&(name, arm)| (name.to_string(), arm)).collect();
    let found = Measurements::collect(context, "retrieval", &arms, s.seeds, |&arm, seed| retrieve(&s, arm, seed))?;
    let rerankers = [(PAIRWISE.to_string(), false), (JOINT.to_string(), true)];
    let reranked =
        Measurements::collect(context, "reranker", &rerankers, s.seeds, |&joint, seed| rerank(&s, joint, seed))?;
    let mut findings = Findings::default();
    let graded = |arm: &str| found.values(arm, "nDCG@10");
    let evidence = [
        Evidence::paired(&graded("judged hard"), &graded("unfiltered hard")),
        Evidence::paired(&graded("soft alignment"), &graded("in-batch")),
        Evidence::paired(&graded("in-batch"), &graded("unfiltered hard")),
        Evidence::paired(&reranked.values(JOINT, "recall@1"), &reranked.values(PAIRWISE, "recall@1")),
    ];
    findings.claims = CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect();
    findings.tables.push(found.table("Test queries over all documents (mean ± s.d. over seeds)", &NUMBERS));
    findings.tables.push(mined(&found));
    findings.tables.push(reranked.table("The retriever's first ten, reranked (mean ± s.d.)", &["before", "recall@1"]));
    findings.measurements = found.lines();
    findings.measurements.extend(reranked.lines());
    findings.notes = notes(&found);
    Ok(findings)
}

const NUMBERS: [&str; 4] = ["nDCG@10", "recall@1", "top-1 accepted", "seconds"];

fn retrieve(s: &Settings, arm: Arm, seed: u64) -> Result<Measured, String> {
    let started = std::time::Instant::now();
    let topics = topics(s.topics, seed);
    let model = retriever::start(&topics, s.budget(s.first_steps), seed)?;
    let mined = retriever::mine(&topics, &model)?;
    let model = retriever::go_on(&topics, model, &mined, arm, s.budget(s.second_steps), seed)?;
    let mut measured = retriever::measure(&topics, &model);
    let queries = topics.train.len() as f64;
    measured.insert("left out a query", mined.filtered as f64 / queries);
    measured.insert("repeated a query", mined.repeated as f64 / queries);
    measured.insert("queries without a negative", mined.empty as f64);
    measured.insert("seconds", started.elapsed().as_secs_f64());
    Ok(measured)
}

fn rerank(s: &Settings, joint: bool, seed: u64) -> Result<Measured, String> {
    let topics = topics(s.topics, seed);
    let model = retriever::start(&topics, s.budget(s.first_steps), seed)?;
    let mined = retriever::mine(&topics, &model)?;
    let mut measured = reranker::rerank(&topics, &model, &mined, joint, s.budget(s.reranker_steps), seed)?;
    measured.insert("before", retriever::measure(&topics, &model)["recall@1"]);
    Ok(measured)
}

/// What the mining counted; it is the same for all arms of a seed.
fn mined(found: &Measurements) -> Table {
    let numbers = ["left out a query", "repeated a query", "queries without a negative"];
    let mut table = found.table("Mining: of the 50 nearest candidates, as good as the positive by the judge", &numbers);
    table.rows.truncate(1);
    table.columns[0] = "phase".into();
    table.rows[0][0] = "after the first".into();
    table
}

fn notes(found: &Measurements) -> Vec<String> {
    let of = |arm: &str| found.mean(arm, "nDCG@10");
    let (judged, in_batch) = (of("judged hard"), of("in-batch"));
    let order = if judged < in_batch { "below" } else { "above" };
    vec![
        format!(
            "Judged hard negatives reach an nDCG@10 of {judged:.3}, {order} in-batch negatives ({in_batch:.3}); unfiltered ones \
             {:.3}, soft labels {:.3}. The filter removes only what the judge finds as good as the positive: the {NEGATIVES} that \
             are left are still mostly of the query's topic, and a hard label pushes them away however relevant they are.",
            of("unfiltered hard"),
            of("soft alignment")
        ),
        format!(
            "Each of the {PER_TOPIC} documents of a topic is the labelled positive of one query. Hard negatives are a query's own, \
             beside the batch's documents; the alignment sees the positive and its {NEGATIVES} judged negatives only. Phases are \
             whole epochs, as near to the steps as can be. Queries without a negative are trained in-batch, and left out of \
             the alignment (the paper is said to draw negatives at random for them)."
        ),
        "The reranker scores a pair from the 40 products of the features of query and document, which see the latent space \
         through different maps. It does not see the place of a document in the list."
            .into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let with = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::of(Preset::Smoke);
            change(&mut settings);
            settings.check().map_err(|error| error.field)
        };
        assert_eq!(with(&|_| ()), Ok(()));
        assert_eq!(with(&|s| s.topics = 1), Err("topics".into()));
        assert_eq!(with(&|s| s.first_steps = 0), Err("first_steps".into()));
        assert_eq!(with(&|s| s.batch_size = 1), Err("batch_size".into()));
        assert_eq!(with(&|s| s.learning_rate = f64::NAN), Err("learning_rate".into()));
    }
}
