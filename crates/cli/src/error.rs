use contrarian::InvalidParameter;
use contrarian::registry::RegistryError;
use contrarian_lab::bench::UnknownCase;
use contrarian_lab::cleaning::CleanError;
use contrarian_lab::compare::CompareError;
use contrarian_lab::data::DataError;
use contrarian_lab::fit::FitError;
use contrarian_lab::report::ReportError;
use contrarian_lab::retrieval::SavedRetrieverError;
use contrarian_lab::saved::SavedModelError;
use contrarian_studies::{RecordError, RunFolderError, StudyError};
use std::process::ExitCode;

/// What can end a command. The exit status follows from the kind: wrong usage is 2, everything else 1.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Arguments that cannot be meant: an unknown name, a value out of range.
    #[error("{0}")]
    Usage(String),
    /// The work failed.
    #[error("{0}")]
    Failed(String),
    /// Results could not be printed.
    #[error("cannot write the results: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Output(_) => ExitCode::from(1),
        }
    }

    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// Exit status of a run that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

impl From<RegistryError> for CliError {
    fn from(error: RegistryError) -> Self {
        let hint = match error {
            RegistryError::UnknownObjective { .. } => " (`contrarian list objectives` lists them)",
            _ => "",
        };
        Self::Usage(format!("{error}{hint}"))
    }
}

impl From<InvalidParameter> for CliError {
    fn from(error: InvalidParameter) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<CompareError> for CliError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Objective(error) => error.into(),
            CompareError::Setting(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<SavedRetrieverError> for CliError {
    fn from(error: SavedRetrieverError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<CleanError> for CliError {
    fn from(error: CleanError) -> Self {
        match error {
            CleanError::Setting(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<UnknownCase> for CliError {
    fn from(error: UnknownCase) -> Self {
        Self::Usage(format!("{error} (`contrarian bench --list` lists them)"))
    }
}

impl From<StudyError> for CliError {
    fn from(error: StudyError) -> Self {
        match error {
            StudyError::Settings { .. } => Self::Usage(error.to_string()),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<SavedModelError> for CliError {
    fn from(error: SavedModelError) -> Self {
        match error {
            SavedModelError::Objective(error) => error.into(),
            SavedModelError::Setting(error) => error.into(),
            error => Self::Failed(error.to_string()),
        }
    }
}

/// Errors of the work itself: their own message says what, where and what to do.
macro_rules! failed {
    ($($error:ty),*) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::Failed(error.to_string())
            }
        })*
    };
}

failed!(DataError, FitError, RecordError, ReportError, RunFolderError);
