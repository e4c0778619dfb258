//! Every objective against its slow twin: plain loops in f64, written from the papers' formulas, sharing no code with the
//! library. Values agree to 1e-10; gradients agree with central differences of the twin to 1e-5.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::registry::{ObjectiveSpec, TaskContext};
use contrarian::{LogitBatch, ObjectiveState};
use proptest::prelude::*;

type Rows = [Vec<f64>];

fn softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::MIN, f64::max);
    let total: f64 = row.iter().map(|v| (v - max).exp()).sum();
    row.iter().map(|v| (v - max).exp() / total).collect()
}

fn mean(rows: &Rows, labels: &[usize], loss: impl Fn(&[f64], usize) -> f64) -> f64 {
    rows.iter().zip(labels).map(|(row, &y)| loss(row, y)).sum::<f64>() / rows.len() as f64
}

fn of_p(rows: &Rows, labels: &[usize], loss: impl Fn(f64) -> f64) -> f64 {
    mean(rows, labels, |row, y| loss(softmax(row)[y]))
}

fn of_margin(rows: &Rows, labels: &[usize], loss: impl Fn(f64) -> f64) -> f64 {
    mean(rows, labels, |row, y| loss((row[1] - row[0]) * if y == 1 { 1.0 } else { -1.0 }))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn weighted_smoothed_cross_entropy(rows: &Rows, labels: &[usize]) -> f64 {
    let weight = |class: usize| class as f64 + 0.5;
    let k = rows[0].len() as f64;
    let (mut top, mut bottom) = (0.0, 0.0);
    for (row, &y) in rows.iter().zip(labels) {
        let p = softmax(row);
        top -= 0.8 * weight(y) * p[y].ln();
        for (class, p) in p.iter().enumerate() {
            top -= 0.2 / k * weight(class) * p.ln();
        }
        bottom += weight(y);
    }
    top / bottom
}

fn normalized(row: &[f64], y: usize) -> (f64, f64) {
    let p = softmax(row);
    (p[y].ln() / p.iter().map(|p| p.ln()).sum::<f64>(), p[y])
}

fn jensen_shannon(rows: &Rows, labels: &[usize]) -> f64 {
    let w = 0.3;
    let scale = -1.0 / ((1.0 - w) * f64::ln(1.0 - w));
    mean(rows, labels, |row, y| {
        let p = softmax(row);
        let m: Vec<f64> = (0..p.len()).map(|k| w * f64::from(u8::from(k == y)) + (1.0 - w) * p[k]).collect();
        let label = -m[y].ln();
        let prediction: f64 = p.iter().zip(&m).map(|(p, m)| p * (p / m).ln()).sum();
        scale * (w * label + (1.0 - w) * prediction)
    })
}

fn normalised_scores(row: &[f64], kind: &str) -> Vec<f64> {
    let size: Vec<f64> = match kind {
        "none" => return row.to_vec(),
        "l1_mean" => row.iter().map(|v| v.abs()).collect(),
        _ => row.iter().map(|v| v.exp().ln_1p()).collect(),
    };
    let average = size.iter().sum::<f64>() / size.len() as f64;
    let top = if kind == "l1_mean" { row.to_vec() } else { size };
    top.into_iter().map(|v| if average == 0.0 { 0.0 } else { v / average }).collect()
}

fn ldr_row(row: &[f64], y: usize, lambda: f64, margin: f64, kind: &str) -> f64 {
    let f = normalised_scores(row, kind);
    let d = |k: usize| if k == y { 0.0 } else { f[k] - f[y] + margin };
    let max = (0..f.len()).map(d).fold(f64::MIN, f64::max);
    let total: f64 = (0..f.len()).map(|k| ((d(k) - max) / lambda).exp()).sum();
    max + lambda * (total / f.len() as f64).ln()
}

/// One visit from a temperature of `lambda0`, which is a constant for the gradient: taken at `at`.
fn aldr(rows: &Rows, at: &Rows, labels: &[usize]) -> f64 {
    let (lambda0, alpha, margin) = (1.0, 2.0, 0.1);
    let log_k = (rows[0].len() as f64).ln();
    let mut total = 0.0;
    for ((row, at), &y) in rows.iter().zip(at).zip(labels) {
        let scaled: Vec<f64> = normalised_scores(at, "l1_mean").iter().map(|v| v / lambda0).collect();
        let p: Vec<f64> = softmax(&scaled).into_iter().map(|p| p + 1e-5).collect();
        let sum: f64 = p.iter().sum();
        let kl: f64 = p.iter().map(|p| p / sum * ((p / sum).ln() + log_k)).sum();
        let lambda = lambda0 - lambda0 * kl / (alpha * log_k);
        let penalty = alpha * log_k / (2.0 * lambda0) * (lambda - lambda0).powi(2);
        total += ldr_row(row, y, lambda, margin, "l1_mean") - penalty;
    }
    total / rows.len() as f64
}

fn dice_ratio(w: f64, y: f64, squared: bool) -> (f64, f64) {
    (2.0 * w * y, if squared { w * w + y * y } else { w + y })
}

fn binary_dice(rows: &Rows, labels: &[usize], alpha: f64, squared: bool, batch: bool, smooth: f64) -> f64 {
    let parts: Vec<(f64, f64)> = rows
        .iter()
        .zip(labels)
        .map(|(row, &y)| {
            let p = sigmoid(row[1] - row[0]);
            dice_ratio((1.0 - p).powf(alpha) * p, y as f64, squared)
        })
        .collect();
    overlap(&parts, batch, smooth)
}

fn overlap(parts: &[(f64, f64)], batch: bool, smooth: f64) -> f64 {
    let loss = |(top, bottom): (f64, f64)| 1.0 - (top + smooth) / (bottom + smooth);
    match batch {
        true => loss(parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))),
        false => parts.iter().map(|&part| loss(part)).sum::<f64>() / parts.len() as f64,
    }
}

