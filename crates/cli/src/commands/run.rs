use crate::args::RunArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::registry::{did_you_mean, suggest};
use contrarian_lab::parallel::available_threads;
use contrarian_studies::{
    Context, Judged, Preset, STUDIES, Study, StudyError, StudyRun, read_config, record, write_run,
};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

pub fn run(args: &RunArgs) -> Result<ExitCode, CliError> {
    let (study, preset, mut settings) = if let Some(path) = &args.config {
        read_config(path)?
    } else {
        let study = find(args.paper.as_deref().unwrap_or_default())?;
        let preset: Preset = args.preset.as_deref().unwrap_or("default").parse().map_err(CliError::Usage)?;
        (study, preset, (study.settings)(preset))
    };
    for text in &args.overrides {
        study.set(&mut settings, text)?;
    }
    let folder = output::run_folder(args.out.as_deref(), study.id)?;
    let stop = progress::stop_flag();
    let bar = progress::bar(study.id);
    let log = MeasurementLog::create(&folder)?;
    let context = Context {
        threads: args.threads.unwrap_or_else(available_threads).max(1),
        data: args.data.clone().or_else(|| std::env::var_os("CONTRARIAN_DATA").map(Into::into)),
        stop: &stop,
        progress: &|done, total| progress::advance(&bar, done, total),
        record: &|measurement| log.add(measurement),
    };
    let run = StudyRun::new(study, preset, settings, &context);
    bar.finish_and_clear();
    let run = match run {
        Ok(run) => run,
        Err(error) => {
            eprintln!("contrarian: what was measured is in {}", log.path.display());
            return match error {
                StudyError::Stopped => {
                    eprintln!("contrarian: {error}");
                    Ok(ExitCode::from(INTERRUPTED))
                }
                error => Err(error.into()),
            };
        }
    };
    match args.json {
        true => output::print(&serde_json::to_string_pretty(&run).map_err(std::io::Error::other)?)?,
        false => output::print(&text(&run))?,
    }
    let report = write_run(&folder, &run)?;
    if let Some(path) = &args.record {
        record(path, &run, &output::today())?;
    }
    eprintln!("report: {}", report.display());
    Ok(ExitCode::SUCCESS)
}

/// The measurements of a run as they are made; a finished run writes them again in their order.
struct MeasurementLog {
    path: PathBuf,
    file: Mutex<File>,
}

impl MeasurementLog {
    fn create(folder: &Path) -> Result<Self, CliError> {
        let path = folder.join("metrics.jsonl");
        match File::create(&path) {
            Ok(file) => Ok(Self { path, file: Mutex::new(file) }),
            Err(error) => Err(CliError::Failed(format!("cannot write {}: {error}", path.display()))),
        }
    }

    fn add(&self, measurement: &serde_json::Value) {
        if let Ok(mut file) = self.file.lock() {
            // A full disk here is reported when the run's files are written; the run itself goes on.
            let _ = writeln!(file, "{measurement}");
        }
    }
}

fn find(id: &str) -> Result<&'static Study, CliError> {
    contrarian_studies::find(id).ok_or_else(|| {
        let hint = did_you_mean(suggest(id, STUDIES.iter().map(|study| study.id)).as_deref());
        CliError::Usage(format!("no paper is called `{id}`{hint} (`contrarian list papers` lists them)"))
    })
}

fn text(run: &StudyRun) -> String {
    let mut out = format!("{}: {} ({} preset, {:.1} s)\n", run.id, run.title, run.preset, run.seconds);
    for table in &run.findings.tables {
        let header: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        out.push_str(&format!("\n{}\n{}\n", table.title, output::table(&header, table.rows.clone(), 1)));
    }
    out.push_str("\nclaims\n");
    for claim in &run.findings.claims {
        out.push_str(&claim_text(claim));
    }
    for note in &run.findings.notes {
        out.push_str(&format!("\n{note}\n"));
    }
    out
}

fn claim_text(claim: &Judged) -> String {
    let mut numbers = Vec::new();
    numbers.extend(claim.effect.map(|effect| format!("effect {effect:+.4}")));
    numbers.extend(claim.interval.map(|(low, high)| format!("95% interval {low:+.4} to {high:+.4}")));
    numbers.extend(claim.p.map(|p| format!("p {}", output::p_value(p))));
    let mut text = format!(
        "  {}: {}\n    {}\n    {} ({})\n    the paper: {}\n",
        claim.verdict.words().to_uppercase(),
        claim.id,
        claim.statement,
        if numbers.is_empty() { "no figure".into() } else { numbers.join(", ") },
        claim.reason,
        claim.reported
    );
    if !claim.differs.is_empty() {
        text.push_str(&format!("    here: {}\n", claim.differs));
    }
    text
}
