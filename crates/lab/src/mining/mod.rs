//! Hard negatives that a judge has looked at: search, judge, filter, sample.
//!
//! A [`Judge`] is any source of scores in `[0, 1]` for (query, candidate): numbers you have ([`ScriptedJudge`]), a model
//! ([`ModelJudge`]), or your own. [`HardNegativeMining`] asks it about the candidates of a search and never goes on with a score
//! that is none; [`JudgedScores`] keeps what has been answered, so that nothing is asked twice and an error costs nothing.

mod judge;
mod procedure;

pub use judge::{Judge, JudgeError, JudgedScores, ModelJudge, ScriptedJudge};
pub use procedure::{HardNegativeMining, MinedNegatives, MiningError};
