//! Label-noise cleaning: do neighbours of a model's mistakes show which negatives are mislabelled, and is removing them more
//! than a change of the classes' shares?

mod arms;
mod sentences;
mod world;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::Measurements;
use crate::views::invalid;
use arms::{ARMS, Method, Prepared};
use contrarian::InvalidParameter;
use contrarian_lab::cleaning::{CleaningBudget, IntrinsicCleaner};
use contrarian_lab::parallel;
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};
use world::{Noisy, Sizes, relation_world};

const fn gain(id: &'static str, statement: &'static str, reported: &'static str) -> Claim {
    Claim {
        id,
        statement,
        reported,
        differs: "generated points with noise of known place instead of TACRED, and a small MLP; the procedure is reconstructed \
                  from the abstract, as there is no code",
        test: Test::Gain { smallest: 0.0, alpha: 0.05, sides: Sides::Greater },
    }
}

const CLAIMS: &[Claim] = &[
    Claim {
        id: "negative-confusion",
        statement: "false negatives and false positives are more than .8 of all errors of models of TACRED, on test and on dev",
        reported: "most of the noise comes from no_relation examples (abstract)",
        differs: "errors of public predictions instead of label noise",
        test: Test::Always,
    },
    gain(
        "intrinsic-elimination",
        "micro F1 after intrinsic elimination exceeds that of the noisy data",
        "4% F1 on average over two models (abstract)",
    ),
    gain(
        "beyond-random",
        "micro F1 after intrinsic elimination exceeds that after eliminating equally many random negatives",
        "no such control is reported",
    ),
    gain(
        "extrinsic-elimination",
        "micro F1 after extrinsic elimination of negatives exceeds that of the noisy data",
        "3.8% F1 (abstract)",
    ),
    gain(
        "extrinsic-reannotation",
        "micro F1 after extrinsic re-annotation of negatives exceeds that of the noisy data",
        "4.4% F1 (abstract)",
    ),
    gain(
        "reannotation-gains-less",
        "micro F1 after intrinsic elimination exceeds that after intrinsic re-annotation",
        "intrinsic re-annotation does not improve (abstract)",
    ),
];

pub const STUDY: Study = Study {
    id: "label-noise-cleaning",
    title: "Noise in Relation Classification Dataset TACRED: Characterization and Reduction",
    authors: "Parekh, Anand, Awekar 2023",
    arxiv: "2311.12298",
    summary: "Eight classes of points beside a dominant class of negatives; three positives in ten are labelled negative. Training \
              data is cleaned by the intrinsic and the extrinsic strategy, by eliminating or re-annotating, and a model trained \
              from scratch on what results is judged by micro F1 on clean rows. The controls are random negatives, equally many, \
              and those that the model doubts most. The full preset adds sentences of SemEval-2010 Task 8 as hashed bags of words \
              (descriptive).",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    train_rows: usize,
    clean_rows: usize,
    test_rows: usize,
    positive_noise: f64,
    negative_noise: f64,
    k: usize,
    folds: usize,
    steps: usize,
    batch_size: usize,
    learning_rate: f64,
    sentence_seeds: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            train_rows: 4000,
            clean_rows: 800,
            test_rows: 2000,
            positive_noise: 0.3,
            negative_noise: 0.03,
            k: 5,
            folds: 3,
            steps: 400,
            batch_size: 128,
            learning_rate: 3e-3,
            sentence_seeds: 0,
        };
        match preset {
            Preset::Smoke => Self { seeds: 1, train_rows: 600, clean_rows: 120, test_rows: 300, steps: 60, ..base },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, sentence_seeds: 5, ..base },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        // Fewer rows may hold a single class, or none behind the cleaning.
        for (field, rows) in
            [("train_rows", self.train_rows), ("clean_rows", self.clean_rows), ("test_rows", self.test_rows)]
        {
            if rows < 50 {
                return Err(InvalidParameter::new(field, rows, "at least 50"));
            }
        }
        for (field, part) in [("positive_noise", self.positive_noise), ("negative_noise", self.negative_noise)] {
            if !(0.0..1.0).contains(&part) {
                return Err(InvalidParameter::new(field, part, "in [0, 1)"));
            }
        }
        if !(2..=10).contains(&self.folds) {
            return Err(InvalidParameter::new("folds", self.folds, "in 2..=10"));
        }
        IntrinsicCleaner::new().with_k(self.k).validate()?;
        self.method().budget.validate()
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            train: self.train_rows,
            clean: self.clean_rows,
            test: self.test_rows,
            positive_noise: self.positive_noise,
            negative_noise: self.negative_noise,
        }
    }

    fn method(&self) -> Method {
        let budget = CleaningBudget::new().with_steps(self.steps).with_batch_size(self.batch_size);
        Method { budget: budget.with_learning_rate(self.learning_rate), k: self.k, folds: self.folds }
    }
}

const SCORES: [&str; 5] = ["F1", "precision", "recall", "rows", "seconds"];
const FLAGS: [&str; 3] = ["flagged", "flags right", "noise found"];
const ERRORS: [&str; 3] = ["false negatives", "false positives", "wrong positives"];

