use crate::args::PredictArgs;
use crate::error::CliError;
use contrarian_lab::data::load_csv;
use contrarian_lab::saved::SavedModel;
use std::io::Write;
use std::process::ExitCode;

pub fn run(args: &PredictArgs) -> Result<ExitCode, CliError> {
    let mut model = SavedModel::load(&args.model)?;
    if args.raw {
        model.manifest.calibrator = None;
    }
    let table = load_csv(&args.data, &model.manifest.csv_options())?;
    let predictions = model.predict(&table)?;
    for note in &predictions.notes {
        eprintln!("note: {note}");
    }
    if let Some(saved) = &model.manifest.calibrator {
        let (method, rows, data) = (saved.calibrator.method(), saved.rows, &saved.data);
        eprintln!(
            "note: probabilities are calibrated by {method}, fitted on {rows} rows of {data} (--raw: the model's own)"
        );
    }
    let text = predictions.to_csv();
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| CliError::Failed(format!("cannot write {}: {error}", path.display())))?,
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
