//! Losses of few-shot episodes and of novel classes against plain f64 loops written from the papers, and at their edges.

#[expect(dead_code, reason = "shared with tests of losses that scale their rows")]
#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{DType, Device, Int, Tensor};
use contrarian::contrastive::*;
use contrarian::negatives::*;
use contrarian::regularization::*;
use differences::{check, ints, log_sum_exp, numbers, tensor, vectors};
use proptest::prelude::*;

/// How near a number that decides something may come to its limit: finite differences must not cross it.
const CLEAR: f64 = 1e-3;

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn smooth(a: &[f64], b: &[f64]) -> f64 {
    (squared(a, b) + 1e-6).sqrt()
}

/// Labels and distances of the points of one row's window, nearest first.
type Row = Vec<(f64, bool)>;

fn windows(
    x: &[f64],
    y: &[i64],
    t: Option<(&[f64], &[i64])>,
    dim: usize,
    k: usize,
    w: Option<usize>,
) -> (Vec<Row>, usize) {
    let (of, of_y) = t.unwrap_or((x, y));
    let m = of_y.len();
    let k = if k + 2 >= m { m - 2 } else { k };
    let rows = x.chunks(dim).enumerate().map(|(i, x)| {
        let all = of.chunks(dim).enumerate().filter(|(j, _)| t.is_some() || *j != i);
        let mut all: Row = all.map(|(j, z)| (smooth(x, z), y[i] == of_y[j])).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.into_iter().skip(usize::from(t.is_some())).take(w.unwrap_or(k + 1)).collect()
    });
    (rows.collect(), k)
}

fn icnn(rows: &[Row], k: usize, small: bool) -> f64 {
    let e = 1e-7;
    let (mut sc, mut with_same, mut dc, mut with_other, mut same_all) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let others = rows.iter().flat_map(|row| row[..k].iter().filter(|p| !p.1).map(|p| p.0));
    let largest = others.fold(0.0, f64::max);
    for row in rows {
        let nearest = row.iter().filter(|p| !p.1).map(|p| p.0).fold(f64::INFINITY, f64::min);
        let n: Vec<f64> =
            row[..k].iter().map(|p| if nearest.is_finite() { p.0 / (nearest + e) } else { 0.0 }).collect();
        let top = n.iter().copied().fold(1.0, f64::max);
        let same: Vec<usize> = (0..k).filter(|&j| row[j].1).collect();
        let count = same.len() as f64;
        same_all += count;
        if count > 0.0 {
            sc += same.iter().map(|&j| n[j] / top).sum::<f64>() / (count + e);
            with_same += 1.0;
        }
        if same.len() < k {
            let sum: f64 = row[..k].iter().filter(|p| !p.1).map(|p| p.0 / (largest + e)).sum();
            dc += sum / (k as f64 - count + e);
            with_other += 1.0;
        }
    }
    let sc = 1.0 - sc / (with_same + e);
    let dc = if with_other == 0.0 { 1.0 } else { dc / (with_other + e) };
    let gamma = if small { 1.0 } else { same_all / (rows.len() * k) as f64 };
    f64::midpoint(f64::midpoint(sc, dc), gamma)
}

