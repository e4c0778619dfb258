//! Pairs of a context and the word that follows it.

use crate::study::StudyError;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::collections::HashMap;
use std::path::Path;

const STATES: usize = 40;
/// Spread of a state's preferences over the words, beside the words' own frequency.
const SPREAD: f64 = 1.5;
const VALIDATION: usize = 2_000;
const TEST: usize = 4_000;

/// Pairs, as indices.
#[derive(Default)]
pub struct Pairs {
    pub contexts: Vec<usize>,
    pub words: Vec<usize>,
}

/// Pairs to train on, to choose by and to judge by. Words are numbered from the most frequent.
pub struct Corpus {
    pub contexts: usize,
    pub words: usize,
    pub train: Pairs,
    pub validation: Pairs,
    pub test: Pairs,
}

/// A language with 40 states; in each, words have the logits `1.5 N(0, 1) - log(rank)`.
pub fn generated(words: usize, pairs: usize, seed: u64) -> Corpus {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let states: Vec<WeightedIndex<f64>> = (0..STATES)
        .map(|_| {
            let mut weight = |rank: usize| {
                let preference: f64 = StandardNormal.sample(&mut rng);
                (SPREAD * preference).exp() / rank as f64
            };
            let weights: Vec<f64> = (1..=words).map(&mut weight).collect();
            WeightedIndex::new(weights).expect("the weights are positive")
        })
        .collect();
    let mut draw = |count: usize| {
        let mut pairs = Pairs::default();
        for _ in 0..count {
            let state = rng.random_range(0..STATES);
            pairs.contexts.push(state);
            pairs.words.push(states[state].sample(&mut rng));
        }
        pairs
    };
    Corpus { contexts: STATES, words, train: draw(pairs), validation: draw(VALIDATION), test: draw(TEST) }
}

/// The frequent words of tinyshakespeare after the word before them: the first 90% of the text to train on, the rest to
/// choose and judge by. A word that is not among the `words` most frequent ones is one context of its own and never a target.
/// `None` where the data folder does not have it.
pub fn shakespeare(data: Option<&Path>, words: usize, pairs: usize) -> Result<Option<Corpus>, StudyError> {
    let Some(path) = data.map(|data| data.join("tinyshakespeare/input.txt")).filter(|path| path.exists()) else {
        return Ok(None);
    };
    let unusable = |reason: String| StudyError::Data { name: "tinyshakespeare", reason };
    let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?.to_lowercase();
    let tokens: Vec<&str> =
        text.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|token| !token.is_empty()).collect();
    let (train, held_out) = tokens.split_at(tokens.len() * 9 / 10);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for token in train {
        *counts.entry(token).or_default() += 1;
    }
    let mut frequent: Vec<(&str, usize)> = counts.into_iter().collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    frequent.truncate(words);
    if frequent.len() < words {
        return Err(unusable(format!("it has {} different words; the settings want {words}", frequent.len())));
    }
    let index: HashMap<&str, usize> = frequent.iter().enumerate().map(|(index, &(word, _))| (word, index)).collect();
    let all = |tokens: &[&str]| -> Vec<(usize, usize)> {
        let pair = |two: &[&str]| Some((index.get(two[0]).copied().unwrap_or(words), *index.get(two[1])?));
        tokens.windows(2).filter_map(pair).collect()
    };
    let split = |pairs: &[(usize, usize)]| {
        let (contexts, words) = pairs.iter().copied().unzip();
        Pairs { contexts, words }
    };
    let (train, held_out) = (all(train), all(held_out));
    if held_out.len() < VALIDATION + TEST {
        return Err(unusable(format!("only {} pairs are held out", held_out.len())));
    }
    Ok(Some(Corpus {
        contexts: words + 1,
        words,
        train: split(&train[..pairs.min(train.len())]),
        validation: split(&held_out[..VALIDATION]),
        test: split(&held_out[VALIDATION..VALIDATION + TEST]),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_language_repeats_and_prefers_frequent_words() {
        let corpus = generated(50, 3_000, 1);
        assert_eq!(corpus.train.words, generated(50, 3_000, 1).train.words);
        assert_ne!(corpus.train.words, generated(50, 3_000, 2).train.words);
        let a_word = |from: usize, to: usize| {
            corpus.train.words.iter().filter(|word| (from..to).contains(word)).count() as f64 / (to - from) as f64
        };
        // Without 1/rank both would be alike to a fourth (the spread over 40 states); with it, and no spread, 17 times.
        assert!(a_word(0, 5) > 4.0 * a_word(25, 50), "{} {}", a_word(0, 5), a_word(25, 50));
    }

    #[test]
    fn rare_words_are_contexts_and_no_targets() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tinyshakespeare")).unwrap();
        let text = format!("{}Now is, the winter now is the day. ", "to be or not to be; ".repeat(15_000));
        std::fs::write(folder.path().join("tinyshakespeare/input.txt"), text).unwrap();
        let corpus = shakespeare(Some(folder.path()), 3, 10).unwrap().unwrap();
        // The training part ends with one more `to`, then comes `be`; `not` is before `or` by the alphabet.
        assert_eq!((corpus.contexts, corpus.words), (4, 3));
        assert_eq!(corpus.train.words.len(), 10);
        // to -> be, or -> not, not -> to, ...; the pair be -> or has a rare target.
        assert_eq!(corpus.train.contexts[..4], [0, 3, 2, 0]);
        assert_eq!(corpus.train.words[..4], [1, 2, 0, 1]);
        assert!(shakespeare(None, 3, 10).unwrap().is_none());
        assert!(shakespeare(Some(folder.path()), 30, 10).is_err());
    }
}
