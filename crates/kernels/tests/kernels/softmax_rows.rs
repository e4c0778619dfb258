//! The softmax losses over rows of logits: values against plain loops, gradients against central differences, f32 against
//! f64, both at the edges.

use crate::support::{close, close_f32, directional, log_sum_exp, single, vectors};
use contrarian_kernels::{Ldr, Normalization, SoftmaxLoss, SoftmaxRows};
use proptest::prelude::*;

/// Which loss, without the slices it borrows.
#[derive(Debug, Clone)]
enum Case {
    Likelihood,
    CrossEntropy(f64, bool),
    Brier,
    Ldr(f64, Normalization),
}

fn cases() -> impl Strategy<Value = Case> {
    let normalizations = vec![Normalization::None, Normalization::L1Mean, Normalization::SoftplusMean];
    prop_oneof![
        Just(Case::Likelihood),
        (prop::sample::select(vec![0.0, 0.1, 1.0]), any::<bool>()).prop_map(|(e, w)| Case::CrossEntropy(e, w)),
        Just(Case::Brier),
        (prop::sample::select(vec![0.05, 1.0, 10.0, 1e4]), prop::sample::select(normalizations))
            .prop_map(|(lambda, normalization)| Case::Ldr(lambda, normalization)),
    ]
}

const MARGIN: f64 = 0.1;

fn plain(case: &Case, g: &[f64], y: usize, weights: &[f64]) -> f64 {
    let k = g.len() as f64;
    let all = log_sum_exp(g);
    match case {
        Case::Likelihood => all - g[y],
        Case::CrossEntropy(e, weighted) => {
            let w = |c: usize| if *weighted { weights[c] } else { 1.0 };
            let spread: f64 = g.iter().enumerate().map(|(c, x)| w(c) * (all - x)).sum();
            (1.0 - e) * w(y) * (all - g[y]) + e / k * spread
        }
        Case::Brier => g.iter().enumerate().map(|(c, x)| (f64::from(u8::from(c == y)) - (x - all).exp()).powi(2)).sum(),
        Case::Ldr(lambda, normalization) => {
            let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
            let u: Vec<f64> = match normalization {
                Normalization::None => g.to_vec(),
                Normalization::L1Mean => g.iter().map(|x| x / (g.iter().map(|x| x.abs()).sum::<f64>() / k)).collect(),
                Normalization::SoftplusMean => {
                    let mean = g.iter().map(|&x| softplus(x)).sum::<f64>() / k;
                    g.iter().map(|&x| softplus(x) / mean).collect()
                }
            };
            let d: Vec<f64> = u.iter().enumerate().map(|(c, f)| f - u[y] + if c == y { 0.0 } else { MARGIN }).collect();
            // Around the mean, exact for large temperatures too.
            let center = d.iter().sum::<f64>() / k;
            center + lambda * (d.iter().map(|d| ((d - center) / lambda).exp_m1()).sum::<f64>() / k).ln_1p()
        }
    }
}

