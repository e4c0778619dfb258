use crate::args::{ListArgs, ListWhat};
use crate::error::CliError;
use crate::output;
use contrarian::registry::{Classes, EMBEDDING_OBJECTIVES, EmbeddingEntry, EmbeddingTask, OBJECTIVES, ObjectiveSpec};
use contrarian_lab::data::EMBEDDED;
use contrarian_studies::{Recorded, STUDIES, papers_markdown, recorded};
use serde_json::{Value, json};
use std::process::ExitCode;

pub fn run(args: &ListArgs) -> Result<ExitCode, CliError> {
    if args.markdown {
        if !matches!(args.what, ListWhat::Papers) {
            return Err(CliError::Usage("--markdown is for papers: contrarian list papers --markdown".into()));
        }
        output::print(&papers_markdown())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (header, rows, json): (&[&str], Vec<Vec<String>>, Vec<Value>) = match args.what {
        ListWhat::Objectives => (
            &["objective", "classes", "paper", "what it is"],
            OBJECTIVES
                .iter()
                .map(|o| strings([o.name, classes(o.classes), o.paper.unwrap_or(""), o.summary]))
                .collect(),
            OBJECTIVES
                .iter()
                .map(|o| {
                    json!({"name": o.name, "classes": classes(o.classes), "paper": o.paper, "summary": o.summary,
                           "formula": o.formula, "source": o.source, "rust": o.config, "defaults": (o.defaults)(),
                           "sees": "logits"})
                })
                .chain(EMBEDDING_OBJECTIVES.iter().map(|o| {
                    json!({"name": o.name, "paper": o.paper, "summary": o.summary, "formula": o.formula,
                           "source": o.source, "rust": o.config, "defaults": (o.defaults)(), "sees": sees(o)})
                }))
                .collect(),
        ),
        ListWhat::Papers => (
            &["paper", "authors", "claims", "last verdict", "title"],
            STUDIES
                .iter()
                .map(|s| {
                    let verdict = recorded(s.id).map_or("not recorded yet".into(), Recorded::summary);
                    strings([s.id, s.authors, &s.claims.len().to_string(), &verdict, s.title])
                })
                .collect(),
            STUDIES
                .iter()
                .map(|s| {
                    json!({"id": s.id, "authors": s.authors, "title": s.title, "arxiv": s.arxiv,
                           "claims": s.claims.iter().map(|c| c.statement).collect::<Vec<_>>(),
                           "recorded": recorded(s.id)})
                })
                .collect(),
        ),
        ListWhat::Datasets => (
            &["data set", "rows", "classes", "what it is"],
            EMBEDDED
                .iter()
                .map(|d| strings([d.name, &d.rows.to_string(), &d.classes.to_string(), d.description]))
                .collect(),
            EMBEDDED
                .iter()
                .map(|d| {
                    json!({"name": d.name, "rows": d.rows, "classes": d.classes, "description": d.description,
                           "source": d.source})
                })
                .collect(),
        ),
    };
    match args.json {
        true => output::print(&serde_json::to_string_pretty(&json).map_err(std::io::Error::other)?)?,
        false => output::print(&output::table(header, rows, header.len()))?,
    }
    if matches!(args.what, ListWhat::Objectives) && !args.json {
        let rows = EMBEDDING_OBJECTIVES.iter().map(|o| strings([o.name, sees(o), o.paper.unwrap_or(""), o.summary]));
        let table = output::table(&["objective", "sees", "paper", "what it is"], rows, 4);
        output::print(&format!("\nobjectives over embeddings\n{table}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn classes(classes: Classes) -> &'static str {
    match classes {
        Classes::Any => "any",
        Classes::Binary => "two",
    }
}

/// What an objective over embeddings is given with them.
pub fn sees(entry: &EmbeddingEntry) -> &'static str {
    let task = ObjectiveSpec { name: entry.name.into(), parameters: Vec::new() }.build_embedding();
    match task.expect("defaults are in range") {
        EmbeddingTask::Pairs(_) => "pairs",
        EmbeddingTask::Labels(objective) if objective.needs_class_weights() => "labels, class weights",
        EmbeddingTask::Labels(_) => "labels",
    }
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}