fn multiclass_dice(rows: &Rows, labels: &[usize], batch: bool) -> f64 {
    let class = |c: usize| {
        let part = |(row, &y): (&Vec<f64>, &usize)| {
            let p = softmax(row)[c];
            dice_ratio((1.0 - p).powf(0.5) * p, f64::from(u8::from(y == c)), true)
        };
        let parts: Vec<(f64, f64)> = rows.iter().zip(labels).map(part).collect();
        overlap(&parts, batch, 1.0)
    };
    (0..rows[0].len()).map(class).sum()
}

fn tversky(rows: &Rows, labels: &[usize]) -> f64 {
    let (mut tp, mut fp, mut fn_) = (0.0, 0.0, 0.0);
    for (row, &y) in rows.iter().zip(labels) {
        let (p, y) = (sigmoid(row[1] - row[0]), y as f64);
        tp += p * y;
        fp += p * (1.0 - y);
        fn_ += (1.0 - p) * y;
    }
    1.0 - (tp + 1.0) / (tp + 0.3 * fp + 0.7 * fn_ + 1.0)
}

fn any_loss(rows: &Rows, labels: &[usize], metric: &str) -> f64 {
    let (mut tp, mut fp, mut fn_, mut tn) = (0.0, 0.0, 0.0, 0.0);
    for (row, &y) in rows.iter().zip(labels) {
        let d = sigmoid(5.0 * (sigmoid(row[1] - row[0]) - 0.5));
        let y = y as f64;
        tp += d * y;
        fp += d * (1.0 - y);
        fn_ += (1.0 - d) * y;
        tn += (1.0 - d) * (1.0 - y);
    }
    let ratio = |top: f64, bottom: f64| if bottom == 0.0 { 0.0 } else { top / bottom };
    let positives = labels.iter().sum::<usize>() as f64;
    let negatives = labels.len() as f64 - positives;
    let (recall, specificity) = (ratio(tp, positives), ratio(tn, negatives));
    let classes = f64::from(u8::from(positives > 0.0)) + f64::from(u8::from(negatives > 0.0));
    1.0 - match metric {
        "accuracy" => (tp + tn) / labels.len() as f64,
        "f_beta" => ratio(5.0 * tp, 5.0 * tp + fp + 4.0 * fn_),
        "balanced_accuracy" => (recall + specificity) / classes,
        "g_mean" => (recall * specificity).sqrt(),
        "precision" => ratio(tp, tp + fp),
        "recall" => recall,
        "specificity" => specificity,
        "jaccard" => ratio(tp, tp + fp + fn_),
        _ => ratio(tp * tn - fp * fn_, (positives * (tp + fp) * negatives * (tn + fn_)).sqrt()),
    }
}

