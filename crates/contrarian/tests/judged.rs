//! The judged miner, the soft-score alignment and the reranker losses against plain f64 loops written from the paper.

#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{DType, Device, Tensor, TensorData};
use contrarian::negatives::*;
use contrarian::ranking::*;
use differences::{check, dot, ints, log_sum_exp, numbers, tensor, unit, vectors};
use proptest::prelude::*;

fn softmax(row: &[f64], temperature: f64) -> Vec<f64> {
    let all = log_sum_exp(row.iter().map(|x| x / temperature));
    row.iter().map(|x| (x / temperature - all).exp()).collect()
}

/// `sum a log(a / (b + epsilon))`, with `0 log 0 = 0`.
fn relative(a: &[f64], b: &[f64], epsilon: f64) -> f64 {
    a.iter().zip(b).map(|(a, b)| if *a == 0.0 { 0.0 } else { a * (a.ln() - (b + epsilon).ln()) }).sum()
}

fn alignment(similarities: &[f64], scores: &[f64], columns: usize, config: &SoftScoreAlignmentConfig) -> f64 {
    let rows = similarities.chunks(columns).zip(scores.chunks(columns)).map(|(similarities, scores)| {
        let p = softmax(scores, config.score_temperature.unwrap_or(config.temperature));
        let q = softmax(similarities, config.temperature);
        let e = config.epsilon;
        match config.divergence {
            Divergence::ForwardKl => relative(&p, &q, e),
            Divergence::Jeffreys => 0.5 * (relative(&p, &q, e) + relative(&q, &p, e)),
            Divergence::JensenShannon => {
                let m: Vec<f64> = p.iter().zip(&q).map(|(p, q)| f64::midpoint(*p, *q)).collect();
                0.5 * (relative(&p, &m, e) + relative(&q, &m, e))
            }
        }
    });
    let rows: Vec<f64> = rows.collect();
    rows.iter().sum::<f64>() / rows.len() as f64
}

const DIVERGENCES: [Divergence; 3] = [Divergence::Jeffreys, Divergence::JensenShannon, Divergence::ForwardKl];

fn settings() -> impl Strategy<Value = SoftScoreAlignmentConfig> {
    let epsilon = prop::sample::select(vec![0.0, 1e-8, 1e-2]);
    let divergence = prop::sample::select(DIVERGENCES.to_vec());
    (0.15f64..2.0, prop::option::of(0.15f64..2.0), epsilon, divergence).prop_map(|(t, s, epsilon, divergence)| {
        SoftScoreAlignmentConfig::new()
            .with_temperature(t)
            .with_score_temperature(s)
            .with_epsilon(epsilon)
            .with_divergence(divergence)
    })
}

fn lists() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>)> {
    (1usize..5, 1usize..6).prop_flat_map(|(n, c)| {
        let scores = prop::collection::vec(prop_oneof![0.0f64..=1.0, Just(0.5), Just(1.0)], n * c);
        (Just(c), vectors(n, c), scores)
    })
}

fn constant(values: &[f64], columns: usize) -> Tensor<2> {
    tensor(values, columns).detach()
}