const NO_TACRED: &str = "the data folder has no predictions of models of TACRED (github.com/DFKI-NLP/tacrev)";

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check().map_err(|error| invalid(STUDY.id, &error))?;
    let measured = clean(context, "points", s.seeds, &s.method(), |seed| relation_world(&s.sizes(), seed))?;
    let exceeds = |arm: &str, control: &str| measured.evidence("F1", [arm, control], |[arm, control]| arm - control);
    let evidence = [
        Evidence::Untested(NO_TACRED.into()),
        exceeds("intrinsic, eliminate", "noisy"),
        exceeds("intrinsic, eliminate", "random, as many as intrinsic"),
        exceeds("extrinsic, eliminate", "noisy"),
        exceeds("extrinsic, re-annotate", "noisy"),
        exceeds("intrinsic, eliminate", "intrinsic, re-annotate"),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        measurements: measured.lines(),
        notes: notes(&measured),
        ..Findings::default()
    };
    findings.tables.extend([
        measured.table("Points: micro F1 on clean rows (mean ± s.d. over seeds)", &SCORES),
        measured.table("Points: what is flagged, and which part of it is mislabelled", &FLAGS),
        measured.table("Points: parts of all errors", &ERRORS),
    ]);
    if s.sentence_seeds > 0 {
        match sentences::sentences(context)? {
            Some(sentences) => {
                let noise = s.positive_noise;
                let found =
                    clean(context, "sentences", s.sentence_seeds, &s.method(), |seed| sentences.noisy(noise, seed))?;
                findings.tables.push(found.table("SemEval-2010 Task 8, hashed bags of words (descriptive)", &SCORES));
                findings.tables.push(found.table("SemEval-2010 Task 8: what is flagged", &FLAGS));
                findings.measurements.extend(found.lines());
                findings.notes.push(on_sentences(&found));
            }
            None => findings.notes.push(
                "SemEval-2010 Task 8 is left out: the data folder (CONTRARIAN_DATA) has no semeval2010_task8.".into(),
            ),
        }
    }
    Ok(findings)
}

/// Every arm over seeds: first the plans, a few fits a seed, then a fit an arm.
fn clean(
    context: &Context,
    part: &'static str,
    seeds: usize,
    method: &Method,
    data: impl Fn(u64) -> Noisy + Sync,
) -> Result<Measurements, StudyError> {
    let all: Vec<u64> = (0..seeds as u64).collect();
    let plans = parallel::map(&all, context.threads, context.stop, |&seed| Prepared::new(data(seed), method, seed));
    let mut prepared = Vec::new();
    for (seed, plan) in all.into_iter().zip(plans) {
        let failed = |reason: String| StudyError::Fit { arm: format!("{part}, plans"), seed, reason };
        prepared.push(plan.ok_or(StudyError::Stopped)?.map_err(|error| failed(error.to_string()))?);
    }
    let arms = ARMS.map(|(name, arm)| (name.to_string(), arm));
    Measurements::collect(context, part, &arms, seeds, |arm, seed| prepared[seed as usize].measure(*arm, method, seed))
}

/// What the numbers of this run say about the likely reasons.
fn notes(measured: &Measurements) -> Vec<String> {
    let f1 = |arm: &str| measured.mean(arm, "F1");
    let gain = |arm: &str| f1(arm) - f1("noisy");
    let (cleaned, random) = (gain("intrinsic, eliminate"), gain("random, as many as intrinsic"));
    let of_gain = match cleaned > 0.0 {
        true => format!(", {:.0}% of it", 100.0 * random / cleaned),
        false => String::new(),
    };
    let flags = |number: &str| measured.mean("intrinsic, eliminate", number);
    let both = ["eliminate", "re-annotate"]
        .map(|action| f1(&format!("extrinsic both, {action}")) - f1(&format!("extrinsic, {action}")));
    vec![
        format!(
            "Eliminating negatives changes the classes' shares, which helps by itself where positives were lost: intrinsic \
             elimination gains {cleaned:+.3}, and random negatives, equally many, {random:+.3}{of_gain}. Extrinsic elimination \
             gains {:+.3}, against {:+.3} with equally many random negatives. What remains is what the flags are worth.",
            gain("extrinsic, eliminate"),
            gain("random, as many as extrinsic"),
        ),
        format!(
            "The intrinsic cleaner flags {:.0} rows on average, of which {:.0}% are mislabelled; they are {:.0}% of all \
             mislabelled rows. A right label is lost where one of the others is re-annotated: precision is {:.2} then, \
             and {:.2} after elimination.",
            flags("flagged"),
            100.0 * flags("flags right"),
            100.0 * flags("noise found"),
            measured.mean("intrinsic, re-annotate", "precision"),
            measured.mean("intrinsic, eliminate", "precision"),
        ),
        format!(
            "Removing the same number of negatives that the model doubts most, a simpler rule, gains {:+.3}.",
            gain("confidence, as many as intrinsic")
        ),
        format!(
            "The paper finds more gain where positives are cleaned too. Here that changes micro F1 by {:+.3} (eliminate) and \
             {:+.3} (re-annotate) against cleaning negatives only.",
            both[0], both[1]
        ),
    ]
}

/// Whether the flags are worth anything where the embedding is poor.
fn on_sentences(found: &Measurements) -> String {
    let of = |arm: &str| (100.0 * found.mean(arm, "flags right"), found.mean(arm, "F1") - found.mean("noisy", "F1"));
    let ((right, gain), (by_chance, random)) = (of("intrinsic, eliminate"), of("random, as many as intrinsic"));
    format!(
        "Of the sentences that the intrinsic cleaner flags {right:.1}% are mislabelled, and {by_chance:.1}% of random negatives; it \
         gains {gain:+.3}, and random negatives {random:+.3}."
    )
}
