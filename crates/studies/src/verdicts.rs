//! The last recorded verdicts of every study: a committed file that runs write and lists read.

use crate::claim::Judged;
use crate::findings::Findings;
use crate::study::StudyRun;
use contrarian_lab::report::page::Verdict;
use contrarian_lab::report::write_atomically;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// What a recorded run of a study found, and how it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Preset it started from.
    pub preset: String,
    /// Every setting it ran with, the seeds among them.
    pub settings: toml::Table,
    /// Day of the run, `2026-11-24`.
    pub date: String,
    /// Version of contrarian.
    pub version: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The registered claims, in their order.
    pub claims: Vec<RecordedClaim>,
}

/// The answer to one claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedClaim {
    /// Name of the claim.
    pub id: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Mean difference (for a statement about every case: the smallest slack).
    pub effect: Option<f64>,
    /// 95% interval of the mean difference.
    pub interval: Option<(f64, f64)>,
    /// p-value of the registered test.
    pub p: Option<f64>,
}

/// Why a run could not be recorded.
#[derive(Debug, thiserror::Error)]
#[error("cannot record the run in {}: {reason}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

type Records = BTreeMap<String, Recorded>;

static RECORDS: LazyLock<Records> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../verdicts.json"))
        .expect("verdicts.json is what `record` writes; a test reads it")
});

/// The last recorded run of a study, as this version of contrarian was built with.
pub fn recorded(id: &str) -> Option<&'static Recorded> {
    RECORDS.get(id)
}

/// Writes a run into a file of recorded runs, in place of the study's earlier one. `date` is the day of the run.
///
/// # Errors
/// When the file is there but holds something else, or cannot be written.
pub fn record(path: &Path, run: &StudyRun, date: &str) -> Result<(), RecordError> {
    let error = |reason: String| RecordError { path: path.to_path_buf(), reason };
    let mut records = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str::<Records>(&text)
            .map_err(|e| error(format!("it is not a file of recorded runs ({e})")))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Records::new(),
        Err(e) => return Err(error(e.to_string())),
    };
    records.insert(run.id.clone(), Recorded::of(run, date));
    let text = serde_json::to_string_pretty(&records).map_err(|e| error(e.to_string()))? + "\n";
    write_atomically(path, text.as_bytes()).map_err(|e| error(e.to_string()))
}

impl Recorded {
    fn of(run: &StudyRun, date: &str) -> Self {
        let claim = |claim: &Judged| RecordedClaim {
            id: claim.id.clone(),
            verdict: claim.verdict,
            effect: claim.effect,
            interval: claim.interval,
            p: claim.p,
        };
        let Findings { claims, .. } = &run.findings;
        Self {
            preset: run.preset.clone(),
            settings: run.settings.clone(),
            date: date.into(),
            version: run.version.clone(),
            seconds: run.seconds,
            claims: claims.iter().map(claim).collect(),
        }
    }

    /// The answer to a claim.
    pub fn claim(&self, id: &str) -> Option<&RecordedClaim> {
        self.claims.iter().find(|claim| claim.id == id)
    }

    /// The verdicts counted, `5 supported, 2 not supported, 1 inconclusive`.
    pub fn summary(&self) -> String {
        let count = |verdict: Verdict| match self.claims.iter().filter(|claim| claim.verdict == verdict).count() {
            0 => None,
            count => Some(format!("{count} {}", verdict.words())),
        };
        let all = [Verdict::Supported, Verdict::NotSupported, Verdict::Inconclusive];
        all.into_iter().filter_map(count).collect::<Vec<_>>().join(", ")
    }

    /// How it ran, `default preset, 5 seeds, 2026-11-24`.
    pub fn describe(&self) -> String {
        let seeds = self.settings.get("seeds").map(|seeds| format!(", {seeds} seeds")).unwrap_or_default();
        format!("{} preset{seeds}, {}", self.preset, self.date)
    }
}

impl RecordedClaim {
    /// The numbers behind the verdict, `+0.041 [+0.032, +0.050], p < 0.001`; empty where there are none.
    pub fn numbers(&self) -> String {
        let effect = self.effect.map(|effect| format!("{effect:+.3}"));
        let interval = self.interval.map(|(low, high)| format!(" [{low:+.3}, {high:+.3}]"));
        let p = self.p.map(|p| if p < 0.001 { ", p < 0.001".into() } else { format!(", p = {p:.3}") });
        [effect, interval, p].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Preset, STUDIES, find};

    fn run() -> StudyRun {
        let judged = |id: &str, verdict, effect| Judged {
            id: id.into(),
            statement: String::new(),
            reported: String::new(),
            differs: String::new(),
            effect,
            interval: effect.map(|effect| (effect - 0.01, effect + 0.01)),
            p: effect.map(|_| 0.0004),
            verdict,
            reason: String::new(),
        };
        let claims = vec![
            judged("a", Verdict::Supported, Some(0.041)),
            judged("b", Verdict::Supported, Some(0.05)),
            judged("c", Verdict::Inconclusive, None),
        ];
        StudyRun {
            id: "dice".into(),
            title: String::new(),
            preset: "default".into(),
            settings: toml::toml! { seeds = 5 },
            version: "0".into(),
            seconds: 1.0,
            findings: Findings { claims, ..Findings::default() },
        }
    }

    #[test]
    fn a_record_replaces_the_studys_own_and_keeps_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdicts.json");
        let other = StudyRun { id: "ldr".into(), ..run() };
        for (run, date) in [(run(), "2026-01-01"), (other, "2026-01-02"), (run(), "2026-01-03")] {
            record(&path, &run, date).unwrap();
        }
        let records: Records = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(records.keys().collect::<Vec<_>>(), ["dice", "ldr"]);
        let dice = &records["dice"];
        assert_eq!(dice.describe(), "default preset, 5 seeds, 2026-01-03");
        assert_eq!(dice.summary(), "2 supported, 1 inconclusive");
        assert_eq!(dice.claim("a").unwrap().numbers(), "+0.041 [+0.031, +0.051], p < 0.001");
        assert_eq!(dice.claim("c").unwrap().numbers(), "");
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        assert!(record(&path, &run(), "2026-01-01").unwrap_err().to_string().contains("not a file of recorded runs"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    /// A changed study needs a new run: what is recorded must be of the default settings and claims of today.
    #[test]
    fn recorded_runs_are_default_runs_of_the_studies_of_today() {
        for (id, recorded) in RECORDS.iter() {
            let study = find(id).unwrap_or_else(|| panic!("verdicts.json records `{id}`, which is no study"));
            let again = format!("run `contrarian run {id} --record crates/studies/verdicts.json` again");
            assert_eq!(recorded.preset, "default", "{id}: {again}");
            assert_eq!(recorded.settings, (study.settings)(Preset::Default), "{id}: {again}");
            let claims: Vec<&str> = recorded.claims.iter().map(|claim| claim.id.as_str()).collect();
            for claim in study.claims {
                assert!(claims.contains(&claim.id), "{id}: the claim {} has no verdict; {again}", claim.id);
            }
            assert_eq!(claims.len(), study.claims.len(), "{id}: {again}");
        }
        assert!(RECORDS.len() <= STUDIES.len());
    }
}
