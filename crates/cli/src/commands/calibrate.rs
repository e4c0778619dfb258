use super::setup;
use crate::args::CalibrateArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::InvalidParameter;
use contrarian_lab::calibration::{
    CalibrateConfig, Calibration, CalibrationScore, Method, MethodResult, UnknownMethod, calibrate, calibration_html,
};
use contrarian_lab::compare::PairedComparison;
use contrarian_lab::fit::FitError;
use contrarian_lab::report::number::{fixed, interval};
use contrarian_lab::report::write_atomically;
use contrarian_lab::saved::SavedModel;
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: &CalibrateArgs) -> Result<ExitCode, CliError> {
    let method = match args.method.as_str() {
        "all" => None,
        name => Some(name.parse::<Method>().map_err(|error: UnknownMethod| CliError::Usage(error.to_string()))?),
    };
    if args.splits == 0 {
        return Err(InvalidParameter::new("splits", 0, "at least 1").into());
    }
    let mut model = SavedModel::load(&args.model)?;
    let table = setup::table(args.data.as_deref(), args.dataset.as_deref(), &model.manifest.csv_options()?)?;
    let earlier = model.manifest.calibrator.as_ref().map(|calibrator| calibrator.calibrator.method());
    let config = CalibrateConfig { method, splits: args.splits, seed: args.seed };
    let found = match calibrate(&mut model, &table, &config, &progress::stop_flag()) {
        Err(error) if error.fit() == Some(&FitError::Stopped) => {
            eprintln!("contrarian: {error}; the model is as it was");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        other => other?,
    };
    for note in &found.notes {
        eprintln!("note: {note}");
    }
    if args.json {
        output::print(&serde_json::to_string_pretty(&found).map_err(std::io::Error::other)?)?;
    } else {
        output::print(&text(&found))?;
    }
    let folder = args.model.display();
    match (&found.chosen, earlier) {
        _ if args.dry_run => eprintln!("nothing was saved: {folder} predicts as before"),
        (Some(method), earlier) => {
            model.save_manifest(&args.model)?;
            let instead = earlier.map(|earlier| format!(", instead of its earlier {earlier}")).unwrap_or_default();
            eprintln!(
                "saved in {folder}: probabilities of `contrarian predict` now go through {method}{instead} (--raw gives the model's own)"
            );
        }
        (None, Some(earlier)) => {
            model.save_manifest(&args.model)?;
            eprintln!("saved in {folder}: its earlier {earlier} is gone");
        }
        (None, None) => {}
    }
    write_report(args.out.as_deref(), &args.model, &found)?;
    Ok(ExitCode::SUCCESS)
}

fn write_report(out: Option<&Path>, model: &Path, found: &Calibration) -> Result<(), CliError> {
    let folder = output::run_folder(out, "calibrate")?;
    let json = serde_json::to_vec_pretty(found).map_err(std::io::Error::other)?;
    write_atomically(&folder.join("calibration.json"), &json)?;
    let report = folder.join("report.html");
    write_atomically(&report, calibration_html(found, &model.display().to_string()).as_bytes())?;
    eprintln!("report: {}", report.display());
    Ok(())
}

fn text(found: &Calibration) -> String {
    let header = [
        "method",
        "log-loss",
        "95% of change",
        "p (Holm)",
        "ECE",
        "95% of change",
        "adaptive",
        "Brier",
        "kernel",
        "accuracy",
    ];
    let rows = found.results.iter().map(|result| row(result, found.chosen.as_ref() == Some(&result.name)));
    format!("{}\n{}\n{}\n", found.rows_sentence(), output::table(&header, rows, 1), found.sentences().join("\n"))
}

fn row(result: &MethodResult, chosen: bool) -> Vec<String> {
    let number = |of: &dyn Fn(&CalibrationScore) -> f64, decimals| {
        fixed(result.mean(|score| Some(of(score))).unwrap_or(f64::NAN), decimals)
    };
    let change = |test: &Option<PairedComparison>| test.as_ref().map_or("-".into(), |t| interval(t.low, t.high, 3));
    vec![
        if chosen { format!("{}, chosen", result.name) } else { result.name.clone() },
        number(&|s| s.log_loss, 3),
        change(&result.log_loss),
        result.log_loss.as_ref().map_or("-".into(), |test| output::p_value(test.p_holm)),
        number(&|s| s.errors.ece, 3),
        change(&result.ece),
        number(&|s| s.errors.adaptive_ece, 3),
        number(&|s| s.errors.top1_brier, 3),
        number(&|s| s.errors.kernel, 5),
        number(&|s| s.accuracy, 3),
    ]
}
