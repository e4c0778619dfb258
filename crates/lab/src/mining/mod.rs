//! Hard negatives that a judge has looked at, and such as nobody had to look for.
//!
//! A [`Judge`] is any source of scores in `[0, 1]` for (query, candidate): numbers you have ([`ScriptedJudge`]), a model
//! ([`ModelJudge`]), or your own. [`HardNegativeMining`] asks it about the candidates of a search and never goes on with a score
//! that is none; [`JudgedScores`] keeps what has been answered, so that nothing is asked twice and an error costs nothing.
//!
//! A [`TextGenerator`] writes a negative from the query, without a corpus: from texts you have ([`RecordedGenerator`]), from the words of
//! the other queries ([`TemplateGenerator`]), or with a language model ([`ChatGenerator`]). [`triple_audit`] tells why a source of
//! negatives is good or bad.

mod audit;
mod chat;
mod generator;
mod judge;
mod procedure;
mod recorded;
mod template;

pub use audit::{Triple, TripleAudit, triple_audit};
pub use chat::{ChatConfig, ChatGenerator};
pub use generator::{GeneratorError, TextGenerator, TextRequest};
pub use judge::{Judge, JudgeError, JudgedScores, ModelJudge, ScriptedJudge};
pub use procedure::{HardNegativeMining, MinedNegatives, MiningError};
pub use recorded::RecordedGenerator;
pub use template::{TemplateGenerator, TemplateGeneratorConfig};
