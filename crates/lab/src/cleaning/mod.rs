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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;
    use proptest::prelude::*;

    #[test]
    fn a_tied_majority_is_that_of_the_first_vote() {
        assert_eq!(majority([]), None);
        assert_eq!(majority([2, 1, 1, 2]), Some((2, 2)));
        assert_eq!(majority([2, 1, 1]), Some((1, 2)));
    }

    proptest! {
        /// Rows of small whole numbers, so that distances tie and vectors are zero.
        #[test]
        fn every_plan_parts_the_rows_and_changes_flagged_labels_only(
            rows in prop::collection::vec((-2i8..=2, -2i8..=2, 0usize..3, 0usize..3), 1..40),
            k in 1usize..6,
            seed in 0u64..9,
        ) {
            let data = rows.iter().flat_map(|row| [f32::from(row.0), f32::from(row.1)]).collect();
            let x = Matrix { rows: rows.len(), cols: 2, data };
            let labels: Vec<usize> = rows.iter().map(|row| row.2).collect();
            let other: Vec<usize> = rows.iter().map(|row| row.3).collect();
            let intrinsic = IntrinsicCleaner::new().with_k(k).plan(&x, &labels, &other);
            let both = ExtrinsicCleaner::new().with_k(k).with_mode(CleanMode::Both);
            let plans = [
                random_elimination(&labels, &intrinsic.flagged, seed),
                both.plan(&x, &labels, &x, &other).unwrap(),
                intrinsic,
            ];
            for plan in plans {
                let mut all = [plan.flagged.clone(), plan.keep.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
                prop_assert!(plan.flagged.is_sorted() && plan.keep.is_sorted());
                prop_assert!(plan.keep.iter().all(|&row| plan.relabelled[row] == labels[row]));
            }
        }
    }
}
