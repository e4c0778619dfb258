//! Pooled labels: documents with a relevance and a probability of being shown to a judge.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Numbers of what relevance depends on, and of what selection depends on.
pub const RELEVANCE: usize = 8;
pub const SELECTION: usize = 4;
/// All numbers of a document.
pub const ALL: usize = RELEVANCE + SELECTION;
/// Documents of a query.
pub const CANDIDATES: usize = 100;
/// Documents of a list that negatives are drawn from.
pub const LIST: usize = 20;

pub struct PoolDocument {
    /// `x` and then `z`.
    pub features: [f32; ALL],
    /// Probability of being relevant, and of being shown.
    pub rho: f64,
    pub lam: f64,
    pub relevant: bool,
    pub labelled: bool,
}

pub struct PoolQuery {
    pub documents: Vec<PoolDocument>,
    /// Unlabelled documents that a strong retriever ranks first, by relevance with noise.
    pub strong: Vec<usize>,
    /// Those of a weak one, by what the pool was selected by.
    pub weak: Vec<usize>,
}

/// Queries with 100 documents each; those without a label are left out.
///
/// `u` is the sum of `x` over root 8 and `v = .5 u + sqrt(.75) sum(z)/2`, and `z` is shifted so that it carries `v`. Relevant with
/// probability `sigmoid(-4.5 + 3 u)`, shown with `sigmoid(-1 + 2 v)`, labelled where both.
pub fn pool(queries: usize, seed: u64) -> Vec<PoolQuery> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
    let query = |_| {
        let mut ranks = Vec::new();
        let documents: Vec<PoolDocument> = (0..CANDIDATES)
            .map(|_| {
                let mut normal = || -> f64 { StandardNormal.sample(&mut *rng) };
                let x: Vec<f64> = (0..RELEVANCE).map(|_| normal()).collect();
                let z: Vec<f64> = (0..SELECTION).map(|_| normal()).collect();
                let u = x.iter().sum::<f64>() / (RELEVANCE as f64).sqrt();
                let half = z.iter().sum::<f64>() / 2.0;
                let v = 0.5 * u + 0.75f64.sqrt() * half;
                ranks.push((u + 0.3 * normal(), v + 0.3 * normal()));
                let shift = (v - half) * 2.0 / SELECTION as f64;
                let mut features = [0.0; ALL];
                for (feature, value) in features.iter_mut().zip(x.iter().copied().chain(z.iter().map(|z| z + shift))) {
                    *feature = value as f32;
                }
                let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
                let (rho, lam) = (sigmoid(-4.5 + 3.0 * u), sigmoid(-1.0 + 2.0 * v));
                let (relevant, shown) = (rng.random_bool(rho), rng.random_bool(lam));
                PoolDocument { features, rho, lam, relevant, labelled: relevant && shown }
            })
            .collect();
        let list = |by: fn(&(f64, f64)) -> f64| {
            let mut order: Vec<usize> = (0..CANDIDATES).filter(|at| !documents[*at].labelled).collect();
            order.sort_by(|a, b| by(&ranks[*b]).total_cmp(&by(&ranks[*a])));
            order.truncate(LIST);
            order
        };
        let (strong, weak) = (list(|rank| rank.0), list(|rank| rank.1));
        PoolQuery { documents, strong, weak }
    };
    let all: Vec<PoolQuery> = (0..queries).map(query).collect();
    all.into_iter().filter(|query| query.documents.iter().any(|document| document.labelled)).collect()
}

/// Part of the listed documents that are relevant in truth.
pub fn false_negative_rate(queries: &[PoolQuery], list: impl Fn(&PoolQuery) -> &Vec<usize>) -> f64 {
    let (mut relevant, mut all) = (0.0, 0.0);
    for query in queries {
        for &at in list(query) {
            relevant += f64::from(u8::from(query.documents[at].relevant));
            all += 1.0;
        }
    }
    relevant / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strong_list_has_more_false_negatives() {
        let queries = pool(300, 0);
        let [strong, weak] = [false_negative_rate(&queries, |q| &q.strong), false_negative_rate(&queries, |q| &q.weak)];
        // About 17% and 5% by the specification.
        assert!((0.12..0.22).contains(&strong) && (0.02..0.09).contains(&weak), "{strong} {weak}");
        assert!(queries.iter().all(|query| query.strong.iter().all(|at| !query.documents[*at].labelled)));
    }
}
