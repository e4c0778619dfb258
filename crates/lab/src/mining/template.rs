use super::generator::{GeneratorError, TextGenerator, TextRequest, of_query};
use burn::config::Config;
use contrarian::InvalidParameter;
use rand::RngExt;
use rand::seq::index::sample;

/// Configuration of the [template generator](TemplateGenerator).
#[derive(Config, Debug)]
pub struct TemplateGeneratorConfig {
    /// Part of the query's words that the text keeps, in `[0, 1)`; always at least one of two or more, and never all.
    #[config(default = 0.5)]
    pub keep: f64,
    /// Words of the text, at least 1; with a positive the text has its length.
    #[config(default = 40)]
    pub words: usize,
    /// Seed of the choices.
    #[config(default = 0)]
    pub seed: u64,
}

impl TemplateGeneratorConfig {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first parameter outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if !(0.0..1.0).contains(&self.keep) {
            return Err(InvalidParameter::new("keep", self.keep, "in [0, 1)"));
        }
        if self.words == 0 {
            return Err(InvalidParameter::new("words", self.words, "at least 1"));
        }
        Ok(())
    }

    /// Builds the generator; words to fill with are those of `queries`.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, with its message.
    pub fn init<'a>(&self, queries: impl IntoIterator<Item = &'a str>) -> TemplateGenerator {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        let filling = queries.into_iter().flat_map(str::split_whitespace).map(String::from).collect();
        TemplateGenerator { config: self.clone(), filling }
    }
}

/// Texts without a language model: part of the query, in a frame of other words.
///
/// The text keeps some of the query's words and none of the others, so it is about the query and does not answer all of it. The
/// rest are words of other queries; with a positive the text is the positive, in which the query's words that are not kept give
/// way to words of other queries. Only queries and the positive are read, never the collection. The same query always gets the
/// same text.
///
/// Source: of this project, as a control for generators of Sinha 2025, <https://arxiv.org/abs/2504.21015>.
#[derive(Debug, Clone)]
pub struct TemplateGenerator {
    config: TemplateGeneratorConfig,
    filling: Vec<String>,
}

impl TextGenerator for TemplateGenerator {
    fn generate(&self, request: &TextRequest) -> Result<String, GeneratorError> {
        let rng = &mut of_query(self.config.seed, &request.query_id);
        let query: Vec<&str> = request.query.split_whitespace().collect();
        let most = query.len().saturating_sub(1);
        let keep = ((self.config.keep * query.len() as f64).round() as usize).clamp(usize::from(most > 0), most);
        let kept: Vec<&str> = sample(rng, query.len(), keep).iter().map(|at| query[at]).collect();
        let is = |word: &str, of: &[&str]| of.iter().any(|other| other.eq_ignore_ascii_case(word));
        let foreign: Vec<&str> = self.filling.iter().map(String::as_str).filter(|word| !is(word, &query)).collect();
        let fill = |rng: &mut _| (!foreign.is_empty()).then(|| foreign[RngExt::random_range(rng, 0..foreign.len())]);
        let text: Vec<&str> = if let Some(positive) = &request.positive {
            let words = positive.split_whitespace();
            words.filter_map(|word| if is(word, &query) && !is(word, &kept) { fill(rng) } else { Some(word) }).collect()
        } else {
            let mut words: Vec<&str> = (keep..self.config.words).filter_map(|_| fill(rng)).collect();
            for word in kept {
                words.insert(rng.random_range(0..=words.len()), word);
            }
            words
        };
        if text.is_empty() {
            return Err(GeneratorError::Empty { query: request.query_id.clone() });
        }
        Ok(text.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str, positive: Option<&str>) -> TextRequest {
        TextRequest { query_id: "7".into(), query: query.into(), positive: positive.map(String::from) }
    }

    #[test]
    fn part_of_the_query_stays_and_the_rest_is_foreign() {
        let queries = ["red cat sleeps long", "old dog barks"];
        let generator = TemplateGeneratorConfig::new().with_words(12).init(queries);
        let asked = request(queries[0], None);
        let text = generator.generate(&asked).unwrap();
        assert_eq!(text, generator.generate(&asked).unwrap());
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words.len(), 12);
        assert_eq!(words.iter().filter(|word| queries[0].contains(**word)).count(), 2, "{text}");
        assert!(words.iter().all(|word| queries.iter().any(|query| query.contains(word))));
        let positive = "The Cat that is red often sleeps long and well";
        let text = generator.generate(&request(queries[0], Some(positive))).unwrap();
        assert_eq!(text.split(' ').count(), 10);
        let of_query = ["red", "Cat", "sleeps", "long"].iter().filter(|word| text.contains(**word)).count();
        assert!(text.starts_with("The ") && text.ends_with(" and well") && of_query == 2, "{text}");
    }

    #[test]
    fn little_to_write_with_is_no_panic() {
        let alone = TemplateGeneratorConfig::new().init(["cat"]);
        assert!(matches!(alone.generate(&request("cat", None)), Err(GeneratorError::Empty { .. })));
        assert!(matches!(alone.generate(&request("", Some(" "))), Err(GeneratorError::Empty { .. })));
        assert_eq!(alone.generate(&request("", Some("a b"))).unwrap(), "a b");
        assert_eq!(TemplateGeneratorConfig::new().with_keep(1.0).validate().unwrap_err().field, "keep");
        assert_eq!(TemplateGeneratorConfig::new().with_words(0).validate().unwrap_err().field, "words");
    }
}