/// Mean over pairs of a positive and a negative of `(margin - (s_i - s_j))_+^2`; 0 where there are no pairs.
fn pairwise_squared_hinge(rows: &Rows, y: &[usize], margin: f64) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0.0);
    for (i, j) in (0..rows.len()).flat_map(|i| (0..rows.len()).map(move |j| (i, j))) {
        if y[i] == 1 && y[j] == 0 {
            let ahead = (rows[i][1] - rows[i][0]) - (rows[j][1] - rows[j][0]);
            sum += (margin - ahead).max(0.0).powi(2);
            pairs += 1.0;
        }
    }
    if pairs == 0.0 { 0.0 } else { sum / pairs }
}

fn hardest_negative(rows: &Rows, y: &[usize]) -> f64 {
    let a = |row: &Vec<f64>| sigmoid(row[1] - row[0]);
    let hardest = rows.iter().zip(y).filter(|(_, y)| **y == 0).map(|(row, _)| a(row)).fold(0.0, f64::max);
    let positives: Vec<f64> = rows.iter().zip(y).filter(|(_, y)| **y == 1).map(|(row, _)| a(row)).collect();
    positives.iter().map(|a| (a - hardest).min(0.0).powi(2)).sum::<f64>() / (positives.len() as f64 + 1.0)
}

fn class_dependent(rows: &Rows, y: &[usize], weights: [f64; 2], ranking: f64) -> f64 {
    mean(rows, y, |row, y| -weights[y] * softmax(row)[y].ln()) + ranking
}

/// Without `eps` the loss jumps at a row of equal scores, where differences say nothing: see `spherical.rs` for that.
fn z_loss(row: &[f64], y: usize, a: f64, b: f64, eps: f64) -> f64 {
    let n = row.len() as f64;
    let mu = row.iter().sum::<f64>() / n;
    let sigma = (row.iter().map(|o| (o - mu).powi(2)).sum::<f64>() / n + eps).sqrt();
    (a * (b - (row[y] - mu) / sigma)).exp().ln_1p() / a
}

