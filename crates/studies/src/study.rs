use crate::{Claim, Findings};
use contrarian::InvalidParameter;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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
    /// Given every measurement as it is made, so that stopping early costs none of them.
    pub record: &'a (dyn Fn(&serde_json::Value) + Sync),
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
    /// A real data set is there but cannot be used.
    #[error("data set {name}: {reason}")]
    Data {
        /// The data set.
        name: &'static str,
        /// Why.
        reason: String,
    },
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

impl Study {
    /// Overrides one setting from text, `seeds=10`. The value is read as TOML, and as a string if it is none.
    ///
    /// # Errors
    /// When the text is not `name=value` or the study has no such setting.
    pub fn set(&self, settings: &mut toml::Table, text: &str) -> Result<(), StudyError> {
        let error = |reason: String| StudyError::Settings { study: self.id, reason };
        let (name, value) =
            text.split_once('=').ok_or_else(|| error(format!("`{text}` is not of the form name=value")))?;
        let (name, value) = (name.trim(), value.trim());
        if !settings.contains_key(name) {
            let names: Vec<&str> = settings.keys().map(String::as_str).collect();
            return Err(error(format!("there is no setting `{name}`; there are {}", names.join(", "))));
        }
        let parsed =
            toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut table| table.remove("v"));
        settings.insert(name.into(), parsed.unwrap_or_else(|| toml::Value::String(value.into())));
        Ok(())
    }
}

/// A finished run: what was run, how, and what it found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StudyRun {
    /// The paper's slug.
    pub id: String,
    /// Title of the paper.
    pub title: String,
    /// Preset it started from.
    pub preset: String,
    /// All settings it ran with.
    pub settings: toml::Table,
    /// Version of contrarian.
    pub version: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// What it found.
    #[serde(flatten)]
    pub findings: Findings,
}

impl StudyRun {
    /// Runs a study.
    ///
    /// # Errors
    /// See [`StudyError`].
    pub fn new(study: &Study, preset: Preset, settings: toml::Table, context: &Context) -> Result<Self, StudyError> {
        // Without a seed there is nothing to measure, in any study.
        if settings.get("seeds").and_then(toml::Value::as_integer) == Some(0) {
            let reason = InvalidParameter::new("seeds", 0, "at least 1").to_string();
            return Err(StudyError::Settings { study: study.id, reason });
        }
        let started = std::time::Instant::now();
        let findings = (study.run)(&settings, context)?;
        Ok(Self {
            id: study.id.into(),
            title: study.title.into(),
            preset: preset.name().into(),
            settings,
            version: env!("CARGO_PKG_VERSION").into(),
            seconds: started.elapsed().as_secs_f64(),
            findings,
        })
    }
}

/// Every study, in alphabetical order.
pub static STUDIES: &[Study] = &[
    crate::aem::STUDY,
    crate::any_loss::STUDY,
    crate::ar2::STUDY,
    crate::cacr::STUDY,
    crate::cet::STUDY,
    crate::class_dependent_pruning::STUDY,
    crate::comp_sum::STUDY,
    crate::contrastive_temperature::STUDY,
    crate::correctness_calibration::STUDY,
    crate::crrelu::STUDY,
    crate::dbpm::STUDY,
    crate::dcl::STUDY,
    crate::dice::STUDY,
    crate::eeg_transfer::STUDY,
    crate::ens_loss::STUDY,
    crate::fedka::STUDY,
    crate::hyp_oc::STUDY,
    crate::label_noise_cleaning::STUDY,
    crate::ldr::STUDY,
    crate::llm_hard_negatives::STUDY,
    crate::lol::STUDY,
    crate::mw_loss::STUDY,
    crate::neural_collapse::STUDY,
    crate::nev_ncd::STUDY,
    crate::ngame::STUDY,
    crate::personal_loss_denoising::STUDY,
    crate::retrieval_backdoor::STUDY,
    crate::star_adore::STUDY,
    crate::susana::STUDY,
    crate::unime_v2::STUDY,
    crate::unpg::STUDY,
    crate::z_loss::STUDY,
];

/// The study with this id.
pub fn find(id: &str) -> Option<&'static Study> {
    STUDIES.iter().find(|study| study.id == id)
}

/// Settings of a preset as the table a person can override.
pub(crate) fn table<S: Serialize>(settings: &S) -> toml::Table {
    toml::Table::try_from(settings).expect("settings are plain numbers, texts and lists")
}

/// Reads a study's own settings type; unknown names are errors if the type denies them.
pub(crate) fn settings<S: DeserializeOwned>(study: &'static str, table: &toml::Table) -> Result<S, StudyError> {
    table
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| StudyError::Settings { study, reason: error.message().to_string() })
}
