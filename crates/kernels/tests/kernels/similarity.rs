//! The kernels over inner products: values against plain loops, gradients against central differences along random
//! directions, f32 against f64, over odd sizes and at the edges.

use crate::support::{
    close, close_f32, directional, log_sum_exp, products, single, squared_distance, unit_rows, vectors,
};
use contrarian_kernels::{
    Contrast, IGNORED, KernelError, LinearSoftmax, RepulsionCost, pair_log_sum_exp, repulsion, supervised_contrastive,
    two_way_info_nce, uniformity,
};
use proptest::prelude::*;

/// Sizes around the edges of strips, column blocks and lanes.
fn sizes() -> impl Strategy<Value = (usize, usize)> {
    (prop::sample::select(vec![1usize, 2, 3, 17, 127, 129]), prop::sample::select(vec![1usize, 7, 64]))
}

/// Every option of the in-batch contrast, in plain loops.
fn plain_contrast(c: &Contrast<f64>) -> Vec<f64> {
    let (n, m) = (c.anchors.len() / c.dim, c.candidates.len() / c.dim);
    let s = products(c.anchors, c.candidates, c.dim);
    let anchor = |i: usize| {
        let score = |j: usize| s[i * m + j] / c.temperature;
        let is_negative = |j: &usize| *j != c.positives[i] && c.own.is_none_or(|own| own[i] != *j);
        let mut negatives: Vec<f64> = (0..m).filter(is_negative).map(score).collect();
        if let Some(share) = c.hardest {
            let keep = ((share * negatives.len() as f64 - 1e-9).ceil() as usize).max(1);
            negatives.sort_by(|a, b| b.total_cmp(a));
            let threshold = negatives.get(keep - 1).copied().unwrap_or(f64::NEG_INFINITY);
            negatives.retain(|&s| s >= threshold);
        }
        let positive = c.positive_weights.map_or(1.0, |w| w[i]) * score(c.positives[i]);
        if c.coupled {
            negatives.push(positive);
        }
        log_sum_exp(&negatives) - positive
    };
    (0..n).map(anchor).collect()
}

