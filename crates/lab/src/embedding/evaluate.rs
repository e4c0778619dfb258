use super::{EmbeddingMetric, k_means, knn_accuracy, linear_probe};
use crate::data::{Matrix, Split, halves};
use crate::fit::{Examples, FitError};
use crate::metrics::{Distance, clustering_accuracy, normalized_mutual_information, retrieval};
use burn::tensor::{Device, Int, Tensor, TensorData};
use contrarian::contrastive::{UniformityLossConfig, tolerance};

/// Which rows an evaluation uses for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationRows {
    /// The kNN and the linear probe learn from these.
    pub probe_train: Vec<usize>,
    /// They are judged by these.
    pub probe_test: Vec<usize>,
    /// Retrieval and clusters are among these.
    pub retrieval: Vec<usize>,
}

impl EvaluationRows {
    /// For held-out rows of known classes: the probes learn from the training rows, everything is judged by the test rows.
    pub fn of_rows(split: &Split) -> Self {
        Self { probe_train: split.train.clone(), probe_test: split.test.clone(), retrieval: split.test.clone() }
    }

    /// For held-out classes: the probes learn from one half of each class's rows and are judged by the other, since nothing of
    /// these classes was seen in training. A class with one row is in one of the halves only.
    pub fn of_classes(rows: &[usize], labels: &[usize], seed: u64) -> Self {
        let own: Vec<usize> = rows.iter().map(|row| labels[*row]).collect();
        let [probe_train, probe_test] = halves(&own, seed).map(|half| half.into_iter().map(|at| rows[at]).collect());
        Self { probe_train, probe_test, retrieval: rows.to_vec() }
    }
}

/// How embeddings are evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is near.
    pub distance: Distance,
    /// Neighbours that vote in the kNN probe, at least 1.
    pub neighbours: usize,
    /// Runs of k-means, of which the best counts, at least 1.
    pub restarts: usize,
    /// Seed of the linear probe and of k-means.
    pub seed: u64,
}

impl Default for Settings {
    /// Cosine, 5 neighbours, 5 runs of k-means, seed 0.
    fn default() -> Self {
        Self { distance: Distance::Cosine, neighbours: 5, restarts: 5, seed: 0 }
    }
}

/// The value of each metric asked for; `None` where it is undefined.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingScores(pub Vec<(EmbeddingMetric, Option<f64>)>);

impl EmbeddingScores {
    /// The value of a metric; `None` where it is undefined or was not asked for.
    pub fn get(&self, metric: EmbeddingMetric) -> Option<f64> {
        self.0.iter().find(|(other, _)| *other == metric).and_then(|(_, value)| *value)
    }
}

