//! Where the studied negatives come from.

use crate::concepts::Budget;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::ranking::RerankListwiseLossConfig;
use contrarian_lab::retrieval::{Bm25Config, ConceptWorld};
use rand::distr::weighted::WeightedIndex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Poisson};
use std::collections::BTreeMap;

/// Documents that BM25 finds for each training query, the labelled one left out.
pub fn bm25(world: &ConceptWorld, k: usize) -> Vec<Vec<usize>> {
    let index = Bm25Config::new().build(&world.documents);
    let top = |query: &contrarian_lab::retrieval::ConceptQuery| {
        index.top(&query.words, k, &[query.source]).into_iter().map(|hit| hit.document).collect()
    };
    world.train.iter().map(top).collect()
}

/// A full-rank bilinear scorer of word counts, the stand-in of a cross-encoder: `q M d` over counts of length 1, `M = 10 I` at first.
#[derive(Module, Debug)]
struct Bilinear {
    m: Param<Tensor<2>>,
}

/// Negatives of each list in training, and the rate.
const LISTED: usize = 7;
const RATE: f64 = 0.05;

/// The `k` documents of each query's candidates that a bilinear scorer finds best, after it has learned to tell the label from them.
pub fn cross_encoder(
    world: &ConceptWorld,
    candidates: &[Vec<usize>],
    (steps, batch, k): (usize, usize, usize),
    seed: u64,
) -> Result<Vec<Vec<usize>>, String> {
    let device = Device::flex().autodiff();
    let v = world.vocabulary;
    let identity: Vec<f32> = (0..v * v).map(|at| if at / v == at % v { 10.0 } else { 0.0 }).collect();
    let model = Bilinear { m: Param::from_data(TensorData::new(identity, [v, v]), &device) };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x6269_6c69);
    let dense = |texts: &[&[u32]]| {
        let mut data = vec![0.0f32; texts.len() * v];
        for (row, text) in data.chunks_mut(v).zip(texts) {
            counts(text).for_each(|(word, count)| row[word] = count);
        }
        Tensor::<2>::from_data(TensorData::new(data, [texts.len(), v]), &device)
    };
    let budget = Budget { steps, batch, rate: RATE };
    let trained = budget.train(model, world.train.len(), seed, |model, rows| {
        let listed = LISTED.min(candidates[0].len());
        let texts: Vec<&[u32]> = rows
            .iter()
            .flat_map(|&row| {
                let negatives = sample(rng, candidates[row].len(), listed).into_vec();
                let negatives = negatives.into_iter().map(|at| candidates[row][at]);
                std::iter::once(world.train[row].source).chain(negatives).collect::<Vec<_>>()
            })
            .map(|document| world.documents[document].as_slice())
            .collect();
        let queries: Vec<&[u32]> = rows.iter().map(|&row| world.train[row].words.as_slice()).collect();
        let asked = dense(&queries).matmul(model.m.val()).reshape([rows.len(), 1, v]);
        let found = dense(&texts).reshape([rows.len(), listed + 1, v]);
        let scores = (found * asked).sum_dim(2).reshape([rows.len(), listed + 1]);
        RerankListwiseLossConfig::new().init().forward(scores, Tensor::<1, Int>::zeros([rows.len()], &device))
    })?;
    let m: Vec<f32> = trained.m.val().into_data().try_to_vec().expect("models are f32");
    let best = |(query, candidates): (&contrarian_lab::retrieval::ConceptQuery, &Vec<usize>)| {
        let asked: Vec<(usize, f32)> = counts(&query.words).collect();
        let score = |document: usize| -> f32 {
            counts(&world.documents[document])
                .map(|(word, count)| asked.iter().map(|(own, weight)| weight * m[own * v + word]).sum::<f32>() * count)
                .sum()
        };
        let mut scored: Vec<(f32, usize)> = candidates.iter().map(|&document| (score(document), document)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        scored.into_iter().take(k).map(|(_, document)| document).collect()
    };
    Ok(world.train.iter().zip(candidates).map(best).collect())
}

