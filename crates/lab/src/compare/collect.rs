use super::curve::curve_grid;
use super::{CalibrationBin, CompareError, Curves, EpochPoint, Failure, ObjectiveResult, PairedComparison, Summary};
use crate::fit::FitError;
use crate::{parallel, stats};
use contrarian::registry::ObjectiveSpec;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The fits of a comparison in which every row is one fit a split.
pub(super) struct Fits<'a> {
    pub rows: &'a [ObjectiveSpec],
    pub splits: usize,
    /// Rows are ranked and tested by the metric of this name, of which more is better.
    pub metric: String,
    pub threads: usize,
    /// Told of every finished fit: done, total.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
    pub stop: &'a AtomicBool,
}

/// What the fits of a comparison gave.
pub(super) struct Gathered {
    pub results: Vec<ObjectiveResult>,
    pub failures: Vec<Failure>,
    /// Whether the run was stopped before its end.
    pub interrupted: bool,
}

impl Fits<'_> {
    /// Runs the fits side by side, given split and row; those that fail are reported, and a stop keeps what is finished.
    pub fn run(
        self,
        baseline: &ObjectiveSpec,
        control: &str,
        sizes: (usize, usize),
        fit: impl Fn(usize, usize) -> Result<FitNumbers, FitError> + Sync,
    ) -> Result<Gathered, CompareError> {
        let Self { rows, splits, metric, threads, progress, stop } = self;
        let jobs: Vec<(usize, usize)> =
            (0..splits).flat_map(|split| (0..rows.len()).map(move |row| (split, row))).collect();
        let collector = Mutex::new(Collector::new(rows, metric, true, splits));
        let done = AtomicUsize::new(0);
        parallel::map(&jobs, threads, stop, |&(split, row)| {
            let outcome = fit(split, row);
            let mut collector = collector.lock().expect("a fit panicked");
            match outcome {
                Ok(numbers) => collector.add(split, row, numbers),
                Err(FitError::Stopped) => {}
                Err(error) => collector.fail(split, row, error.to_string()),
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        });
        let (results, failures) = collector.into_inner().expect("a fit panicked").finish(baseline, control, sizes);
        if results.is_empty() {
            let reason = failures.first().map_or("the run was stopped".into(), Failure::to_string);
            return Err(CompareError::NothingFinished(reason));
        }
        let interrupted = done.into_inner() < jobs.len() || stop.load(Ordering::Relaxed);
        Ok(Gathered { results, failures, interrupted })
    }
}

/// Gathers what fits give, keeping numbers and thinned curves only: its size does not grow with the test sets.
pub(super) struct Collector {
    metric: String,
    higher_is_better: bool,
    splits: usize,
    rows: Vec<Row>,
    failures: Vec<Failure>,
}

struct Row {
    objective: ObjectiveSpec,
    /// By split; `None` where the fit is missing.
    fits: Vec<Option<FitNumbers>>,
}

/// What one fit gives: its metrics by name, and what the charts draw.
#[derive(Default)]
pub(super) struct FitNumbers {
    pub metrics: BTreeMap<String, f64>,
    /// The same at a tuned threshold; empty where there is none.
    pub at_tuned: BTreeMap<String, f64>,
    pub seconds: f64,
    pub steps: usize,
    pub chosen: Option<String>,
    /// Training objective and validation score (larger is better) of each epoch.
    pub learning: Vec<(f64, Option<f64>)>,
    /// Heights of the ROC and precision-recall curves on the common grid.
    pub roc: Vec<f64>,
    pub precision_recall: Vec<f64>,
    pub calibration: Vec<CalibrationBin>,
}

impl Collector {
    /// Rows are ranked and tested by the metric of this name.
    pub fn new(objectives: &[ObjectiveSpec], metric: String, higher_is_better: bool, splits: usize) -> Self {
        let row = |objective: &ObjectiveSpec| Row {
            objective: objective.clone(),
            fits: std::iter::repeat_with(|| None).take(splits).collect(),
        };
        Self { metric, higher_is_better, splits, rows: objectives.iter().map(row).collect(), failures: Vec::new() }
    }

    pub fn fail(&mut self, split: usize, objective: usize, reason: String) {
        let objective = self.rows[objective].objective.to_string();
        self.failures.push(Failure { objective, split: split + 1, reason });
    }

