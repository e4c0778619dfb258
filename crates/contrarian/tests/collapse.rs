//! Neural collapse against plain loops that build the `d x d` scatter matrices, and its defined edge cases.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::diagnostics::{NeuralCollapse, NeuralCollapseError, NeuralCollapseMetrics};
use proptest::prelude::*;

type Rows = Vec<Vec<f64>>;

fn tensor(rows: &Rows) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn ints(labels: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &Device::flex())
}

fn measure(
    features: &Rows,
    labels: &[i64],
    weight: &Rows,
    classes: usize,
) -> Result<NeuralCollapse, NeuralCollapseError> {
    NeuralCollapseMetrics::new(classes)?.compute(tensor(features), ints(labels), tensor(weight), None)
}

/// Solves `A X = B` for a regular matrix by elimination.
fn solve(mut a: Rows, mut b: Rows) -> Rows {
    let n = a.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs())).unwrap();
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in (0..n).filter(|&row| row != column) {
            let factor = a[row][column] / a[column][column];
            for matrix in [&mut a, &mut b] {
                let pivot = matrix[column].clone();
                for (entry, pivot) in matrix[row].iter_mut().zip(pivot) {
                    *entry -= factor * pivot;
                }
            }
        }
    }
    (0..n).map(|row| b[row].iter().map(|v| v / a[row][row]).collect()).collect()
}

