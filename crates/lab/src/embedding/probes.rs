use crate::data::Matrix;
use crate::fit::{Examples, Fit, FitConfig, FitError, OptimizerKind, Schedule, logits, objective_step};
use crate::metrics::{Distance, nearest_in};
use crate::model::MlpConfig;
use burn::tensor::Device;
use contrarian::LogitObjective;
use contrarian::classification::CrossEntropyLossConfig;

/// The class most of the `k` nearest training rows are of, for each row of `x`; of classes with equally many, the one whose
/// nearest row is nearest. With fewer than `k` training rows, all of them vote.
///
/// Neighbours as by [`nearest_in`].
///
/// # Panics
/// When there is no training row or `k` is 0, or the rows have different numbers of columns.
pub fn knn_predict(train: Examples, x: &Matrix, k: usize, distance: Distance) -> Vec<usize> {
    assert!(train.x.rows > 0 && k > 0, "a vote needs training rows and at least one neighbour");
    let found = nearest_in(x, train.x, k, distance);
    found.iter().map(|neighbours| vote(&neighbours.iter().map(|row| train.y[*row]).collect::<Vec<_>>())).collect()
}

/// The most frequent class, of equally frequent ones that which comes first.
fn vote(classes: &[usize]) -> usize {
    let count = |class: usize| classes.iter().filter(|other| **other == class).count();
    let mut best = classes[0];
    for &class in classes {
        if count(class) > count(best) {
            best = class;
        }
    }
    best
}

/// The kNN probe: the part of the test rows that [`knn_predict`] classifies rightly; `None` without test rows.
///
/// # Panics
/// As [`knn_predict`].
pub fn knn_accuracy(train: Examples, test: Examples, k: usize, distance: Distance) -> Option<f64> {
    part_right(&knn_predict(train, test.x, k, distance), test.y)
}

/// Steps of a linear probe, at least.
const STEPS: usize = 1000;
/// Passes over its training rows, at least.
const EPOCHS: usize = 30;
const BATCH: usize = 256;

