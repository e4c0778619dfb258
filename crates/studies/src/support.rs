//! What several studies do alike: train arms over seeds, gather their measurements, build tables and evidence.

use crate::claim::Evidence;
use crate::findings::Table;
use crate::study::{Context, StudyError};
use burn::tensor::{Device, Tensor};
use contrarian::ObjectiveState;
use contrarian::registry::{ObjectiveSpec, RegistryError, TaskContext};
use contrarian_lab::data::Dataset;
use contrarian_lab::fit::{Batch, Examples, Fit, FitConfig, objective_step, predict};
use contrarian_lab::metrics::{Decision, Metric, Predictions, evaluate};
use contrarian_lab::model::{Mlp, MlpConfig, Mode};
use contrarian_lab::parallel;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers measured in one fit, by name.
pub type Measured = BTreeMap<&'static str, f64>;

/// Measurements of every arm over the same seeds.
#[derive(Debug, Default)]
pub struct Measurements {
    part: &'static str,
    arms: Vec<(String, Vec<Measured>)>,
}

impl Measurements {
    /// Measures every arm on every seed, side by side; `part` names the part of the study in the measurements.
    ///
    /// # Errors
    /// The first failed fit, or [`StudyError::Stopped`].
    pub fn collect<A: Sync>(
        context: &Context,
        part: &'static str,
        arms: &[(String, A)],
        seeds: usize,
        measure: impl Fn(&A, u64) -> Result<Measured, String> + Sync,
    ) -> Result<Self, StudyError> {
        let jobs: Vec<(usize, u64)> =
            (0..seeds as u64).flat_map(|seed| (0..arms.len()).map(move |arm| (arm, seed))).collect();
        let done = AtomicUsize::new(0);
        let results = parallel::map(&jobs, context.threads, context.stop, |&(arm, seed)| {
            let measured = measure(&arms[arm].1, seed);
            if let Ok(measured) = &measured {
                (context.record)(&line(part, &arms[arm].0, seed, measured));
            }
            (context.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
            measured
        });
        let mut gathered: Vec<(String, Vec<Measured>)> =
            arms.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
        for (&(arm, seed), result) in jobs.iter().zip(results) {
            let measured = match result {
                None => return Err(StudyError::Stopped),
                Some(Err(reason)) => {
                    return Err(StudyError::Fit { arm: arms[arm].0.clone(), seed, reason });
                }
                Some(Ok(measured)) => measured,
            };
            gathered[arm].1.push(measured);
        }
        Ok(Self { part, arms: gathered })
    }

    /// One number of an arm, by seed.
    ///
    /// # Panics
    /// When there is no such arm or number: both are the study's own words.
    pub fn values(&self, arm: &str, number: &str) -> Vec<f64> {
        let (_, seeds) = self.arms.iter().find(|(name, _)| name == arm).unwrap_or_else(|| panic!("no arm `{arm}`"));
        seeds.iter().map(|measured| measured[number]).collect()
    }

    /// Several numbers of an arm, by seed; `None` where the arm does not measure one of them.
    ///
    /// # Panics
    /// When there is no such arm.
    pub fn try_values<const N: usize>(&self, arm: &str, numbers: [&str; N]) -> Option<[Vec<f64>; N]> {
        let (_, seeds) = self.arms.iter().find(|(name, _)| name == arm).unwrap_or_else(|| panic!("no arm `{arm}`"));
        let measures_all = |measured: &Measured| numbers.iter().all(|number| measured.contains_key(number));
        seeds.iter().all(measures_all).then(|| numbers.map(|number| self.values(arm, number)))
    }

    /// Mean of one number of an arm.
    pub fn mean(&self, arm: &str, number: &str) -> f64 {
        mean(&self.values(arm, number))
    }

    /// Evidence from one number of several arms, seed by seed; untested where this run did not train one of them.
    pub fn evidence<const N: usize>(
        &self,
        number: &str,
        arms: [&str; N],
        difference: impl Fn([f64; N]) -> f64,
    ) -> Evidence {
        if let Some(arm) = arms.iter().find(|arm| !self.arms().any(|name| name == **arm)) {
            return Evidence::Untested(format!("this preset does not train {arm}"));
        }
        let values = arms.map(|arm| self.values(arm, number));
        let seeds = values.first().map_or(0, Vec::len);
        Evidence::Differences((0..seeds).map(|seed| difference(values.each_ref().map(|arm| arm[seed]))).collect())
    }

    /// The arms' names.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        self.arms.iter().map(|(name, _)| name.as_str())
    }