/// The derivative by the temperature, by differences.
fn by_temperature(t: f64, value: impl Fn(f64) -> f64) -> f64 {
    let h = t * 1e-5;
    (value(t + h) - value(t - h)) / (2.0 * h)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn contrast_is_the_plain_formula(
        (n, dim) in sizes(), extra in 0usize..5, t in prop::sample::select(vec![0.01, 0.1, 1.0]),
        coupled: bool, hard: bool, weighted: bool, seed: u64,
    ) {
        // In f32 first, so that both precisions see the same numbers.
        let (a32, b32) = (single(&unit_rows(n, dim, seed)), single(&unit_rows(n + extra, dim, seed ^ 1)));
        let w32 = single(&vectors(n, 1, seed ^ 2));
        let wide = |x: &[f32]| -> Vec<f64> { x.iter().map(|&x| x.into()).collect() };
        let (a, b, w) = (wide(&a32), wide(&b32), wide(&w32));
        let positives: Vec<usize> = (0..n).collect();
        let c = Contrast {
            coupled,
            hardest: hard.then_some(0.3),
            positive_weights: weighted.then_some(&w[..]),
            ..Contrast::new(&a, &b, dim, t, &positives)
        };
        if !coupled && n + extra == 1 {
            prop_assert!(c.value().is_err());
            return Ok(());
        }
        let found = c.value_and_gradient().unwrap();
        close(&found.per_anchor, &plain_contrast(&c), 1e-9)?;
        // Which negatives are the hardest jumps; derivatives are compared where it does not.
        if !hard {
            directional(&[&a, &b], &[&found.anchors, &found.candidates], t, seed, |x| {
                Contrast { anchors: &x[0], candidates: &x[1], ..c }.value().unwrap().loss
            })?;
            let slope = by_temperature(t, |t| Contrast { temperature: t, ..c }.value().unwrap().loss);
            prop_assert!((slope - found.temperature).abs() <= 1e-5 * (1.0 + slope.abs()), "{slope} {}", found.temperature);
            let rough = Contrast {
                coupled,
                positive_weights: weighted.then_some(&w32[..]),
                ..Contrast::new(&a32, &b32, dim, t as f32, &positives)
            };
            let rough = rough.value_and_gradient().unwrap();
            // Scores of size 1/t are known to 1e-7 of that.
            let bound = (1e-6 / t).max(1e-5);
            let pull = 1.0 / (t * n as f64);
            close_f32(&rough.anchors, &found.anchors, bound, pull)?;
            close_f32(&rough.candidates, &found.candidates, bound, pull)?;
            close_f32(&rough.per_anchor, &found.per_anchor, bound, 1.0)?;
        }
    }

    #[test]
    fn nt_xent_over_stacked_views((n, dim) in sizes(), seed: u64) {
        // Anchors are candidates too: their own column is left out.
        let x = unit_rows(2 * n, dim, seed);
        let partner: Vec<usize> = (0..2 * n).map(|i| (i + n) % (2 * n)).collect();
        let own: Vec<usize> = (0..2 * n).collect();
        let c = Contrast { own: Some(&own), ..Contrast::new(&x, &x, dim, 0.5, &partner) };
        let found = c.value_and_gradient().unwrap();
        close(&found.per_anchor, &plain_contrast(&c), 1e-10)?;
        let gradient: Vec<f64> = found.anchors.iter().zip(&found.candidates).map(|(a, b)| a + b).collect();
        directional(&[&x], &[&gradient], 1.0, seed, |x| {
            Contrast { anchors: &x[0], candidates: &x[0], ..c }.value().unwrap().loss
        })?;
    }

    #[test]
    fn two_ways_are_the_mean_of_forth_and_back((n, dim) in sizes(), seed: u64) {
        let (a, b) = (unit_rows(n, dim, seed), unit_rows(n, dim, seed ^ 1));
        let positives: Vec<usize> = (0..n).collect();
        let found = two_way_info_nce(&a, &b, dim, 0.1, None, true).unwrap();
        let forth = Contrast::new(&a, &b, dim, 0.1, &positives).value_and_gradient().unwrap();
        let back = Contrast::new(&b, &a, dim, 0.1, &positives).value_and_gradient().unwrap();
        let half = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| f64::midpoint(*a, *b)).collect() };
        close(&found.per_pair, &half(&forth.per_anchor, &back.per_anchor), 1e-12)?;
        close(&found.first, &half(&forth.anchors, &back.candidates), 1e-9)?;
        close(&found.second, &half(&forth.candidates, &back.anchors), 1e-9)?;
        prop_assert!((found.temperature - f64::midpoint(forth.temperature, back.temperature)).abs() < 1e-9);
    }

    #[test]
    fn supervised_is_the_plain_formula((n, dim) in sizes(), classes in 1i64..5, seed: u64) {
        let x = unit_rows(n, dim, seed);
        let labels: Vec<i64> = (0..n as i64).map(|i| (i * 7) % classes).collect();
        let t = 0.2;
        let found = supervised_contrastive(&x, &labels, dim, t, None, true).unwrap();
        let s = products(&x, &x, dim);
        let row = |i: usize| {
            let others: Vec<f64> = (0..n).filter(|&k| k != i).map(|k| s[i * n + k] / t).collect();
            let is_same = |k: &usize| *k != i && labels[*k] == labels[i];
            let same: Vec<f64> = (0..n).filter(is_same).map(|k| s[i * n + k] / t).collect();
            if same.is_empty() { 0.0 } else { log_sum_exp(&others) - same.iter().sum::<f64>() / same.len() as f64 }
        };
        close(&found.per_row, &(0..n).map(row).collect::<Vec<_>>(), 1e-10)?;
        let value = |x: &[f64], t: f64| supervised_contrastive(x, &labels, dim, t, None, false).unwrap().loss;
        directional(&[&x], &[&found.gradient], t, seed, |x| value(&x[0], t))?;
        let slope = by_temperature(t, |t| value(&x, t));
        prop_assert!((slope - found.temperature).abs() <= 1e-5 * (1.0 + slope.abs()), "{slope} {}", found.temperature);
    }

    #[test]
    fn uniformity_is_the_plain_formula((n, dim) in sizes(), t in 0.5f64..3.0, seed: u64) {
        let x = vectors(n, dim, seed);
        if n < 2 {
            prop_assert!(uniformity(&x, dim, t, true).is_err());
            return Ok(());
        }
        let found = uniformity(&x, dim, t, true).unwrap();
        let pairs: Vec<f64> = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| -t * squared_distance(&x[i * dim..][..dim], &x[j * dim..][..dim]))
            .collect();
        let expected = log_sum_exp(&pairs) - (pairs.len() as f64).ln();
        prop_assert!((found.loss - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{} {expected}", found.loss);
        directional(&[&x], &[&found.gradient], 1.0, seed, |x| uniformity(&x[0], dim, t, false).unwrap().loss)?;
    }

    #[test]
    fn repulsion_is_the_plain_formula((n, dim) in sizes(), rbf: bool, seed: u64) {
        let (x, y) = (vectors(n, dim, seed), vectors(n, dim, seed ^ 1));
        let (tau, t) = (0.9, 2.0);
        let cost = if rbf { RepulsionCost::Rbf { t } } else { RepulsionCost::Euclidean };
        if n < 2 {
            prop_assert!(repulsion(&x, &y, dim, tau, cost, false, true).is_err());
            return Ok(());
        }
        // Weights come from one pair of sets and distances from another, to check the gradient with constant weights too.
        let plain = |wx: &[f64], wy: &[f64], x: &[f64], y: &[f64]| -> f64 {
            let d = |x: &[f64], y: &[f64], i: usize, j: usize| squared_distance(&x[i * dim..][..dim], &y[j * dim..][..dim]);
            let row = |i: usize| -> f64 {
                let weights: Vec<f64> = (0..n).filter(|&j| j != i).map(|j| -tau * d(wx, wy, i, j)).collect();
                let all = log_sum_exp(&weights);
                let costs = (0..n).filter(|&j| j != i).map(|j| d(x, y, i, j));
                if rbf {
                    log_sum_exp(&weights.iter().zip(costs).map(|(w, d)| w - all - t * d).collect::<Vec<_>>())
                } else {
                    weights.iter().zip(costs).map(|(w, d)| (w - all).exp() * -d).sum()
                }
            };
            let rows: Vec<f64> = (0..n).map(row).collect();
            if rbf { log_sum_exp(&rows) - (n as f64).ln() } else { rows.iter().sum::<f64>() / n as f64 }
        };
        for detach in [false, true] {
            let found = repulsion(&x, &y, dim, tau, cost, detach, true).unwrap();
            let expected = plain(&x, &y, &x, &y);
            prop_assert!((found.loss - expected).abs() <= 1e-9 * (1.0 + expected.abs()), "{} {expected}", found.loss);
            directional(&[&x, &y], &[&found.queries, &found.keys], 1.0, seed, |v| {
                if detach { plain(&x, &y, &v[0], &v[1]) } else { plain(&v[0], &v[1], &v[0], &v[1]) }
            })?;
        }
    }

    #[test]
    fn pairs_are_the_plain_formula((n, dim) in sizes(), whisker in prop::option::of(0.0f64..2.0), seed: u64) {
        let x = unit_rows(n, dim, seed);
        let labels: Vec<i64> = (0..n as i64).map(|i| i % 3).collect();
        let scale = 8.0;
        let found = pair_log_sum_exp(&x, &labels, dim, scale, whisker, true).unwrap();
        let s = products(&x, &x, dim);
        let mut pairs: Vec<f64> = (0..n)
            .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
            .filter(|&(i, j)| labels[i] != labels[j])
            .map(|(i, j)| s[i * n + j])
            .collect();
        pairs.sort_by(f64::total_cmp);
        if let Some(r) = whisker.filter(|_| !pairs.is_empty()) {
            let (q1, q3) = (pairs[pairs.len() / 4], pairs[pairs.len() * 3 / 4]);
            // Sums in another order may put a pair a rounding away from the bound; the tolerance keeps it.
            let reach = r * (q3 - q1) + 1e-12;
            pairs.retain(|b| (q1 - reach..=q3 + reach).contains(b));
        }
        prop_assert_eq!(found.kept, pairs.len());
        if pairs.is_empty() {
            prop_assert!(found.value == f64::NEG_INFINITY && found.gradient.iter().all(|&g| g == 0.0));
            return Ok(());
        }
        let expected = log_sum_exp(&pairs.iter().map(|b| scale * b).collect::<Vec<_>>());
        prop_assert!((found.value - expected).abs() <= 1e-10 * (1.0 + expected.abs()));
        if whisker.is_none() {
            directional(&[&x], &[&found.gradient], 0.1, seed, |x| {
                pair_log_sum_exp(&x[0], &labels, dim, scale, None, false).unwrap().value
            })?;
        }
    }

    #[test]
    fn linear_softmax_is_the_plain_formula(
        (n, dim) in sizes(), classes in prop::sample::select(vec![1usize, 2, 17, 513, 1025]),
        biased: bool, e in prop::sample::select(vec![0.0, 0.1, 1.0]), c in prop::sample::select(vec![0.0, 0.01]),
        seed: u64,
    ) {
        let (h, w, b) = (vectors(n, dim, seed), vectors(classes, dim, seed ^ 1), vectors(classes, 1, seed ^ 2));
        let labels: Vec<usize> = (0..n).map(|i| if i % 5 == 3 { IGNORED } else { (i * 31) % classes }).collect();
        let layer = LinearSoftmax {
            bias: biased.then_some(&b[..]),
            label_smoothing: e,
            log_z_penalty: c,
            ..LinearSoftmax::new(&h, &w, dim, &labels)
        };
        let found = layer.value_and_gradient().unwrap();
        let z = products(&h, &w, dim);
        let row = |i: usize| {
            if labels[i] == IGNORED {
                return 0.0;
            }
            let row: Vec<f64> = (0..classes).map(|k| z[i * classes + k] + if biased { b[k] } else { 0.0 }).collect();
            let all = log_sum_exp(&row);
            let spread = row.iter().map(|z| all - z).sum::<f64>() / classes as f64;
            (1.0 - e) * (all - row[labels[i]]) + e * spread + c * all * all
        };
        close(&found.per_row, &(0..n).map(row).collect::<Vec<_>>(), 1e-9)?;
        let value = |x: &[Vec<f64>]| {
            let bias = biased.then(|| &x[2][..]);
            LinearSoftmax { hidden: &x[0], weight: &x[1], bias, ..layer }.value().unwrap().loss
        };
        if biased {
            directional(&[&h, &w, &b], &[&found.hidden, &found.weight, &found.bias], 1.0, seed, value)?;
        } else {
            directional(&[&h, &w], &[&found.hidden, &found.weight], 1.0, seed, value)?;
        }
    }
}

