//! Likely wrong labels: finding them by neighbours in a model's embedding, removing or replacing them, and the controls
//! without which a gain means nothing.
//!
//! A cleaner makes a [`CleanPlan`] and changes nothing itself. Elimination alone shifts the classes' shares, which can raise a
//! score whatever was eliminated: compare with [`random_elimination`] of equally many rows of the same labels.

mod cross_fit;
mod effect;
mod evidence;
mod extrinsic;
mod found;
mod intrinsic;
mod model;
mod page;
mod plan;
mod search;

pub use cross_fit::{cross_fit, folds};
pub use effect::{Effect, SplitScores};
pub use extrinsic::{CleanMode, ExtrinsicCleaner, NeighbourVote};
pub use found::{Cleaning, Suspect, suspects_csv};
pub use intrinsic::IntrinsicCleaner;
pub use model::{CleaningBudget, CleaningModel};
pub use page::cleaning_html;
pub use plan::{CleanPlan, NoiseReport, noise_report, random_elimination};
pub use search::{CleanConfig, CleanError, Strategy, Trusted, find_suspects};

/// The label with the most votes and how many; of equals the one that was voted for first.
fn majority(votes: impl IntoIterator<Item = usize>) -> Option<(usize, usize)> {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for vote in votes {
        match counts.iter_mut().find(|(label, _)| *label == vote) {
            Some((_, count)) => *count += 1,
            None => counts.push((vote, 1)),
        }
    }
    counts.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })
}