proptest! {
    #[test]
    fn the_alignment_agrees_with_plain_loops((columns, similarities, scores) in lists(), config in settings()) {
        let x = tensor(&similarities, columns);
        let loss = config.init().forward(x.clone(), constant(&scores, columns));
        check("soft-score-alignment", loss, &[(&x, &similarities)], &|values| {
            alignment(&values[0], &scores, columns, &config)
        })?;
    }

    #[test]
    fn embeddings_are_compared_by_their_cosines(
        queries in vectors(3, 4),
        candidates in vectors(6, 4),
        scores in prop::collection::vec(0.0f64..=1.0, 6),
    ) {
        let long = |x: &[f64]| x.chunks(4).all(|row| dot(row, row) > 0.1);
        prop_assume!(long(&queries) && long(&candidates));
        let config = SoftScoreAlignmentConfig::new().with_temperature(0.3);
        let (q, c) = (tensor(&queries, 4), tensor(&candidates, 4));
        let loss = config.init().forward_embeddings(q.clone(), c.clone().reshape([3, 2, 4]), constant(&scores, 2));
        check("embeddings", loss, &[(&q, &queries), (&c, &candidates)], &|values| {
            let (q, c) = (unit(&values[0], 4), unit(&values[1], 4));
            let similarities: Vec<f64> =
                (0..6).map(|at| dot(&q[at / 2 * 4..][..4], &c[at * 4..][..4])).collect();
            alignment(&similarities, &scores, 2, &config)
        })?;
    }

    #[test]
    fn the_rerankers_agree_with_plain_loops(
        (n, columns, values) in (1usize..5, 1usize..5).prop_flat_map(|(n, c)| (Just(n), Just(c), vectors(n, c + 4))),
        targets in prop::collection::vec(0usize..100, 4),
    ) {
        let (x, rest) = values.split_at(2 * n);
        let (y, z) = rest.split_at(2 * n);
        let targets: Vec<i64> = targets[..n].iter().map(|target| (target % columns) as i64).collect();
        let (positive, negative, logits) = (tensor(x, 2), tensor(y, 2), tensor(z, columns));
        let objective = RerankJointLossConfig::new().init();
        let loss = objective.forward(positive.clone(), negative.clone(), logits.clone(), ints(&targets));
        check("rerank-joint", loss, &[(&positive, x), (&negative, y), (&logits, z)], &|values| {
            let entropy = |row: &[f64], own: usize| log_sum_exp(row.iter().copied()) - row[own];
            let pairs = |x: &[f64], own: usize| x.chunks(2).map(|row| entropy(row, own)).sum::<f64>();
            let list: f64 =
                values[2].chunks(columns).zip(&targets).map(|(row, &target)| entropy(row, target as usize)).sum();
            (pairs(&values[0], 0) + pairs(&values[1], 1) + list) / n as f64
        })?;
    }

    #[test]
    fn negatives_are_below_the_threshold_and_in_rounds(
        scores in prop::collection::vec((0u8..=20).prop_map(|s| f64::from(s) / 20.0), 1..40),
        positive in (0u8..=20).prop_map(|s| f64::from(s) / 20.0),
        count in 1usize..12,
        stride in 1usize..7,
        margin in prop::sample::select(vec![0.0, 0.01, 0.25]),
    ) {
        let miner = JudgedHardNegativesConfig::new().with_count(count).with_stride(stride).with_margin(margin).init();
        let mined = miner.mine(&scores, positive).unwrap();
        // The paper's steps, one by one.
        let kept: Vec<usize> = (0..scores.len()).filter(|&at| positive - margin >= scores[at]).collect();
        let mut order = Vec::new();
        for start in 0..stride {
            let mut at = start;
            while at < kept.len() {
                order.push(kept[at]);
                at += stride;
            }
        }
        let expected: Vec<usize> =
            if order.is_empty() { Vec::new() } else { (0..count).map(|at| order[at % order.len()]).collect() };
        prop_assert_eq!(&mined.indices, &expected);
        prop_assert_eq!(mined.filtered, scores.len() - kept.len());
        let distinct: std::collections::HashSet<usize> = expected.iter().copied().collect();
        prop_assert_eq!(mined.repeated, expected.len() - distinct.len());
    }
}

/// The formula of the gradient in the similarities, as the specification of the paper's loss has it.
#[test]
fn the_gradient_of_jeffreys_is_the_closed_form() {
    let (similarities, scores) = ([0.3, -0.2, 0.5, 0.1, 0.0, -0.6], [0.9, 0.2, 0.4, 0.5, 0.5, 0.1]);
    let x = tensor(&similarities, 3);
    let loss = SoftScoreAlignmentConfig::new().with_temperature(0.1).init().forward(x.clone(), constant(&scores, 3));
    let found = numbers(x.grad(&loss.backward()).unwrap());
    for (row, found) in found.chunks(3).enumerate() {
        let (p, q) = (softmax(&scores[row * 3..][..3], 0.1), softmax(&similarities[row * 3..][..3], 0.1));
        let kl = relative(&q, &p, 0.0);
        for j in 0..3 {
            let expected = (q[j] - p[j] + q[j] * (q[j].ln() - p[j].ln() - kl)) / (2.0 * 2.0 * 0.1);
            assert!((found[j] - expected).abs() < 1e-12, "{} against {expected}", found[j]);
        }
    }
}

