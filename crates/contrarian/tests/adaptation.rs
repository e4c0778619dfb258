//! Discrepancy, gradient reversal and domain loss against plain f64 loops written from the papers.

#[expect(dead_code, reason = "tests of embeddings use the rest")]
#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use contrarian::adversarial::*;
use contrarian::regularization::*;
use differences::{check, log_sum_exp, numbers, tensor, vectors};
use proptest::prelude::*;

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Mean squared distance of all pairs of two different rows.
fn mean_distance(x: &[f64], y: &[f64], dim: usize) -> f64 {
    let rows: Vec<&[f64]> = x.chunks(dim).chain(y.chunks(dim)).collect();
    let n = rows.len() as f64;
    rows.iter().flat_map(|a| rows.iter().map(|b| squared(a, b))).sum::<f64>() / (n * n - n)
}

fn discrepancy(x: &[f64], y: &[f64], dim: usize, config: &MkMmdConfig, bandwidth: f64) -> f64 {
    let narrowest = bandwidth / config.multiplier.powi((config.kernels / 2) as i32);
    let kernel = |a: &[f64], b: &[f64]| -> f64 {
        let width = |i: usize| narrowest * config.multiplier.powi(i as i32);
        (0..config.kernels).map(|i| (-squared(a, b) / width(i)).exp()).sum()
    };
    let mean = |x: &[f64], y: &[f64]| {
        let pairs = x.chunks(dim).flat_map(|a| y.chunks(dim).map(move |b| (a, b)));
        let values: Vec<f64> = pairs.map(|(a, b)| kernel(a, b)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    mean(x, x) + mean(y, y) - 2.0 * mean(x, y)
}

fn sets() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>)> {
    (1usize..6, 1usize..6, 1usize..4).prop_flat_map(|(n, m, dim)| (Just(dim), vectors(n, dim), vectors(m, dim)))
}

fn value(x: &[f64], y: &[f64], dim: usize, config: &MkMmdConfig) -> f64 {
    numbers(config.init().forward(tensor(x, dim), tensor(y, dim)))[0]
}

proptest! {
    #[test]
    fn the_discrepancy_agrees_with_plain_loops(
        (dim, x, y) in sets(),
        kernels in 1usize..7,
        multiplier in prop::sample::select(vec![2.0, 3.0, 0.5, 1.0]),
        fixed in prop::option::of(0.2f64..3.0),
        detach_bandwidth in any::<bool>(),
    ) {
        // Two rows that almost meet have an adaptive width of almost nothing, and no differences to take.
        prop_assume!(mean_distance(&x, &y, dim) > 0.05);
        let config = MkMmdConfig::new()
            .with_kernels(kernels)
            .with_multiplier(multiplier)
            .with_bandwidth(fixed)
            .with_detach_bandwidth(detach_bandwidth);
        let (a, b) = (tensor(&x, dim), tensor(&y, dim));
        let loss = config.init().forward(a.clone(), b.clone());
        let still = mean_distance(&x, &y, dim);
        check("mk-mmd", loss, &[(&a, &x), (&b, &y)], &|values| {
            let adaptive = if detach_bandwidth { still } else { mean_distance(&values[0], &values[1], dim) };
            discrepancy(&values[0], &values[1], dim, &config, fixed.unwrap_or(adaptive))
        })?;
    }

    #[test]
    fn the_discrepancy_knows_neither_order_nor_place((dim, x, y) in sets(), shift in -50.0f64..50.0) {
        prop_assume!(mean_distance(&x, &y, dim) > 1e-2);
        let config = MkMmdConfig::new();
        let found = value(&x, &y, dim, &config);
        let reversed: Vec<f64> = x.chunks(dim).rev().flatten().copied().collect();
        prop_assert!((value(&reversed, &y, dim, &config) - found).abs() < 1e-10);
        prop_assert!((value(&y, &x, dim, &config) - found).abs() < 1e-10);
        let moved = |x: &[f64]| x.iter().map(|x| x + shift).collect::<Vec<f64>>();
        // Adding 50 costs numbers of order 1 two digits.
        prop_assert!((value(&moved(&x), &moved(&y), dim, &config) - found).abs() < 1e-8);
        prop_assert!(found >= -1e-12 && value(&x, &x, dim, &config).abs() < 1e-12);
    }

    #[test]
    fn the_domain_loss_agrees_with_plain_loops(n in 1usize..5, m in 1usize..5, values in vectors(10, 2), scale in 0.1f64..30.0) {
        let values: Vec<f64> = values.iter().map(|value| value * scale).collect();
        let (x, y) = (values[..2 * n].to_vec(), values[2 * n..2 * (n + m)].to_vec());
        let (a, b) = (tensor(&x, 2), tensor(&y, 2));
        let loss = DomainAdversarialLossConfig::new().init().forward(a.clone(), b.clone());
        check("domain-adversarial", loss, &[(&a, &x), (&b, &y)], &|values| {
            let mean = |x: &[f64], own: usize| {
                let rows = x.chunks(2).map(|row| log_sum_exp(row.iter().copied()) - row[own]);
                rows.sum::<f64>() / (x.len() / 2) as f64
            };
            mean(&values[0], 0) + mean(&values[1], 1)
        })?;
    }

    #[test]
    fn a_reversal_is_the_identity_with_the_opposite_slope(x in vectors(3, 2), alpha in -2.0f64..2.0) {
        let a = tensor(&x, 2);
        let turned = gradient_reversal(a.clone(), alpha);
        prop_assert_eq!(&numbers(turned.clone()), &x);
        let slope = numbers(a.grad(&turned.square().sum().backward()).unwrap());
        for (slope, x) in slope.iter().zip(&x) {
            prop_assert!((slope + 2.0 * alpha * x).abs() < 1e-12);
        }
    }
}

/// Value and both gradients in f32.
fn in_f32(x: &[f64], y: &[f64], dim: usize, config: &MkMmdConfig) -> Vec<f64> {
    let leaf = |x: &[f64]| {
        let data = TensorData::new(x.to_vec(), [x.len() / dim, dim]).convert_dtype(DType::F32);
        Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad()
    };
    let (a, b) = (leaf(x), leaf(y));
    let loss = config.init().forward(a.clone(), b.clone());
    let gradients = loss.backward();
    let grad = |x: &Tensor<2>| numbers(x.grad(&gradients).unwrap());
    [numbers(loss), grad(&a), grad(&b)].concat()
}

/// More rows than a block of the kernel, cut in the middle of one; the gradient as the specification of the paper has it:
/// `-4 sum_b w_a w_b K'_ab (z_a - z_b)` with `K' = sum_i exp(-d / b_i) / b_i`.
#[test]
fn large_sets_agree_with_the_closed_form_of_the_gradient() {
    let (n, m, dim) = (200, 500, 3);
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    let x: Vec<f64> = (0..n * dim).map(|_| number()).collect();
    let y: Vec<f64> = (0..m * dim).map(|_| number() + 0.3).collect();
    let config = MkMmdConfig::new();
    let (a, b) = (tensor(&x, dim), tensor(&y, dim));
    let loss = config.init().forward(a.clone(), b.clone());
    let width = mean_distance(&x, &y, dim);
    let expected = discrepancy(&x, &y, dim, &config, width);
    let found = numbers(loss.clone())[0];
    assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
    let gradients = loss.backward();
    let found = [&a, &b].map(|leaf| numbers(leaf.grad(&gradients).unwrap())).concat();
    let rows: Vec<&[f64]> = x.chunks(dim).chain(y.chunks(dim)).collect();
    let share = |row: usize| if row < n { 1.0 / n as f64 } else { -1.0 / m as f64 };
    for (row, found) in found.chunks(dim).enumerate() {
        let mut expected = vec![0.0; dim];
        for (other, z) in rows.iter().enumerate() {
            let d = squared(rows[row], z);
            let widths = (0..5).map(|i| width / 4.0 * 2f64.powi(i));
            let slope: f64 = widths.map(|b| (-d / b).exp() / b).sum();
            for (k, expected) in expected.iter_mut().enumerate() {
                *expected -= 4.0 * share(row) * share(other) * slope * (rows[row][k] - z[k]);
            }
        }
        for (found, expected) in found.iter().zip(&expected) {
            // Sums of 700 terms of 1e-5 in f64.
            assert!((found - expected).abs() < 1e-12, "row {row}: {found} against {expected}");
        }
    }
}

#[test]
fn equal_rows_have_no_discrepancy_and_no_gradient() {
    for detach_bandwidth in [true, false] {
        let config = MkMmdConfig::new().with_detach_bandwidth(detach_bandwidth);
        // 0.1 has no exact mean in binary.
        for entry in [0.0, 0.1, 1e4] {
            let found = in_f32(&[entry; 6], &[entry; 9], 3, &config);
            // A sum of fives with weights that add up to 0 but for their rounding.
            assert!(found[0].abs() < 1e-6 && found[1..] == [0.0; 15], "{entry}: {found:?}");
        }
        assert_eq!(in_f32(&[0.3], &[0.3], 1, &config), [0.0; 3]);
    }
}

#[test]
fn far_rows_are_finite() {
    for bandwidth in [None, Some(1.5)] {
        let config = MkMmdConfig::new().with_bandwidth(bandwidth);
        let found = in_f32(&[1e4, -1e4, 1e4, 1e4], &[-1e4, 0.0, 0.0, 1e-4], 2, &config);
        assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
        // Five kernels, and nothing near anything else but itself: 5 (1/2 + 1/2).
        assert!(bandwidth.is_none() || (found[0] - 5.0).abs() < 1e-5, "{found:?}");
    }
    let found = numbers(DomainAdversarialLossConfig::new().init().forward(
        Tensor::<2>::from_floats([[1e4, -1e4]], &Device::flex()),
        Tensor::<2>::from_floats([[1e4, -1e4]], &Device::flex()),
    ));
    assert_eq!(found, [2e4]);
}

#[test]
fn a_free_width_does_not_see_the_scale() {
    let sample = |mean| Tensor::<2>::random([6, 3], Distribution::Normal(mean, 1.0), &Device::flex().autodiff());
    let (x, y) = (sample(0.0), sample(1.0));
    let objective = MkMmdConfig::new().with_detach_bandwidth(false).init();
    let factor = Tensor::<1>::from_floats([2.0], &Device::flex().autodiff()).require_grad();
    let scale = factor.clone().reshape([1, 1]);
    let loss = objective.forward(x.clone() * scale.clone(), y.clone() * scale);
    let unscaled = numbers(objective.forward(x, y))[0];
    assert!((numbers(loss.clone())[0] - unscaled).abs() < 1e-5 * unscaled);
    let slope = numbers(factor.grad(&loss.backward()).unwrap())[0];
    assert!(slope.abs() < 1e-5, "{slope}");
}

#[test]
fn parameters_out_of_range_are_named() {
    let field = |config: MkMmdConfig| config.validate().map_err(|error| error.field);
    assert_eq!(field(MkMmdConfig::new()), Ok(()));
    assert_eq!(field(MkMmdConfig::new().with_kernels(0)), Err("kernels".into()));
    assert_eq!(field(MkMmdConfig::new().with_multiplier(0.0)), Err("multiplier".into()));
    assert_eq!(field(MkMmdConfig::new().with_multiplier(f64::NAN)), Err("multiplier".into()));
    assert_eq!(field(MkMmdConfig::new().with_kernels(2000)), Err("multiplier".into()));
    assert_eq!(field(MkMmdConfig::new().with_bandwidth(Some(0.0))), Err("bandwidth".into()));
}

#[test]
#[should_panic(expected = "two sets of rows")]
fn an_empty_set_is_refused() {
    let device = Device::flex();
    let _ = MkMmdConfig::new().init().forward(Tensor::zeros([0, 2], &device), Tensor::zeros([3, 2], &device));
}

#[test]
fn the_schedule_starts_at_nothing_and_is_steeper_with_gamma() {
    assert_eq!(adaptation_schedule(0.0, 5.0), 0.0);
    assert_eq!((adaptation_schedule(-1.0, 5.0), adaptation_schedule(7.0, 5.0)), (0.0, adaptation_schedule(1.0, 5.0)));
    for p in [0.1f64, 0.4, 0.9] {
        let plain = 2.0 / (1.0 + (-5.0 * p).exp()) - 1.0;
        assert!((adaptation_schedule(p, 5.0) - plain).abs() < 1e-15);
        assert!(adaptation_schedule(p, 10.0) > adaptation_schedule(p, 5.0));
    }
}
