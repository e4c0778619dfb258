use burn::config::Config;
use contrarian::InvalidParameter;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::weighted::WeightedIndex;
use rand_distr::{Distribution, Poisson};

/// Configuration of a [generated collection with known false negatives](ConceptWorld).
#[derive(Config, Debug)]
pub struct ConceptWorldConfig {
    /// Topics, at least 1.
    #[config(default = 20)]
    pub topics: usize,
    /// Concepts of a topic, at least 6.
    #[config(default = 20)]
    pub concepts: usize,
    /// Background words, at least 1.
    #[config(default = 100)]
    pub background: usize,
    /// Documents, at least 1.
    #[config(default = 2000)]
    pub documents: usize,
    /// Training queries.
    #[config(default = 3000)]
    pub train: usize,
    /// Test queries.
    #[config(default = 300)]
    pub test: usize,
    /// Concepts that a query asks for, in `1..=6`.
    #[config(default = 3)]
    pub query_concepts: usize,
}

/// Concepts of a document.
const OF_DOCUMENT: usize = 6;
/// Background words of a document.
const NOISE: usize = 8;
/// How probable the document form of a concept is in a document, and in a query.
const DOCUMENT_FORM: [f64; 2] = [0.8, 0.3];

impl ConceptWorldConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value, least) in [
            ("topics", self.topics, 1),
            ("concepts", self.concepts, OF_DOCUMENT),
            ("background", self.background, 1),
            ("documents", self.documents, 1),
        ] {
            if value < least {
                return Err(InvalidParameter::new(field, value, format!("at least {least}")));
            }
        }
        if !(1..=OF_DOCUMENT).contains(&self.query_concepts) {
            return Err(InvalidParameter::new("query_concepts", self.query_concepts, "in 1..=6"));
        }
        Ok(())
    }

    /// Words there are: two for a concept, then the background.
    pub fn vocabulary(&self) -> usize {
        2 * self.topics * self.concepts + self.background
    }

    /// Draws the collection from `seed` alone.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn generate(&self, seed: u64) -> ConceptWorld {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let background = WeightedIndex::new((1..=self.background).map(|rank| 1.0 / rank as f64))
            .expect("there is a background word, and weights are above 0");
        let noise = |rng: &mut Xoshiro256PlusPlus| (2 * self.topics * self.concepts + background.sample(rng)) as u32;
        let extra = Poisson::new(1.0).expect("the mean is above 0");
        let mut concepts = Vec::with_capacity(self.documents);
        let mut documents = Vec::with_capacity(self.documents);
        for _ in 0..self.documents {
            let topic = rng.random_range(0..self.topics);
            let mut own: Vec<usize> =
                sample(rng, self.concepts, OF_DOCUMENT).iter().map(|at| topic * self.concepts + at).collect();
            own.sort_unstable();
            let mut words = Vec::new();
            for &concept in &own {
                let tokens = 1 + extra.sample(rng) as usize;
                words.extend((0..tokens).map(|_| form(concept, DOCUMENT_FORM[0], rng)));
            }
            words.extend((0..NOISE).map(|_| noise(rng)));
            concepts.push(own);
            documents.push(words);
        }
        let query = |rng: &mut Xoshiro256PlusPlus| {
            let source = rng.random_range(0..self.documents);
            let own = &concepts[source];
            let mut asked: Vec<usize> =
                sample(rng, OF_DOCUMENT, self.query_concepts).iter().map(|at| own[at]).collect();
            asked.sort_unstable();
            let mut words: Vec<u32> = asked.iter().map(|&concept| form(concept, DOCUMENT_FORM[1], rng)).collect();
            words.push(noise(rng));
            let has_all = |document: &Vec<usize>| asked.iter().all(|concept| document.contains(concept));
            let relevant = (0..self.documents).filter(|&at| has_all(&concepts[at])).collect();
            ConceptQuery { words, source, relevant }
        };
        let train = (0..self.train).map(|_| query(rng)).collect();
        let test = (0..self.test).map(|_| query(rng)).collect();
        ConceptWorld { vocabulary: self.vocabulary(), documents, train, test }
    }
}

