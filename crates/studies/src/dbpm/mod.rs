//! Dynamic bad-pair mining: whether remembered losses tell bad pairs better than the last epoch's, and what weighting them buys.

mod data;
mod training;

use crate::claim::{Claim, Evidence, Test, judge};
use crate::findings::{Findings, Table};
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use crate::support::Measurements;
use contrarian::InvalidParameter;
use contrarian::contrastive::{DynamicBadPairMining, DynamicBadPairMiningConfig};
use contrarian::negatives::{BadPairMinerConfig, HistoryWeighting};
use contrarian_lab::fit::FitConfig;
use contrarian_lab::stats::Sides;
use data::Corrupted;
use serde::{Deserialize, Serialize};
use training::{Weights, measure};

const DIFFERS: &str = "600 generated series of two channels with known bad pairs and a small convolutional network, instead of \
                       PTB-XL and three more sets with ResNets; cuts of 1.5 and normalised, peak-normalised weights";
const RELIABLE: &str = "reliably identifies and suppresses bad pairs (abstract, no figure)";

const fn above(smallest: f64) -> Test {
    Test::Gain { smallest, alpha: 0.05, sides: Sides::Two }
}

const CLAIMS: &[Claim] = &[
    Claim {
        id: "memory-finds-noisy",
        statement: "AUROC of low remembered losses for noisy items exceeds that of the last epoch's losses by more than .05",
        reported: RELIABLE,
        differs: DIFFERS,
        test: above(0.05),
    },
    Claim {
        id: "memory-finds-faulty",
        statement: "AUROC of high remembered losses for faulty items exceeds .95 (effect: the excess)",
        reported: RELIABLE,
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "faulty-flags-are-precise",
        statement: "precision of the faulty flags exceeds .9 (effect: the excess)",
        reported: RELIABLE,
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "no-harm",
        statement: "linear-probe accuracy of weighted training is not more than .02 below plain training (effect: difference \
                    plus .02)",
        reported: "consistent gains as a plug-in on four real data sets (abstract, no figure)",
        differs: DIFFERS,
        test: above(0.0),
    },
    Claim {
        id: "over-plain",
        statement: "linear-probe accuracy of weighted training exceeds that of plain training",
        reported: "consistent gains as a plug-in on four real data sets (abstract, no figure)",
        differs: DIFFERS,
        test: above(0.0),
    },
];

pub const STUDY: Study = Study {
    id: "dbpm",
    title: "Towards Enhancing Time Series Contrastive Learning: A Dynamic Bad Pair Mining Approach",
    authors: "Lan, Yan, Hong et al. 2023",
    arxiv: "2302.03357",
    summary: "An encoder learns series without labels from two views, a tenth of the items with views that agree on noise, a \
              tenth with a view that is noise. Plain NT-Xent, DBPM, flagged pairs dropped, the last epoch's loss in place of \
              the memory, median and absolute deviation in place of mean and deviation, and weights from the known corruption. \
              Descriptive: BasicMotions with the same corruption, where the data folder has it.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    series: usize,
    probe_rows: usize,
    test_rows: usize,
    epochs: usize,
    warm_up: usize,
    batch_size: usize,
    learning_rate: f64,
    cut_noisy: f64,
    cut_faulty: f64,
    all_arms: bool,
    real_epochs: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            series: 600,
            probe_rows: 150,
            test_rows: 400,
            epochs: 24,
            warm_up: 8,
            batch_size: 100,
            learning_rate: 2e-3,
            cut_noisy: 1.5,
            cut_faulty: 1.5,
            all_arms: true,
            real_epochs: 96,
        };
        match preset {
            Preset::Smoke => Self { seeds: 1, series: 120, epochs: 4, warm_up: 2, all_arms: false, ..base },
            Preset::Default => base,
            Preset::Full => Self { seeds: 20, ..base },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let require = |holds: bool, field: &str, value: usize, allowed: String| match holds {
            true => Ok(()),
            false => Err(InvalidParameter::new(field, value, allowed)),
        };
        require(self.series >= 20, "series", self.series, "at least 20".into())?;
        require(self.probe_rows >= 10, "probe_rows", self.probe_rows, "at least 10".into())?;
        require(self.test_rows >= 10, "test_rows", self.test_rows, "at least 10".into())?;
        require(self.batch_size >= 2, "batch_size", self.batch_size, "at least 2".into())?;
        let inside = (1..self.epochs).contains(&self.warm_up);
        require(inside, "warm_up", self.warm_up, format!("at least 1 and below epochs ({})", self.epochs))?;
        require(self.real_epochs >= 3, "real_epochs", self.real_epochs, "at least 3".into())?;
        self.fit(self.epochs).validate()?;
        self.objective(self.epochs, false).validate()
    }

    fn fit(&self, epochs: usize) -> FitConfig {
        FitConfig::new().with_learning_rate(self.learning_rate).with_batch_size(self.batch_size).with_epochs(epochs)
    }

    /// The objective for a training of `epochs`, whose warm-up is as large a part as in the settings.
    fn objective(&self, epochs: usize, robust: bool) -> DynamicBadPairMiningConfig {
        let miner = BadPairMinerConfig::new()
            .with_max_epochs(epochs)
            .with_cut_noisy(self.cut_noisy)
            .with_cut_faulty(self.cut_faulty)
            .with_weighting(HistoryWeighting::Normalized)
            .with_robust(robust);
        let warm_up = (self.warm_up * epochs / self.epochs.max(1)).max(1);
        DynamicBadPairMiningConfig::new().with_miner(miner).with_warm_up(warm_up)
    }

    fn built(&self, epochs: usize, weights: Weights) -> DynamicBadPairMining {
        self.objective(epochs, weights == Weights::Robust).init()
    }
}

