//! Transfer between recordings of brain signals: what pre-training gains for a small and a larger network, and what it costs.

mod muse;
mod training;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Findings, Table};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::Measurements;
use contrarian::InvalidParameter;
use contrarian_lab::fit::FitConfig;
use contrarian_lab::fit::layerwise_learning_rates;
use contrarian_lab::metrics::TransferReport;
use contrarian_lab::stats::Sides;
use serde::{Deserialize, Serialize};
use training::{Kind, STAGES, measure};

const DIFFERS: &str = "generated recordings of two domains with 8 channels instead of TUAB and NMT, which need licences; small \
                       networks; balanced accuracy by recording; fine-tuning on 16 recordings unless said otherwise";
const GAINS: &str = "pre-training on TUAB improves NMT when little labelled target data is used (abstract, no figure)";

const fn above(smallest: f64) -> Test {
    Test::Gain { smallest, alpha: 0.05, sides: Sides::Two }
}

const CLAIMS: &[Claim] = &[
    Claim {
        id: "gain-shallow",
        statement: "ShallowNet: balanced accuracy on the target after fine-tuning exceeds that from scratch by more than .03",
        reported: GAINS,
        differs: DIFFERS,
        test: above(0.03),
    },
    Claim {
        id: "gain-tcn",
        statement: "TCN: balanced accuracy on the target after fine-tuning exceeds that from scratch by more than .05",
        reported: GAINS,
        differs: DIFFERS,
        test: above(0.05),
    },
    Claim {
        id: "larger-gains-more",
        statement: "the gain of the TCN exceeds that of ShallowNet",
        reported: "a larger network (TCN) is better in transfer (abstract, no figure)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "gain-shrinks",
        statement: "ShallowNet's gain with 16 target recordings exceeds that with 96",
        reported: "gains from more data vary (abstract, no figure)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "forgetting-shallow",
        statement: "ShallowNet: balanced accuracy on the source is lower after fine-tuning (effect: before minus after)",
        reported: "the source is forgotten after fine-tuning (public summary of the paper)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "forgetting-tcn",
        statement: "TCN: balanced accuracy on the source is lower after fine-tuning (effect: before minus after)",
        reported: "the source is forgotten after fine-tuning (public summary of the paper)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "shallow-wins-alone",
        statement: "on the source alone, from scratch, ShallowNet exceeds the TCN",
        reported: "a small generic network (ShallowNet) is good on a single data set (abstract, no figure)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "cka-falls-shallow",
        statement: "ShallowNet: debiased CKA of source and fine-tuned network falls from the first stage to the logits",
        reported: "discriminative rates are chosen with CKA (public summary of the paper)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "cka-falls-tcn",
        statement: "TCN: debiased CKA of source and fine-tuned network falls from the first stage to the logits",
        reported: "discriminative rates are chosen with CKA (public summary of the paper)",
        differs: DIFFERS,
        test: above(0.0),
    },
];

pub const STUDY: Study = Study {
    id: "eeg-transfer",
    title: "Amplifying Pathological Detection in EEG Signaling Pathways through Cross-Dataset Transfer Learning",
    authors: "Darvishi-Bayazi, Ghaemi, Lesort et al. 2023",
    arxiv: "2309.10910",
    summary: "ShallowNet and a TCN learn normal from pathological generated recordings, then recordings of another domain, from \
              scratch or from the source network: gain, forgetting, alignment of the layers, four ways of fine-tuning, and \
              logistic regression on band powers. Descriptive: from a P300 task to an N170 task of real recordings, where the \
              data folder has them.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    source_recordings: usize,
    source_test: usize,
    target_test: usize,
    few: usize,
    many: usize,
    source_epochs: usize,
    few_epochs: usize,
    many_epochs: usize,
    batch_size: usize,
    decay: f64,
    all_arms: bool,
    real_seeds: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            source_recordings: 200,
            source_test: 120,
            target_test: 160,
            few: 16,
            many: 96,
            source_epochs: 10,
            few_epochs: 60,
            many_epochs: 15,
            batch_size: 32,
            decay: 2.6,
            all_arms: true,
            real_seeds: 3,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                source_recordings: 24,
                source_test: 24,
                target_test: 24,
                few: 8,
                source_epochs: 2,
                few_epochs: 2,
                all_arms: false,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, real_seeds: 10, ..base },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let sizes = [
            ("source_recordings", self.source_recordings),
            ("source_test", self.source_test),
            ("target_test", self.target_test),
            ("few", self.few),
            ("many", self.many),
        ];
        // Alignment takes a window of each of at least four test recordings.
        if let Some((field, size)) = sizes.into_iter().find(|(_, size)| *size < 4) {
            return Err(InvalidParameter::new(field, size, "at least 4"));
        }
        if self.batch_size < 2 {
            return Err(InvalidParameter::new("batch_size", self.batch_size, "at least 2"));
        }
        for (field, epochs) in
            [("source_epochs", self.source_epochs), ("few_epochs", self.few_epochs), ("many_epochs", self.many_epochs)]
        {
            let config = FitConfig::new().with_epochs(epochs);
            config.validate().map_err(|error| InvalidParameter { field: field.into(), ..error })?;
        }
        layerwise_learning_rates(1.0, self.decay, 2).map(|_| ())
    }
}