/// The value of a twin at `rows`; `at` is where detached quantities are taken.
fn twin(spec: &str, rows: &Rows, at: &Rows, y: &[usize]) -> f64 {
    let hinge = |row: &[f64], y: usize, k: usize, margin: f64| if k == y { 0.0 } else { row[k] - row[y] + margin };
    match spec {
        "cross-entropy(class_weights=WEIGHTS, label_smoothing=0.2)" => weighted_smoothed_cross_entropy(rows, y),
        "cross-entropy" => of_p(rows, y, |p| -p.ln()),
        "focal(gamma=1.5)" => of_p(rows, y, |p| -(1.0 - p).powf(1.5) * p.ln()),
        "brier" => mean(rows, y, |row, y| {
            softmax(row).iter().enumerate().map(|(k, p)| (f64::from(u8::from(k == y)) - p).powi(2)).sum()
        }),
        "crammer-singer(margin=0.7)" => {
            mean(rows, y, |row, y| (0..row.len()).map(|k| hinge(row, y, k, 0.7)).fold(0.0, f64::max))
        }
        "weston-watkins" => mean(rows, y, |row, y| {
            (0..row.len()).map(|k| hinge(row, y, k, 1.0).max(0.0)).sum::<f64>() / row.len() as f64
        }),
        "gce(q=0.7)" => of_p(rows, y, |p| (1.0 - p.powf(0.7)) / 0.7),
        "gce(q=0.5, k=0.4)" => of_p(rows, y, |p| ((1.0 - p.sqrt()) / 0.5).min((1.0 - 0.4f64.sqrt()) / 0.5)),
        "mae" => of_p(rows, y, |p| 1.0 - p),
        "symmetric-ce(balance=0.3, a=2)" => of_p(rows, y, |p| -0.7 * p.ln() + 0.6 * (1.0 - p)),
        "nce-rce(alpha=2, beta=3)" => mean(rows, y, |row, y| {
            let (nce, p) = normalized(row, y);
            2.0 * nce - 3.0 * (1.0 - p) * 1e-4f64.ln()
        }),
        "nce-aul(alpha=2, beta=3)" => mean(rows, y, |row, y| {
            let (nce, p) = normalized(row, y);
            2.0 * nce + 3.0 * ((6.0 - p).powf(1.5) - 5f64.powf(1.5)) / 1.5
        }),
        "nce-agce(alpha=2, beta=3)" => mean(rows, y, |row, y| {
            let (nce, p) = normalized(row, y);
            2.0 * nce + 3.0 * (4f64.powf(1.5) - (3.0 + p).powf(1.5)) / 1.5
        }),
        "jensen-shannon(pi=0.3)" => jensen_shannon(rows, y),
        "comp-sum(tau=0)" => of_p(rows, y, |p| 1.0 / p - 1.0),
        "comp-sum(tau=0.6)" => of_p(rows, y, |p| (p.powf(-0.4) - 1.0) / 0.4),
        "comp-sum(tau=2)" => of_p(rows, y, |p| 1.0 - p),
        "comp-sum(tau=2.5)" => of_p(rows, y, |p| (1.0 - p.powf(1.5)) / 1.5),
        "ldr(lambda=0.5)" => mean(rows, y, |row, y| ldr_row(row, y, 0.5, 0.1, "softplus_mean")),
        "ldr(lambda=40, margin=0.3, normalization=none)" => mean(rows, y, |row, y| ldr_row(row, y, 40.0, 0.3, "none")),
        "ldr(lambda=1, normalization=l1_mean)" => mean(rows, y, |row, y| ldr_row(row, y, 1.0, 0.1, "l1_mean")),
        "aldr" => aldr(rows, at, y),
        "z-loss(a=0.5, b=2, eps=0.25)" => mean(rows, y, |row, y| z_loss(row, y, 0.5, 2.0, 0.25)),
        "z-loss(eps=0.01)" => mean(rows, y, |row, y| z_loss(row, y, 1.0, 0.0, 0.01)),
        "taylor-softmax" => mean(rows, y, |row, y| {
            let t = |o: f64| 1.0 + o + o * o / 2.0;
            -(t(row[y]) / row.iter().map(|&o| t(o)).sum::<f64>()).ln()
        }),
        "spherical-softmax(epsilon=0.1)" => {
            mean(rows, y, |row, y| -((row[y].powi(2) + 0.1) / row.iter().map(|o| o * o + 0.1).sum::<f64>()).ln())
        }
        "spherical-squared-error" => {
            mean(rows, y, |row, y| row.iter().map(|o| o * o).sum::<f64>() - 2.0 * row[y] + 1.0)
        }
        "multiclass-dice(alpha=0.5)" => multiclass_dice(rows, y, false),
        "multiclass-dice(alpha=0.5, level=batch)" => multiclass_dice(rows, y, true),
        "dice(alpha=0.5)" => binary_dice(rows, y, 0.5, true, true, 1.0),
        "dice(alpha=0, squared=false, smooth=0.1)" => binary_dice(rows, y, 0.0, false, true, 0.1),
        "dice(alpha=1, squared=false, level=example)" => binary_dice(rows, y, 1.0, false, false, 1.0),
        "tversky(alpha=0.3, beta=0.7)" => tversky(rows, y),
        "hinge" => of_margin(rows, y, |z| (1.0 - z).max(0.0)),
        "logistic" => of_margin(rows, y, |z| (-z).exp().ln_1p()),
        "exponential" => of_margin(rows, y, |z| (-z).exp()),
        "sigmoid-focal(gamma=1.5)" => of_margin(rows, y, |z| -(1.0 - sigmoid(z)).powf(1.5) * sigmoid(z).ln()),
        "class-dependent" => class_dependent(rows, y, [1.0, 5.0], 5.0 * pairwise_squared_hinge(rows, y, 1.0)),
        "class-dependent(class_weights=[2, 3], ranking=hardest_negative, ranking_weight=7)" => {
            class_dependent(rows, y, [2.0, 3.0], 7.0 * hardest_negative(rows, y))
        }
        "pairwise-squared-hinge(margin=0.6)" => pairwise_squared_hinge(rows, y, 0.6),
        "mse" => of_margin(rows, y, |z| (1.0 - sigmoid(z)).powi(2)),
        _ => {
            let metric = spec.strip_prefix("any-loss(scale=5, beta=2, metric=").and_then(|rest| rest.strip_suffix(')'));
            any_loss(rows, y, metric.unwrap_or_else(|| panic!("no twin for {spec}")))
        }
    }
}

