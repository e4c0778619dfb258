//! The papers' claims made executable: one file a paper, claims registered before the run, verdicts computed from it.
//!
//! A study is data, not code that prints: [`STUDIES`] lists them, [`Study::run`] gives [`Findings`], and one shared
//! function, [`judge`], turns evidence into a verdict.

mod claim;
mod concepts;
mod findings;
mod folder;
mod omniglot;
mod papers;
mod real;
mod report;
mod scifact;
mod study;
mod support;
mod verdicts;
mod views;

mod aem;
mod any_loss;
mod ar2;
mod cacr;
mod cet;
mod class_dependent_pruning;
mod comp_sum;
mod contrastive_temperature;
mod correctness_calibration;
mod crrelu;
mod dbpm;
mod dcl;
mod dice;
mod eeg_transfer;
mod ens_loss;
mod fedka;
mod hyp_oc;
mod label_noise_cleaning;
mod ldr;
mod llm_hard_negatives;
mod lol;
mod mw_loss;
mod neural_collapse;
mod nev_ncd;
mod ngame;
mod personal_loss_denoising;
mod retrieval_backdoor;
mod star_adore;
mod susana;
mod unime_v2;
mod unpg;
mod z_loss;

pub use claim::{Claim, Evidence, Judged, Test, judge};
pub use contrarian_lab::report::page::Verdict;
pub use findings::{Chart, Findings, Series, Table};
pub use folder::{RunFolderError, read_config, write_run};
pub use papers::{papers_markdown, parts_of};
pub use report::findings_html;
pub use study::{Context, Preset, STUDIES, Study, StudyError, StudyRun, find};
pub use verdicts::{RecordError, Recorded, RecordedClaim, record, recorded};
