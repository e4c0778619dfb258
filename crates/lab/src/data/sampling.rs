use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};

/// In which order an epoch visits the training rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampler<'a> {
    /// Every row once, shuffled.
    Shuffled {
        /// Rows there are.
        rows: usize,
    },
    /// As many draws as rows, with replacement, every class equally likely.
    Balanced {
        /// Class of each row.
        labels: &'a [usize],
    },
    /// A few rows drawn without replacement: an epoch is one batch, and a budget of epochs one of steps, whatever the batch.
    Drawn {
        /// Rows there are.
        rows: usize,
        /// Rows an epoch; all, where there are fewer.
        count: usize,
    },
}

impl Sampler<'_> {
    /// The rows of one epoch.
    pub fn epoch(self, rng: &mut Xoshiro256PlusPlus) -> Vec<usize> {
        match self {
            Self::Shuffled { rows } => {
                let mut order: Vec<usize> = (0..rows).collect();
                order.shuffle(rng);
                order
            }
            Self::Balanced { labels } => {
                let mut classes: Vec<Vec<usize>> = vec![Vec::new(); labels.iter().max().map_or(0, |max| max + 1)];
                for (row, &label) in labels.iter().enumerate() {
                    classes[label].push(row);
                }
                classes.retain(|rows| !rows.is_empty());
                let mut draw = |_| {
                    let rows = &classes[rng.random_range(0..classes.len())];
                    rows[rng.random_range(0..rows.len())]
                };
                (0..labels.len()).map(&mut draw).collect()
            }
            Self::Drawn { rows, count } => index::sample(rng, rows, count.min(rows)).into_vec(),
        }
    }
}

/// Rows that make the classes a long tail: classes are put into a random order, and that of rank `r` of `c` keeps a part
/// `smallest^(r / (c - 1))` of its rows, drawn at random and rounded, at least 2 (or all, where it has fewer).
///
/// Rows are in ascending order. One class keeps all.
///
/// # Panics
/// When `smallest` is not in `(0, 1]`.
pub fn long_tail(labels: &[usize], smallest: f64, seed: u64) -> Vec<usize> {
    assert!(smallest > 0.0 && smallest <= 1.0, "the smallest class keeps a part in (0, 1], got {smallest}");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    classes.shuffle(rng);
    let last = classes.len().saturating_sub(1).max(1) as f64;
    let mut kept = Vec::new();
    for (rank, class) in classes.iter().enumerate() {
        let mut rows: Vec<usize> = (0..labels.len()).filter(|&row| labels[row] == *class).collect();
        rows.shuffle(rng);
        let count = (rows.len() as f64 * smallest.powf(rank as f64 / last)).round() as usize;
        kept.extend(rows.into_iter().take(count.max(2)));
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_visits_every_row_and_balancing_every_class_alike() {
        let labels: Vec<usize> = (0..1000).map(|row| usize::from(row < 50)).collect();
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let mut order = Sampler::Shuffled { rows: labels.len() }.epoch(rng);
        order.sort_unstable();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
        let balanced = Sampler::Balanced { labels: &labels }.epoch(rng);
        let rare = balanced.iter().filter(|&&row| labels[row] == 1).count();
        // Binomial(1000, 1/2): five standard deviations are 79.
        assert!(rare.abs_diff(500) < 80, "{rare}");
    }

    #[test]
    fn a_few_rows_are_drawn_without_replacement_and_all_in_turn() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
        let mut seen = [false; 20];
        for _ in 0..50 {
            let mut drawn = Sampler::Drawn { rows: 20, count: 7 }.epoch(rng);
            for &row in &drawn {
                seen[row] = true;
            }
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 7);
        }
        assert_eq!(seen, [true; 20]);
        assert_eq!(Sampler::Drawn { rows: 3, count: 7 }.epoch(rng).len(), 3);
    }

    #[test]
    fn a_long_tail_falls_by_a_constant_factor() {
        let labels: Vec<usize> = (0..5 * 100).map(|row| row % 5).collect();
        let kept = long_tail(&labels, 0.0001, 3);
        let counts = |kept: &[usize]| -> Vec<usize> {
            (0..5).map(|class| kept.iter().filter(|&&row| labels[row] == class).count()).collect()
        };
        let whole = |seed: u64| counts(&long_tail(&labels, 0.0001, seed)).iter().position(|count| *count == 100);
        assert!((0..20).any(|seed| whole(seed) != whole(20)), "the order of the classes is drawn");
        let mut counts = counts(&kept);
        counts.sort_unstable();
        assert_eq!(counts, [2, 2, 2, 10, 100]);
        assert!(kept.is_sorted() && long_tail(&labels, 0.0001, 3) == kept && long_tail(&labels, 0.0001, 4) != kept);
        assert_eq!(long_tail(&labels, 1.0, 1).len(), 500);
        assert_eq!(long_tail(&[7, 7, 7], 0.1, 1), [0, 1, 2]);
    }
}