#[test]
fn rows_longer_than_a_block_and_more_than_a_strip() {
    let (n, dim) = (1200, 5);
    let (a, b) = (unit_rows(n, dim, 1), unit_rows(n, dim, 2));
    let positives: Vec<usize> = (0..n).rev().collect();
    let c = Contrast::new(&a, &b, dim, 0.1, &positives);
    let found = c.value_and_gradient().unwrap();
    close(&found.per_anchor, &plain_contrast(&c), 1e-10).unwrap();
    let hard = Contrast { hardest: Some(0.1), ..c };
    close(&hard.value().unwrap().per_anchor, &plain_contrast(&hard), 1e-10).unwrap();
    directional(&[&a, &b], &[&found.anchors, &found.candidates], 0.1, 3, |x| {
        Contrast { anchors: &x[0], candidates: &x[1], ..c }.value().unwrap().loss
    })
    .unwrap();
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let (n, dim) = (700, 16);
    let (a, b) = (single(&unit_rows(n, dim, 1)), single(&unit_rows(2 * n, dim, 2)));
    let positives: Vec<usize> = (0..n).collect();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Contrast::new(&a, &b, dim, 0.1, &positives).value_and_gradient().unwrap())
    };
    let (one, three) = (with(1), with(3));
    assert_eq!(one.anchors, three.anchors);
    assert_eq!(one.candidates, three.candidates);
    assert_eq!(one.per_anchor, three.per_anchor);
}