/// Evaluates embeddings `x` of classes `labels`, finding only what `metrics` need.
///
/// Clusters are as many as there are classes among the rows of retrieval, and with the cosine distance they are clusters of
/// directions. Uniformity and tolerance are of directions always. Undefined are: probes without training or test rows,
/// retrieval and tolerance where every class has one row, clusters without rows, uniformity of fewer than two rows.
///
/// # Errors
/// When an embedding is not finite or the linear probe diverges.
///
/// # Panics
/// When there are not as many labels as rows, or an index is out of range.
pub fn evaluate(
    x: &Matrix,
    labels: &[usize],
    rows: &EvaluationRows,
    metrics: &[EmbeddingMetric],
    settings: &Settings,
) -> Result<EmbeddingScores, FitError> {
    assert_eq!(x.rows, labels.len(), "{} labels for {} rows", labels.len(), x.rows);
    if let Some(at) = x.data.iter().position(|value| !value.is_finite()) {
        return Err(FitError::Input { row: at / x.cols, column: at % x.cols, value: x.data[at] });
    }
    let part = |rows: &[usize]| (x.gather(rows), rows.iter().map(|row| labels[*row]).collect::<Vec<_>>());
    let asked = |one: fn(&EmbeddingMetric) -> bool| metrics.iter().any(one);
    let (own, own_labels) = part(&rows.retrieval);
    let (train_x, train_y) = part(&rows.probe_train);
    let (test_x, test_y) = part(&rows.probe_test);
    let (train, test) = (Examples { x: &train_x, y: &train_y }, Examples { x: &test_x, y: &test_y });

    let is_retrieval = |metric: &EmbeddingMetric| {
        matches!(metric, EmbeddingMetric::RecallAt(_) | EmbeddingMetric::RPrecision | EmbeddingMetric::MapAtR)
    };
    let ks: Vec<usize> =
        metrics.iter().filter_map(|m| if let EmbeddingMetric::RecallAt(k) = m { Some(*k) } else { None }).collect();
    let found = if asked(is_retrieval) { retrieval(&own, &own_labels, &ks, settings.distance) } else { None };
    let clusters = (asked(|m| matches!(m, EmbeddingMetric::Nmi | EmbeddingMetric::ClusteringAccuracy)) && own.rows > 0)
        .then(|| {
            let rows = if settings.distance == Distance::Cosine { unit_rows(&own) } else { own.clone() };
            k_means(&rows, classes_among(&own_labels), settings.restarts, settings.seed).clusters
        });
    let probes = train.x.rows > 0 && test.x.rows > 0;
    let value = |metric: EmbeddingMetric| -> Result<Option<f64>, FitError> {
        let of_clusters =
            |of: fn(&[usize], &[usize]) -> f64| clusters.as_ref().map(|clusters| of(&own_labels, clusters));
        Ok(match metric {
            EmbeddingMetric::Knn if probes => knn_accuracy(train, test, settings.neighbours, settings.distance),
            EmbeddingMetric::LinearProbe if probes => {
                let classes = labels.iter().max().map_or(0, |max| max + 1);
                linear_probe(train, test, classes, settings.seed)?
            }
            EmbeddingMetric::Knn | EmbeddingMetric::LinearProbe => None,
            EmbeddingMetric::RecallAt(k) => {
                found.as_ref().and_then(|found| found.recall.iter().find(|recall| recall.0 == k)).map(|recall| recall.1)
            }
            EmbeddingMetric::RPrecision => found.as_ref().map(|found| found.r_precision),
            EmbeddingMetric::MapAtR => found.as_ref().map(|found| found.map_at_r),
            EmbeddingMetric::Nmi => of_clusters(normalized_mutual_information),
            EmbeddingMetric::ClusteringAccuracy => of_clusters(clustering_accuracy),
            EmbeddingMetric::Uniformity if own.rows < 2 => None,
            EmbeddingMetric::Uniformity => {
                Some(scalar(UniformityLossConfig::new().init().forward(tensor(&unit_rows(&own)))))
            }
            EmbeddingMetric::Tolerance => {
                let labels = TensorData::new(own_labels.iter().map(|l| *l as i64).collect(), [own_labels.len()]);
                let labels = Tensor::<1, Int>::from_data(labels, &Device::flex());
                tolerance(tensor(&unit_rows(&own)), labels, false).ok().map(scalar)
            }
        })
    };
    let values = metrics.iter().map(|metric| Ok((*metric, value(*metric)?)));
    Ok(EmbeddingScores(values.collect::<Result<_, FitError>>()?))
}

fn classes_among(labels: &[usize]) -> usize {
    labels.iter().collect::<std::collections::BTreeSet<_>>().len()
}

/// Rows of length 1; rows of zeros stay.
pub(crate) fn unit_rows(x: &Matrix) -> Matrix {
    let mut unit = x.clone();
    for row in unit.data.chunks_mut(x.cols.max(1)) {
        let norm = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            for value in row {
                *value = (f64::from(*value) / norm) as f32;
            }
        }
    }
    unit
}

fn tensor(x: &Matrix) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.data.clone(), [x.rows, x.cols]), &Device::flex())
}

