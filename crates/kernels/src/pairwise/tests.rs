use super::mann_whitney::at_level;
use super::*;
use crate::simd::Level;
use proptest::prelude::*;

const REDUCTIONS: [PairReduction; 3] =
    [PairReduction::MeanPairs, PairReduction::SumOverNegatives, PairReduction::SumPairs];

/// The loss over all pairs in plain loops: `pair` gives value and derivative in the negative of one difference `n - p`.
fn twin(p: &[f64], n: &[f64], reduction: PairReduction, pair: impl Fn(f64) -> (f64, f64)) -> PairwiseLoss<f64> {
    let by = match reduction {
        PairReduction::MeanPairs => 1.0 / (p.len() * n.len()) as f64,
        PairReduction::SumOverNegatives => 1.0 / p.len() as f64,
        PairReduction::SumPairs => 1.0,
    };
    let mut loss =
        PairwiseLoss { value: 0.0, gradient_positives: vec![0.0; p.len()], gradient_negatives: vec![0.0; n.len()] };
    for (i, p) in p.iter().enumerate() {
        for (k, n) in n.iter().enumerate() {
            let (value, slope) = pair(n - p);
            loss.value += by * value;
            loss.gradient_positives[i] -= by * slope;
            loss.gradient_negatives[k] += by * slope;
        }
    }
    loss
}

fn softplus(temperature: f64) -> impl Fn(f64) -> (f64, f64) {
    move |difference| {
        let x = difference / temperature;
        (x.max(0.0) + (-x.abs()).exp().ln_1p(), 1.0 / (1.0 + (-x).exp()) / temperature)
    }
}

fn hinge(margin: f64) -> impl Fn(f64) -> (f64, f64) {
    move |difference| {
        let z = margin + difference;
        (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 })
    }
}

fn squared_hinge(margin: f64) -> impl Fn(f64) -> (f64, f64) {
    move |difference| {
        let z = (margin + difference).max(0.0);
        (z * z, 2.0 * z)
    }
}

fn square(margin: f64) -> impl Fn(f64) -> (f64, f64) {
    move |difference| ((margin + difference).powi(2), 2.0 * (margin + difference))
}

/// Values relative to themselves, gradients relative to the largest of their side.
fn close<T: Real>(found: &PairwiseLoss<T>, expected: &PairwiseLoss<f64>, bound: f64) -> Result<(), TestCaseError> {
    // The smallest normal f32: what is below has no digits there.
    let tiny = 1.2e-38;
    let off = (found.value - expected.value).abs();
    prop_assert!(off <= bound * expected.value.abs() + tiny, "value {} for {}", found.value, expected.value);
    let sides = [
        (&found.gradient_positives, &expected.gradient_positives),
        (&found.gradient_negatives, &expected.gradient_negatives),
    ];
    for (found, expected) in sides {
        let size = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        prop_assert_eq!(found.len(), expected.len());
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            prop_assert!((f.f64() - e).abs() <= bound * size + tiny, "gradient {i}: {f} for {e}, largest {size}");
        }
    }
    Ok(())
}

fn f64s(scores: &[f32]) -> Vec<f64> {
    scores.iter().map(|&score| score.into()).collect()
}

/// Every loss against its twin, in both precisions; the Mann-Whitney loss at every level.
fn check(p: &[f32], n: &[f32], temperature: f64, margin: f64) -> Result<(), TestCaseError> {
    let (p64, n64) = (f64s(p), f64s(n));
    for reduction in REDUCTIONS {
        let expected = twin(&p64, &n64, reduction, softplus(temperature));
        for level in [Level::Scalar, Level::Avx2, Level::Avx512] {
            close(&at_level(level, p, n, temperature, reduction).unwrap(), &expected, 2e-6)?;
            close(&at_level(level, &p64, &n64, temperature, reduction).unwrap(), &expected, 1e-12)?;
        }
        let expected = twin(&p64, &n64, reduction, hinge(margin));
        close(&pairwise_hinge(p, n, margin, reduction).unwrap(), &expected, 1e-6)?;
        close(&pairwise_hinge(&p64, &n64, margin, reduction).unwrap(), &expected, 1e-12)?;
        let expected = twin(&p64, &n64, reduction, squared_hinge(margin));
        close(&pairwise_squared_hinge(p, n, margin, reduction).unwrap(), &expected, 1e-6)?;
        close(&pairwise_squared_hinge(&p64, &n64, margin, reduction).unwrap(), &expected, 1e-12)?;
        let expected = twin(&p64, &n64, reduction, square(margin));
        close(&pairwise_square(p, n, margin, reduction).unwrap(), &expected, 1e-6)?;
        close(&pairwise_square(&p64, &n64, margin, reduction).unwrap(), &expected, 1e-12)?;
    }
    Ok(())
}

