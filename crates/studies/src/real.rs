//! Studies of rare positives on real tables, where the data folder has them: descriptive, beside the generated data.

use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements, fit_objective, metric, predictions};
use contrarian_lab::data::{CsvOptions, Dataset, Preprocessor, Problem, load_csv, stratified_splits};
use contrarian_lab::fit::FitConfig;
use contrarian_lab::metrics::{Decision, Metric, best_threshold};
use contrarian_lab::model::MlpConfig;

/// Tables of two classes in `imbalanced_tabular`, by file name; the target is the last column, the positive the rarer class.
const TABLES: [&str; 7] =
    ["sonar", "ionosphere", "breast_cancer_wisconsin", "german", "haberman", "oil_spill", "mammography"];

/// Numbers that [`on_real_tables`] measures.
pub const NUMBERS: [&str; 5] = ["F1", "balanced", "G-mean", "F1, tuned", "balanced, tuned"];

/// Trains every objective on every table that is there, over seeds of stratified splits (60% training, 20% validation,
/// 20% test). `None` when there is no folder or none of the tables.
///
/// # Errors
/// When a table cannot be read, a fit fails, or the run is stopped.
pub fn on_real_tables(
    context: &Context,
    seeds: usize,
    objectives: &[(&str, &str)],
    model: impl Fn(usize) -> MlpConfig + Sync,
    config: &FitConfig,
) -> Result<Option<Measurements>, StudyError> {
    let Some(folder) = &context.data else { return Ok(None) };
    let mut arms = Vec::new();
    for name in TABLES {
        let path = folder.join("imbalanced_tabular").join(format!("{name}.csv"));
        if !path.exists() {
            continue;
        }
        let unusable = |reason: String| StudyError::Data { name, reason };
        let table = load_csv(&path, &CsvOptions::default()).map_err(|error| unusable(error.to_string()))?;
        let target = table.columns.last().map_or_else(String::new, |column| column.name.clone());
        let problem = Problem::from_table(table, &target, None).map_err(|error| unusable(error.to_string()))?;
        for (objective, spec) in objectives {
            arms.push((format!("{name}: {objective}"), (problem.clone(), *spec)));
        }
    }
    if arms.is_empty() {
        return Ok(None);
    }
    let measured = Measurements::collect(context, "real", &arms, seeds, |(problem, spec), seed| {
        measure(problem, spec, &model, config, seed)
    })?;
    Ok(Some(measured))
}

fn measure(
    problem: &Problem,
    objective: &str,
    model: impl Fn(usize) -> MlpConfig,
    config: &FitConfig,
    seed: u64,
) -> Result<Measured, String> {
    let split =
        stratified_splits(&problem.labels, 1, (0.6, 0.2, 0.2), seed).map_err(|error| error.to_string())?.remove(0);
    let encoder = Preprocessor::fit(&problem.features, &split.train);
    let part = |rows: &[usize]| Dataset {
        x: encoder.transform(&problem.features, rows),
        y: rows.iter().map(|&row| problem.labels[row]).collect(),
        classes: 2,
    };
    let (fitted, _) = fit_objective(&part(&split.train), objective, &model(encoder.inputs()), config, seed)?;
    let (held_out, test) = (predictions(&fitted, &part(&split.validation)), predictions(&fitted, &part(&split.test)));
    let tuned = |m: Metric| metric(m, &test, Decision::Threshold(best_threshold(m, &held_out)));
    Ok(Measured::from([
        ("F1", metric(Metric::F1, &test, Decision::Argmax)),
        ("balanced", metric(Metric::BalancedAccuracy, &test, Decision::Argmax)),
        ("G-mean", metric(Metric::GMean, &test, Decision::Argmax)),
        ("F1, tuned", tuned(Metric::F1)),
        ("balanced, tuned", tuned(Metric::BalancedAccuracy)),
    ]))
}
