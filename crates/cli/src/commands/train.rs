use super::setup;
use crate::args::TrainArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::registry::ObjectiveSpec;
use contrarian_lab::fit::FitError;
use contrarian_lab::saved::{TrainConfig, train};
use std::process::ExitCode;

pub fn run(args: &TrainArgs) -> Result<ExitCode, CliError> {
    let objective: ObjectiveSpec = args.objective.parse()?;
    let problem = setup::problem(&args.data)?;
    let fit = setup::fit_config(&args.budget, problem.labels.len())?;
    let metric = setup::metric(&args.budget, problem.classes.len())?;
    let model = setup::architecture(&args.budget, &problem.features, problem.classes.len())?;
    let folder = output::run_folder(Some(&args.out), "train")?;
    for note in &problem.notes {
        eprintln!("note: {note}");
    }
    let config = TrainConfig {
        objective,
        metric,
        validation: 0.2,
        seed: args.budget.seed,
        model,
        fit,
        missing: args.data.missing.clone(),
    };
    let stop = progress::stop_flag();
    let bar = progress::bar("training");
    let model = train(&problem, &config, &|done, total| progress::advance(&bar, done, total), &stop);
    bar.finish_and_clear();
    let model = match model {
        Err(error) if error.fit() == Some(&FitError::Stopped) => {
            eprintln!("contrarian: {error}; nothing was saved");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        other => other?,
    };
    model.save(&folder)?;
    let manifest = &model.manifest;
    let mut text = format!(
        "{} trained with {} on {} rows\n",
        manifest.model.describe(),
        manifest.objective,
        manifest.training_rows
    );
    let rows = manifest.validation_metrics.iter().map(|(name, value)| vec![name.clone(), format!("{value:.3}")]);
    text.push_str(&output::table(&["metric on validation", "value"], rows, 1));
    if let Some(threshold) = manifest.threshold {
        text.push_str(&format!("\ndecides for `{}` at a probability of {threshold:.3}\n", manifest.classes[1]));
    }
    output::print(&text)?;
    eprintln!("saved in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
