use crate::{Claim, Findings};
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

/// How much a run may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A few seconds; shows that the study runs, decides nothing.
    Smoke,
    /// Up to two minutes on two cores.
    Default,
    /// As long as it needs.
    Full,
}

impl Preset {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Default => "default",
            Self::Full => "full",
        }
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Smoke, Self::Default, Self::Full]
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| format!("`{text}` is no preset; choose smoke, default or full"))
    }
}

/// What a run gets from outside.
pub struct Context<'a> {
    /// Fits side by side.
    pub threads: usize,
    /// Folder of real data sets (`CONTRARIAN_DATA`), if there is one.
    pub data: Option<PathBuf>,
    /// Set to end the run early.
    pub stop: &'a AtomicBool,
    /// Told of every finished piece: done, total.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Why a study gave no findings.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// A setting is unknown, of the wrong type or out of range.
    #[error("settings of `{study}`: {reason}")]
    Settings {
        /// The study.
        study: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Stopped before every registered claim could be answered.
    #[error("stopped before the study was finished; a study is judged whole or not at all")]
    Stopped,
    /// A fit failed.
    #[error("{arm}, seed {seed}: {reason}")]
    Fit {
        /// Which arm.
        arm: String,
        /// Which seed.
        seed: u64,
        /// Why.
        reason: String,
    },
}

/// One paper's study.
pub struct Study {
    /// The paper's slug, `comp-sum`.
    pub id: &'static str,
    /// Title of the paper.
    pub title: &'static str,
    /// Authors and year.
    pub authors: &'static str,
    /// arXiv number.
    pub arxiv: &'static str,
    /// What the study does, in a few sentences.
    pub summary: &'static str,
    /// The registered claims.
    pub claims: &'static [Claim],
    /// Settings of a preset; every one can be overridden by name.
    pub settings: fn(Preset) -> toml::Table,
    /// Runs it.
    pub run: fn(&toml::Table, &Context) -> Result<Findings, StudyError>,
}

/// Every study, in alphabetical order.
pub static STUDIES: &[Study] = &[
    crate::any_loss::STUDY,
    crate::comp_sum::STUDY,
    crate::dice::STUDY,
    crate::ens_loss::STUDY,
    crate::ldr::STUDY,
];

/// The study with this id.
pub fn find(id: &str) -> Option<&'static Study> {
    STUDIES.iter().find(|study| study.id == id)
}

/// Reads a study's own settings type; unknown names are errors if the type denies them.
pub(crate) fn settings<S: DeserializeOwned>(study: &'static str, table: &toml::Table) -> Result<S, StudyError> {
    table.clone().try_into().map_err(|error: toml::de::Error| StudyError::Settings {
        study,
        reason: error.message().to_string(),
    })
}