/// Scores on a grid of eighths (ties, exact margins), between grid points, or far apart.
fn scores() -> impl Strategy<Value = Vec<f32>> {
    let score = prop_oneof![
        (-24i32..24).prop_map(|v| v as f32 / 8.0),
        -3.0f32..3.0,
        prop_oneof![Just(1e4f32), Just(-1e4f32), -1e4f32..1e4],
    ];
    let plain = |size| prop::collection::vec(-3.0f32..3.0, size);
    let size = || prop_oneof![Just(1usize), Just(2), Just(3), Just(17), Just(127), Just(129), Just(600)];
    prop_oneof![
        size().prop_flat_map(plain),
        size().prop_flat_map(move |size| prop::collection::vec(score.clone(), size))
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn losses_agree_with_their_twins(
        p in scores(),
        n in scores(),
        temperature in prop_oneof![Just(0.01), Just(1.0), 0.001f64..10.0],
        margin in prop_oneof![Just(1.0), Just(0.5), Just(0.0)],
    ) {
        check(&p, &n, temperature, margin)?;
    }
}

#[test]
fn separated_equal_and_single_scores() {
    for (p, n) in [
        (vec![0.5f32; 33], vec![0.5f32; 130]),
        (vec![0.3], vec![-0.2]),
        // All pairs are so far apart that the loss is tiny: it keeps its digits.
        (vec![0.9, 0.85], vec![0.5, 0.4, 0.45]),
        (vec![1e4, 9e3], vec![-1e4]),
        (vec![-1e4, -9e3], vec![1e4, 1.0]),
    ] {
        for temperature in [0.01, 0.05, 1.0] {
            check(&p, &n, temperature, 1.0).unwrap();
        }
    }
}

#[test]
fn more_pairs_than_a_block_and_any_number_of_threads() {
    // Two overlapping clouds, by a linear congruence so that the case is the same everywhere.
    let mut state = 1u64;
    let mut cloud = |count: usize, middle: f32| -> Vec<f32> {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        (0..count).map(|_| middle + next() + next() + next()).collect()
    };
    let (p, n) = (cloud(1500, 0.5), cloud(5000, 0.0));
    for (p, n) in [(&p, &n), (&n, &p)] {
        for temperature in [0.01, 1.0] {
            let expected = twin(&f64s(p), &f64s(n), PairReduction::MeanPairs, softplus(temperature));
            let alone = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| mann_whitney(p, n, temperature, PairReduction::MeanPairs).unwrap())
            };
            close(&alone(1), &expected, 2e-6).unwrap();
            assert_eq!(alone(1), alone(3));
        }
    }
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let text = |error: KernelError| error.to_string();
    let mean = PairReduction::MeanPairs;
    assert!(text(mann_whitney::<f32>(&[], &[1.0], 1.0, mean).unwrap_err()).contains("`positives` is empty"));
    assert!(text(pairwise_hinge::<f32>(&[1.0], &[], 1.0, mean).unwrap_err()).contains("`negatives` is empty"));
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(text(mann_whitney(&[1.0f32], &[1.0], temperature, mean).unwrap_err()).contains("`temperature` is"));
    }
    assert!(text(pairwise_square(&[1.0f32], &[1.0], f64::NAN, mean).unwrap_err()).contains("`margin` is NaN"));
    let diverged = mann_whitney(&[1.0, f32::NAN], &[0.0], 1.0, mean).unwrap();
    assert!(diverged.value.is_nan() && diverged.gradient_positives.iter().all(|g| g.is_nan()));
}
