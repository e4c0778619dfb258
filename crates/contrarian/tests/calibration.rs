//! The room `calibration` against plain loops in f64, and its behaviour at the edges.

use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation};
use contrarian::calibration::*;
use proptest::prelude::*;

fn matrix(rows: &[Vec<f64>]) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
}

fn vector(values: &[f64]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Device::flex().autodiff(), DType::F64))
}

fn labels(values: &[usize]) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    Tensor::from_data(TensorData::from(values.as_slice()), &Device::flex().autodiff())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn argmax(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

fn twin_confidence(row: &[f64], temperature: f64) -> f64 {
    let max = row[argmax(row)];
    1.0 / row.iter().map(|l| ((l - max) / temperature).exp()).sum::<f64>()
}

/// The loss as the paper and its code write it; `right` is a constant for the gradient.
fn twin_loss(rows: &[Vec<f64>], y: &[usize], temperatures: &[f64], balanced: bool) -> f64 {
    let right: Vec<f64> = rows.iter().zip(y).map(|(row, &y)| if argmax(row) == y { 1.0 } else { 0.0 }).collect();
    let a = right.iter().sum::<f64>() / right.len() as f64;
    let one_kind = a == 0.0 || a == 1.0;
    let (mut top, mut bottom) = (0.0, 0.0);
    for ((row, &t), &c) in rows.iter().zip(temperatures).zip(&right) {
        let w = match () {
            () if !balanced || one_kind => 1.0,
            () if c == 1.0 => 1.0 - a,
            () => a,
        };
        top += w * (twin_confidence(row, t) - c).powi(2);
        bottom += w;
    }
    top / bottom
}

fn batch() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<usize>, Vec<f64>)> {
    (1usize..9, 2usize..6).prop_flat_map(|(n, k)| {
        (
            prop::collection::vec(prop::collection::vec(-4.0f64..4.0, k), n),
            prop::collection::vec(0..k, n),
            prop::collection::vec(0.2f64..5.0, n),
        )
    })
}

