//! Z-loss: is the factored step exact, does its time not grow with the classes, and does the loss rank as well as softmax?

mod exactness;
mod language;
mod scaling;
mod words;

use crate::claim::{Claim, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use contrarian::InvalidParameter;
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};

const SPEED: &str = "40 times faster than log-softmax and more than 4 times faster than hierarchical softmax on One Billion \
                     Word, 793,471 words (abstract)";
const TOP_K: &str = "beats log-softmax on some top-k scores (abstract)";
const ONE_LAYER: &str = "the output layer alone, dim 64, batch 64, on one thread of a CPU; larger layers, PyTorch and a whole \
                         network are timed by bench/kernels/output_layers.py";
const SMALL_LANGUAGE: &str = "a generated language of 500 words after 40 states, not a real corpus";

const fn gain(id: &'static str, statement: &'static str, reported: &'static str, smallest: f64, alpha: f64) -> Claim {
    let test = Test::Gain { smallest, alpha, sides: Sides::Two };
    Claim { id, statement, reported, differs: SMALL_LANGUAGE, test }
}

const CLAIMS: &[Claim] = &[
    Claim {
        id: "exact",
        statement: "after 50 factored steps every weight is within 1e-9 of gradient descent on the dense weights, for the Z, \
                    squared, Taylor and spherical losses (slack in powers of ten)",
        reported: "the same updates as the dense layer (1412.7091)",
        differs: "",
        test: Test::Always,
    },
    Claim {
        id: "flat",
        statement: "a factored step over 100,000 classes takes less than 4 times as long as over 1,000",
        reported: "a cost that does not depend on the number of classes (1412.7091)",
        differs: ONE_LAYER,
        test: Test::Always,
    },
    Claim {
        id: "softmax-grows",
        statement: "a dense softmax step over 100,000 classes takes more than 20 times as long as over 1,000",
        reported: "linear in the number of classes",
        differs: ONE_LAYER,
        test: Test::Always,
    },
    Claim {
        id: "faster-than-softmax",
        statement: "over 100,000 classes a factored step is more than 10 times faster than a dense softmax step",
        reported: SPEED,
        differs: ONE_LAYER,
        test: Test::Always,
    },
    Claim {
        id: "faster-than-two-level",
        statement: "over 100,000 classes a factored step is faster than one of a two-level softmax (slack: ratio less 1)",
        reported: SPEED,
        differs: ONE_LAYER,
        test: Test::Always,
    },
    gain(
        "above-squared-error",
        "top-1 accuracy of the Z-loss, a and b chosen on validation data, is more than .03 above squared error's",
        "clearly better than the other spherical losses (abstract)",
        0.03,
        0.01,
    ),
    gain(
        "top-20",
        "top-20 accuracy of the Z-loss, a and b chosen for it on validation data, is above log-softmax's",
        TOP_K,
        0.0,
        0.05,
    ),
    gain(
        "top-50",
        "top-50 accuracy of the Z-loss, a and b chosen for it on validation data, is above log-softmax's",
        TOP_K,
        0.0,
        0.05,
    ),
];

pub const STUDY: Study = Study {
    id: "z-loss",
    title: "The Z-loss: a shift and scale invariant classification loss belonging to the Spherical Family",
    authors: "de Brebisson, Vincent 2016",
    arxiv: "1604.08859",
    summary: "The factored output layer against dense gradient descent; the time of a step as the classes grow, against dense \
              and two-level softmax; and what the losses rank, in a word model of a generated language and, where the data \
              folder has them, of Shakespeare's plays.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    exact_seeds: usize,
    exact_steps: usize,
    timed_classes: Vec<usize>,
    timed_rounds: usize,
    seeds: usize,
    words: usize,
    pairs: usize,
    epochs: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    real_seeds: usize,
    real_words: usize,
    real_pairs: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            exact_seeds: 3,
            exact_steps: 50,
            timed_classes: vec![1_000, 10_000, 100_000],
            timed_rounds: 3,
            seeds: 5,
            words: 500,
            pairs: 6_000,
            epochs: 8,
            a: vec![0.1, 0.3, 1.0, 3.0],
            b: vec![4.0, 8.0, 16.0],
            real_seeds: 2,
            real_words: 2_000,
            real_pairs: 10_000,
        };
        match preset {
            Preset::Smoke => Self {
                exact_seeds: 1,
                timed_classes: vec![500, 5_000],
                timed_rounds: 1,
                seeds: 1,
                words: 60,
                pairs: 400,
                epochs: 1,
                a: vec![0.3],
                b: vec![4.0],
                real_seeds: 1,
                real_words: 200,
                real_pairs: 400,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self {
                exact_seeds: 20,
                timed_classes: vec![1_000, 10_000, 100_000, 1_000_000],
                seeds: 20,
                real_seeds: 5,
                real_pairs: 150_000,
                ..base
            },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let least = [
            ("exact_seeds", self.exact_seeds, 1),
            ("exact_steps", self.exact_steps, 1),
            ("timed_rounds", self.timed_rounds, 1),
            ("words", self.words, 3),
            ("pairs", self.pairs, 1),
            ("epochs", self.epochs, 1),
            ("a", self.a.len(), 1),
            ("b", self.b.len(), 1),
            ("real_seeds", self.real_seeds, 1),
            ("real_words", self.real_words, 3),
            ("real_pairs", self.real_pairs, 1),
        ];
        let timed = self.timed_classes.iter().map(|&classes| ("timed_classes", classes, 3));
        match least.into_iter().chain(timed).find(|(_, value, least)| value < least) {
            Some((field, value, least)) => Err(InvalidParameter::new(field, value, format!("at least {least}"))),
            None => Ok(()),
        }
    }
}

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let bad = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
    s.check().map_err(bad)?;
    let mut findings = Findings::default();
    let mut evidence = vec![exactness::exactness(&s, context, &mut findings)?];
    evidence.extend(scaling::scaling(&s, context, &mut findings)?);
    evidence.extend(language::language(&s, context, &mut findings)?);
    findings.claims = CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect();
    Ok(findings)
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
        // A vocabulary of one word has nothing to tell apart.
        assert_eq!(with(&|s| s.words = 1), Err("words".into()));
        assert_eq!(with(&|s| s.timed_classes = vec![1]), Err("timed_classes".into()));
        assert_eq!(with(&|s| s.a = Vec::new()), Err("a".into()));
    }
}
