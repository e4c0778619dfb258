use super::pointwise::erf;
use super::*;
use proptest::prelude::*;

/// Numbers between -1/2 and 1/2 that depend on the place alone.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn layer(hidden: usize, wide: usize, seed: u32) -> TransformerLayer {
    let affine = |inputs: usize, outputs: usize, salt: u32| Affine {
        weight: numbers(inputs * outputs, seed + salt),
        bias: numbers(outputs, seed + salt + 1),
    };
    let norm = |salt: u32| LayerNorm {
        scale: numbers(hidden, seed + salt).iter().map(|x| 1.0 + x).collect(),
        shift: numbers(hidden, seed + salt + 1),
    };
    TransformerLayer {
        query_key_value: affine(hidden, 3 * hidden, 0),
        attended: affine(hidden, hidden, 10),
        attended_norm: norm(20),
        widen: affine(hidden, wide, 30),
        narrow: affine(wide, hidden, 40),
        norm: norm(50),
    }
}

/// The layer of one sequence in plain loops of f64.
fn plainly(x: &[f64], layer: &TransformerLayer, hidden: usize, heads: usize, epsilon: f64) -> Vec<f64> {
    let linear = |x: &[f64], affine: &Affine| -> Vec<f64> {
        let outputs = affine.bias.len();
        let output = |j: usize| {
            let products = x.iter().enumerate().map(|(i, x)| x * f64::from(affine.weight[i * outputs + j]));
            products.sum::<f64>() + f64::from(affine.bias[j])
        };
        (0..outputs).map(output).collect()
    };
    let normed = |row: &[f64], norm: &LayerNorm| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / row.len() as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
        let one = |(j, x): (usize, &f64)| {
            (x - mean) / (variance + epsilon).sqrt() * f64::from(norm.scale[j]) + f64::from(norm.shift[j])
        };
        row.iter().enumerate().map(one).collect()
    };
    let gelu = |x: f64| 0.5 * x * (1.0 + erf_series(x / std::f64::consts::SQRT_2));
    let add = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a + b).collect() };

    let rows: Vec<&[f64]> = x.chunks(hidden).collect();
    let projected: Vec<Vec<f64>> = rows.iter().map(|row| linear(row, &layer.query_key_value)).collect();
    let size = hidden / heads;
    let mut out = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let mut mixed = vec![0.0; hidden];
        for head in 0..heads {
            let score = |j: usize| {
                let at = |part: usize, d: usize| part * hidden + head * size + d;
                (0..size).map(|d| projected[i][at(0, d)] * projected[j][at(1, d)]).sum::<f64>() / (size as f64).sqrt()
            };
            let weights: Vec<f64> = (0..rows.len()).map(|j| score(j).exp()).collect();
            let total: f64 = weights.iter().sum();
            for (j, weight) in weights.iter().enumerate() {
                for d in head * size..(head + 1) * size {
                    mixed[d] += weight / total * projected[j][2 * hidden + d];
                }
            }
        }
        let x = normed(&add(row, &linear(&mixed, &layer.attended)), &layer.attended_norm);
        let wide: Vec<f64> = linear(&x, &layer.widen).into_iter().map(gelu).collect();
        out.extend(normed(&add(&x, &linear(&wide, &layer.narrow)), &layer.norm));
    }
    out
}

/// `erf` by its Taylor series, which has settled at 200 terms for arguments up to 6 (to 1e-3 of what f32 tells apart up to 4).
fn erf_series(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn erf_is_right_to_4e_7() {
    for step in -80_000..=80_000 {
        let x = step as f32 / 10_000.0;
        let exact = erf_series(f64::from(x));
        for found in [erf::<true>(x), erf::<false>(x)] {
            assert!((f64::from(found) - exact).abs() <= 4e-7, "erf({x}) = {found}, not {exact}");
        }
    }
    assert_eq!([erf::<true>(-1e30), erf::<true>(0.0), erf::<true>(f32::INFINITY)], [-1.0, 0.0, 1.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn layers_agree_with_plain_loops(
        lengths in proptest::collection::vec(0usize..40, 1..5),
        (heads, size) in (1usize..4, 1usize..40),
        wide in 1usize..50,
        seed in 0u32..1000,
    ) {
        let hidden = heads * size;
        let layers = vec![layer(hidden, wide, seed), layer(hidden, wide, seed + 100)];
        let tokens: usize = lengths.iter().sum();
        let start = numbers(tokens * hidden, seed + 7);
        // A variance that is not near 0: a row of a single feature has none.
        let epsilon = 1e-2;
        let transformer = Transformer::new(hidden, wide, heads, epsilon, layers.clone()).unwrap();
        let mut found = start.clone();
        transformer.forward(&mut found, &lengths).unwrap();
        let mut at = 0;
        for length in lengths {
            let mut x: Vec<f64> = start[at..at + length * hidden].iter().map(|&x| f64::from(x)).collect();
            for layer in &layers {
                x = plainly(&x, layer, hidden, heads, f64::from(epsilon));
            }
            for (found, expected) in found[at..].iter().zip(&x) {
                prop_assert!((f64::from(*found) - expected).abs() < 1e-4, "{} against {}", found, expected);
            }
            at += length * hidden;
        }
    }
}

#[test]
fn large_scores_stay_finite() {
    let mut huge = layer(32, 16, 3);
    huge.query_key_value.weight.iter_mut().for_each(|x| *x *= 1e4);
    let transformer = Transformer::new(32, 16, 2, 1e-12, vec![huge]).unwrap();
    let mut x = numbers(9 * 32, 5);
    transformer.forward(&mut x, &[9]).unwrap();
    assert!(x.iter().all(|x| x.is_finite()));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    assert!(Transformer::new(32, 16, 3, 1e-12, vec![]).unwrap_err().to_string().contains("`hidden` is 32"));
    let error = Transformer::new(32, 17, 2, 1e-12, vec![layer(32, 16, 3)]).unwrap_err().to_string();
    assert!(error.contains("`widen`"), "{error}");
    let transformer = Transformer::new(32, 16, 2, 1e-12, vec![layer(32, 16, 3)]).unwrap();
    assert!(transformer.forward(&mut [0.0; 65], &[2]).is_err());
    assert!(transformer.forward(&mut [], &[]).is_ok());
}