proptest! {
    #[test]
    fn the_loss_and_its_gradient_agree_with_plain_loops((rows, y, t) in batch(), balanced in any::<bool>()) {
        let weighting = if balanced { Weighting::Balanced } else { Weighting::None };
        let h = 1e-5;
        let objective = CorrectnessAwareLossConfig::new().with_weighting(weighting).init();
        let (logits, temperature) = (matrix(&rows).require_grad(), vector(&t).require_grad());
        let loss = objective.forward(logits.clone(), labels(&y), temperature.clone());
        let expected = twin_loss(&rows, &y, &t, balanced);
        prop_assert!((numbers(loss.clone())[0] - expected).abs() < 1e-12);
        let gradients = loss.backward();
        let slopes = numbers(temperature.grad(&gradients).unwrap());
        let slopes_l = numbers(logits.grad(&gradients).unwrap());
        for (i, slope) in slopes.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = t.clone();
                moved[i] += step;
                twin_loss(&rows, &y, &moved, balanced)
            };
            prop_assert!((slope - (at(h) - at(-h)) / (2.0 * h)).abs() < 1e-7, "{slope}");
            for k in 0..rows[0].len() {
                let at = |step: f64| {
                    let mut moved = rows.clone();
                    moved[i][k] += step;
                    // A step that changes the prediction crosses a corner of the loss.
                    (argmax(&moved[i]) == argmax(&rows[i])).then(|| twin_loss(&moved, &y, &t, balanced))
                };
                if let (Some(up), Some(down)) = (at(h), at(-h)) {
                    let found = slopes_l[i * rows[0].len() + k];
                    prop_assert!((found - (up - down) / (2.0 * h)).abs() < 1e-7, "{found}");
                }
            }
        }
    }

    #[test]
    fn features_agree_with_plain_loops((rows, ..) in batch(), copies in 1usize..4, k in 1usize..3) {
        let copy = |j: usize| rows.iter().map(move |row| row.iter().map(|v| v * (j + 1) as f64 - 0.3).collect::<Vec<f64>>());
        let all: Vec<Vec<f64>> = (0..copies).flat_map(copy).collect();
        let shape = [copies, rows.len(), rows[0].len()];
        let features = TransformConsistencyFeaturesConfig::new().with_top_k(k).init();
        let found = numbers(features.forward(matrix(&rows), matrix(&all).reshape(shape)).unwrap());
        let mut expected = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            for j in 0..copies {
                let copy = &all[j * rows.len() + i];
                let total: f64 = copy.iter().map(|v| v.exp()).sum();
                expected.extend(order[..k].iter().map(|&class| copy[class].exp() / total));
            }
        }
        prop_assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12));
        prop_assert_eq!(found.len(), expected.len());
    }

    #[test]
    fn the_metrics_agree_with_plain_loops(rows in prop::collection::vec((0u32..=40, any::<bool>()), 1..40)) {
        // A grid of confidences: ties and bin edges occur.
        let conf: Vec<f64> = rows.iter().map(|row| f64::from(row.0) / 40.0).collect();
        let right: Vec<bool> = rows.iter().map(|row| row.1).collect();
        let found = CalibrationMetrics { bins: 8 }.measure(&conf, &right).unwrap();
        let n = conf.len() as f64;
        let gap = |i: usize| f64::from(u8::from(right[i])) - conf[i];
        let mut ece = 0.0;
        for b in 0..8u32 {
            // (lo, hi] in integers: 40 p in (5 b, 5 b + 5]; 0 belongs to the first bin.
            let inside = |i: &usize| rows[*i].0 > 5 * b && rows[*i].0 <= 5 * b + 5 || b == 0 && rows[*i].0 == 0;
            ece += (0..rows.len()).filter(inside).map(gap).sum::<f64>().abs() / n;
        }
        prop_assert!((found.ece - ece).abs() < 1e-12);
        let mut kernel = 0.0;
        let (mut wins, mut pairs) = (0.0, 0.0);
        for i in 0..conf.len() {
            for j in 0..conf.len() {
                if i != j {
                    kernel += gap(i) * gap(j) * (-(conf[i] - conf[j]).abs() / 0.4).exp() / (n * (n - 1.0));
                }
                if right[i] && !right[j] {
                    pairs += 1.0;
                    wins += if conf[i] > conf[j] { 1.0 } else if conf[i] == conf[j] { 0.5 } else { 0.0 };
                }
            }
        }
        prop_assert!((found.kernel - kernel).abs() < 1e-12);
        if let Some(auroc) = found.auroc {
            prop_assert!((auroc - wins / pairs).abs() < 1e-12);
        } else {
            prop_assert_eq!(pairs, 0.0);
        }
        let mut order: Vec<usize> = (0..conf.len()).collect();
        order.sort_by_key(|&i| (rows[i].0, i));
        let ks = (1..=order.len()).map(|j| order[..j].iter().map(|&i| gap(i)).sum::<f64>().abs() / n);
        prop_assert!((found.ks - ks.fold(0.0, f64::max)).abs() < 1e-12);
        let adaptive = (0..8).map(|b| {
            order[b * order.len() / 8..(b + 1) * order.len() / 8].iter().map(|&i| gap(i)).sum::<f64>().abs() / n
        });
        prop_assert!((found.adaptive_ece - adaptive.sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn pooling_gives_the_best_of_all_monotone_sequences(values in prop::collection::vec((0.0f64..1.0, 0.5f64..3.0), 1..12)) {
        let (v, w): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
        let fitted = pool_adjacent_violators(&v, &w);
        // The minimax formula of isotonic regression: max over starts of min over ends of the mean between.
        let mean = |a: usize, b: usize| {
            (a..=b).map(|i| v[i] * w[i]).sum::<f64>() / w[a..=b].iter().sum::<f64>()
        };
        for (i, fitted) in fitted.into_iter().enumerate() {
            let low = |a: usize| (i..v.len()).map(|b| mean(a, b)).fold(f64::INFINITY, f64::min);
            let expected = (0..=i).map(low).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((fitted - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn extreme_logits_ties_and_one_kind_of_outcome_stay_finite() {
    for weighting in [Weighting::Balanced, Weighting::None] {
        let objective = CorrectnessAwareLossConfig::new().with_weighting(weighting).init();
        for (rows, y) in [
            (vec![vec![1e4, -1e4], vec![-1e4, 1e4]], vec![0, 0]),
            (vec![vec![1e4, 1e4]], vec![1]),
            (vec![vec![0.0, 0.0], vec![0.0, 0.0]], vec![0, 0]),
            (vec![vec![900.0, 0.0], vec![0.0, 1.0]], vec![0, 1]),
        ] {
            for dtype in [DType::F64, DType::F32] {
                let temperature = vector(&vec![0.1; y.len()]).cast(dtype).detach().require_grad();
                let loss = objective.forward(matrix(&rows).cast(dtype), labels(&y), temperature.clone());
                let gradient = numbers(temperature.grad(&loss.backward()).unwrap());
                assert!(
                    numbers(loss)[0].is_finite() && gradient.iter().all(|g| g.is_finite()),
                    "{rows:?} {gradient:?}"
                );
            }
        }
    }
    // Of equal logits the lowest index is the prediction.
    let right = correctness(matrix(&[vec![2.0, 2.0], vec![2.0, 2.0]]), labels(&[0, 1])).float();
    assert_eq!(numbers(right), [1.0, 0.0]);
}

#[test]
fn illegal_temperatures_and_logits_give_nan() {
    let rows = matrix(&[vec![1.0, 0.0], vec![1.0, 0.0], vec![f64::NAN, 0.0], vec![1.0, 0.0]]);
    let found = numbers(confidence(rows, vector(&[0.0, -1.0, 1.0, 1.0])));
    assert!(found[..3].iter().all(|c| c.is_nan()) && found[3] > 0.7, "{found:?}");
}

/// A classifier whose logits are twice as large as they should be: labels are drawn at half of them.
fn overconfident(rows: usize, classes: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut draw = || -> (Vec<f64>, usize) {
        let row: Vec<f64> = (0..classes).map(|_| rng.random_range(-6.0..6.0)).collect();
        let weights: Vec<f64> = row.iter().map(|l| (l / 2.0).exp()).collect();
        let mut left = rng.random_range(0.0..weights.iter().sum::<f64>());
        let y = weights.iter().position(|w| {
            left -= w;
            left < 0.0
        });
        (row, y.unwrap_or(0))
    };
    (0..rows).map(|_| draw()).unzip()
}

fn ece(probabilities: Tensor<2>, y: &[usize]) -> f64 {
    let [_, classes] = probabilities.dims();
    let p = numbers(probabilities);
    let decided: Vec<usize> = p.chunks(classes).map(argmax).collect();
    let conf: Vec<f64> = p.chunks(classes).zip(&decided).map(|(row, &k)| row[k]).collect();
    let right: Vec<bool> = decided.iter().zip(y).map(|(a, b)| a == b).collect();
    CalibrationMetrics::default().measure(&conf, &right).unwrap().ece
}

#[test]
fn every_map_mends_an_overconfident_classifier() {
    for classes in [2, 4] {
        let (rows, y) = overconfident(8000, classes);
        let (l, lt) = (matrix(&rows[..4000]), labels(&y[..4000]));
        let test = || matrix(&rows[4000..]);
        let before = ece(activation::softmax(test(), 1), &y[4000..]);
        let temperature = TemperatureScaling::fit(l.clone(), lt.clone()).unwrap();
        // The truth is 2; the standard error of 4000 rows is about 0.04.
        assert!((temperature.temperature - 2.0).abs() < 0.15, "{temperature:?}");
        let ensemble = EnsembleTemperatureScaling::fit(l.clone(), lt.clone()).unwrap();
        assert!((ensemble.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(ensemble.weights[0] > 0.8, "{ensemble:?}");
        let histogram = HistogramBinningConfig::new().fit(l.clone(), lt.clone()).unwrap();
        let isotonic = IsotonicCalibration::fit(l, lt).unwrap();
        for (name, after) in [
            ("temperature", temperature.apply(test())),
            ("ensemble", ensemble.apply(test())),
            ("histogram", histogram.apply(test())),
            ("isotonic", isotonic.apply(test())),
        ] {
            let sums = numbers(after.clone().sum_dim(1));
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-9), "{name}");
            let after = ece(after, &y[4000..]);
            assert!(after < 0.5 * before, "{name}, {classes} classes: {after} against {before}");
        }
    }
}

#[test]
fn a_temperature_ends_at_a_bound_where_the_data_allow_any() {
    let always_right = TemperatureScaling::fit(matrix(&[vec![1.0, 0.0], vec![0.0, 2.0]]), labels(&[0, 1])).unwrap();
    assert!((always_right.temperature - 0.01).abs() < 1e-6);
    let always_wrong = TemperatureScaling::fit(matrix(&[vec![1.0, 0.0], vec![0.0, 2.0]]), labels(&[1, 0])).unwrap();
    assert!((always_wrong.temperature - 100.0).abs() < 1e-6);
}

#[test]
fn saved_maps_come_back() {
    let (rows, y) = overconfident(300, 3);
    let isotonic = IsotonicCalibration::fit(matrix(&rows), labels(&y)).unwrap();
    let back: IsotonicCalibration = serde_json::from_str(&serde_json::to_string(&isotonic).unwrap()).unwrap();
    // JSON numbers come back to the last bit, not always with it.
    let (before, after) = (numbers(isotonic.apply(matrix(&rows))), numbers(back.apply(matrix(&rows))));
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-9));
}

#[test]
fn bad_sets_are_named() {
    let rows = || matrix(&[vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]]);
    let says = |error: CalibrationError, part: &str| assert!(error.to_string().contains(part), "{error}");
    says(TemperatureScaling::fit(matrix(&[vec![1.0, 0.0]]), labels(&[0])).unwrap_err(), "at least 2 rows");
    says(TemperatureScaling::fit(rows(), labels(&[0])).unwrap_err(), "1 labels for 2 rows");
    says(TemperatureScaling::fit(rows(), labels(&[0, 3])).unwrap_err(), "row 1 has the label 3");
    let nan = matrix(&[vec![1.0, 0.0], vec![f64::NAN, 0.0]]);
    says(EnsembleTemperatureScaling::fit(nan, labels(&[0, 1])).unwrap_err(), "row 1 has a logit that is not finite");
    says(IsotonicCalibration::fit(rows(), labels(&[0, 1])).unwrap_err(), "no row is of class 2");
    let bins = HistogramBinningConfig::new();
    says(bins.fit(rows(), labels(&[0, 1])).unwrap_err(), "no row is of class 2");
    says(bins.with_bins(0).fit(rows(), labels(&[0, 1])).unwrap_err(), "`bins` is 0");
    // A missing class is no obstacle for a temperature.
    assert!(EnsembleTemperatureScaling::fit(rows(), labels(&[0, 1])).is_ok());
    let metrics = CalibrationMetrics::default();
    says(metrics.measure(&[], &[]).unwrap_err(), "at least 1 rows");
    says(metrics.measure(&[0.5], &[]).unwrap_err(), "0 outcomes for 1 rows");
    says(metrics.measure(&[0.5, f64::NAN], &[true, true]).unwrap_err(), "row 1");
    assert_eq!(metrics.measure(&[0.5, 0.7], &[true, true]).unwrap().auroc, None);
}

#[test]
fn objectives_differ_and_a_vector_map_starts_as_the_identity() {
    let (rows, y) = overconfident(50, 3);
    let t = vec![1.3; 50];
    let loss = |objective: TemperatureObjective| numbers(objective.loss(matrix(&rows), labels(&y), vector(&t)))[0];
    let nll = numbers(negative_log_likelihood(matrix(&rows), labels(&y), vector(&t)))[0];
    assert!((loss(TemperatureObjective::CrossEntropy) - nll).abs() < 1e-12);
    assert!((loss(TemperatureObjective::CorrectnessAware) - twin_loss(&rows, &y, &t, true)).abs() < 1e-12);
    assert!((loss(TemperatureObjective::CorrectnessAwareUnweighted) - twin_loss(&rows, &y, &t, false)).abs() < 1e-12);
    assert!(loss(TemperatureObjective::Brier) > loss(TemperatureObjective::CorrectnessAwareUnweighted));
    let map = VectorScalingConfig::new(3).init(&Device::flex());
    let logits = Tensor::<2>::from_floats([[1.0, -2.0, 3.0]], &Device::flex());
    assert_eq!(numbers(map.forward(logits.clone())), numbers(logits));
}