    /// Mean and standard deviation over seeds of the named numbers, a row an arm.
    pub fn table(&self, title: &str, numbers: &[&'static str]) -> Table {
        let row = |(name, seeds): &(String, Vec<Measured>)| {
            let cell = |number: &&'static str| {
                let values: Vec<f64> = seeds.iter().filter_map(|measured| measured.get(number).copied()).collect();
                mean_and_deviation(&values)
            };
            std::iter::once(name.clone()).chain(numbers.iter().map(cell)).collect()
        };
        Table {
            title: title.into(),
            columns: std::iter::once("arm").chain(numbers.iter().copied()).map(String::from).collect(),
            rows: self.arms.iter().map(row).collect(),
        }
    }

    /// Every measurement as a JSON object, arm by arm.
    pub fn lines(&self) -> Vec<Value> {
        let of_arm = |(name, seeds): &(String, Vec<Measured>)| {
            let lines = seeds.iter().enumerate().map(|(seed, measured)| line(self.part, name, seed as u64, measured));
            lines.collect::<Vec<_>>()
        };
        self.arms.iter().flat_map(of_arm).collect()
    }
}

/// One measurement as a JSON object.
fn line(part: &str, arm: &str, seed: u64, measured: &Measured) -> Value {
    let mut object = Map::new();
    object.insert("part".into(), json!(part));
    object.insert("arm".into(), json!(arm));
    object.insert("seed".into(), json!(seed));
    object.extend(measured.iter().map(|(number, value)| ((*number).to_string(), json!(value))));
    Value::Object(object)
}

/// Mean of the values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_and_deviation(values: &[f64]) -> String {
    match values {
        [] => "-".into(),
        [one] => format!("{one:.3}"),
        many => {
            let center = mean(many);
            let variance = many.iter().map(|v| (v - center).powi(2)).sum::<f64>() / (many.len() - 1) as f64;
            format!("{center:.3} ± {:.3}", variance.sqrt())
        }
    }
}

/// Trains an MLP to minimise an objective, given as on the command line.
///
/// # Errors
/// When the objective cannot be built or the fit fails; the text says why.
pub fn fit_objective(
    train: &Dataset,
    objective: &str,
    model: &MlpConfig,
    config: &FitConfig,
    seed: u64,
) -> Result<(Mlp, ObjectiveState), String> {
    let mut class_counts = vec![0; train.classes];
    train.y.iter().for_each(|&label| class_counts[label] += 1);
    let spec: ObjectiveSpec = objective.parse().map_err(|error: RegistryError| error.to_string())?;
    let objective = spec.build(&TaskContext { class_counts }).map_err(|error| error.to_string())?;
    let mut state = objective.initial_state(train.y.len(), seed);
    let fitted = fit_step(train, model, config, seed, objective_step(objective.as_ref(), &mut state))?;
    Ok((fitted, state))
}

/// Trains an MLP with a step of the study's own.
///
/// # Errors
/// When the fit fails; the text says why.
pub fn fit_step(
    train: &Dataset,
    model: &MlpConfig,
    config: &FitConfig,
    seed: u64,
    step: impl FnMut(&Mlp, Batch, &mut Mode) -> Tensor<1>,
) -> Result<Mlp, String> {
    let examples = Examples { x: &train.x, y: &train.y };
    let fit = Fit { train: examples, config, seed, validation: None, stop: None };
    let fitted = fit.run(model.init(&Device::flex().autodiff(), seed), step).map_err(|error| error.to_string())?;
    Ok(fitted.model)
}

/// Predictions of a model on labelled data.
pub fn predictions(model: &Mlp, data: &Dataset) -> Predictions {
    Predictions { probabilities: predict(model, &data.x), classes: data.classes, labels: data.y.clone() }
}

/// A metric at a decision; 0 where it is undefined (a decision for no positive at all).
pub fn metric(metric: Metric, predictions: &Predictions, decision: Decision) -> f64 {
    evaluate(metric, predictions, decision).unwrap_or(0.0)
}

/// Accuracy for the most probable class.
pub fn accuracy(model: &Mlp, data: &Dataset) -> f64 {
    metric(Metric::Accuracy, &predictions(model, data), Decision::Argmax)
}

/// The largest of candidates by a score, the first of equals.
pub fn best_by<T>(candidates: impl IntoIterator<Item = T>, score: impl Fn(&T) -> f64) -> Option<T> {
    let mut best: Option<(f64, T)> = None;
    for candidate in candidates {
        let value = score(&candidate);
        if best.as_ref().is_none_or(|(so_far, _)| value > *so_far) {
            best = Some((value, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}
