//! Queries by intent: a generated collection of vectors.

use contrarian_lab::data::Matrix;
use contrarian_lab::retrieval::ExactIndex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Numbers of a vector.
pub const DIM: usize = 24;
/// Documents of an intent.
pub const OF_INTENT: usize = 4;
/// Most feedback.
pub const MOST: usize = 5;

/// Documents and queries on the unit sphere. A topic is normal, an intent a topic and .7 of another normal vector, a document its
/// intent and .5, a query its intent and 1.
pub struct IntentWorld {
    /// The documents, those of an intent in a row.
    pub documents: Matrix,
    /// Queries of the first three quarters of the intents.
    pub train: Queries,
    /// Queries of the last quarter.
    pub test: Queries,
}

pub struct Queries {
    pub vectors: Matrix,
    /// The intent of each.
    pub intents: Vec<usize>,
    /// The best documents of each by its own vector.
    pub feedback: Vec<Vec<usize>>,
}

impl IntentWorld {
    pub fn generate(intents: usize, train: usize, test: usize, seed: u64) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let topics: Vec<Vec<f64>> = (0..intents.div_ceil(20)).map(|_| near(&[0.0; DIM], 1.0, rng)).collect();
        let centres: Vec<Vec<f64>> =
            (0..intents).map(|_| near(&topics[rng.random_range(0..topics.len())], 0.7, rng)).collect();
        let documents: Vec<f32> = centres
            .iter()
            .flat_map(|centre| (0..OF_INTENT).flat_map(|_| unit(near(centre, 0.5, rng))).collect::<Vec<_>>())
            .collect();
        let documents = Matrix { rows: intents * OF_INTENT, cols: DIM, data: documents };
        let index = ExactIndex::new(documents.clone());
        let seen = intents * 3 / 4;
        let mut queries = |count: usize, from: usize, to: usize| {
            let own: Vec<usize> = (0..count).map(|_| rng.random_range(from..to)).collect();
            let data = own.iter().flat_map(|intent| unit(near(&centres[*intent], 1.0, rng))).collect();
            let vectors = Matrix { rows: count, cols: DIM, data };
            let found = index.search(&vectors, MOST);
            let feedback = found.iter().map(|hits| hits.iter().map(|hit| hit.document).collect()).collect();
            Queries { vectors, intents: own, feedback }
        };
        let (train, test) = (queries(train, 0, seen), queries(test, seen, intents));
        Self { documents, train, test }
    }

    /// The documents of an intent.
    pub fn relevant(intent: usize) -> Vec<usize> {
        (intent * OF_INTENT..(intent + 1) * OF_INTENT).collect()
    }
}

/// A normal vector around another.
fn near(centre: &[f64], deviation: f64, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let mut step = || -> f64 { StandardNormal.sample(&mut *rng) };
    centre.iter().map(|value| value + deviation * step()).collect()
}

fn unit(x: Vec<f64>) -> Vec<f32> {
    let length = x.iter().map(|value| value * value).sum::<f64>().sqrt();
    x.into_iter().map(|value| (value / length) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_half_of_the_feedback_is_relevant() {
        let world = IntentWorld::generate(400, 400, 400, 0);
        let hits = world.test.feedback.iter().zip(&world.test.intents).map(|(feedback, intent)| {
            let relevant = IntentWorld::relevant(*intent);
            feedback.iter().filter(|document| relevant.contains(document)).count()
        });
        let part = hits.sum::<usize>() as f64 / (400.0 * MOST as f64);
        // The specification's prototype found 54%.
        assert!((0.44..0.64).contains(&part), "{part}");
        assert!(
            world.train.intents.iter().all(|intent| *intent < 300)
                && world.test.intents.iter().all(|intent| *intent >= 300)
        );
    }
}