const SHALLOW: &str = "ShallowNet";
const TCN: &str = "TCN";

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check().map_err(|error| StudyError::Settings { study: STUDY.id, reason: error.to_string() })?;
    let mut arms = vec![(SHALLOW.to_string(), Kind::Shallow)];
    if s.all_arms {
        // The slower first, so that the last job is a short one.
        arms.insert(0, (TCN.to_string(), Kind::Tcn));
        arms.push(("band powers".into(), Kind::BandPowers));
    }
    let measured = Measurements::collect(context, "generated", &arms, s.seeds, |&kind, seed| measure(&s, kind, seed))?;
    let evidence = evidence(&s, &measured);
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        tables: tables(&s, &measured),
        measurements: measured.lines(),
        ..Findings::default()
    };
    if s.all_arms {
        findings.notes.push(format!(
            "The TCN reaches {:.2} on the source and {:.2} from scratch on {} recordings, where chance is .50. As far as these \
             budgets leave it under-trained, its gain is that of training longer, and its forgetting and alignment say \
             little.",
            measured.mean(TCN, "source"),
            measured.mean(TCN, "scratch, few"),
            s.few
        ));
        muse::on_real_recordings(&s, context, &mut findings)?;
    }
    Ok(findings)
}

fn evidence(s: &Settings, measured: &Measurements) -> [Evidence; 9] {
    let has = |arm: &str| measured.arms().any(|name| name == arm);
    let difference = |arm: &str, high: &str, low: &str| -> Vec<f64> {
        measured.values(arm, high).iter().zip(measured.values(arm, low)).map(|(high, low)| high - low).collect()
    };
    let of = |arm: &str, high: &'static str, low: &'static str| match has(arm) {
        true => Evidence::Differences(difference(arm, high, low)),
        false => Evidence::Untested(format!("this preset does not train {arm}")),
    };
    let gain = |arm: &str| difference(arm, "fine-tuned, few", "scratch, few");
    let both = |build: &dyn Fn() -> Evidence| match s.all_arms {
        true => build(),
        false => Evidence::Untested("this preset trains ShallowNet with few recordings only".into()),
    };
    let cka = |arm: &str, last: &'static str| of(arm, STAGES[0], last);
    [
        of(SHALLOW, "fine-tuned, few", "scratch, few"),
        of(TCN, "fine-tuned, few", "scratch, few"),
        both(&|| Evidence::paired(&gain(TCN), &gain(SHALLOW))),
        both(&|| Evidence::paired(&gain(SHALLOW), &difference(SHALLOW, "fine-tuned, many", "scratch, many"))),
        of(SHALLOW, "source", "source after, few"),
        of(TCN, "source", "source after, few"),
        both(&|| Evidence::paired(&measured.values(SHALLOW, "source"), &measured.values(TCN, "source"))),
        cka(SHALLOW, STAGES[2]),
        cka(TCN, STAGES[4]),
    ]
}

fn tables(s: &Settings, measured: &Measurements) -> Vec<Table> {
    let mut tables = vec![measured.table(
        "Balanced accuracy by recording (mean ± s.d. over seeds)",
        &["source", "zero-shot", "scratch, few", "fine-tuned, few", "scratch, many", "fine-tuned, many", "seconds"],
    )];
    tables.push(transfer_table(measured, if s.all_arms { &[SHALLOW, TCN] } else { &[SHALLOW] }));
    tables.push(measured.table("Debiased CKA of source and fine-tuned network, few recordings, by stage", &STAGES));
    if s.all_arms {
        tables.push(measured.table(
            "Ways of fine-tuning with few recordings: on the target, and on the source after it (descriptive)",
            &[
                "fine-tuned, few",
                "head only",
                "discriminative rates",
                "both sets together",
                "source",
                "source after, few",
                "source after head only",
                "source after discriminative rates",
                "source after both sets together",
            ],
        ));
    }
    tables
}

/// Gain and forgetting with their intervals, by network and number of target recordings.
fn transfer_table(measured: &Measurements, networks: &[&str]) -> Table {
    let mut rows = Vec::new();
    for &network in networks {
        for (size, [scratch, tuned, after]) in [
            ("few", ["scratch, few", "fine-tuned, few", "source after, few"]),
            ("many", ["scratch, many", "fine-tuned, many", "source after, many"]),
        ] {
            let Some([scratch, tuned, after]) = measured.try_values(network, [scratch, tuned, after]) else { continue };
            let report = TransferReport::new(&scratch, &tuned, &measured.values(network, "source"), &after)
                .expect("every seed measures all of them");
            let cell = |effect: &contrarian_lab::metrics::TransferEffect| match effect.test {
                Some(test) => format!("{:+.3} ({:+.3} to {:+.3})", effect.mean, test.low, test.high),
                None => format!("{:+.3}", effect.mean),
            };
            let negative = format!("{:.0} %", 100.0 * report.negative_transfer);
            rows.push(vec![format!("{network}, {size}"), cell(&report.gain), cell(&report.forgetting), negative]);
        }
    }
    Table {
        title: "Gain on the target and forgetting of the source, with 95% intervals over seeds".into(),
        columns: ["", "gain", "forgetting", "seeds with negative transfer"].map(String::from).to_vec(),
        rows,
    }
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
        assert_eq!(with(&|s| s.few = 1), Err("few".into()));
        assert_eq!(with(&|s| s.source_epochs = 0), Err("source_epochs".into()));
        assert_eq!(with(&|s| s.batch_size = 1), Err("batch_size".into()));
        assert_eq!(with(&|s| s.decay = 0.0), Err("decay".into()));
    }
}
