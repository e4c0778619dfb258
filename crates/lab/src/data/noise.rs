//! Label noise: wrong training labels of a known kind and amount.

use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Noisy labels, and which of them were changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoisyLabels {
    /// The labels after the noise.
    pub labels: Vec<usize>,
    /// True where a label differs from the clean one.
    pub changed: Vec<bool>,
}

/// Where class-dependent noise sends a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassMap {
    /// To the next class, the last to the first.
    Next,
    /// Each of a pair to the other; classes in no pair stay.
    Pairs(Vec<(usize, usize)>),
}

/// Classes of UCI's letter recognition (A is 0) that the LDR paper swaps.
pub const LETTER_PAIRS: [(usize, usize); 10] =
    [(1, 3), (2, 6), (4, 5), (7, 13), (8, 11), (10, 23), (12, 22), (14, 16), (15, 17), (20, 21)];

/// With probability `level` a label becomes a class drawn uniformly from all, possibly the same: the rate of changed
/// labels is `level (K - 1) / K`, as in the LDR authors' code.
///
/// # Errors
/// When `level` is outside `[0, 1]`.
pub fn uniform(labels: &[usize], classes: usize, level: f64, seed: u64) -> Result<NoisyLabels, InvalidParameter> {
    corrupt(labels, level, seed, |_, rng| rng.random_range(0..classes))
}

/// With probability `level` a label is sent where `map` says.
///
/// # Errors
/// When `level` is outside `[0, 1]`.
pub fn class_dependent(
    labels: &[usize],
    classes: usize,
    level: f64,
    map: &ClassMap,
    seed: u64,
) -> Result<NoisyLabels, InvalidParameter> {
    corrupt(labels, level, seed, |label, _| match map {
        ClassMap::Next => (label + 1) % classes,
        ClassMap::Pairs(pairs) => pairs
            .iter()
            .find_map(|&(a, b)| if label == a { Some(b) } else { (label == b).then_some(a) })
            .unwrap_or(label),
    })
}

fn corrupt(
    labels: &[usize],
    level: f64,
    seed: u64,
    wrong: impl Fn(usize, &mut Xoshiro256PlusPlus) -> usize,
) -> Result<NoisyLabels, InvalidParameter> {
    if !(0.0..=1.0).contains(&level) {
        return Err(InvalidParameter::new("level", level, "in [0, 1]"));
    }
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let noisy: Vec<usize> =
        labels.iter().map(|&label| if rng.random_bool(level) { wrong(label, rng) } else { label }).collect();
    let changed = noisy.iter().zip(labels).map(|(a, b)| a != b).collect();
    Ok(NoisyLabels { labels: noisy, changed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_maps_are_what_is_asked_for() {
        let labels: Vec<usize> = (0..26_000).map(|row| row % 26).collect();
        let rate = |noisy: &NoisyLabels| noisy.changed.iter().filter(|&&c| c).count() as f64 / 26_000.0;
        let noisy = uniform(&labels, 26, 0.6, 1).unwrap();
        assert!((rate(&noisy) - 0.6 * 25.0 / 26.0).abs() < 0.02, "{}", rate(&noisy));
        let noisy = class_dependent(&labels, 26, 0.3, &ClassMap::Next, 1).unwrap();
        assert!((rate(&noisy) - 0.3).abs() < 0.02);
        assert!(noisy.labels.iter().zip(&labels).all(|(n, l)| n == l || *n == (l + 1) % 26));
        let noisy = class_dependent(&labels, 26, 1.0, &ClassMap::Pairs(LETTER_PAIRS.to_vec()), 1).unwrap();
        assert_eq!((noisy.labels[1], noisy.labels[3], noisy.labels[0]), (3, 1, 0));
        assert_eq!(uniform(&labels, 26, 1.5, 1).unwrap_err().field, "level");
    }
}
