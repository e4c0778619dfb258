//! The fused and the composed forms against each other.

use super::pairs::PairLoss;
use super::plackett_luce::plackett_luce_log_prob_composed;
use super::*;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

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
                    let mann_whitney = PairLoss::MannWhitney { temperature: 0.5 * scale };
                    let others = [PairLoss::Hinge { margin: 1.0 }, PairLoss::SquaredHinge { margin: 1.0 }];
                    for loss in [mann_whitney].into_iter().chain(others) {
                        for x in [&pos, &neg] {
                            let fused = loss.forward(reduction, pos.clone(), neg.clone());
                            let composed = loss.forward_composed(reduction, pos.clone(), neg.clone());
                            both(&format!("{loss:?}"), x, fused, composed, bound);
                        }
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
