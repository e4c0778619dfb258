use crate::args::PredictArgs;
use crate::error::CliError;
use contrarian_lab::data::{load_csv, load_unlabelled_images};
use contrarian_lab::saved::SavedModel;
use std::io::Write;
use std::process::ExitCode;

pub fn run(args: &PredictArgs) -> Result<ExitCode, CliError> {
    let mut model = SavedModel::load(&args.model)?;
    if args.raw {
        model.manifest.calibrator = None;
    }
    let predictions = match (&args.images, &args.data) {
        (Some(path), _) => model.predict_images(load_unlabelled_images(path, model.manifest.image_shape()?)?)?,
        (None, Some(path)) => model.predict(&load_csv(path, &model.manifest.csv_options()?)?)?,
        (None, None) => return Err(CliError::Usage("what to predict for is missing: --data or --images".into())),
    };
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
