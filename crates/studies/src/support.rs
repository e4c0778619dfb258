//! What several studies do alike: train arms over seeds, gather their measurements, build tables and evidence.

use crate::findings::Table;
use crate::study::{Context, StudyError};
use contrarian_lab::parallel;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers measured in one fit, by name.
pub type Measured = BTreeMap<&'static str, f64>;

/// Measurements of every arm over the same seeds.
#[derive(Debug, Default)]
pub struct Measurements {
    arms: Vec<(String, Vec<Measured>)>,
}

impl Measurements {
    /// Measures every arm on every seed, side by side.
    ///
    /// # Errors
    /// The first failed fit, or [`StudyError::Stopped`].
    pub fn collect<A: Sync>(
        context: &Context,
        arms: &[(String, A)],
        seeds: usize,
        measure: impl Fn(&A, u64) -> Result<Measured, String> + Sync,
    ) -> Result<Self, StudyError> {
        let jobs: Vec<(usize, u64)> = (0..seeds as u64)
            .flat_map(|seed| (0..arms.len()).map(move |arm| (arm, seed)))
            .collect();
        let done = AtomicUsize::new(0);
        let results = parallel::map(&jobs, context.threads, context.stop, |&(arm, seed)| {
            let measured = measure(&arms[arm].1, seed);
            (context.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
            measured
        });
        let mut gathered: Vec<(String, Vec<Measured>)> =
            arms.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
        for (&(arm, seed), result) in jobs.iter().zip(results) {
            let measured = match result {
                None => return Err(StudyError::Stopped),
                Some(_) if context.stop.load(Ordering::Relaxed) => return Err(StudyError::Stopped),
                Some(Err(reason)) => {
                    return Err(StudyError::Fit {
                        arm: arms[arm].0.clone(),
                        seed,
                        reason,
                    });
                }
                Some(Ok(measured)) => measured,
            };
            gathered[arm].1.push(measured);
        }
        Ok(Self { arms: gathered })
    }

    /// One number of an arm, by seed.
    ///
    /// # Panics
    /// When there is no such arm or number: both are the study's own words.
    pub fn values(&self, arm: &str, number: &str) -> Vec<f64> {
        let (_, seeds) = self
            .arms
            .iter()
            .find(|(name, _)| name == arm)
            .unwrap_or_else(|| panic!("no arm `{arm}`"));
        seeds.iter().map(|measured| measured[number]).collect()
    }

    /// Mean of one number of an arm.
    pub fn mean(&self, arm: &str, number: &str) -> f64 {
        mean(&self.values(arm, number))
    }

    /// The arms' names.
    pub fn arms(&self) -> impl Iterator<Item = &str> {
        self.arms.iter().map(|(name, _)| name.as_str())
    }

    /// Mean and standard deviation over seeds of the named numbers, a row an arm.
    pub fn table(&self, title: &str, numbers: &[&'static str]) -> Table {
        let row = |(name, seeds): &(String, Vec<Measured>)| {
            let cell = |number: &&'static str| {
                let values: Vec<f64> = seeds
                    .iter()
                    .filter_map(|measured| measured.get(number).copied())
                    .collect();
                mean_and_deviation(&values)
            };
            std::iter::once(name.clone()).chain(numbers.iter().map(cell)).collect()
        };
        Table {
            title: title.into(),
            columns: std::iter::once("arm")
                .chain(numbers.iter().copied())
                .map(String::from)
                .collect(),
            rows: self.arms.iter().map(row).collect(),
        }
    }

    /// Every measurement as a JSON object, marked with the part of the study it belongs to.
    pub fn lines(&self, part: &str) -> Vec<Value> {
        let line = |name: &str, seed: usize, measured: &Measured| {
            let mut object = Map::new();
            object.insert("part".into(), json!(part));
            object.insert("arm".into(), json!(name));
            object.insert("seed".into(), json!(seed));
            object.extend(
                measured
                    .iter()
                    .map(|(number, value)| ((*number).to_string(), json!(value))),
            );
            Value::Object(object)
        };
        let arm = |(name, seeds): &(String, Vec<Measured>)| {
            seeds
                .iter()
                .enumerate()
                .map(|(seed, measured)| line(name, seed, measured))
                .collect::<Vec<_>>()
        };
        self.arms.iter().flat_map(arm).collect()
    }
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
