use std::collections::{BTreeSet, HashMap};

/// The words of texts by number: runs of letters and digits in lower case, and pairs of neighbours.
///
/// Words keep every occurrence; what the vocabulary does not know is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// The words that occur in at least `min_documents` of the texts, and with `pairs` the pairs of neighbouring words that do,
    /// in alphabetical order.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>, min_documents: usize, pairs: bool) -> Self {
        let mut documents: HashMap<String, usize> = HashMap::new();
        for text in texts {
            let distinct: BTreeSet<String> = grams(text, pairs).collect();
            for gram in distinct {
                *documents.entry(gram).or_default() += 1;
            }
        }
        let mut words: Vec<String> =
            documents.into_iter().filter(|(_, count)| *count >= min_documents).map(|(word, _)| word).collect();
        words.sort_unstable();
        Self::from_words(words)
    }

    /// A vocabulary from its words, in the order of their numbers.
    pub fn from_words(words: Vec<String>) -> Self {
        let numbers = words.iter().enumerate().map(|(number, word)| (word.clone(), number as u32)).collect();
        Self { words, numbers }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, in the order of their numbers.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The numbers of a text's words, pairs after single words.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        grams(text, true).filter_map(|gram| self.numbers.get(&gram).copied()).collect()
    }
}

/// Single words, then pairs of neighbours joined by a space.
fn grams(text: &str, pairs: bool) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(String::from).collect();
    let of_two: Vec<String> = if pairs { words.windows(2).map(|pair| pair.join(" ")).collect() } else { Vec::new() };
    words.into_iter().chain(of_two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_by_documents() {
        let texts = ["The cat, the CAT!", "a cat sat", "über-cat"];
        let vocabulary = Vocabulary::learn(texts, 1, false);
        assert_eq!(vocabulary.words(), ["a", "cat", "sat", "the", "über"]);
        assert_eq!(vocabulary.encode("Cat the dog cat"), [1, 3, 1]);
        assert_eq!(Vocabulary::learn(texts, 2, false).words(), ["cat"]);
        assert!(Vocabulary::learn(["", "..."], 1, true).is_empty());
    }

    #[test]
    fn pairs_are_words_of_their_own() {
        let vocabulary = Vocabulary::learn(["red cat", "red cat runs"], 2, true);
        assert_eq!(vocabulary.words(), ["cat", "red", "red cat"]);
        assert_eq!(vocabulary.encode("a red cat"), [1, 0, 2]);
        assert_eq!(Vocabulary::from_words(vocabulary.words().to_vec()), vocabulary);
    }
}
