use crate::args::PredictArgs;
use crate::error::CliError;
use contrarian_lab::data::load_csv;
use contrarian_lab::saved::SavedModel;
use std::io::Write;
use std::process::ExitCode;

pub fn run(args: &PredictArgs) -> Result<ExitCode, CliError> {
    let model = SavedModel::load(&args.model)?;
    let table = load_csv(&args.data, &model.manifest.csv_options())?;
    let predictions = model.predict(&table)?;
    for note in &predictions.notes {
        eprintln!("note: {note}");
    }
    let text = predictions.to_csv();
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| CliError::Failed(format!("cannot write {}: {error}", path.display())))?,
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