    pub fn add(&mut self, split: usize, objective: usize, numbers: FitNumbers) {
        self.rows[objective].fits[split] = Some(numbers);
    }

    /// The rows, best first, and the failures. `sizes` are the training and test rows of a split.
    /// `control` names the row that is the honest control: one of the objectives, or the baseline at its tuned threshold.
    pub fn finish(
        mut self,
        baseline: &ObjectiveSpec,
        control: &str,
        sizes: (usize, usize),
    ) -> (Vec<ObjectiveResult>, Vec<Failure>) {
        // Workers finish in any order; the report must not depend on it.
        self.failures.sort_by(|a, b| (&a.objective, a.split).cmp(&(&b.objective, b.split)));
        let mut entries: Vec<Entry> = Vec::new();
        for row in self.rows.iter().filter(|row| row.fits.iter().any(Option::is_some)) {
            entries.push(self.entry(row, false, row.objective.to_string()));
            if row.objective == *baseline && row.fits.iter().flatten().any(|fit| !fit.at_tuned.is_empty()) {
                entries.push(self.entry(row, true, control.to_string()));
            }
        }
        let ranks = self.mean_ranks(&entries);
        let position = |name: &str| entries.iter().position(|entry| entry.name == name);
        let baseline_tests = paired_with(position(&baseline.to_string()), &entries, sizes);
        let control_tests = paired_with(position(control), &entries, sizes);
        let mut results: Vec<ObjectiveResult> = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| ObjectiveResult {
                against_baseline: baseline_tests[index].clone(),
                against_control: control_tests[index].clone(),
                mean_rank: ranks[index],
                ..self.result(entry, sizes)
            })
            .collect();
        let sign = if self.higher_is_better { -1.0 } else { 1.0 };
        let value =
            |result: &ObjectiveResult| result.metrics.get(&self.metric).map_or(f64::INFINITY, |s| sign * s.mean);
        results.sort_by(|a, b| value(a).total_cmp(&value(b)));
        (results, self.failures)
    }

    fn entry<'a>(&self, row: &'a Row, tuned: bool, name: String) -> Entry<'a> {
        let value = |fit: &FitNumbers| if tuned { &fit.at_tuned } else { &fit.metrics }.get(&self.metric).copied();
        let selected = row.fits.iter().map(|fit| fit.as_ref().and_then(value)).collect();
        Entry { row, tuned, name, selected }
    }

    fn result(&self, entry: &Entry, sizes: (usize, usize)) -> ObjectiveResult {
        let fits: Vec<&FitNumbers> = entry.row.fits.iter().flatten().collect();
        let mean =
            |value: &dyn Fn(&FitNumbers) -> f64| fits.iter().map(|fit| value(fit)).sum::<f64>() / fits.len() as f64;
        let summaries = |tuned: bool| {
            let mut values: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
            for (metric, value) in fits.iter().flat_map(|fit| if tuned { &fit.at_tuned } else { &fit.metrics }) {
                values.entry(metric).or_default().push(*value);
            }
            let summary = |(metric, values): (&String, Vec<f64>)| Some((metric.clone(), summarise(values, sizes)?));
            values.into_iter().filter_map(summary).collect::<BTreeMap<_, _>>()
        };
        ObjectiveResult {
            name: entry.name.clone(),
            objective: entry.row.objective.to_string(),
            tuned_threshold: entry.tuned,
            metrics: summaries(entry.tuned),
            metrics_at_tuned_threshold: summaries(true),
            against_baseline: None,
            against_control: None,
            mean_rank: 0.0,
            seconds_per_fit: mean(&|fit| fit.seconds),
            steps_per_second: mean(&|fit| if fit.steps == 0 { 0.0 } else { fit.steps as f64 / fit.seconds }),
            epochs: mean(&|fit| fit.learning.len() as f64),
            chosen: fits.iter().filter_map(|fit| fit.chosen.clone()).collect(),
            curves: self.curves(&fits),
        }
    }

    fn curves(&self, fits: &[&FitNumbers]) -> Curves {
        let epochs = fits.iter().map(|fit| fit.learning.len()).max().unwrap_or(0);
        let sign = if self.higher_is_better { 1.0 } else { -1.0 };
        let average = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let learning = (0..epochs)
            .map(|epoch| {
                let here = fits.iter().filter_map(|fit| fit.learning.get(epoch));
                EpochPoint {
                    epoch: epoch + 1,
                    train_loss: average(here.clone().map(|point| point.0).collect()),
                    validation: sign * average(here.filter_map(|point| point.1).collect()),
                }
            })
            .collect();
        let on_grid = |values: &dyn Fn(&FitNumbers) -> &Vec<f64>| -> Vec<(f64, f64)> {
            let curves: Vec<&Vec<f64>> = fits.iter().map(|fit| values(fit)).filter(|curve| !curve.is_empty()).collect();
            if curves.is_empty() {
                return Vec::new();
            }
            curve_grid().enumerate().map(|(i, x)| (x, average(curves.iter().map(|curve| curve[i]).collect()))).collect()
        };
        Curves {
            learning,
            roc: on_grid(&|fit| &fit.roc),
            precision_recall: on_grid(&|fit| &fit.precision_recall),
            calibration: pool(fits.iter().map(|fit| fit.calibration.as_slice())),
        }
    }

    /// Ranks within each split that every row finished, averaged.
    fn mean_ranks(&self, entries: &[Entry]) -> Vec<f64> {
        let whole: Vec<Vec<f64>> =
            (0..self.splits).filter_map(|split| entries.iter().map(|entry| entry.selected[split]).collect()).collect();
        if whole.is_empty() {
            return vec![f64::NAN; entries.len()];
        }
        stats::average_ranks(&whole, self.higher_is_better)
    }
}