fn loss<'a, T>(case: &Case, weights: &'a [T], lambda: &'a [T], of: impl Fn(f64) -> T) -> SoftmaxLoss<'a, T> {
    match case {
        Case::Likelihood => SoftmaxLoss::NegativeLogLikelihood,
        Case::CrossEntropy(e, weighted) => {
            SoftmaxLoss::CrossEntropy { label_smoothing: of(*e), class_weights: weighted.then_some(weights) }
        }
        Case::Brier => SoftmaxLoss::Brier,
        Case::Ldr(_, normalization) => {
            SoftmaxLoss::Ldr(Ldr { lambda, margin: of(MARGIN), normalization: *normalization })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn rows_are_the_plain_formula(
        case in cases(), n in prop::sample::select(vec![1usize, 3, 17]),
        classes in prop::sample::select(vec![2usize, 3, 17, 127, 129]), size in prop::sample::select(vec![1.0, 8.0]),
        seed: u64,
    ) {
        let logits: Vec<f64> = vectors(n, classes, seed).into_iter().map(|x| f64::from((size * x) as f32)).collect();
        let labels: Vec<usize> = (0..n).map(|i| (i * 13 + seed as usize % 7) % classes).collect();
        let weights: Vec<f64> = vectors(classes, 1, 3).into_iter().map(|x| f64::from((1.5 + x) as f32)).collect();
        let lambda = [if let Case::Ldr(lambda, _) = case { f64::from(lambda as f32) } else { 1.0 }];
        let upstream: Vec<f64> = vectors(n, 1, seed ^ 5).into_iter().map(|x| f64::from(x as f32)).collect();
        let case = if let Case::Ldr(_, normalization) = case { Case::Ldr(lambda[0], normalization) } else { case };
        let exact = loss(&case, &weights, &lambda, |x| x);
        let rows = SoftmaxRows { logits: &logits, labels: &labels, classes };
        let values = rows.values(&exact).unwrap();
        let expected: Vec<f64> =
            logits.chunks(classes).zip(&labels).map(|(g, &y)| plain(&case, g, y, &weights)).collect();
        close(&values, &expected, 1e-11)?;
        let gradient = rows.gradient(&exact, &upstream).unwrap();
        // The absolute value has a corner at 0, which differences may straddle.
        if !matches!(case, Case::Ldr(_, Normalization::L1Mean)) {
            directional(&[&logits], &[&gradient], 0.05, seed, |x| {
                let values = SoftmaxRows { logits: &x[0], ..rows }.values(&exact).unwrap();
                values.iter().zip(&upstream).map(|(v, u)| v * u).sum()
            })?;
        }
        let (logits, weights, lambda) = (single(&logits), single(&weights), single(&lambda));
        let rough = loss(&case, &weights, &lambda, |x| x as f32);
        let rows = SoftmaxRows { logits: &logits, labels: &labels, classes };
        // A small temperature magnifies the rounding of the scores.
        let bound = if lambda[0] < 1.0 { 1e-4 } else { 1e-5 };
        close_f32(&rows.values(&rough).unwrap(), &values, bound, 0.1)?;
        close_f32(&rows.gradient(&rough, &single(&upstream)).unwrap(), &gradient, bound, 0.1)?;
    }
}

#[test]
fn a_small_loss_keeps_its_digits() {
    let rows = SoftmaxRows { logits: &[20.0f32, 0.0, 0.0], labels: &[0], classes: 3 };
    let value = rows.values(&SoftmaxLoss::NegativeLogLikelihood).unwrap()[0];
    let exact = (2.0 * (-20f64).exp()).ln_1p();
    assert!((f64::from(value) - exact).abs() < 1e-5 * exact, "{value} {exact}");
    let gradient = rows.gradient(&SoftmaxLoss::NegativeLogLikelihood, &[1.0]).unwrap();
    assert!((f64::from(gradient[0]) + exact).abs() < 1e-5 * exact);
}

#[test]
fn extremes_stay_finite() {
    for logits in [[1e4f32, -1e4, 0.0], [-1e4, 1e4, 1e4], [-1e4, -1e4, -1e4], [0.0; 3], [-60.0, -70.0, -80.0]] {
        for label in 0..3 {
            for case in [
                Case::Likelihood,
                Case::CrossEntropy(0.1, true),
                Case::Brier,
                Case::Ldr(1.0, Normalization::None),
                Case::Ldr(1.0, Normalization::L1Mean),
                Case::Ldr(10.0, Normalization::SoftplusMean),
            ] {
                let lambda = [if let Case::Ldr(lambda, _) = case { lambda as f32 } else { 1.0 }];
                let loss = loss(&case, &[1.0, 2.0, 3.0], &lambda, |x| x as f32);
                let rows = SoftmaxRows { logits: &logits, labels: &[label], classes: 3 };
                let (value, gradient) = (rows.values(&loss).unwrap()[0], rows.gradient(&loss, &[1.0]).unwrap());
                assert!(value.is_finite() && gradient.iter().all(|g| g.is_finite()), "{case:?} {logits:?} {label}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let values = |logits: &[f32], labels: &[usize], classes| {
        SoftmaxRows { logits, labels, classes }.values(&SoftmaxLoss::Brier).unwrap_err().to_string()
    };
    assert_eq!(values(&[0.0; 5], &[0, 1], 2), "`logits` has 5 numbers, but must have 4 (2 x 2)");
    assert_eq!(values(&[0.0; 4], &[0, 2], 2), "`labels` is 2 at 1, but must be below 2");
    let sizes = values(&[], &[0, 0], usize::MAX);
    assert!(sizes.contains("2 x 18446744073709551615 numbers do not fit memory"), "{sizes}");
}