#[test]
fn extremes_stay_finite() {
    // Scores of +-1e4, equal vectors, one pair.
    for (n, size) in [(1, 100.0f32), (3, 100.0), (130, 100.0), (5, 0.0)] {
        let a: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { size } else { -size }).collect();
        let positives: Vec<usize> = (0..n).collect();
        let found = Contrast::new(&a, &a, 1, 1.0, &positives).value_and_gradient().unwrap();
        assert!(found.loss.is_finite() && found.anchors.iter().chain(&found.candidates).all(|g| g.is_finite()));
        if n == 1 {
            assert_eq!((found.loss, found.anchors[0]), (0.0, 0.0));
        }
    }
    let far = [0.0f32, 1e3, -1e3];
    let found = uniformity(&far, 1, 2.0, true).unwrap();
    assert!(found.loss.is_finite() && found.loss < -1e5 && found.gradient.iter().all(|g| g.is_finite()));
    let same = vec![0.5f32; 12];
    assert!(uniformity(&same, 3, 2.0, true).unwrap().loss.abs() < 1e-6);
    let near = repulsion(&same, &same, 3, 50.0, RepulsionCost::Rbf { t: 2.0 }, false, true).unwrap();
    assert!(near.loss.abs() < 1e-6 && near.queries.iter().all(|g| g.abs() < 1e-6));
    // No label that counts.
    let nothing = LinearSoftmax::new(&same, &same, 3, &[IGNORED; 4]).value_and_gradient().unwrap();
    assert!(nothing.loss == 0.0 && nothing.weight.iter().all(|&g| g == 0.0));
}

#[test]
fn what_does_not_fit_is_named() {
    fn text<V: std::fmt::Debug>(result: Result<V, KernelError>) -> String {
        result.unwrap_err().to_string()
    }
    let x = [1.0f32; 6];
    let contrast = |dim, t, positives: &[usize]| text(Contrast::new(&x, &x, dim, t, positives).value());
    assert_eq!(contrast(4, 1.0, &[0]), "`rows` has 6 numbers, but must have 4 (1 x 4)");
    assert_eq!(contrast(2, 0.0, &[0, 1, 2]), "`temperature` is 0, but must be finite and above 0");
    assert_eq!(contrast(2, 1.0, &[0, 1, 3]), "`positives` is 3 at 2, but must be below 3");
    assert_eq!(contrast(2, 1.0, &[0]), "`positives` has 1 numbers, but must have 3 (one for every anchor)");
    let layer = LinearSoftmax::new(&x, &x, 2, &[0, 7, 1]);
    assert_eq!(text(layer.value()), "`labels` is 7 at 1, but must be below 3, or ignored");
    let pairs = text(two_way_info_nce(&x, &x[..4], 2, 1.0, None, false));
    assert_eq!(pairs, "`second` is 2, but must be as many vectors as `first` has, 3");
}