/// A row of the table: an objective with a decision rule.
struct Entry<'a> {
    row: &'a Row,
    tuned: bool,
    name: String,
    /// The selected metric by split.
    selected: Vec<Option<f64>>,
}

fn summarise(values: Vec<f64>, (train, test): (usize, usize)) -> Option<Summary> {
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low, high) = stats::corrected_resampled_t(&values, train, test).map_or((mean, mean), |t| (t.low, t.high));
    Some(Summary { mean, low, high, values })
}

/// Every entry against the reference, over the splits both finished; Holm's correction over all that were tested.
fn paired_with(
    reference: Option<usize>,
    entries: &[Entry],
    (train, test): (usize, usize),
) -> Vec<Option<PairedComparison>> {
    let Some(reference) = reference else {
        return vec![None; entries.len()];
    };
    let tested: Vec<Option<stats::TTest>> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let pairs = entry.selected.iter().zip(&entries[reference].selected);
            let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some((*a)? - (*b)?)).collect();
            if index == reference { None } else { stats::corrected_resampled_t(&differences, train, test) }
        })
        .collect();
    let raw: Vec<f64> = tested.iter().flatten().map(|t| t.p).collect();
    let mut adjusted = stats::holm(&raw).into_iter();
    tested
        .into_iter()
        .map(|test| {
            let t = test?;
            let p_holm = adjusted.next()?;
            Some(PairedComparison { difference: t.mean, low: t.low, high: t.high, p: t.p, p_holm })
        })
        .collect()
}

/// Adds up reliability bins of several fits: all fits use the same bin edges, so bins match by position.
fn pool<'a>(fits: impl Iterator<Item = &'a [CalibrationBin]>) -> Vec<CalibrationBin> {
    let mut pooled: Vec<CalibrationBin> = Vec::new();
    for bins in fits {
        pooled.resize(pooled.len().max(bins.len()), CalibrationBin { predicted: 0.0, observed: 0.0, count: 0 });
        for (sum, bin) in pooled.iter_mut().zip(bins) {
            sum.predicted += bin.predicted * bin.count as f64;
            sum.observed += bin.observed * bin.count as f64;
            sum.count += bin.count;
        }
    }
    pooled.retain(|bin| bin.count > 0);
    for bin in &mut pooled {
        bin.predicted /= bin.count as f64;
        bin.observed /= bin.count as f64;
    }
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_bins_are_weighted_by_their_counts() {
        let bin = |predicted, observed, count| CalibrationBin { predicted, observed, count };
        let first = [bin(0.1, 0.0, 1), bin(0.0, 0.0, 0)];
        let second = [bin(0.2, 1.0, 3), bin(0.0, 0.0, 0)];
        let pooled = pool([first.as_slice(), second.as_slice()].into_iter());
        assert_eq!(pooled.len(), 1);
        assert!((pooled[0].predicted - 0.175).abs() < 1e-12);
        assert_eq!((pooled[0].observed, pooled[0].count), (0.75, 4));
    }
}
