//! Objectives by name: `any-loss(metric=f_beta, scale=73)` to a boxed [`LogitObjective`].
//!
//! [`OBJECTIVES`] is the one list. The command line, the goldens and the docs read it. Parameter names, types and defaults
//! are those of the objective's own `Config`, so nothing is written twice.
//!
//! ```
//! use contrarian::registry::{ObjectiveSpec, TaskContext};
//!
//! let task = TaskContext { class_counts: vec![90, 10] };
//! let spec: ObjectiveSpec = "focal(gamma=1.5, class_weights=balanced)".parse()?;
//! let objective = spec.build(&task)?;
//! assert_eq!(spec.to_string(), "focal(gamma=1.5, class_weights=balanced)");
//! # Ok::<(), contrarian::registry::RegistryError>(())
//! ```

mod embedding;
mod spec;
mod table;

pub use embedding::{EMBEDDING_OBJECTIVES, EmbeddingEntry, EmbeddingTask, find_embedding};
pub use spec::{ObjectiveSpec, RegistryError, TaskContext, did_you_mean, parse_list, suggest};
pub use table::{Classes, OBJECTIVES, ObjectiveEntry, find};

use crate::{InvalidParameter, LogitObjective};
use burn::config::Config;

/// What the registry needs of an objective's configuration. Implemented by `objective_config!`, from the inherent
/// `validate` and `init`.
pub(crate) trait ObjectiveConfig: Config {
    /// The configuration's `validate`.
    fn check(&self) -> Result<(), InvalidParameter>;

    /// The configuration's `init`, boxed.
    fn boxed(&self) -> Box<dyn LogitObjective>;
}

/// Makes a configuration usable by the registry, and gives it `init` from its `validate` and a private `build`.
macro_rules! objective_config {
    ($config:ident => $objective:ident) => {
        impl $config {
            /// Builds the objective.
            ///
            /// # Panics
            /// When [`validate`](Self::validate) fails, with its message.
            pub fn init(&self) -> $objective {
                self.validate().unwrap_or_else(|error| panic!("{error}"));
                self.build()
            }
        }

        impl $crate::registry::ObjectiveConfig for $config {
            fn check(&self) -> Result<(), $crate::InvalidParameter> {
                self.validate()
            }

            fn boxed(&self) -> Box<dyn $crate::LogitObjective> {
                Box::new(self.init())
            }
        }
    };
}

/// The configuration of an objective without parameters.
macro_rules! plain_config {
    ($(#[$doc:meta])* $config:ident => $objective:ident) => {
        $crate::objective::plain! { $(#[$doc])* $config => $objective }
        $crate::registry::objective_config!($config => $objective);
    };
}

pub(crate) use {objective_config, plain_config};
