//! Retrieval with graded relevance that is known: documents around topics, a query for each, a judge that nearly knows.

use contrarian_lab::data::Matrix;
use contrarian_lab::mining::Judge;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

/// Length of a latent vector.
const LATENT: usize = 10;
/// Numbers observed of a query and of a document.
pub const OBSERVED: usize = 40;
/// Documents of a topic.
pub const PER_TOPIC: usize = 12;

/// Queries and documents; the document with a query's number is its labelled positive.
pub struct Topics {
    /// What is seen of the queries.
    pub queries: Matrix,
    /// What is seen of the documents.
    pub documents: Matrix,
    /// Relevance of every document to every query, query by query.
    relevance: Vec<f64>,
    /// The judge's error for every pair.
    error: Vec<f64>,
    /// Queries to train with.
    pub train: Vec<usize>,
    /// Queries to measure on.
    pub test: Vec<usize>,
}

/// ```text
/// C_t ~ N(0, I),  u = unit(C_t + .45 e),  v = unit(u + .15 e'),  relevance = v . u'
/// document = tanh(2 u A) + .25 n,   query = tanh(2 v B) + .25 n,   A, B of N(0, 1) / sqrt(10)
/// judge = sigmoid((v . u' - .85) / .04 + .5 n)
/// ```
pub fn topics(topics: usize, seed: u64) -> Topics {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut normals = |n: usize| -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
    let maps = [0; 2].map(|_| {
        let map = normals(LATENT * OBSERVED);
        map.into_iter().map(|value| value / (LATENT as f64).sqrt()).collect::<Vec<f64>>()
    });
    let (mut documents, mut queries) = (Vec::new(), Vec::new());
    for _ in 0..topics {
        let centre = normals(LATENT);
        for _ in 0..PER_TOPIC {
            let document = near(&centre, 0.45, &normals(LATENT));
            queries.push(near(&document, 0.15, &normals(LATENT)));
            documents.push(document);
        }
    }
    let count = documents.len();
    let mut observe = |latent: &[Vec<f64>], map: &[f64]| {
        let mut data = Vec::with_capacity(count * OBSERVED);
        for vector in latent {
            let noise = normals(OBSERVED);
            let seen = |at: usize| -> f64 { vector.iter().enumerate().map(|(k, u)| u * map[k * OBSERVED + at]).sum() };
            data.extend((0..OBSERVED).map(|at| ((2.0 * seen(at)).tanh() + 0.25 * noise[at]) as f32));
        }
        Matrix { rows: count, cols: OBSERVED, data }
    };
    let (seen_documents, seen_queries) = (observe(&documents, &maps[0]), observe(&queries, &maps[1]));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let relevance = queries.iter().flat_map(|v| documents.iter().map(|u| dot(v, u)).collect::<Vec<f64>>()).collect();
    let error = normals(count * count);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut rng);
    let test = order.split_off(2 * count / 3);
    Topics { queries: seen_queries, documents: seen_documents, relevance, error, train: order, test }
}

/// `centre + scale noise`, of length 1.
fn near(centre: &[f64], scale: f64, noise: &[f64]) -> Vec<f64> {
    let moved: Vec<f64> = centre.iter().zip(noise).map(|(c, e)| c + scale * e).collect();
    let length = moved.iter().map(|x| x * x).sum::<f64>().sqrt();
    moved.into_iter().map(|x| x / length).collect()
}

impl Topics {
    /// How relevant each document is to a query.
    pub fn relevance(&self, query: usize) -> &[f64] {
        let count = self.documents.rows;
        &self.relevance[query * count..(query + 1) * count]
    }

    /// What the judge says of a pair.
    pub fn judged(&self, query: usize, document: usize) -> f64 {
        let error = self.error[query * self.documents.rows + document];
        let logit = (self.relevance(query)[document] - 0.85) / 0.04 + 0.5 * error;
        1.0 / (1.0 + (-logit).exp())
    }
}

/// The judge of the queries to train with, numbered as there.
pub struct TrainJudge<'a>(pub &'a Topics);

impl Judge for TrainJudge<'_> {
    fn judge(&self, pairs: &[(usize, usize)]) -> Vec<Option<f64>> {
        pairs.iter().map(|&(query, document)| Some(self.0.judged(self.0.train[query], document))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_a_topic_are_relevant_to_each_others_queries() {
        let found = topics(20, 1);
        assert_eq!((found.queries.rows, found.train.len(), found.test.len()), (240, 160, 80));
        let mut own = Vec::new();
        for query in 0..240 {
            let relevance = found.relevance(query);
            // cos of u and u + .15 e in ten dimensions: about 1 / sqrt(1 + .15^2 10) = .90.
            own.push(relevance[query]);
            let judged = found.judged(query, query);
            assert!((0.0..=1.0).contains(&judged));
        }
        let mean = own.iter().sum::<f64>() / 240.0;
        // A standard deviation of .05 over 240 queries.
        assert!((mean - 0.91).abs() < 0.03, "{mean}");
        assert_eq!(topics(20, 1).queries, found.queries);
    }
}
