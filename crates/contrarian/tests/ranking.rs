//! The ranking objectives: the facts that the papers state.

use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use contrarian::ranking::*;

fn random(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| 2.0 * (next() + next() + next()) - 3.0).collect()
}

fn tensor<const D: usize>(data: Vec<f64>, shape: [usize; D], dtype: DType) -> Tensor<D> {
    let data = TensorData::new(data, shape).convert_dtype(dtype);
    Tensor::<D>::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn value(loss: Tensor<1>) -> f64 {
    numbers(loss)[0]
}

#[test]
fn offsets_of_queries_change_mann_whitney_and_not_the_contrastive_loss() {
    let scores = tensor(random(5, 6 * 9), [6, 9], DType::F64);
    let offsets = tensor(random(6, 6), [6, 1], DType::F64);
    let moved = scores.clone() + offsets;
    let (mw, contrastive) = (
        MwLossConfig::new().with_temperature(0.1).init(),
        ScoreContrastiveLossConfig::new().with_temperature(0.1).init(),
    );
    let before = value(contrastive.forward(scores.clone(), None));
    assert!((value(contrastive.forward(moved.clone(), None)) - before).abs() < 1e-10 * before);
    let before = value(mw.forward_scores(scores, None));
    assert!((value(mw.forward_scores(moved, None)) - before).abs() > 1e-3 * before);
}

#[test]
fn the_mean_over_ln_2_bounds_the_area_over_the_curve() {
    for seed in 0..20 {
        let (pos, neg) = (random(seed, 30), random(seed + 100, 50));
        let aoc = contrarian_lab::metrics::pools::aoc(&pos, &neg).unwrap();
        for temperature in [0.01, 0.1, 1.0, 10.0] {
            let loss = MwLossConfig::new().with_temperature(temperature).init();
            let (pos, neg) = (tensor(pos.clone(), [30], DType::F64), tensor(neg.clone(), [50], DType::F64));
            assert!(aoc <= value(loss.pools(pos, neg)) / std::f64::consts::LN_2);
        }
    }
}

#[test]
fn first_rank_alone_is_cross_entropy_and_offsets_do_not_count() {
    let device = Device::flex();
    let student = Tensor::<2>::random([8, 12], Distribution::Normal(0.0, 2.0), &device);
    let teacher = Tensor::<2>::random([8, 12], Distribution::Normal(0.0, 2.0), &device);
    let labels = Tensor::<1, Int>::from_ints([0, 3, 11, 5, 5, 1, 2, 7], &device);
    let first = PlackettLuceLossConfig::new().with_weights(RankWeights::First).init();
    let cross_entropy = contrarian::classification::CrossEntropyLossConfig::new().init();
    let found = value(first.forward(student.clone(), teacher.clone(), labels.clone()));
    let expected = value(cross_entropy.forward(student.clone(), labels.clone()));
    assert!((found - expected).abs() < 1e-6 * expected.max(1.0), "{found} {expected}");
    let loss = PlackettLuceLossConfig::new().init();
    let before = value(loss.forward(student.clone(), teacher.clone(), labels.clone()));
    let after = value(loss.forward(student + 1000.0, teacher, labels));
    // Numbers near 1000 have a spacing of 6e-5 in f32.
    assert!((before - after).abs() < 1e-3, "{before} {after}");
}

#[test]
fn embeddings_are_scored_by_their_directions() {
    let (q, p) = (tensor(random(7, 4 * 5), [4, 5], DType::F64), tensor(random(8, 8 * 5), [8, 5], DType::F64));
    let loss = MwLossConfig::new().with_temperature(0.2).init();
    let before = value(loss.forward_embeddings(q.clone(), p.clone(), true));
    let scaled = value(loss.forward_embeddings(q.clone().mul_scalar(7.0), p.clone(), true));
    assert!((before - scaled).abs() < 1e-12 * before);
    assert!((before - value(loss.forward_embeddings(q, p, false))).abs() > 1e-3);
}

#[test]
#[should_panic(expected = "no negative is left in scores [1, 1]")]
fn a_batch_without_negatives_is_refused() {
    MwLossConfig::new().init().forward_scores(tensor(vec![1.0], [1, 1], DType::F32), None);
}

#[test]
#[should_panic(expected = "at least one negative score")]
fn an_empty_pool_is_refused() {
    MwLossConfig::new().init().pools(tensor(vec![1.0], [1], DType::F32), tensor(Vec::new(), [0], DType::F32));
}