/// Whether no choice of the score is near to another one.
fn clear(rows: &[Row], k: usize) -> bool {
    let apart = |row: &Row| row.windows(2).all(|pair| pair[1].0 - pair[0].0 > CLEAR);
    let mut others: Vec<f64> = rows.iter().flat_map(|row| row[..k].iter().filter(|p| !p.1).map(|p| p.0)).collect();
    others.sort_by(|a, b| b.total_cmp(a));
    // A pair of points is in two rows, and then the largest is the same number twice: the derivative of either is right.
    rows.iter().all(apart) && others.windows(2).all(|pair| pair[0] - pair[1] > CLEAR || pair[0] == pair[1])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn icnn_is_its_twin(
        (n, m) in (3usize..12, 3usize..9), values in vectors(12, 3), others in vectors(9, 3), k in 1usize..5,
        wide in prop::sample::select(vec![None, Some(6usize)]), classes in 1i64..4,
    ) {
        let (x, t) = (&values[..n * 3], &others[..m * 3]);
        let labels = |n: usize| (0..n as i64).map(|i| (i * i + i / 3) % classes).collect::<Vec<i64>>();
        let (y, of_t) = (labels(n), labels(m));
        let objective = IcnnLossConfig::new().with_neighbors(k).with_window(wide).init();
        let found = |x: &[f64]| windows(x, &y, None, 3, k, wide);
        let (rows, reach) = found(x);
        if clear(&rows, reach) {
            let leaf = tensor(x, 3);
            check("icnn", objective.forward(leaf.clone(), ints(&y)), &[(&leaf, x)], &|v| {
                let (rows, reach) = found(&v[0]);
                -icnn(&rows, reach, k + 2 >= n).ln()
            })?;
        }
        let found = |x: &[f64], t: &[f64]| windows(x, &y, Some((t, &of_t)), 3, k, wide);
        let (rows, reach) = found(x, t);
        if clear(&rows, reach) {
            let (leaf, targets) = (tensor(x, 3), tensor(t, 3));
            let loss = objective.forward_against(leaf.clone(), ints(&y), targets.clone(), ints(&of_t));
            check("icnn, targets", loss, &[(&leaf, x), (&targets, t)], &|v| {
                let (rows, reach) = found(&v[0], &v[1]);
                -icnn(&rows, reach, k + 2 >= m).ln()
            })?;
        }
    }

    #[test]
    fn losses_over_prototypes_are_their_twins(
        n in 1usize..6, support in vectors(7, 4), queries in vectors(5, 4), t in 0.5f64..2.0,
    ) {
        let (of_support, q) = ([0, 1, 2, 0, 1, 2, 2], &queries[..n.min(5) * 4]);
        let labels: Vec<i64> = (0..n.min(5) as i64).map(|i| (i * 2) % 3).collect();
        let means = |s: &[f64]| -> Vec<Vec<f64>> {
            (0..3).map(|class| {
                let rows: Vec<&[f64]> = s.chunks(4).zip(of_support).filter(|p| p.1 == class).map(|p| p.0).collect();
                (0..4).map(|d| rows.iter().map(|row| row[d]).sum::<f64>() / rows.len() as f64).collect()
            }).collect()
        };
        let (s, leaf) = (tensor(&support, 4), tensor(q, 4));
        let objective = PrototypicalConfig::new(3).with_temperature(t).init();
        let loss = objective.forward(s.clone(), ints(&of_support), leaf.clone(), ints(&labels));
        check("prototypical", loss, &[(&s, &support), (&leaf, q)], &|v| {
            let p = means(&v[0]);
            v[1].chunks(4).zip(&labels).map(|(q, &y)| {
                let z: Vec<f64> = p.iter().map(|p| -squared(q, p) / t).collect();
                log_sum_exp(z.iter().copied()) - z[y as usize]
            }).sum::<f64>() / labels.len() as f64
        })?;

        let twin = |q: &[f64], p: &[f64]| -> Vec<(f64, Vec<f64>)> {
            q.chunks(4).zip(&labels).map(|(q, &y)| {
                let wrong = (0..3).filter(|&c| c != y as usize).map(|c| smooth(q, &p[c * 4..][..4]));
                (smooth(q, &p[y as usize * 4..][..4]), wrong.collect())
            }).collect()
        };
        let p: Vec<f64> = means(&support).concat();
        let clear = twin(q, &p).iter().all(|(own, wrong)| {
            (wrong[0] - wrong[1]).abs() > CLEAR && (own - wrong[0].min(wrong[1]) + 0.5).abs() > CLEAR
        });
        prop_assume!(clear);
        let prototypes = tensor(&p, 4);
        let loss = ProtoTripletConfig::new().init().forward(leaf.clone(), ints(&labels), prototypes.clone());
        check("proto-triplet", loss, &[(&leaf, q), (&prototypes, &p)], &|v| {
            let each = twin(&v[0], &v[1]).into_iter().map(|(own, w)| (own - w[0].min(w[1]) + 0.5).max(0.0));
            each.sum::<f64>() / labels.len() as f64
        })?;
    }

    #[test]
    fn terms_of_novel_classes_are_their_twins(
        n in 2usize..6, values in vectors(5, 5), labelled in vectors(2, 5), t in prop::sample::select(vec![0.3, 1.0]),
        e in prop::sample::select(vec![0.0, 1e-8]), known in prop::sample::subsequence(vec![0usize, 1, 3], 0..=3),
    ) {
        let x: Vec<f64> = values[..n * 5].iter().map(|v| 3.0 * v).collect();
        let novel = [2usize, 4];
        let softmax = |z: &[f64]| -> Vec<f64> {
            let all = log_sum_exp(z.iter().copied());
            z.iter().map(|z| (z - all).exp()).collect()
        };
        let negative = |x: &[f64]| -> f64 {
            x.chunks(5).map(|row| -known.iter().map(|&c| (1.0 - softmax(row)[c] + e).ln()).sum::<f64>()).sum()
        };
        let entropy = |x: &[f64]| -> f64 {
            let each = x.chunks(5).map(|row| -> f64 {
                -softmax(&novel.map(|c| row[c])).iter().map(|q| q * q.ln()).sum::<f64>()
            });
            each.sum::<f64>() / n as f64
        };
        let shortfalls = |x: &[f64]| -> Vec<f64> {
            let r: Vec<Vec<f64>> = x.chunks(5).map(|row| softmax(&novel.map(|c| row[c] / t))).collect();
            (0..2).map(|c| {
                let mean = r.iter().map(|r| r[c]).sum::<f64>() / n as f64;
                0.25 - r.iter().map(|r| (r[c] - mean).powi(2)).sum::<f64>() / (n - 1) as f64
            }).collect()
        };
        prop_assume!(shortfalls(&x).iter().all(|s| s.abs() > CLEAR));
        let variance = |x: &[f64]| shortfalls(x).iter().map(|s| s.max(0.0)).sum::<f64>() / 2.0;
        let leaf = tensor(&x, 5);
        let inputs = [(&leaf, &x[..])];
        let objective = NegativeLearningConfig::new(known.clone()).with_epsilon(e).init();
        check("negative learning", objective.forward(leaf.clone()), &inputs, &|v| negative(&v[0]))?;
        let objective = NovelEntropyConfig::new(novel.to_vec()).init();
        check("novel entropy", objective.forward(leaf.clone()), &inputs, &|v| entropy(&v[0]))?;
        let objective = NovelVarianceConfig::new(novel.to_vec()).with_temperature(t).init();
        check("novel variance", objective.forward(leaf.clone()), &inputs, &|v| variance(&v[0]))?;

        if e == 0.0 {
            let config = NevNcdConfig::new(known.clone(), novel.to_vec()).with_temperature(t);
            let config = config.with_negative_weight(0.7).with_entropy_weight(0.5).with_variance_weight(2.0);
            let (labelled_leaf, y) = (tensor(&labelled, 5), [1, 3]);
            let loss = config.init().forward(labelled_leaf.clone(), ints(&y), leaf.clone());
            check("nev-ncd", loss, &[(&labelled_leaf, &labelled), (&leaf, &x)], &|v| {
                let cross: f64 = v[0].chunks(5).zip(y).map(|(row, y)| -softmax(row)[y as usize].ln()).sum();
                let unlabelled = 0.7 * negative(&v[1]) / n as f64 + 0.5 * entropy(&v[1]) + 2.0 * variance(&v[1]);
                cross / 2.0 + unlabelled
            })?;
        }
    }
}

