use super::index::{ExactIndex, Hit};
use super::{Judgement, NegativeStrategy, RetrievalLoss, RetrievalObjective, Retriever, Side, Texts};
use crate::data::Sampler;
use crate::fit::{FitConfig, FitError, TrainingLoop};
use crate::metrics::{Gain, Relevance, pools};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::InvalidParameter;
use contrarian::negatives::NgameSampler;
use contrarian::ranking::AdoreLossConfig;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// A collection ready for a retriever.
#[derive(Debug, Clone)]
pub struct RetrievalData {
    /// The documents.
    pub documents: Texts,
    /// The queries.
    pub queries: Texts,
    /// The best documents of each query by BM25, best first.
    pub bm25: Vec<Vec<Hit>>,
}

/// Budget of a retriever's training.
#[derive(Debug, Clone)]
pub struct RetrievalBudget {
    /// Steps in all; negatives are found anew, and validation looks, at each quarter.
    pub steps: usize,
    /// Queries a step, at least 2.
    pub batch_size: usize,
    /// Learning rate of Adam.
    pub learning_rate: f64,
    /// Best documents that hard negatives are drawn from.
    pub pool: usize,
}

impl RetrievalBudget {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        for (field, value, least) in
            [("steps", self.steps, QUARTERS), ("batch_size", self.batch_size, 2), ("pool", self.pool, 1)]
        {
            if value < least {
                return Err(InvalidParameter::new(field, value, format!("at least {least}")));
            }
        }
        self.quarter().validate()
    }

    fn quarter(&self) -> FitConfig {
        FitConfig::new()
            .with_learning_rate(self.learning_rate)
            .with_batch_size(self.batch_size)
            .with_epochs(self.steps / QUARTERS)
    }
}

const QUARTERS: usize = 4;

/// A negative this near the positive, as a part of its cosine, is likely relevant itself and is filtered.
const FALSE_NEGATIVE: f32 = 0.95;

/// Documents of a ranking that scores look at.
pub const SEARCH_DEPTH: usize = 100;

/// A trained retriever and how it got there.
#[derive(Debug, Clone)]
pub struct TrainedRetriever {
    /// The retriever of the quarter with the best validation score.
    pub retriever: Retriever,
    /// Mean training loss and validation score (nDCG@10) of each quarter.
    pub learning: Vec<(f64, f64)>,
    /// Steps taken.
    pub steps: usize,
}

