//! From arguments to what the library takes, shared by the commands that read data.

use crate::args::{BudgetArgs, DataArgs, ModelArg, OptimizerArg, ScheduleArg};
use crate::error::CliError;
use contrarian::InvalidParameter;
use contrarian_lab::data::{
    CsvOptions, Features, ImageOptions, Problem, Table, embedded, guess_target, load_csv, load_images,
};
use contrarian_lab::fit::{FitConfig, OptimizerKind, Schedule};
use contrarian_lab::metrics::{Metric, UnknownMetric};
use contrarian_lab::model::Architecture;
use std::path::Path;

/// The data sets: a person's files or embedded ones.
pub fn problems(args: &DataArgs) -> Result<Vec<Problem>, CliError> {
    if !args.images.is_empty() {
        return args.images.iter().map(|path| from_images(path, args)).collect();
    }
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
        (None, Some(name)) => {
            let problem = embedded(name).map_err(|error| CliError::Usage(error.to_string()))?;
            problem.into_table().ok_or_else(|| CliError::Usage(format!("`{name}` has images, and a table is needed")))
        }
        (None, None) => Err(CliError::Usage("rows are needed: --data or --dataset".into())),
    }
}

fn from_file(path: &Path, args: &DataArgs) -> Result<Problem, CliError> {
    let (table, target, guessed) = read_table(path, args)?;
    from_table(table, &target, guessed, args)
}

/// How a file of these arguments is read.
pub fn csv_options(args: &DataArgs) -> CsvOptions {
    CsvOptions { categorical: args.categorical.clone(), missing: args.missing.clone(), delimiter: None }
}

/// A file, the column to predict, and whether that is a guess.
pub fn read_table(path: &Path, args: &DataArgs) -> Result<(Table, String, bool), CliError> {
    let table = load_csv(path, &csv_options(args))?;
    let target = args.target.clone().unwrap_or_else(|| guess_target(&table).to_string());
    Ok((table, target, args.target.is_none()))
}

/// The problem of a file that was read.
pub fn from_table(table: Table, target: &str, guessed: bool, args: &DataArgs) -> Result<Problem, CliError> {
    let mut problem = Problem::from_table(table, target, args.positive.as_deref())?;
    if guessed {
        problem.notes.insert(0, format!("no --target was given: `{target}` is taken as the column to predict"));
    }
    Ok(problem)
}

/// What images show is called so in tables, reports and predictions.
const IMAGE_TARGET: &str = "class";

fn from_images(path: &Path, args: &DataArgs) -> Result<Problem, CliError> {
    if args.limit == Some(0) {
        return Err(InvalidParameter::new("limit", 0, "at least 1").into());
    }
    let options = ImageOptions { size: args.size, rgb: args.rgb, limit: args.limit, positive: args.positive.clone() };
    Ok(load_images(path, &options)?.into_problem(IMAGE_TARGET))
}

/// The kind of network for these features, checked.
pub fn architecture(args: &BudgetArgs, features: &Features, classes: usize) -> Result<Architecture, CliError> {
    let usual = if features.image_shape().is_some() { ModelArg::Cnn } else { ModelArg::Mlp };
    let given = [("depth", args.depth.is_some()), ("width", args.width.is_some()), ("dropout", args.dropout.is_some())];
    let architecture = match args.model.unwrap_or(usual) {
        ModelArg::Mlp => Architecture::Mlp {
            depth: args.depth.unwrap_or(2),
            width: args.width.unwrap_or(64),
            dropout: args.dropout.unwrap_or(0.0),
        },
        ModelArg::Cnn => Architecture::Cnn,
    };
    architecture.network(features.columns(), features.image_shape(), classes)?;
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) if architecture == Architecture::Cnn => {
            Err(CliError::Usage(format!("--{option} is a setting of the mlp, and a cnn is trained: add --model mlp")))
        }
        _ => Ok(architecture),
    }
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
    let batch_size = args.batch_size.unwrap_or(32);
    fit_config_within(args, batch_size, FitConfig::budget_for(rows, batch_size))
}

/// Optimiser and budget with these defaults of batch size, epochs and patience, checked.
pub fn fit_config_within(
    args: &BudgetArgs,
    batch_size: usize,
    (epochs, patience): (usize, usize),
) -> Result<FitConfig, CliError> {
    let (epochs, patience) = (args.epochs.unwrap_or(epochs), args.patience.unwrap_or(patience));
    if patience == 0 {
        return Err(InvalidParameter::new("patience", patience, "at least 1").into());
    }
    let config = FitConfig::new()
        .with_optimizer(match args.optimizer {
            OptimizerArg::Adam => OptimizerKind::Adam,
            OptimizerArg::Sgd => OptimizerKind::Sgd { momentum: 0.9, nesterov: false },
        })
        .with_learning_rate(args.learning_rate.unwrap_or(1e-3))
        .with_schedule(match args.schedule {
            ScheduleArg::Constant => Schedule::Constant,
            ScheduleArg::Cosine => Schedule::Cosine,
            ScheduleArg::Steps => Schedule::Steps,
        })
        .with_weight_decay(args.weight_decay)
        .with_batch_size(args.batch_size.unwrap_or(batch_size))
        .with_epochs(epochs)
        .with_patience(Some(patience))
        .with_balanced(args.balanced);
    config.validate()?;
    Ok(config)
}