/// Value and gradient are finite in f32 and f64; the value in f64.
fn finite(x: &[[f64; 3]; 4], loss: &dyn Fn(Tensor<2>) -> Tensor<1>) -> f64 {
    let value = [DType::F32, DType::F64].map(|dtype| {
        let leaf = Tensor::<2>::from_data(*x, (&Device::flex().autodiff(), dtype)).require_grad();
        let loss = loss(leaf.clone());
        let gradient = leaf.grad(&loss.backward()).expect("the loss depends on its input");
        assert!(numbers(gradient).into_iter().chain(numbers(loss.clone())).all(f64::is_finite), "{dtype:?} {x:?}");
        numbers(loss)[0]
    });
    value[1]
}

#[test]
fn edges_are_defined() {
    let far = [[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, 1e4, 1e4], [0.0; 3]];
    let near_one = [[800.0, 0.0, 0.0], [800.0, 0.0, 0.0], [0.0, 0.0, 800.0], [0.0; 3]];
    let labels = |y: [i64; 4]| ints(&y);
    for x in [far, near_one, [[0.0; 3]; 4], [[2.0; 3]; 4]] {
        for y in [[0, 0, 1, 1], [0; 4], [0, 1, 2, 3]] {
            let score = finite(&x, &|x| IcnnLossConfig::new().init().score(x, labels(y)));
            assert!((0.25 - 1e-6..=1.0 + 1e-6).contains(&score), "{score} {x:?} {y:?}");
            finite(&x, &|x| IcnnLossConfig::new().with_neighbors(1).init().forward(x, labels(y)));
        }
        finite(&x, &|x| {
            let p = prototypes(x.clone(), labels([0, 0, 1, 1]), 2).unwrap();
            ProtoTripletConfig::new().init().forward(x, labels([0, 0, 1, 1]), p)
        });
        let y = [0, 0, 1, 1];
        finite(&x, &|x| PrototypicalConfig::new(2).init().forward(x.clone(), labels(y), x, labels(y)));
        for known in [vec![], vec![0], vec![0, 1, 2]] {
            finite(&x, &|x| NegativeLearningConfig::new(known.clone()).init().forward(x));
        }
        finite(&x, &|x| NovelEntropyConfig::new(vec![0, 2]).init().forward(x));
        finite(&x, &|x| NovelVarianceConfig::new(vec![0, 2]).init().forward(x));
        let q = SinkhornAssignmentConfig::new().init().forward(tensor(&x.concat(), 3));
        assert!(numbers(q.sum_dim(1)).into_iter().all(|sum| (sum - 1.0).abs() < 1e-9), "{x:?}");
        assert_eq!(finite(&x, &|x| NovelEntropyConfig::new(vec![1]).init().forward(x)), 0.0);
        assert_eq!(finite(&x, &|x| NovelVarianceConfig::new(vec![1]).init().forward(x)), 0.0);
    }
    // One class only: nothing to tell apart, and nothing to do.
    assert!((finite(&near_one, &|x| IcnnLossConfig::new().init().forward(x, labels([7; 4])))).abs() < 1e-12);
    // Where p rounds to 1 the exact form goes on: 800 - log 2.
    let one = finite(&[near_one[0]; 4], &|x| NegativeLearningConfig::new(vec![0]).init().forward(x)) / 4.0;
    assert!((one - (800.0 - 2f64.ln())).abs() < 1e-9, "{one}");
    assert_eq!(numbers(mean_of_objectives([1.0, 4.0].map(|v| Tensor::<1>::from_floats([v], &Device::flex())))), [2.5]);
}