/// Trains a retriever on the queries of `train`, and keeps the one that ranks those of `validation` best.
///
/// A step draws queries and one relevant document of each. In four quarters, each with a fresh optimiser, hard negatives (one a
/// query) are drawn from the `pool` best documents that are not known to be relevant: BM25's, or those that the retriever itself
/// finds: in the second half with the list made at its beginning (`dense`, `filtered`), or from the second quarter on with a list
/// made at each (`refreshed`); `clustered` draws batches of near queries from the second quarter on. ADORE trains the first half as STAR with the batch's documents; then the documents stay as they are.
///
/// # Errors
/// When the loss stops being finite, or on `stop`.
///
/// # Panics
/// When there is no query to train with, or the budget is not valid.
pub fn train_retriever(
    start: Retriever,
    data: &RetrievalData,
    (train, validation): (&[Judgement], &[Judgement]),
    objective: &RetrievalObjective,
    budget: &RetrievalBudget,
    seed: u64,
    stop: Option<&AtomicBool>,
) -> Result<TrainedRetriever, FitError> {
    assert!(!train.is_empty(), "there must be a query to train with");
    budget.validate().unwrap_or_else(|error| panic!("{error}"));
    let config = budget.quarter();
    let mut retriever = start;
    let mut best: Option<(f64, Retriever)> = None;
    let mut learning = Vec::new();
    let mut steps = 0;
    let mut lists: Option<Vec<Vec<usize>>> = None;
    let mut frozen: Option<Tensor<2>> = None;
    for quarter in 0..QUARTERS {
        let finds = match objective.negatives {
            NegativeStrategy::Bm25 => quarter == 0,
            NegativeStrategy::Dense | NegativeStrategy::Filtered => quarter == 2,
            NegativeStrategy::Refreshed => quarter > 0,
            NegativeStrategy::InBatch | NegativeStrategy::Random | NegativeStrategy::Clustered => false,
        };
        if finds {
            lists = Some(hard_lists(&retriever, data, train, objective.negatives, budget.pool));
        }
        if matches!(objective.loss, RetrievalLoss::Adore { .. }) && quarter == 2 {
            retriever = retriever.split();
            let documents = retriever.embed(Side::Document, &data.documents);
            let documents = TensorData::new(documents.data, [documents.rows, documents.cols]);
            frozen = Some(Tensor::from_data(documents, &Device::flex().autodiff()));
        }
        let seed = seed.wrapping_mul(QUARTERS as u64).wrapping_add(quarter as u64);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6861_7264);
        let batch = Batches { data, train, lists: lists.as_deref(), objective };
        let training = TrainingLoop {
            stop,
            ..TrainingLoop::new(&config, Sampler::Drawn { rows: train.len(), count: budget.batch_size }, seed)
        };
        let mut clusters = (objective.negatives == NegativeStrategy::Clustered && quarter > 0)
            .then(|| ClusteredBatches::new(&retriever, data, train, budget.batch_size, seed));
        let fitted = training.run(retriever.train(), |retriever, rows, _| {
            let near = clusters.as_mut().map(ClusteredBatches::next);
            let rows = near.as_deref().unwrap_or(rows);
            match &frozen {
                Some(documents) => batch.adore(retriever, rows, documents),
                None => batch.loss(retriever, rows, rng),
            }
        })?;
        steps += fitted.steps;
        retriever = fitted.model.train();
        let score = if validation.is_empty() { quarter as f64 } else { mean_ndcg(&retriever, data, validation) };
        learning.push((fitted.train_loss.iter().sum::<f64>() / fitted.train_loss.len() as f64, score));
        if best.as_ref().is_none_or(|(so_far, _)| score > *so_far) {
            best = Some((score, retriever.clone()));
        }
    }
    let retriever = best.map_or(retriever, |(_, best)| best);
    Ok(TrainedRetriever { retriever, learning, steps })
}

/// Documents to draw hard negatives of each training query from, known relevant ones left out; empty where none is left.
fn hard_lists(
    retriever: &Retriever,
    data: &RetrievalData,
    train: &[Judgement],
    strategy: NegativeStrategy,
    pool: usize,
) -> Vec<Vec<usize>> {
    let found: Vec<Vec<Hit>> = if strategy == NegativeStrategy::Bm25 {
        train.iter().map(|(query, _)| data.bm25[*query].clone()).collect()
    } else {
        let queries: Vec<usize> = train.iter().map(|(query, _)| *query).collect();
        let queries = retriever.embed(Side::Query, &data.queries.gather(&queries));
        let most = train.iter().map(|(_, relevance)| relevance.len()).max().unwrap_or(0);
        ExactIndex::new(retriever.embed(Side::Document, &data.documents)).search(&queries, pool + most + SEARCH_DEPTH)
    };
    let of_query = |((_, relevance), hits): (&Judgement, Vec<Hit>)| {
        let positive =
            hits.iter().filter(|hit| relevance.grade(hit.document) > 0).map(|hit| hit.score).reduce(f32::max);
        let limit = match (strategy, positive) {
            (NegativeStrategy::Filtered, Some(positive)) if positive > 0.0 => FALSE_NEGATIVE * positive,
            _ => f32::INFINITY,
        };
        let kept = hits.iter().filter(|hit| relevance.grade(hit.document) == 0 && hit.score < limit);
        kept.take(pool).map(|hit| hit.document).collect()
    };
    train.iter().zip(found).map(of_query).collect()
}

