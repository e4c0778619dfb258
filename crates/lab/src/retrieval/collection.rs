use super::ConceptWorldConfig;
use crate::metrics::Relevance;
use std::collections::{BTreeMap, HashMap};

/// A document of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name in the files.
    pub id: String,
    /// Title, which may be empty.
    pub title: String,
    /// Text.
    pub text: String,
}

impl Document {
    /// Title and text in one.
    pub fn full_text(&self) -> String {
        match (self.title.is_empty(), self.text.is_empty()) {
            (true, _) => self.text.clone(),
            (_, true) => self.title.clone(),
            _ => format!("{} {}", self.title, self.text),
        }
    }
}

/// A query of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its name in the files.
    pub id: String,
    /// Text.
    pub text: String,
}

/// A query by its number, with its relevant documents.
pub type Judgement = (usize, Relevance);

/// Documents, queries, and which documents are relevant to which query.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Name for people.
    pub name: String,
    /// The documents.
    pub documents: Vec<Document>,
    /// The queries.
    pub queries: Vec<Query>,
    /// Judged queries by part, in the order of the queries; those without a relevant document are left out.
    pub parts: BTreeMap<String, Vec<Judgement>>,
    /// What a person should know: entries left out, and why.
    pub notes: Vec<String>,
}

impl Collection {
    /// All judged queries, of all parts.
    pub fn judged(&self) -> Vec<Judgement> {
        let mut all: BTreeMap<usize, Relevance> = BTreeMap::new();
        for (query, relevance) in self.parts.values().flatten() {
            all.entry(*query).or_insert_with(|| relevance.clone());
        }
        all.into_iter().collect()
    }

    /// The generated collection of the studies as texts: a word is its concept with the form, `c12d` or `c12q`, or a background
    /// word, `b3`. Only one document of each query is labelled, in `train` and `test`.
    pub fn generated(config: &ConceptWorldConfig, seed: u64) -> Self {
        let world = config.generate(seed);
        let concepts = config.topics * config.concepts;
        let word = |word: &u32| match *word as usize {
            word if word >= 2 * concepts => format!("b{}", word - 2 * concepts),
            word => format!("c{}{}", word / 2, ["d", "q"][word % 2]),
        };
        let text = |words: &[u32]| words.iter().map(word).collect::<Vec<_>>().join(" ");
        let documents = world.documents.iter().enumerate();
        let documents =
            documents.map(|(at, words)| Document { id: format!("d{at}"), title: String::new(), text: text(words) });
        let queries = world.train.iter().chain(&world.test).enumerate();
        let label = |at: usize| {
            let query = if at < world.train.len() { &world.train[at] } else { &world.test[at - world.train.len()] };
            (at, Relevance::binary([query.source]))
        };
        let (train, all) = (world.train.len(), world.train.len() + world.test.len());
        Self {
            name: "generated".into(),
            documents: documents.collect(),
            queries: queries.map(|(at, query)| Query { id: format!("q{at}"), text: text(&query.words) }).collect(),
            parts: BTreeMap::from([
                ("train".into(), (0..train).map(label).collect()),
                ("test".into(), (train..all).map(label).collect()),
            ]),
            notes: Vec::new(),
        }
    }
}

/// Numbers of entries by their names in the files.
pub(super) fn by_id<'a>(ids: impl Iterator<Item = &'a String>) -> HashMap<&'a str, usize> {
    ids.enumerate().map(|(at, id)| (id.as_str(), at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_collection_has_words_and_labels() {
        let config = ConceptWorldConfig::new().with_topics(2).with_documents(30).with_train(10).with_test(5);
        let collection = Collection::generated(&config, 0);
        let world = config.generate(0);
        assert_eq!((collection.documents.len(), collection.queries.len()), (30, 15));
        assert_eq!(collection.parts["test"][0].0, 10);
        assert_eq!(collection.parts["test"][0].1, Relevance::binary([world.test[0].source]));
        assert_eq!(collection.judged().len(), 15);
        let words: Vec<&str> = collection.documents[3].text.split(' ').collect();
        assert_eq!(words.len(), world.documents[3].len());
        assert!(words.iter().all(|word| word.starts_with(['b', 'c'])));
    }
}