/// Words of a text with their counts, scaled to length 1.
fn counts(text: &[u32]) -> impl Iterator<Item = (usize, f32)> {
    let mut counts: BTreeMap<usize, f32> = BTreeMap::new();
    for &word in text {
        *counts.entry(word as usize).or_default() += 1.0;
    }
    let length = counts.values().map(|count| count * count).sum::<f32>().sqrt();
    counts.into_iter().map(move |(word, count)| (word, count / length))
}

/// A stand-in of a language model that has read the training queries and no document: it stays on the topic, repeats a word of the query,
/// and writes as queries do.
///
/// One concept word of the query is copied `1 + Poisson(1)` times; 14 more are drawn from what its words occur beside in queries, half of
/// it one step further, without the query's own.
pub fn generated(world: &ConceptWorld, concepts: usize, seed: u64) -> Vec<Vec<u32>> {
    const WORDS: usize = 14;
    let beside = neighbours(world);
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x7175_6572);
    let extra = Poisson::new(1.0).expect("the mean is above 0");
    let write = |query: &contrarian_lab::retrieval::ConceptQuery| {
        let own: Vec<u32> = query.words.iter().copied().filter(|word| (*word as usize) < 2 * concepts).collect();
        let mut text = vec![own[rng.random_range(0..own.len())]; 1 + extra.sample(rng) as usize];
        let mut weights: BTreeMap<u32, f64> = BTreeMap::new();
        for word in &own {
            for (near, weight) in &beside[*word as usize] {
                *weights.entry(*near).or_default() += 0.5 * weight;
                for (far, more) in &beside[*near as usize] {
                    *weights.entry(*far).or_default() += 0.5 * weight * more;
                }
            }
        }
        weights.retain(|word, _| !own.contains(word));
        let words: Vec<u32> = weights.keys().copied().collect();
        if let Ok(chosen) = WeightedIndex::new(weights.values()) {
            text.extend((0..WORDS).map(|_| words[chosen.sample(rng)]));
        }
        text
    };
    world.train.iter().map(write).collect()
}

/// How often words occur in the same training query, each row divided by its sum.
fn neighbours(world: &ConceptWorld) -> Vec<Vec<(u32, f64)>> {
    let mut counts: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); world.vocabulary];
    for query in &world.train {
        let mut words = query.words.clone();
        words.sort_unstable();
        words.dedup();
        for &word in &words {
            for &other in words.iter().filter(|other| **other != word) {
                *counts[word as usize].entry(other).or_default() += 1.0;
            }
        }
    }
    let normalised = |row: BTreeMap<u32, f64>| {
        let sum: f64 = row.values().sum();
        row.into_iter().map(|(word, count)| (word, count / sum)).collect()
    };
    counts.into_iter().map(normalised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contrarian_lab::retrieval::ConceptWorldConfig;

    #[test]
    fn every_source_has_a_negative_for_every_query_and_never_the_label() {
        let config = ConceptWorldConfig::new().with_topics(2).with_documents(80).with_train(60).with_test(5);
        let world = config.generate(0);
        let found = bm25(&world, 12);
        let chosen = cross_encoder(&world, &found, (4, 8, 5), 0).unwrap();
        for (query, (found, chosen)) in world.train.iter().zip(found.iter().zip(&chosen)) {
            assert_eq!((found.len(), chosen.len()), (12, 5));
            assert!(!found.contains(&query.source) && chosen.iter().all(|document| found.contains(document)));
        }
        let texts = generated(&world, 40, 0);
        assert!(texts.iter().all(|text| text.len() >= 15));
        let part: f64 = texts
            .iter()
            .zip(&world.train)
            .map(|(text, query)| f64::from(u8::from(query.words.iter().all(|word| text.contains(word)))))
            .sum();
        assert!(part / 60.0 < 0.2, "a generated text leaves out part of the query");
    }
}