/// Batches of training queries that are near each other.
struct ClusteredBatches {
    sampler: NgameSampler,
    clusters: Vec<Vec<usize>>,
    /// Batches of this epoch that are still to come.
    left: Vec<Vec<usize>>,
    rng: Xoshiro256PlusPlus,
}

impl ClusteredBatches {
    fn new(retriever: &Retriever, data: &RetrievalData, train: &[Judgement], batch_size: usize, seed: u64) -> Self {
        let queries: Vec<usize> = train.iter().map(|(query, _)| *query).collect();
        let vectors = retriever.embed(Side::Query, &data.queries.gather(&queries));
        let points: Vec<f64> = vectors.data.iter().map(|value| f64::from(*value)).collect();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x636c_7573);
        let sampler = NgameSampler::new(batch_size);
        let clusters = sampler.cluster(sampler.start_epoch, &points, vectors.cols, &mut rng);
        Self { sampler, clusters, left: Vec::new(), rng }
    }

    fn next(&mut self) -> Vec<usize> {
        if self.left.is_empty() {
            self.left = self.sampler.epoch(self.clusters.clone(), &mut self.rng);
        }
        self.left.pop().expect("an epoch has a batch")
    }
}

/// Makes losses of batches.
struct Batches<'a> {
    data: &'a RetrievalData,
    train: &'a [Judgement],
    lists: Option<&'a [Vec<usize>]>,
    objective: &'a RetrievalObjective,
}

impl Batches<'_> {
    fn loss(&self, retriever: &Retriever, rows: &[usize], rng: &mut Xoshiro256PlusPlus) -> Tensor<1> {
        let positives: Vec<usize> = rows.iter().map(|&row| self.positive(row, rng)).collect();
        let count = self.data.documents.len();
        let hard: Vec<usize> = match (self.objective.negatives, self.lists) {
            (NegativeStrategy::Random, _) => rows.iter().map(|_| rng.random_range(0..count)).collect(),
            (_, Some(lists)) => rows
                .iter()
                .filter(|row| !lists[**row].is_empty())
                .map(|&row| lists[row][rng.random_range(0..lists[row].len())])
                .collect(),
            _ => Vec::new(),
        };
        let queries = self.queries(retriever, rows);
        let to = |documents: &[usize]| {
            queries.clone().matmul(retriever.forward(Side::Document, &self.data.documents, documents).transpose())
        };
        let relevant = |documents: &[usize]| self.relevant(rows, documents, &queries.device());
        let loss = match self.objective.loss {
            // The first half of ADORE.
            RetrievalLoss::Adore { temperature, .. } => RetrievalLoss::Star { temperature, alpha: 1.0 },
            loss => loss,
        };
        let mask = relevant(&positives);
        if hard.is_empty() {
            // All queries of a small batch may share their document: nothing is to be learned from them.
            if mask.clone().all().into_scalar::<bool>() {
                return queries.sum().mul_scalar(0.0);
            }
            return loss.forward(to(&positives), None, mask, None);
        }
        let hard_mask = relevant(&hard);
        loss.forward(to(&positives), Some(to(&hard)), mask, Some(hard_mask))
    }

    fn adore(&self, retriever: &Retriever, rows: &[usize], documents: &Tensor<2>) -> Tensor<1> {
        let RetrievalLoss::Adore { temperature, topk } = self.objective.loss else {
            unreachable!("documents are frozen for ADORE alone")
        };
        let relevant: Vec<Vec<usize>> = rows.iter().map(|&row| self.train[row].1.documents().collect()).collect();
        let loss = AdoreLossConfig::new().with_topk(topk).with_metric_cut(Some(topk)).init();
        let queries = self.queries(retriever, rows).mul_scalar(1.0 / temperature);
        loss.forward(queries, documents.clone(), &relevant).0
    }

    fn queries(&self, retriever: &Retriever, rows: &[usize]) -> Tensor<2> {
        let queries: Vec<usize> = rows.iter().map(|&row| self.train[row].0).collect();
        retriever.forward(Side::Query, &self.data.queries, &queries)
    }

    fn positive(&self, row: usize, rng: &mut Xoshiro256PlusPlus) -> usize {
        let relevance = &self.train[row].1;
        relevance
            .documents()
            .nth(rng.random_range(0..relevance.len()))
            .expect("judged queries have a relevant document")
    }

    /// True where the document of the column is known to be relevant to the query of the row.
    fn relevant(&self, rows: &[usize], documents: &[usize], device: &Device) -> Tensor<2, Bool> {
        let cells: Vec<bool> = rows
            .iter()
            .flat_map(|&row| documents.iter().map(move |&document| self.train[row].1.grade(document) > 0))
            .collect();
        Tensor::from_data(TensorData::new(cells, [rows.len(), documents.len()]), device)
    }
}

