//! From arguments to what the library takes, shared by the commands that read data.

use crate::args::{BudgetArgs, DataArgs, OptimizerArg, ScheduleArg};
use crate::error::CliError;
use contrarian::InvalidParameter;
use contrarian_lab::data::{CsvOptions, Problem, Table, embedded, guess_target, load_csv};
use contrarian_lab::fit::{FitConfig, OptimizerKind, Schedule};
use contrarian_lab::metrics::{Metric, UnknownMetric};
use std::path::Path;

/// The data sets: a person's files or embedded ones.
pub fn problems(args: &DataArgs) -> Result<Vec<Problem>, CliError> {
    if args.data.is_empty() {
        let load = |name: &String| embedded(name).map_err(|error| CliError::Usage(error.to_string()));
        return args.dataset.iter().map(load).collect();
    }
    args.data.iter().map(|path| from_file(path, args)).collect()
}

/// The data set, where one alone makes sense.
pub fn problem(args: &DataArgs) -> Result<Problem, CliError> {
    let mut problems = problems(args)?;
    match problems.len() {
        1 => Ok(problems.remove(0)),
        n => Err(CliError::Usage(format!("a model is trained on one data set, and {n} are named"))),
    }
}

/// Labelled rows for a model that is trained already: a file, or else an embedded set.
pub fn table(data: Option<&Path>, dataset: Option<&str>, options: &CsvOptions) -> Result<Table, CliError> {
    match (data, dataset) {
        (Some(path), _) => Ok(load_csv(path, options)?),
        (None, Some(name)) => Ok(embedded(name).map_err(|error| CliError::Usage(error.to_string()))?.into_table()),
        (None, None) => Err(CliError::Usage("rows are needed: --data or --dataset".into())),
    }
}

fn from_file(path: &Path, args: &DataArgs) -> Result<Problem, CliError> {
    let options = CsvOptions { categorical: args.categorical.clone(), missing: args.missing.clone(), delimiter: None };
    let table = load_csv(path, &options)?;
    let (target, guessed) = match &args.target {
        Some(target) => (target.clone(), false),
        None => (guess_target(&table).to_string(), true),
    };
    let mut problem = Problem::from_table(table, &target, args.positive.as_deref())?;
    if guessed {
        problem.notes.insert(0, format!("no --target was given: `{target}` is taken as the column to predict"));
    }
    Ok(problem)
}

/// The metric to select by.
pub fn metric(args: &BudgetArgs, classes: usize) -> Result<Metric, CliError> {
    match &args.metric {
        Some(name) => name.parse().map_err(|error: UnknownMetric| CliError::Usage(error.to_string())),
        None if classes == 2 => Ok(Metric::F1),
        None => Ok(Metric::BalancedAccuracy),
    }
}

/// Optimiser and budget for about as many training rows, checked.
pub fn fit_config(args: &BudgetArgs, rows: usize) -> Result<FitConfig, CliError> {
    if !(0.0..1.0).contains(&args.dropout) {
        return Err(InvalidParameter::new("dropout", args.dropout, "in [0, 1)").into());
    }
    let (epochs, patience) = FitConfig::budget_for(rows, args.batch_size);
    let (epochs, patience) = (args.epochs.unwrap_or(epochs), args.patience.unwrap_or(patience));
    for (field, value) in [("width", args.width), ("patience", patience)] {
        if value == 0 {
            return Err(InvalidParameter::new(field, value, "at least 1").into());
        }
    }
    let config = FitConfig::new()
        .with_optimizer(match args.optimizer {
            OptimizerArg::Adam => OptimizerKind::Adam,
            OptimizerArg::Sgd => OptimizerKind::Sgd { momentum: 0.9, nesterov: false },
        })
        .with_learning_rate(args.learning_rate)
        .with_schedule(match args.schedule {
            ScheduleArg::Constant => Schedule::Constant,
            ScheduleArg::Cosine => Schedule::Cosine,
            ScheduleArg::Steps => Schedule::Steps,
        })
        .with_weight_decay(args.weight_decay)
        .with_batch_size(args.batch_size)
        .with_epochs(epochs)
        .with_patience(Some(patience))
        .with_balanced(args.balanced);
    config.validate()?;
    Ok(config)
}
