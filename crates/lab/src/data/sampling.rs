use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

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
}