const PLAIN: &str = "plain NT-Xent";
const DBPM: &str = "DBPM";

const ARMS: [(&str, Weights); 6] = [
    (DBPM, Weights::Mined),
    (PLAIN, Weights::One),
    ("flagged pairs dropped", Weights::Dropped),
    ("last epoch's loss", Weights::LastEpoch),
    ("median and absolute deviation", Weights::Robust),
    ("known corruption dropped", Weights::Known),
];

const PROBES: [&str; 3] = ["linear probe", "5-NN", "seconds"];

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    s.check().map_err(|error| StudyError::Settings { study: STUDY.id, reason: error.to_string() })?;
    let count = if s.all_arms { ARMS.len() } else { 1 };
    let arms: Vec<(String, Weights)> = ARMS[..count].iter().map(|&(name, arm)| (name.to_string(), arm)).collect();
    let measured = Measurements::collect(context, "waves", &arms, s.seeds, |&weights, seed| {
        let problem = Corrupted::waves(s.series, s.probe_rows, s.test_rows, seed);
        measure(&problem, &s.built(s.epochs, weights), weights, &s.fit(s.epochs), seed)
    })?;

    let of_dbpm = |number: &str| measured.values(DBPM, number);
    let excess = |number: &str, over: f64| Evidence::Differences(of_dbpm(number).iter().map(|v| v - over).collect());
    let against_plain = |slack: f64| match s.all_arms {
        true => {
            let plain: Vec<f64> = measured.values(PLAIN, "linear probe").iter().map(|v| v - slack).collect();
            Evidence::paired(&of_dbpm("linear probe"), &plain)
        }
        false => Evidence::Untested("this preset trains DBPM only".into()),
    };
    let noisy = match s.all_arms {
        true => Evidence::paired(&of_dbpm("noisy AUROC, memory"), &of_dbpm("noisy AUROC, last epoch")),
        false => Evidence::Untested("this preset looks at faulty items only".into()),
    };
    let evidence = [
        noisy,
        excess("faulty AUROC, memory", 0.95),
        excess("faulty precision, memory", 0.9),
        against_plain(0.02),
        against_plain(0.0),
    ];
    let mut findings = Findings {
        claims: CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect(),
        tables: detection("generated series", &measured).into(),
        measurements: measured.lines(),
        ..Findings::default()
    };
    findings.tables.push(measured.table("Accuracy on clean generated series (mean ± s.d. over seeds)", &PROBES));
    if s.all_arms {
        findings.notes.push(format!(
            "Leaving out exactly the corrupted items changes the linear probe by {:+.3}: about what the best weighting could \
             win at this size.",
            measured.mean("known corruption dropped", "linear probe") - measured.mean(PLAIN, "linear probe")
        ));
        findings.notes.push(format!(
            "The faulty items inflate the deviation, so that the low cut finds {:.2} of the noisy ones; with median and \
             absolute deviation (ours) it finds {:.2}.",
            measured.mean(DBPM, "noisy recall, memory"),
            measured.mean("median and absolute deviation", "noisy recall, memory")
        ));
        on_real_series(&s, context, &arms, &mut findings)?;
    }
    Ok(findings)
}

/// How well memory and last epoch tell bad items, arm by arm: as areas, and as flags.
fn detection(data: &str, measured: &Measurements) -> [Table; 2] {
    let areas = ["noisy AUROC, memory", "noisy AUROC, last epoch", "faulty AUROC, memory", "faulty AUROC, last epoch"];
    let flags = [
        "noisy precision, memory",
        "noisy recall, memory",
        "faulty precision, memory",
        "faulty recall, memory",
        "faulty precision, last epoch",
        "faulty recall, last epoch",
    ];
    let when = "means of the epochs behind the warm-up";
    [
        measured.table(&format!("Bad pairs by their losses, {data}; {when}"), &areas),
        measured.table(&format!("Bad pairs by their flags, {data}; {when}"), &flags),
    ]
}

/// The same arms on BasicMotions, where the data folder has it.
fn on_real_series(
    s: &Settings,
    context: &Context,
    arms: &[(String, Weights)],
    findings: &mut Findings,
) -> Result<(), StudyError> {
    let Some(folder) = context.data.as_ref().map(|data| data.join("ucr_uea_timeseries")).filter(|path| path.exists())
    else {
        findings.notes.push("BasicMotions was left out: there is no folder `ucr_uea_timeseries` of real data.".into());
        return Ok(());
    };
    let problem = Corrupted::basic_motions(&folder)
        .map_err(|error| StudyError::Data { name: "BasicMotions", reason: error.to_string() })?;
    let measured = Measurements::collect(context, "BasicMotions", arms, s.seeds, |&weights, seed| {
        let problem = problem.corrupted_again(seed);
        measure(&problem, &s.built(s.real_epochs, weights), weights, &s.fit(s.real_epochs), seed)
    })?;
    findings.tables.extend(detection("BasicMotions (40 series, 4 of each kind; descriptive)", &measured));
    findings.tables.push(measured.table("Accuracy on BasicMotions (40 test series; descriptive)", &PROBES));
    findings.measurements.extend(measured.lines());
    Ok(())
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
        assert_eq!(with(&|s| s.series = 3), Err("series".into()));
        assert_eq!(with(&|s| s.warm_up = 4), Err("warm_up".into()));
        assert_eq!(with(&|s| s.warm_up = 0), Err("warm_up".into()));
        assert_eq!(with(&|s| s.cut_noisy = -1.0), Err("cut_noisy".into()));
        assert_eq!(with(&|s| s.learning_rate = 0.0), Err("learning_rate".into()));
        assert_eq!(with(&|s| s.batch_size = 1), Err("batch_size".into()));
    }
}
