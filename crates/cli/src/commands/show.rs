use super::list::sees;
use crate::args::ShowArgs;
use crate::error::CliError;
use crate::output;
use contrarian::registry::{
    Classes, EMBEDDING_OBJECTIVES, EmbeddingEntry, OBJECTIVES, ObjectiveEntry, did_you_mean, find, find_embedding,
    suggest,
};
use contrarian_studies::{STUDIES, Study};
use serde_json::Value;
use std::fmt::Write;
use std::process::ExitCode;

pub fn run(args: &ShowArgs) -> Result<ExitCode, CliError> {
    let name = args.name.as_str();
    let mut pages = Vec::new();
    pages.extend(contrarian_studies::find(name).map(study_page));
    pages.extend(find(name).map(objective_page));
    pages.extend(find_embedding(name).map(embedding_page));
    if pages.is_empty() {
        let embedding = EMBEDDING_OBJECTIVES.iter().map(|o| o.name);
        let names = OBJECTIVES.iter().map(|o| o.name).chain(embedding).chain(STUDIES.iter().map(|s| s.id));
        let hint = did_you_mean(suggest(name, names).as_deref());
        return Err(CliError::Usage(format!("nothing is called `{name}`{hint} (`contrarian list` shows the names)")));
    }
    output::print(&pages.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn objective_page(entry: &ObjectiveEntry) -> String {
    let defaults = (entry.defaults)();
    let mut page = format!("{}: {}\n\n{}\n\n", entry.name, entry.summary, entry.formula.trim_end());
    if !entry.parameters.is_empty() {
        page.push_str("parameters\n");
        for (name, meaning) in entry.parameters {
            let _ = writeln!(page, "  {name} = {}: {meaning}", plain(&defaults[*name]));
        }
        page.push('\n');
    }
    if entry.classes == Classes::Binary {
        page.push_str("for two classes; it sees the score logit_1 - logit_0\n\n");
    }
    let config = entry.config;
    let _ = writeln!(
        page,
        "from Rust\n  use contrarian::classification::{config};\n  let objective = {config}::new().init();\n\n\
         from the command line\n  contrarian compare --objectives 'cross-entropy, {}'\n\nsource: {}",
        entry.name, entry.source
    );
    page
}

fn embedding_page(entry: &EmbeddingEntry) -> String {
    let sees = sees(entry);
    let mut page = format!("{}: {}\n\n{}\n\n", entry.name, entry.summary, entry.formula);
    if let Some(defaults) = (entry.defaults)().as_object().filter(|defaults| !defaults.is_empty()) {
        page.push_str("parameters\n");
        for (name, value) in defaults {
            let _ = writeln!(page, "  {name} = {}", plain(value));
        }
        page.push('\n');
    }
    // Heads with class weights stand with the classification objectives.
    let room = if sees.contains("weights") { "classification" } else { "contrastive" };
    let config = entry.config;
    let _ = writeln!(
        page,
        "over embeddings with their {sees}\n\nfrom Rust\n  use contrarian::{room}::{config};\n  \
         let objective = {config}::new().init();\n\nfrom the command line\n  contrarian probe {}\n\nsource: {}",
        entry.name, entry.source
    );
    page
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "none".to_string(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn study_page(study: &Study) -> String {
    let mut page = format!(
        "{}: {}\n{}, https://arxiv.org/abs/{}\n\n{}\n\nregistered claims\n",
        study.id, study.title, study.authors, study.arxiv, study.summary
    );
    for claim in study.claims {
        let _ = writeln!(page, "  {}: {}\n    the paper: {}", claim.id, claim.statement, claim.reported);
        if !claim.differs.is_empty() {
            let _ = writeln!(page, "    here: {}", claim.differs);
        }
    }
    let objectives: Vec<&str> = OBJECTIVES
        .iter()
        .map(|o| (o.paper, o.name))
        .chain(EMBEDDING_OBJECTIVES.iter().map(|o| (o.paper, o.name)))
        .filter(|(paper, _)| *paper == Some(study.id))
        .map(|(_, name)| name)
        .collect();
    if !objectives.is_empty() {
        let _ = writeln!(page, "\nobjectives: {}", objectives.join(", "));
    }
    let _ = writeln!(page, "\ncontrarian run {}", study.id);
    page
}
