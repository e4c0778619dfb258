//! What the studies over the generated collection share: training of a bag encoder and its scores on the test queries.

use crate::study::StudyError;
use crate::support::{Measured, mean};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian_lab::data::{Matrix, Sampler};
use contrarian_lab::fit::{FitConfig, TrainingLoop};
use contrarian_lab::metrics::{Gain, Relevance};
use contrarian_lab::retrieval::{BagEncoder, BagEncoderConfig, ConceptQuery, ConceptWorld, ExactIndex, Hit};

/// Budget of a phase of training.
#[derive(Clone, Copy)]
pub struct Budget {
    pub steps: usize,
    pub batch: usize,
    pub rate: f64,
}

impl Budget {
    /// Checks it, for the settings of a study.
    ///
    /// # Errors
    /// Names the first value outside its range.
    pub fn check(self, study: &'static str) -> Result<(), StudyError> {
        let valid = || {
            if self.batch < 2 {
                return Err(InvalidParameter::new("batch_size", self.batch, "at least 2"));
            }
            self.config().validate()
        };
        valid().map_err(|error| StudyError::Settings { study, reason: error.to_string() })
    }

    fn config(self) -> FitConfig {
        FitConfig::new().with_learning_rate(self.rate).with_batch_size(self.batch).with_epochs(self.steps)
    }

    /// Trains any model with Adam; a step sees the numbers of distinct training queries.
    ///
    /// # Errors
    /// When the loss stops being finite.
    pub fn train<M: Module>(
        self,
        model: M,
        queries: usize,
        seed: u64,
        mut step: impl FnMut(&M, &[usize]) -> Tensor<1>,
    ) -> Result<M, String> {
        let sampler = Sampler::Drawn { rows: queries, count: self.batch };
        let fitted =
            TrainingLoop::new(&self.config(), sampler, seed).run(model.train(), |model, rows, _| step(model, rows));
        fitted.map(|fitted| fitted.model.train()).map_err(|error| error.to_string())
    }
}

/// An untrained encoder for the collection, one table for queries and documents.
pub fn encoder(world: &ConceptWorld, dim: usize, normalize: bool, seed: u64) -> BagEncoder {
    let config = BagEncoderConfig::new(world.vocabulary).with_dim(dim).with_normalize(normalize);
    config.init(&Device::flex().autodiff(), seed)
}

/// Words of some training queries.
pub fn queries<'a>(world: &'a ConceptWorld, rows: &[usize]) -> Vec<&'a [u32]> {
    rows.iter().map(|&row| world.train[row].words.as_slice()).collect()
}

/// Words of some documents.
pub fn documents<'a>(world: &'a ConceptWorld, rows: &[usize]) -> Vec<&'a [u32]> {
    rows.iter().map(|&row| world.documents[row].as_slice()).collect()
}

/// The labelled documents of some training queries.
pub fn sources(world: &ConceptWorld, rows: &[usize]) -> Vec<usize> {
    rows.iter().map(|&row| world.train[row].source).collect()
}

/// Words of all queries of one kind.
pub fn words(queries: &[ConceptQuery]) -> Vec<&[u32]> {
    queries.iter().map(|query| query.words.as_slice()).collect()
}

/// True where a document of the columns is another than the labelled one of the row.
pub fn differ(sources: &[usize], columns: &[usize], device: &Device) -> Tensor<2, Bool> {
    let cells: Vec<bool> = sources.iter().flat_map(|own| columns.iter().map(move |other| own != other)).collect();
    Tensor::from_data(TensorData::new(cells, [sources.len(), columns.len()]), device)
}

/// Places of a ranking that are looked at.
pub const DEPTH: usize = 100;
/// Numbers that [`measure`] gives.
pub const NUMBERS: [&str; 3] = ["nDCG@10", "MRR@10", "Recall@100"];

/// Scores of rankings of the test queries: nDCG@10 against all relevant documents; MRR@10 and Recall@100 against the labelled one.
pub fn measure(world: &ConceptWorld, rankings: &[Vec<usize>]) -> Measured {
    let over = |of: &dyn Fn(&ConceptQuery, &[usize]) -> f64| {
        let values: Vec<f64> = world.test.iter().zip(rankings).map(|(query, ranking)| of(query, ranking)).collect();
        mean(&values)
    };
    let label = |query: &ConceptQuery| Relevance::binary([query.source]);
    Measured::from([
        (
            "nDCG@10",
            over(&|query, found| Relevance::binary(query.relevant.iter().copied()).ndcg(found, 10, Gain::Linear)),
        ),
        ("MRR@10", over(&|query, found| label(query).reciprocal_rank(found, 10))),
        ("Recall@100", over(&|query, found| label(query).recall(found, DEPTH))),
    ])
}

/// The numbers of the documents found.
pub fn numbers(found: &[Vec<Hit>]) -> Vec<Vec<usize>> {
    found.iter().map(|hits| hits.iter().map(|hit| hit.document).collect()).collect()
}

/// Scores of a query encoder over the vectors of the documents.
pub fn evaluate_with(world: &ConceptWorld, queries: &BagEncoder, documents: Matrix) -> Measured {
    let found = ExactIndex::new(documents).search(&queries.embed(&words(&world.test)), DEPTH);
    measure(world, &numbers(&found))
}

/// Scores of an encoder of both sides.
pub fn evaluate(world: &ConceptWorld, encoder: &BagEncoder) -> Measured {
    evaluate_with(world, encoder, encoder.embed(&world.documents))
}

/// The `k` documents nearest to each training query, the labelled one left out.
pub fn mine(world: &ConceptWorld, encoder: &BagEncoder, k: usize) -> Vec<Vec<usize>> {
    let labels: Vec<[usize; 1]> = world.train.iter().map(|query| [query.source]).collect();
    let exclude: Vec<&[usize]> = labels.iter().map(<[usize; 1]>::as_slice).collect();
    let index = ExactIndex::new(encoder.embed(&world.documents));
    numbers(&index.search_excluding(&encoder.embed(&words(&world.train)), k, &exclude))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contrarian_lab::retrieval::ConceptWorldConfig;

    #[test]
    fn mined_lists_never_hold_the_label_and_perfect_rankings_score_one() {
        let world =
            ConceptWorldConfig::new().with_topics(2).with_documents(60).with_train(30).with_test(10).generate(1);
        let lists = mine(&world, &encoder(&world, 8, false, 0), 7);
        assert!(lists.iter().zip(&world.train).all(|(list, query)| list.len() == 7 && !list.contains(&query.source)));
        let truth: Vec<Vec<usize>> = world.test.iter().map(|query| query.relevant.clone()).collect();
        let scores = measure(&world, &truth);
        assert_eq!((scores["nDCG@10"], scores["Recall@100"]), (1.0, 1.0));
        assert!(scores["MRR@10"] <= 1.0);
    }
}
