//! The ranking objectives: both forms against each other, and the facts that the papers state.

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

/// Relative to the largest number of the same output.
fn close(name: &str, fused: &[f64], composed: &[f64], bound: f64) {
    let size = composed.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert_eq!(fused.len(), composed.len());
    for (f, c) in fused.iter().zip(composed) {
        assert!((f - c).abs() <= bound * size + 1e-37, "{name}: {f} for {c}, largest {size}");
    }
}

fn both<const D: usize>(name: &str, x: &Tensor<D>, fused: Tensor<1>, composed: Tensor<1>, bound: f64) {
    close(name, &numbers(fused.clone()), &numbers(composed.clone()), bound);
    let gradient = |loss: Tensor<1>| numbers(x.grad(&loss.sum().mul_scalar(3.0).backward()).unwrap());
    close(name, &gradient(fused), &gradient(composed), bound);
}

const PRECISIONS: [(DType, f64); 2] = [(DType::F64, 1e-10), (DType::F32, 1e-5)];

#[test]
fn pair_losses_agree_in_both_forms() {
    for (dtype, bound) in PRECISIONS {
        for (p, n) in [(1, 1), (1, 129), (17, 3), (127, 129), (300, 40)] {
            for scale in [1.0, 1e4] {
                let scores = |seed, count| random(seed, count).into_iter().map(|v| v * scale).collect();
                let (pos, neg) = (tensor(scores(1, p), [p], dtype), tensor(scores(2, n), [n], dtype));
                for reduction in [PairReduction::MeanPairs, PairReduction::SumOverNegatives, PairReduction::SumPairs] {
                    let mw = MwLossConfig::new().with_temperature(0.5 * scale).with_reduction(reduction).init();
                    let hinge = PairwiseHingeLossConfig::new().with_reduction(reduction).init();
                    let squared = PairwiseSquaredHingeLossConfig::new().with_reduction(reduction).init();
                    for x in [&pos, &neg] {
                        let sides = || (pos.clone(), neg.clone());
                        let ((a, b), (c, d)) = (sides(), sides());
                        both("mann-whitney", x, mw.pools(a, b), mw.pools_composed(c, d), bound);
                        let ((a, b), (c, d)) = (sides(), sides());
                        both("hinge", x, hinge.forward(a, b), hinge.forward_composed(c, d), bound);
                        let ((a, b), (c, d)) = (sides(), sides());
                        both("squared hinge", x, squared.forward(a, b), squared.forward_composed(c, d), bound);
                    }
                }
            }
        }
    }
}

#[test]
fn plackett_luce_agrees_in_both_forms() {
    for (dtype, bound) in PRECISIONS {
        for (rows, items) in [(1, 1), (2, 2), (3, 17), (17, 127), (2, 129)] {
            for scale in [1.0, 300.0] {
                let logits: Vec<f64> = random(3, rows * items).into_iter().map(|v| v * scale).collect();
                let student = tensor(logits, [rows, items], dtype);
                let teacher = || tensor(random(4, rows * items), [rows, items], dtype);
                let labels: Vec<i64> = (0..rows).map(|row| (row * 31 % items) as i64).collect();
                let labels = || Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [rows]), &student.device());
                let custom = RankWeights::Custom((0..items).map(|k| 1.0 / (k + 1) as f64).collect());
                let weights = [RankWeights::Teacher, RankWeights::Uniform, RankWeights::ListMle, RankWeights::First];
                for weights in weights.into_iter().chain([custom]) {
                    let objective = PlackettLuceLossConfig::new().with_temperature(4.0).with_weights(weights).init();
                    let fused = objective.forward(student.clone(), teacher(), labels());
                    let composed = objective.forward_composed(student.clone(), teacher(), labels());
                    both("plackett-luce", &student, fused, composed, bound);
                }
                let order = teacher_optimal_permutation(teacher(), labels());
                let fused = plackett_luce_log_prob(student.clone(), order.clone());
                both("log-prob", &student, fused, plackett_luce_log_prob_composed(student.clone(), order), bound);
            }
        }
    }
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