/// The linear probe: the part of the test rows that a multinomial logistic regression on the training rows classifies rightly.
///
/// ```text
/// min_{W, b} mean_i -log softmax(W z_i + b)_{y_i} + (d/2) (|W|^2 + |b|^2),    z = (x - mean) / deviation of the training rows
/// ```
///
/// with `d` = 1e-4, by Adam from 1e-2 along half a cosine, at least 30 passes and 1000 steps of 256 rows: the problem is convex
/// and has no use for early stopping. Columns that are always the same are left at 0. `classes` is the number of classes;
/// test rows of a class without a training row are counted, and wrong. `None` without test rows.
///
/// # Errors
/// When an input is not finite, or the fit diverges.
///
/// # Panics
/// When there is no training row.
pub fn linear_probe(train: Examples, test: Examples, classes: usize, seed: u64) -> Result<Option<f64>, FitError> {
    assert!(train.x.rows > 0, "a linear probe needs training rows");
    let scale = Standardizer::fit(train.x);
    let (x, test_x) = (scale.apply(train.x), scale.apply(test.x));
    let config = FitConfig::new()
        .with_optimizer(OptimizerKind::Adam)
        .with_learning_rate(1e-2)
        .with_weight_decay(1e-4)
        .with_schedule(Schedule::Cosine)
        .with_batch_size(BATCH)
        .with_epochs(EPOCHS.max(STEPS.div_ceil(x.rows.div_ceil(BATCH))));
    let model = MlpConfig::new(x.cols, classes.max(2)).with_depth(0).init(&Device::flex().autodiff(), seed);
    let objective = CrossEntropyLossConfig::new().init();
    let mut state = objective.initial_state(x.rows, seed);
    let fit = Fit { train: Examples { x: &x, y: train.y }, config: &config, seed, validation: None, stop: None };
    let fitted = fit.run(model, objective_step(&objective, &mut state))?;
    let scores = logits(&fitted.model, &test_x);
    let largest = |row: &[f32]| (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    let decided: Vec<usize> = (0..scores.rows).map(|row| largest(scores.row(row))).collect();
    Ok(part_right(&decided, test.y))
}

fn part_right(decided: &[usize], labels: &[usize]) -> Option<f64> {
    let right = decided.iter().zip(labels).filter(|(decided, label)| decided == label).count();
    (!labels.is_empty()).then(|| right as f64 / labels.len() as f64)
}

/// Columns to mean 0 and deviation 1.
struct Standardizer {
    mean: Vec<f64>,
    /// One over the deviation, 0 where a column is always the same.
    scale: Vec<f64>,
}

impl Standardizer {
    fn fit(x: &Matrix) -> Self {
        let n = x.rows as f64;
        let mean_of = |of: &dyn Fn(f64, usize) -> f64| {
            let mut sums = vec![0.0; x.cols];
            for row in x.data.chunks(x.cols.max(1)) {
                for (col, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                    *sum += of(f64::from(*value), col);
                }
            }
            sums.into_iter().map(|sum| sum / n).collect::<Vec<f64>>()
        };
        let mean = mean_of(&|value, _| value);
        let variance = mean_of(&|value, col| (value - mean[col]).powi(2));
        // Below the rounding of f32 a column is constant.
        let varies = |(variance, mean): (&f64, &f64)| variance.sqrt() > 1e-7 * mean.abs();
        let scale =
            variance.iter().zip(&mean).map(|(v, m)| if varies((v, m)) { 1.0 / v.sqrt() } else { 0.0 }).collect();
        Self { mean, scale }
    }

    fn apply(&self, x: &Matrix) -> Matrix {
        let one = |(at, value): (usize, &f32)| {
            let col = at % x.cols;
            ((f64::from(*value) - self.mean[col]) * self.scale[col]) as f32
        };
        Matrix { rows: x.rows, cols: x.cols, data: x.data.iter().enumerate().map(one).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;

    #[test]
    fn the_nearest_decides_a_tied_vote() {
        assert_eq!(vote(&[2, 1, 1, 2, 0]), 2);
        assert_eq!(vote(&[2, 1, 1, 0]), 1);
        let x = Matrix { rows: 4, cols: 1, data: vec![0.0, 1.0, 2.0, 3.0] };
        let train = Examples { x: &x, y: &[1, 0, 1, 0] };
        let asked = Matrix { rows: 2, cols: 1, data: vec![-1.0, 9.0] };
        assert_eq!(knn_predict(train, &asked, 1, Distance::Euclidean), [1, 0]);
        assert_eq!(knn_predict(train, &asked, 2, Distance::Euclidean), [1, 0]);
        assert_eq!(knn_predict(train, &asked, 3, Distance::Euclidean), [1, 0]);
        assert_eq!(knn_predict(train, &asked, 99, Distance::Euclidean), [1, 0]);
    }

    /// Expected values: scikit-learn's neighbours and logistic regression, see `crates/lab/tests/reference/embeddings.py`.
    #[test]
    fn probes_agree_with_the_reference() {
        let (x, labels) = crate::embedding::reference_rows();
        let rows = |rows: std::ops::Range<usize>| (x.gather(&rows.clone().collect::<Vec<_>>()), labels[rows].to_vec());
        let ((train_x, train_y), (test_x, test_y)) = (rows(0..40), rows(40..61));
        let (train, test) = (Examples { x: &train_x, y: &train_y }, Examples { x: &test_x, y: &test_y });
        for (distance, expected) in [(Distance::Cosine, KNN[0]), (Distance::Euclidean, KNN[1])] {
            for (k, expected) in [1, 5, 100].into_iter().zip(expected) {
                assert_eq!(knn_accuracy(train, test, k, distance), Some(expected), "{distance:?}, k = {k}");
            }
        }
        let accuracy = linear_probe(train, test, 5, 1).unwrap().unwrap();
        // One row of 21 near the boundary may fall to the other side: Adam stops near the optimum, not at it.
        assert!((accuracy - LINEAR).abs() < 1.5 / 21.0, "{accuracy} against {LINEAR}");
    }

    #[test]
    fn the_linear_probe_does_not_depend_on_scale_and_bears_constants() {
        let data = gaussian_classes(300, 3, 4, 2.0, 0.5, 2);
        let mut wide = Matrix { rows: 300, cols: 5, data: Vec::new() };
        for row in data.x.data.chunks(4) {
            wide.data.extend(row.iter().map(|value| value * 1e6 + 3e6));
            wide.data.push(0.3);
        }
        let accuracy = |x: &Matrix| {
            let all: Vec<usize> = (0..300).collect();
            let (train, test) = (x.gather(&all[..200]), x.gather(&all[200..]));
            let (train, test) = (Examples { x: &train, y: &data.y[..200] }, Examples { x: &test, y: &data.y[200..] });
            linear_probe(train, test, 3, 1).unwrap().unwrap()
        };
        let plain = accuracy(&data.x);
        // Far above chance (1/3), and within two of 100 rows of the same thing in other units.
        assert!(plain > 0.9 && (plain - accuracy(&wide)).abs() <= 0.02, "{plain} and {}", accuracy(&wide));
    }

    #[test]
    fn without_test_rows_there_is_no_accuracy() {
        let data = gaussian_classes(20, 2, 2, 1.0, 1.0, 1);
        let none = Matrix { rows: 0, cols: 2, data: Vec::new() };
        let (train, test) = (Examples { x: &data.x, y: &data.y }, Examples { x: &none, y: &[] });
        assert_eq!(knn_accuracy(train, test, 3, Distance::Cosine), None);
        assert_eq!(linear_probe(train, test, 2, 1).unwrap(), None);
    }

    include!("../../tests/reference/probes.in");
}
