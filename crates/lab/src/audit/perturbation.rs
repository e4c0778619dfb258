use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

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

/// A text without the words that are not trusted: the simplest defence of a query.
pub fn known_words(words: &[u32], trusted: impl Fn(u32) -> bool) -> Vec<u32> {
    words.iter().copied().filter(|word| trusted(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn markers_are_added_and_taken_away() {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(0);
        let marked = MarkerTokens { first: 100, count: 3, per_text: 2 }.perturb(&[1, 2], rng);
        assert_eq!((marked.len(), &marked[..2]), (4, &[1, 2][..]));
        assert!(marked[2..].iter().all(|word| (100..103).contains(word)));
        assert_eq!(known_words(&marked, |word| word < 100), [1, 2]);
    }
}