/// The best documents of each judged query.
pub fn search_judged(retriever: &Retriever, data: &RetrievalData, judged: &[Judgement]) -> Vec<Vec<Hit>> {
    let queries: Vec<usize> = judged.iter().map(|(query, _)| *query).collect();
    let queries = retriever.embed(Side::Query, &data.queries.gather(&queries));
    ExactIndex::new(retriever.embed(Side::Document, &data.documents)).search(&queries, SEARCH_DEPTH)
}

fn mean_ndcg(retriever: &Retriever, data: &RetrievalData, judged: &[Judgement]) -> f64 {
    retrieval_scores(&search_judged(retriever, data, judged), judged)["nDCG@10"]
}

/// How good rankings of judged queries are: `nDCG@10` (linear gain), `MRR@10`, `Recall@100`, and of their scores `AUROC` and `AUROC
/// per query` with their difference, the `calibration gap`: relevant against other documents among those found, in one pool and
/// query by query. The last three are missing where no query finds both kinds.
///
/// # Panics
/// When there is no query.
pub fn retrieval_scores(found: &[Vec<Hit>], judged: &[Judgement]) -> BTreeMap<String, f64> {
    assert!(!judged.is_empty(), "there must be a judged query");
    let rankings: Vec<Vec<usize>> = found.iter().map(|hits| hits.iter().map(|hit| hit.document).collect()).collect();
    let over = |of: &dyn Fn(&Relevance, &[usize]) -> f64| {
        let values = judged.iter().zip(&rankings).map(|((_, relevance), ranking)| of(relevance, ranking));
        values.sum::<f64>() / judged.len() as f64
    };
    let mut scores = BTreeMap::from([
        ("nDCG@10".to_string(), over(&|relevance, ranking| relevance.ndcg(ranking, 10, Gain::Linear))),
        ("MRR@10".to_string(), over(&|relevance, ranking| relevance.reciprocal_rank(ranking, 10))),
        ("Recall@100".to_string(), over(&|relevance, ranking| relevance.recall(ranking, SEARCH_DEPTH))),
    ]);
    if let Ok(auc) = pools::pooled_auc(&score_pools(found, judged)) {
        scores.insert("AUROC".into(), auc.pooled);
        scores.insert("AUROC per query".into(), auc.per_query);
        scores.insert("calibration gap".into(), auc.calibration_gap());
    }
    scores
}