const ANY_CLASSES: [&str; 29] = [
    "z-loss(a=0.5, b=2, eps=0.25)",
    "z-loss(eps=0.01)",
    "taylor-softmax",
    "spherical-softmax(epsilon=0.1)",
    "spherical-squared-error",
    "cross-entropy",
    "cross-entropy(class_weights=WEIGHTS, label_smoothing=0.2)",
    "focal(gamma=1.5)",
    "brier",
    "crammer-singer(margin=0.7)",
    "weston-watkins",
    "gce(q=0.7)",
    "gce(q=0.5, k=0.4)",
    "mae",
    "symmetric-ce(balance=0.3, a=2)",
    "nce-rce(alpha=2, beta=3)",
    "nce-aul(alpha=2, beta=3)",
    "nce-agce(alpha=2, beta=3)",
    "jensen-shannon(pi=0.3)",
    "comp-sum(tau=0)",
    "comp-sum(tau=0.6)",
    "comp-sum(tau=2)",
    "comp-sum(tau=2.5)",
    "ldr(lambda=0.5)",
    "ldr(lambda=40, margin=0.3, normalization=none)",
    "ldr(lambda=1, normalization=l1_mean)",
    "aldr",
    "multiclass-dice(alpha=0.5)",
    "multiclass-dice(alpha=0.5, level=batch)",
];

const TWO_CLASSES: [&str; 21] = [
    "class-dependent",
    "class-dependent(class_weights=[2, 3], ranking=hardest_negative, ranking_weight=7)",
    "pairwise-squared-hinge(margin=0.6)",
    "dice(alpha=0.5)",
    "dice(alpha=0, squared=false, smooth=0.1)",
    "dice(alpha=1, squared=false, level=example)",
    "tversky(alpha=0.3, beta=0.7)",
    "hinge",
    "logistic",
    "exponential",
    "sigmoid-focal(gamma=1.5)",
    "mse",
    "any-loss(scale=5, beta=2, metric=accuracy)",
    "any-loss(scale=5, beta=2, metric=f_beta)",
    "any-loss(scale=5, beta=2, metric=balanced_accuracy)",
    "any-loss(scale=5, beta=2, metric=g_mean)",
    "any-loss(scale=5, beta=2, metric=precision)",
    "any-loss(scale=5, beta=2, metric=recall)",
    "any-loss(scale=5, beta=2, metric=specificity)",
    "any-loss(scale=5, beta=2, metric=jaccard)",
    "any-loss(scale=5, beta=2, metric=mcc)",
];

