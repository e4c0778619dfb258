use crate::args::ProbeArgs;
use crate::error::CliError;
use crate::output;
use contrarian::registry::{ObjectiveSpec, RegistryError};
use contrarian_lab::probe::{ProbeConfig, probe, property_card_html};
use contrarian_lab::report::write_atomically;
use std::process::ExitCode;

pub fn run(args: &ProbeArgs) -> Result<ExitCode, CliError> {
    let spec: ObjectiveSpec = args.objective.parse().map_err(|error: RegistryError| CliError::from(error))?;
    let config = ProbeConfig { classes: args.classes, trials: args.trials, seed: args.seed, ..ProbeConfig::default() };
    config.validate()?;
    let card = probe(&spec, &config)?;
    if args.json {
        output::print(&serde_json::to_string_pretty(&card).map_err(std::io::Error::other)?)?;
    } else {
        let word = |holds: Option<bool>| holds.map_or("", |holds| if holds { "yes" } else { "no" });
        let rows = card.properties().into_iter().map(|p| vec![p.name.into(), word(p.holds).into(), p.finding]);
        output::print(&format!("{}\n{}", card.objective, output::table(&["property", "", "measured"], rows, 3)))?;
    }
    let report = output::run_folder(args.out.as_deref(), "probe")?.join("report.html");
    write_atomically(&report, property_card_html(&card).as_bytes())?;
    eprintln!("report: {}", report.display());
    Ok(ExitCode::SUCCESS)
}