/// NC1 and NC2 of the centred means, with `S_W` as a whole matrix. For `d = K - 1` directions in general position `S_B` is
/// regular, and its pseudo-inverse the inverse.
fn twin(features: &Rows, labels: &[i64], k: usize) -> (f64, f64) {
    let d = features[0].len();
    let mean = |rows: Vec<&Vec<f64>>| -> Vec<f64> {
        (0..d).map(|j| rows.iter().map(|row| row[j]).sum::<f64>() / rows.len() as f64).collect()
    };
    let global = mean(features.iter().collect());
    let class = |c: usize| mean(features.iter().zip(labels).filter(|(_, y)| **y == c as i64).map(|(h, _)| h).collect());
    let means: Rows = (0..k).map(class).collect();
    let (mut within, mut between) = (vec![vec![0.0; d]; d], vec![vec![0.0; d]; d]);
    for i in 0..d {
        for j in 0..d {
            for (h, &y) in features.iter().zip(labels) {
                let mu = &means[y as usize];
                within[i][j] += (h[i] - mu[i]) * (h[j] - mu[j]) / features.len() as f64;
            }
            for mu in &means {
                between[i][j] += (mu[i] - global[i]) * (mu[j] - global[j]) / k as f64;
            }
        }
    }
    let ratio = solve(between, within);
    let nc1 = (0..d).map(|i| ratio[i][i]).sum::<f64>() / k as f64;
    let dot = |a: usize, b: usize| (0..d).map(|j| (means[a][j] - global[j]) * (means[b][j] - global[j])).sum::<f64>();
    let norm = (0..k * k).map(|i| dot(i / k, i % k).powi(2)).sum::<f64>().sqrt();
    let etf = |a: usize, b: usize| (f64::from(u8::from(a == b)) - 1.0 / k as f64) / (k as f64 - 1.0).sqrt();
    let nc2 = (0..k * k).map(|i| (dot(i / k, i % k) / norm - etf(i / k, i % k)).powi(2)).sum::<f64>().sqrt();
    (nc1, nc2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn it_agrees_with_whole_scatter_matrices(
        noise in prop::collection::vec(prop::collection::vec(-1.0f64..1.0, 3), 12),
        extra in prop::collection::vec(0i64..4, 8),
    ) {
        // Four classes in three dimensions, each with an example; centres in general position.
        let labels: Vec<i64> = (0..4).chain(extra).collect();
        let centres = [[3.0, 0.0, 0.0], [0.0, 2.0, 1.0], [0.0, -1.0, 4.0], [-2.0, -2.0, -2.0]];
        let features: Rows = noise.iter().zip(&labels)
            .map(|(noise, &y)| noise.iter().zip(centres[y as usize]).map(|(n, c)| c + 0.5 * n).collect())
            .collect();
        let weight: Rows = centres.iter().map(|c| c.to_vec()).collect();
        let found = measure(&features, &labels, &weight, 4).unwrap();
        let (nc1, nc2) = twin(&features, &labels, 4);
        prop_assert!((found.nc1 - nc1).abs() < 1e-9 * (1.0 + nc1), "{} against {nc1}", found.nc1);
        prop_assert!((found.nc2_means_etf - nc2).abs() < 1e-10);

        // More dimensions than classes: the extra ones are outside the span of the means and change nothing.
        let wide = |rows: &Rows| -> Rows { rows.iter().map(|row| [&row[..], &[7.0, 0.0, 0.0]].concat()).collect() };
        let wider = measure(&wide(&features), &labels, &wide(&weight), 4).unwrap();
        prop_assert!((wider.nc1 - nc1).abs() < 1e-8 * (1.0 + nc1), "{} against {nc1}", wider.nc1);

        // Batches in any order give what the whole gives.
        let metrics = NeuralCollapseMetrics::new(4).unwrap();
        let mut means = metrics.class_means();
        for part in [0..5, 5..12] {
            means.update(tensor(&features[part.clone()].to_vec()), ints(&labels[part])).unwrap();
        }
        let mut scatter = means.finish(tensor(&weight), None).unwrap();
        for part in [7..12, 0..7] {
            scatter.update(tensor(&features[part.clone()].to_vec()), ints(&labels[part])).unwrap();
        }
        let streamed = scatter.finish().unwrap();
        prop_assert!((streamed.nc1 - found.nc1).abs() < 1e-12 * (1.0 + nc1));
        prop_assert_eq!(streamed.nc4_disagreement, found.nc4_disagreement);
    }
}

fn two() -> (Rows, Rows) {
    (vec![vec![1.0, 0.2], vec![0.8, -0.2], vec![-1.0, 0.1]], vec![vec![1.0, 0.0], vec![-1.0, 0.0]])
}

#[test]
fn a_missing_class_is_named_or_left_out() {
    let (features, weight) = two();
    let wider: Rows = vec![weight[0].clone(), vec![9.0, 9.0], weight[1].clone()];
    let error = measure(&features, &[0, 0, 2], &wider, 3).unwrap_err();
    assert_eq!(error, NeuralCollapseError::MissingClass(1));
    assert!(error.to_string().contains("class 1 has no example"));
    let ignoring = NeuralCollapseMetrics::new(3).unwrap().ignore_missing();
    let found = ignoring.compute(tensor(&features), ints(&[0, 0, 2]), tensor(&wider), None).unwrap();
    assert_eq!(found, measure(&features, &[0, 0, 1], &weight, 2).unwrap());
    let error = ignoring.compute(tensor(&features), ints(&[2, 2, 2]), tensor(&wider), None).unwrap_err();
    assert_eq!(error, NeuralCollapseError::TooFewClasses(1));
}

#[test]
fn one_example_a_class_is_collapsed() {
    let (features, weight) = two();
    let found = measure(&features[1..].to_vec(), &[0, 1], &weight, 2).unwrap();
    assert_eq!((found.nc1, found.nc4_disagreement), (0.0, 0.0));
    // Two means less their mean are opposite: a simplex.
    assert!(found.nc2_means_etf < 1e-12 && found.nc2_weight_etf < 1e-12);
}

#[test]
fn identical_features_have_no_direction() {
    let (_, weight) = two();
    // 0.1 is not a binary fraction: sums of it round, and the means of three and of two differ in the last bit.
    let same: Rows = vec![vec![0.1, 0.7]; 5];
    let found = measure(&same, &[0, 0, 0, 1, 1], &weight, 2).unwrap();
    assert_eq!(found.nc1, 0.0, "features equal to their class means");
    assert!(found.nc2_means_etf.is_nan() && found.nc3_etf.is_nan() && found.nc3_self_dual_centred.is_nan());
    assert!(found.nc2_means_orthogonal.is_finite() && found.nc2_weight_etf.is_finite());
    // Equal means with scatter around them: nothing to relate the scatter to.
    let scattered: Rows = vec![vec![1.0, 0.0], vec![-1.0, 0.0], vec![0.0, 2.0], vec![0.0, -2.0]];
    assert!(measure(&scattered, &[0, 0, 1, 1], &weight, 2).unwrap().nc1.is_nan());
    let zeros: Rows = vec![vec![0.0, 0.0]; 2];
    let found = measure(&zeros, &[0, 1], &zeros, 2).unwrap();
    assert!(found.nc1 == 0.0 && found.nc2_weight_orthogonal.is_nan());
}

#[test]
fn bad_input_is_an_error() {
    let (features, weight) = two();
    assert_eq!(NeuralCollapseMetrics::new(1).unwrap_err(), NeuralCollapseError::TooFewClasses(1));
    let label = measure(&features, &[0, 5, 1], &weight, 2).unwrap_err();
    assert_eq!(label, NeuralCollapseError::Label { row: 1, label: 5, classes: 2 });
    assert!(matches!(measure(&features, &[0, -1, 1], &weight, 2), Err(NeuralCollapseError::Label { .. })));
    assert!(matches!(measure(&features, &[0, 1], &weight, 2), Err(NeuralCollapseError::Shape(_))));
    assert!(matches!(measure(&features, &[0, 0, 1], &vec![vec![1.0; 3]; 2], 2), Err(NeuralCollapseError::Shape(_))));
    let mut broken = features.clone();
    broken[1][0] = f64::NAN;
    assert_eq!(measure(&broken, &[0, 0, 1], &weight, 2).unwrap_err(), NeuralCollapseError::NotFinite("features"));
    let metrics = NeuralCollapseMetrics::new(2).unwrap();
    let mut means = metrics.class_means();
    means.update(tensor(&features), ints(&[0, 0, 1])).unwrap();
    let scatter = means.finish(tensor(&weight), None).unwrap();
    assert_eq!(scatter.finish().unwrap_err(), NeuralCollapseError::Passes { first: 3, second: 0 });
}
