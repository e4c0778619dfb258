//! Parameter edits that make models smaller: masks over any Burn module, rules for what to remove, and rounds of pruning
//! that rewind to the first weights.

mod error;
mod lottery_ticket;
mod masks;
mod rules;

pub use error::PruneError;
pub use lottery_ticket::LotteryTicket;
pub use masks::{Masks, Scope};
pub use rules::{MagnitudeFinal, MagnitudeIncrease, Random, Snip};
