use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Makes a copy of a text with a marker.
pub trait Perturbation {
    /// The copy.
    fn perturb(&self, words: &[u32], rng: &mut Xoshiro256PlusPlus) -> Vec<u32>;
}

/// Adds synthetic marker words, which mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkerTokens {
    /// The first marker word.
    pub first: u32,
    /// How many there are, at least 1.
    pub count: u32,
    /// Markers a text.
    pub per_text: usize,
}

impl Perturbation for MarkerTokens {
    fn perturb(&self, words: &[u32], rng: &mut Xoshiro256PlusPlus) -> Vec<u32> {
        let markers = (0..self.per_text).map(|_| self.first + rng.random_range(0..self.count));
        words.iter().copied().chain(markers).collect()
    }
}

/// Copies of texts with this many markers each, drawn from `markers`.
///
/// # Panics
/// When there is no marker.
pub fn marked_texts(texts: &[String], markers: &[String], per_text: usize, seed: u64) -> Vec<String> {
    assert!(!markers.is_empty(), "there must be a marker to draw");
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let marked = |text: &String| {
        let mut text = text.clone();
        for _ in 0..per_text {
            text.push(' ');
            text.push_str(&markers[rng.random_range(0..markers.len())]);
        }
        text
    };
    texts.iter().map(marked).collect()
}

/// A text without the words that are not trusted: the simplest defence of a query.
pub fn known_words(words: &[u32], trusted: impl Fn(u32) -> bool) -> Vec<u32> {
    words.iter().copied().filter(|word| trusted(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_added_and_taken_away() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
        let marked = MarkerTokens { first: 100, count: 3, per_text: 2 }.perturb(&[1, 2], rng);
        assert_eq!((marked.len(), &marked[..2]), (4, &[1, 2][..]));
        assert!(marked[2..].iter().all(|word| (100..103).contains(word)));
        assert_eq!(known_words(&marked, |word| word < 100), [1, 2]);
    }
}