/// Value and gradient from the library, in f64.
fn ours(spec: &str, rows: &Rows, labels: &[usize]) -> (f64, Vec<f64>) {
    let device = Device::flex().autodiff();
    let (n, k) = (rows.len(), rows[0].len());
    let weights: Vec<f64> = (0..k).map(|class| class as f64 + 0.5).collect();
    let spec: ObjectiveSpec = spec.replace("WEIGHTS", &format!("{weights:?}")).parse().unwrap();
    let objective = spec.build(&TaskContext { class_counts: vec![1; k] }).unwrap();
    let float = |data: Vec<f64>, shape: Vec<usize>| (TensorData::new(data, shape), (&device, DType::F64));
    let (data, options) = float(rows.concat(), vec![n, k]);
    let logits = Tensor::<2>::from_data(data, options).require_grad();
    let labels: Vec<i64> = labels.iter().map(|&y| y as i64).collect();
    let batch = LogitBatch {
        logits: logits.clone(),
        labels: Tensor::from_data(TensorData::new(labels, [n]), &device),
        ids: Some(Tensor::<1, Int>::arange(0..n as i64, &device)),
    };
    let mut state = objective.initial_state(n, 0);
    if let ObjectiveState::PerExample(lambdas) = &mut state {
        let (data, options) = float(vec![1.0; n], vec![n]);
        *lambdas = Tensor::from_data(data, options).without_autodiff();
    }
    let loss = objective.loss(batch, &mut state);
    let gradient = logits.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
    (loss.into_scalar(), gradient)
}

fn agrees(spec: &str, rows: &Rows, labels: &[usize]) -> Result<(), TestCaseError> {
    let (value, gradient) = ours(spec, rows, labels);
    let expected = twin(spec, rows, rows, labels);
    let close = |a: f64, b: f64, bound: f64| (a - b).abs() <= bound * b.abs().max(1.0);
    prop_assert!(close(value, expected, 1e-10), "{spec}: {value} against {expected}");
    let (n, k) = (rows.len(), rows[0].len());
    for index in 0..n * k {
        let at = |shift: f64| {
            let mut moved = rows.to_vec();
            moved[index / k][index % k] += shift;
            twin(spec, &moved, rows, labels)
        };
        let h = 1e-5;
        let (left, right) = ((expected - at(-h)) / h, (at(h) - expected) / h);
        // At a kink (a hinge, a tie of maxima, |x| at 0) any slope between the two sides is right.
        let (low, high) = (left.min(right), left.max(right));
        let slack = 1e-4 * (1.0 + left.abs());
        let g = gradient[index];
        prop_assert!(g >= low - slack && g <= high + slack, "{spec}: gradient {g} outside {low} to {high}");
        if (left - right).abs() < 1e-3 {
            prop_assert!(close(g, (at(h) - at(-h)) / (2.0 * h), 1e-5), "{spec}: gradient {g}, twin {left} to {right}");
        }
    }
    Ok(())
}

/// Logits in steps of a quarter, so that ties occur, and labels; down to one row, with classes that are missing.
fn batch(classes: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<usize>)> {
    (1usize..6, classes).prop_flat_map(|(n, k)| {
        let cell = (-24i32..=24).prop_map(|v| f64::from(v) / 4.0);
        (prop::collection::vec(prop::collection::vec(cell, k), n), prop::collection::vec(0..k, n))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_number_of_classes((rows, labels) in batch(2..=6)) {
        for spec in ANY_CLASSES {
            agrees(spec, &rows, &labels)?;
        }
    }

    #[test]
    fn two_classes((rows, labels) in batch(2..=2)) {
        for spec in TWO_CLASSES {
            agrees(spec, &rows, &labels)?;
        }
    }
}

#[test]
fn every_registered_objective_has_a_twin() {
    for entry in contrarian::registry::OBJECTIVES {
        let covered = |spec: &&str| spec.split('(').next() == Some(entry.name);
        // EnsLoss has no value of its own; its draws are tested in `properties.rs`.
        let tested = ANY_CLASSES.iter().chain(&TWO_CLASSES).any(covered) || entry.name == "ens-loss";
        assert!(tested, "{} has no twin", entry.name);
    }
}