fn scalar(value: Tensor<1>) -> f64 {
    f64::from(value.into_scalar::<f32>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::generate::gaussian_classes;
    use crate::data::stratified_splits;

    #[test]
    fn classes_apart_score_near_one_and_noise_near_chance() {
        let data = gaussian_classes(300, 4, 16, 3.0, 0.3, 1);
        let split = stratified_splits(&data.y, 1, (0.5, 0.25, 0.25), 1).unwrap().remove(0);
        let scores = |x: &Matrix| {
            let settings = Settings::default();
            evaluate(x, &data.y, &EvaluationRows::of_rows(&split), &EmbeddingMetric::REPORTED, &settings).unwrap()
        };
        let good = scores(&data.x);
        let noise = scores(&gaussian_classes(300, 1, 16, 0.0, 1.0, 2).x);
        for metric in EmbeddingMetric::REPORTED.into_iter().filter(|metric| metric.higher_is_better().is_some()) {
            let (good, noise) = (good.get(metric).unwrap(), noise.get(metric).unwrap());
            assert!(good > 0.99, "{metric}: {good}");
            // One class of four: a quarter by chance; ten neighbours nearly always include the own class.
            let bound = match metric {
                EmbeddingMetric::RecallAt(1) => 0.5,
                EmbeddingMetric::RecallAt(_) => 1.0,
                _ => 0.5,
            };
            assert!(noise <= bound, "{metric}: {noise}");
        }
        let of = |scores: &EmbeddingScores, metric| scores.get(metric).unwrap();
        assert!(of(&good, EmbeddingMetric::Tolerance) > 0.9 && of(&noise, EmbeddingMetric::Tolerance) < 0.2);
        // Four directions leave the sphere emptier than noise does.
        assert!(of(&good, EmbeddingMetric::Uniformity) > of(&noise, EmbeddingMetric::Uniformity) + 0.5);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let x = Matrix { rows: 3, cols: 2, data: vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0] };
        let rows = EvaluationRows { probe_train: vec![], probe_test: vec![0], retrieval: vec![0, 1, 2] };
        let scores = |rows: &EvaluationRows| {
            evaluate(&x, &[0, 1, 2], rows, &EmbeddingMetric::REPORTED, &Settings::default()).unwrap()
        };
        let alone = scores(&rows);
        for metric in EmbeddingMetric::REPORTED {
            let defined = matches!(
                metric,
                EmbeddingMetric::Nmi | EmbeddingMetric::ClusteringAccuracy | EmbeddingMetric::Uniformity
            );
            assert_eq!(alone.get(metric).is_some(), defined, "{metric}");
            assert!(alone.get(metric).is_none_or(f64::is_finite), "{metric}");
        }
        let none = scores(&EvaluationRows { retrieval: vec![], ..rows });
        assert!(none.0.iter().all(|(_, value)| value.is_none()), "{none:?}");
        assert_eq!(none.get(EmbeddingMetric::RecallAt(77)), None);
        let bad = Matrix { rows: 1, cols: 1, data: vec![f32::NAN] };
        let rows = EvaluationRows { probe_train: vec![], probe_test: vec![], retrieval: vec![0] };
        assert!(evaluate(&bad, &[0], &rows, &EmbeddingMetric::REPORTED, &Settings::default()).is_err());
    }

    #[test]
    fn held_out_classes_give_both_probes_rows_of_each() {
        let labels = [9, 9, 9, 9, 4, 4, 4, 2, 2, 7];
        let rows = EvaluationRows::of_classes(&[1, 2, 3, 4, 5, 6, 7, 8], &labels, 3);
        assert_eq!(rows.retrieval, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut all = [rows.probe_train.clone(), rows.probe_test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, rows.retrieval);
        for part in [&rows.probe_train, &rows.probe_test] {
            assert!([9, 4, 2].iter().all(|class| part.iter().any(|row| labels[*row] == *class)), "{rows:?}");
        }
    }
}