#[test]
fn extremes_are_finite_and_one_candidate_costs_nothing() {
    let device = Device::flex().autodiff();
    for divergence in DIVERGENCES {
        for epsilon in [0.0, 1e-8] {
            let objective = SoftScoreAlignmentConfig::new().with_divergence(divergence).with_epsilon(epsilon).init();
            let far = Tensor::<2>::from_floats([[1e4, -1e4, 0.0], [0.5, 0.5, 0.5]], &device).require_grad();
            let scores = Tensor::<2>::from_floats([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]], &device);
            let loss = objective.forward(far.clone(), scores);
            let all = [numbers(loss.clone()), numbers(far.grad(&loss.backward()).unwrap())].concat();
            assert!(all.iter().all(|value| value.is_finite()), "{divergence:?} {epsilon}: {all:?}");
            let one = |value: f32| Tensor::<2>::from_floats([[value]], &device);
            assert!(numbers(objective.forward(one(0.3), one(0.9)))[0].abs() < 1e-7);
        }
    }
    let logits = |yes: f32, no: f32| Tensor::<2>::from_floats([[yes, no]], &device);
    let pair = RerankPairwiseLossConfig::new().init();
    assert_eq!(numbers(pair.forward(logits(-1e4, 1e4), logits(1e4, -1e4))), [4e4]);
    assert_eq!(numbers(pair.forward(logits(1e4, -1e4), logits(-1e4, 1e4))), [0.0]);
    let list = RerankListwiseLossConfig::new().init();
    assert_eq!(numbers(list.forward(logits(1e4, -1e4), ints(&[1]))), [2e4]);
    let score = |yes: f32, no: f32| {
        numbers(judge_score(Tensor::<1>::from_floats([yes], &device), Tensor::<1>::from_floats([no], &device)))[0]
    };
    assert_eq!([score(500.0, -500.0), score(-500.0, 500.0), score(3.0, 3.0)], [1.0, 0.0, 0.5]);
}

#[test]
fn the_bound_of_jensen_shannon_is_log_2() {
    let objective = SoftScoreAlignmentConfig::new().with_divergence(Divergence::JensenShannon).init();
    let rows = |values: [f64; 2]| Tensor::<2>::from_data(TensorData::from([values]), (&Device::flex(), DType::F64));
    let found = numbers(objective.forward(rows([-1.0, 1.0]), rows([1.0, 0.0])))[0];
    assert!((found - std::f64::consts::LN_2).abs() < 1e-15, "{found}");
}

#[test]
fn scores_that_are_none_are_named() {
    let scores = |bad: f32| Tensor::<2>::from_floats([[0.5, 0.5], [0.5, bad]], &Device::flex());
    assert!(check_scores(&scores(1.0)).is_ok());
    for bad in [1.5, -0.1, f32::NAN] {
        assert_eq!(check_scores(&scores(bad)).unwrap_err().field, "scores[1][1]");
    }
    let miner = JudgedHardNegativesConfig::new().init();
    let field = |scores: &[f64], positive| miner.mine(scores, positive).unwrap_err().field;
    assert_eq!(field(&[], 0.5), "scores");
    assert_eq!(field(&[0.1, 2.0], 0.5), "scores[1]");
    assert_eq!(field(&[0.1, f64::NAN], 0.5), "scores[1]");
    assert_eq!(field(&[0.1], -0.5), "positive_score");
    let batch = miner.mine_batch(&[vec![0.1], vec![1.1]], &[0.5, 0.5]).unwrap_err();
    assert_eq!(batch.field, "scores[0] of query 1");
    assert!(miner.mine_batch(&[vec![0.1]], &[0.5, 0.5]).is_err());
    assert!(miner.mine(&[0.9, 0.8], 0.5).unwrap().indices.is_empty());
}

#[test]
#[should_panic(expected = "scores[0][1]` is 1.5")]
fn an_alignment_refuses_a_score_that_is_none() {
    let rows = |values: [f32; 2]| Tensor::<2>::from_floats([values], &Device::flex());
    let _ = SoftScoreAlignmentConfig::new().init().forward(rows([0.1, 0.2]), rows([0.5, 1.5]));
}

#[test]
fn parameters_out_of_range_are_named() {
    let field = |config: SoftScoreAlignmentConfig| config.validate().map_err(|error| error.field);
    assert_eq!(field(SoftScoreAlignmentConfig::new()), Ok(()));
    assert_eq!(field(SoftScoreAlignmentConfig::new().with_temperature(0.0)), Err("temperature".into()));
    let cold = SoftScoreAlignmentConfig::new().with_score_temperature(Some(f64::NAN));
    assert_eq!(field(cold), Err("score_temperature".into()));
    assert_eq!(field(SoftScoreAlignmentConfig::new().with_epsilon(-1.0)), Err("epsilon".into()));
    let field = |config: JudgedHardNegativesConfig| config.validate().map_err(|error| error.field);
    assert_eq!(field(JudgedHardNegativesConfig::new().with_margin(1.1)), Err("margin".into()));
    assert_eq!(field(JudgedHardNegativesConfig::new().with_count(0)), Err("count".into()));
    assert_eq!(field(JudgedHardNegativesConfig::new().with_stride(0)), Err("stride".into()));
}