/// Scores of the relevant and of the other documents found, of each query that finds both.
pub fn score_pools(found: &[Vec<Hit>], judged: &[Judgement]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let of_query = |(hits, (_, relevance)): (&Vec<Hit>, &Judgement)| {
        let (positives, negatives): (Vec<&Hit>, Vec<&Hit>) =
            hits.iter().partition(|hit| relevance.grade(hit.document) > 0);
        let scores = |hits: Vec<&Hit>| hits.iter().map(|hit| f64::from(hit.score)).collect::<Vec<f64>>();
        (!positives.is_empty() && !negatives.is_empty()).then(|| (scores(positives), scores(negatives)))
    };
    found.iter().zip(judged).filter_map(of_query).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::{Bm25Config, Collection, ConceptWorldConfig, Document, StaticEncoding};
    use contrarian::registry::ObjectiveSpec;

    fn generated() -> (RetrievalData, Vec<Judgement>, Retriever) {
        let config = ConceptWorldConfig::new().with_topics(3).with_documents(150).with_train(150).with_test(0);
        let collection = Collection::generated(&config, 0);
        let texts: Vec<String> = collection.documents.iter().map(Document::full_text).collect();
        let encoding = StaticEncoding::learn(&texts, 1, 32);
        let queries: Vec<String> = collection.queries.iter().map(|query| query.text.clone()).collect();
        let (documents, queries) = (encoding.encode(&texts), encoding.encode(&queries));
        let (Texts::Words(words), Texts::Words(asked)) = (&documents, &queries) else { panic!("both are words") };
        let index = Bm25Config::new().build(words);
        let bm25 = asked.iter().map(|query| index.top(query, 30, &[])).collect();
        (RetrievalData { documents, queries, bm25 }, collection.judged(), encoding.untrained(0))
    }

    #[test]
    fn every_objective_and_strategy_learns() {
        let (data, judged, start) = generated();
        let (train, test) = judged.split_at(100);
        let before = retrieval_scores(&search_judged(&start, &data, test), test)["MRR@10"];
        let budget = RetrievalBudget { steps: 80, batch_size: 16, learning_rate: 0.01, pool: 10 };
        let strategies = NegativeStrategy::ALL.map(|strategy| format!("mnr(negatives={})", strategy.name()));
        let losses = ["mw", "star(negatives=bm25)", "adore(topk=20)"].map(String::from);
        for text in strategies.iter().chain(&losses) {
            let objective = RetrievalObjective::of(&text.parse::<ObjectiveSpec>().unwrap()).unwrap();
            let trained = train_retriever(start.clone(), &data, (train, test), &objective, &budget, 1, None).unwrap();
            assert_eq!((trained.learning.len(), trained.steps), (4, 80));
            let scores = retrieval_scores(&search_judged(&trained.retriever, &data, test), test);
            assert!(scores["MRR@10"] > before, "{text}: {} after {before}", scores["MRR@10"]);
        }
    }

    #[test]
    fn lists_hold_no_known_relevant_document_and_filtering_drops_the_nearest() {
        let (data, judged, start) = generated();
        let lists = |strategy| hard_lists(&start, &data, &judged, strategy, 10);
        for strategy in [NegativeStrategy::Bm25, NegativeStrategy::Dense, NegativeStrategy::Filtered] {
            for (list, (_, relevance)) in lists(strategy).iter().zip(&judged) {
                assert!(list.len() <= 10 && list.iter().all(|document| relevance.grade(*document) == 0));
            }
        }
        assert_ne!(lists(NegativeStrategy::Dense), lists(NegativeStrategy::Filtered));
    }

    #[test]
    fn scores_of_a_case_by_hand() {
        let hit = |document, score| Hit { document, score };
        let found = vec![vec![hit(1, 0.9), hit(0, 0.5)], vec![hit(0, 0.4), hit(1, 0.3)]];
        let judged = vec![(0, Relevance::binary([0])), (1, Relevance::binary([0]))];
        let scores = retrieval_scores(&found, &judged);
        assert_eq!((scores["MRR@10"], scores["Recall@100"]), (0.75, 1.0));
        // Pool: positives .5 and .4, negatives .9 and .3.
        assert_eq!((scores["AUROC"], scores["AUROC per query"]), (0.5, 0.5));
        let nothing = retrieval_scores(&[vec![hit(3, 1.0)]], &judged[..1]);
        assert!(!nothing.contains_key("AUROC") && nothing["nDCG@10"] == 0.0);
    }
}