#[test]
fn the_own_point_is_left_out_by_its_index() {
    // Two copies, and their class's third point: a copy is a neighbour at distance 0.001, the point itself is none.
    let x = tensor(&[0.0, 0.0, 1.0, 5.0], 1);
    let score = IcnnLossConfig::new().with_neighbors(1).init().score(x, ints(&[0, 0, 1, 1]));
    let e = 1e-7;
    let d = |a: f64| (a * a + 1e-6).sqrt();
    // Neighbours: copy (same), copy (same), a copy (other, 1), and 1 (same, 4; the nearest other is 5 away).
    let sc = 1.0 - (2.0 * d(0.0) / (d(1.0) + e) + d(4.0) / (d(5.0) + e)) / (1.0 + e) / (3.0 + e);
    let dc = d(1.0) / (d(1.0) + e) / (1.0 + e) / (1.0 + e);
    let expected = 0.25 * (sc + dc) + 0.5 * 0.75;
    assert!((numbers(score)[0] - expected).abs() < 1e-12);
}

#[test]
fn bad_input_is_named() {
    let x = Tensor::<2>::ones([2, 3], &Device::flex());
    let y = Tensor::<1, Int>::from_ints([0, 2], &Device::flex());
    let error = prototypes(x.clone(), y.clone(), 3).unwrap_err().to_string();
    assert!(error.contains("without class 1"), "{error}");
    assert!(prototypes(x.clone(), y.clone(), 2).unwrap_err().to_string().contains("`labels` is 2"));
    assert!(NevNcdConfig::new(vec![0, 1], vec![1, 2]).validate().unwrap_err().to_string().contains("known"));
    assert!(NovelEntropyConfig::new(vec![]).validate().is_err());
    assert!(NegativeLearningConfig::new(vec![1, 1]).validate().is_err());
    assert!(IcnnLossConfig::new().with_window(Some(3)).validate().is_err());
    assert!(SinkhornAssignmentConfig::new().with_epsilon(0.0).validate().is_err());
    let panics = |f: &(dyn Fn() + std::panic::RefUnwindSafe)| std::panic::catch_unwind(f).is_err();
    let one = Tensor::<2>::ones([1, 3], &Device::flex());
    assert!(panics(&|| drop(NovelVarianceConfig::new(vec![0, 1]).init().forward(one.clone()))));
    assert!(panics(&|| drop(IcnnLossConfig::new().init().forward(x.clone(), y.clone()))));
    assert!(panics(&|| drop(ProtoTripletConfig::new().init().forward(one.clone(), ints(&[0]), one.clone()))));
}
