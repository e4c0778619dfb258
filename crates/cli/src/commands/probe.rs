use crate::args::ProbeArgs;
use crate::error::CliError;
use crate::output;
use contrarian::registry::{
    EMBEDDING_OBJECTIVES, OBJECTIVES, ObjectiveSpec, RegistryError, find, find_embedding, suggest,
};
use contrarian_lab::probe::{ProbeConfig, Property, pair_card_html, probe, probe_embedding, property_card_html};
use contrarian_lab::report::write_atomically;
use serde::Serialize;
use std::process::ExitCode;

pub fn run(args: &ProbeArgs) -> Result<ExitCode, CliError> {
    let spec: ObjectiveSpec = args.objective.parse().map_err(|error: RegistryError| CliError::from(error))?;
    let config = ProbeConfig { classes: args.classes, trials: args.trials, seed: args.seed, ..ProbeConfig::default() };
    config.validate()?;
    if find_embedding(&spec.name).is_some() {
        let card = probe_embedding(&spec, config.seed)?;
        return finish(args, &card.objective, &card, card.properties(), &pair_card_html(&card));
    }
    if find(&spec.name).is_none() {
        let names = OBJECTIVES.iter().map(|o| o.name).chain(EMBEDDING_OBJECTIVES.iter().map(|o| o.name));
        let nearest = suggest(&spec.name, names);
        return Err(RegistryError::UnknownObjective { name: spec.name, nearest }.into());
    }
    let card = probe(&spec, &config)?;
    finish(args, &card.objective, &card, card.properties(), &property_card_html(&card))
}

fn finish(
    args: &ProbeArgs,
    objective: &str,
    card: &impl Serialize,
    properties: Vec<Property>,
    page: &str,
) -> Result<ExitCode, CliError> {
    if args.json {
        output::print(&serde_json::to_string_pretty(card).map_err(std::io::Error::other)?)?;
    } else {
        let word = |holds: Option<bool>| holds.map_or("", |holds| if holds { "yes" } else { "no" });
        let rows = properties.into_iter().map(|p| vec![p.name.into(), word(p.holds).into(), p.finding]);
        output::print(&format!("{objective}\n{}", output::table(&["property", "", "measured"], rows, 3)))?;
    }
    let report = output::run_folder(args.out.as_deref(), "probe")?.join("report.html");
    write_atomically(&report, page.as_bytes())?;
    eprintln!("report: {}", report.display());
    Ok(ExitCode::SUCCESS)
}