/// One token of a concept: its document form with this probability, else its query form.
fn form(concept: usize, document_form: f64, rng: &mut impl Rng) -> u32 {
    (2 * concept + usize::from(!rng.random_bool(document_form))) as u32
}

/// A generated collection in which a query has one labelled document and further relevant ones without a label, whose identity
/// is known.
///
/// A document has six concepts of one topic; each emits `1 + Poisson(1)` words, which are the concept's document form with
/// probability .8 and else its query form, and there are eight background words with probability proportional to one over their
/// rank. A query asks for some concepts of a source document, a word each (document form with probability .3), and has one
/// background word. Every document with all of its concepts is relevant; the label is the source alone.
///
/// Concept `c` has the words `2c` (document form) and `2c + 1` (query form); the background follows.
///
/// Source: `ConceptWorld` of this project, made for its studies of retrieval.
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptWorld {
    /// Words there are.
    pub vocabulary: usize,
    /// The words of each document.
    pub documents: Vec<Vec<u32>>,
    /// Training queries.
    pub train: Vec<ConceptQuery>,
    /// Test queries.
    pub test: Vec<ConceptQuery>,
}

/// A query of a [`ConceptWorld`].
#[derive(Debug, Clone, PartialEq)]
pub struct ConceptQuery {
    /// Its words.
    pub words: Vec<u32>,
    /// The labelled document.
    pub source: usize,
    /// All relevant documents, in ascending order; the source is one of them.
    pub relevant: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_are_those_of_the_specification() {
        let started = std::time::Instant::now();
        let world = ConceptWorldConfig::new().generate(0);
        assert!(started.elapsed().as_secs_f64() < 0.5, "generation took {:?}", started.elapsed());
        assert_eq!(
            (world.vocabulary, world.documents.len(), world.train.len(), world.test.len()),
            (900, 2000, 3000, 300)
        );
        let mean = |values: &mut dyn Iterator<Item = f64>, n: usize| values.sum::<f64>() / n as f64;
        // 6 (1 + Poisson 1) + 8 words: mean 20, deviation 2.45, over 2000 documents .055.
        let length = mean(&mut world.documents.iter().map(|words| words.len() as f64), 2000);
        assert!((length - 20.0).abs() < 0.25, "{length}");
        let forms = world.documents.iter().flatten().filter(|word| **word < 800);
        let (documents, all) = forms.fold((0, 0), |(d, all), word| (d + usize::from(word % 2 == 0), all + 1));
        // About 24,000 words of probability .8: deviation .0026.
        assert!((documents as f64 / f64::from(all) - 0.8).abs() < 0.012);
        assert!(world.train.iter().all(|query| query.words.len() == 4 && query.relevant.contains(&query.source)));
        let relevant = mean(&mut world.train.iter().map(|query| query.relevant.len() as f64), 3000);
        // 1 + about 100 documents of the topic, each with (6 choose 3 of 20) / ... = 20/1140 of a chance: 2.75.
        assert!((relevant - 2.75).abs() < 0.3, "{relevant}");
        // The first background word has probability 1/H_100 = .193.
        let first = world.documents.iter().flatten().filter(|word| **word == 800).count() as f64 / 16000.0;
        assert!((first - 0.1928).abs() < 0.02, "{first}");
    }

    #[test]
    fn a_seed_is_a_collection() {
        let config = ConceptWorldConfig::new().with_documents(50).with_train(20).with_test(5).with_topics(2);
        assert_eq!(config.generate(3), config.generate(3));
        assert_ne!(config.generate(3), config.generate(4));
        assert_eq!(config.vocabulary(), 180);
        assert!(config.generate(1).documents.iter().flatten().all(|word| (*word as usize) < 180));
        assert_eq!(config.with_query_concepts(7).validate().unwrap_err().field, "query_concepts");
    }
}
