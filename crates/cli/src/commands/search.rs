use super::encoders;
use crate::args::SearchArgs;
use crate::error::CliError;
use crate::output;
use contrarian_lab::retrieval::{SavedRetriever, Side};
use serde_json::json;
use std::process::ExitCode;

/// Characters of a text that are shown.
const SHOWN: usize = 80;

pub fn run(args: &SearchArgs) -> Result<ExitCode, CliError> {
    if args.query.trim().is_empty() {
        return Err(CliError::Usage("the query is empty".into()));
    }
    let retriever = SavedRetriever::load(&args.model)?;
    let queries = [args.query.clone()];
    let sentences = encoders::sentences(&retriever, &queries)?;
    let vectors = retriever.embed(Side::Query, &queries, sentences);
    if vectors.data.iter().all(|value| *value == 0.0) {
        eprintln!("note: the retriever knows no word of the query; what it finds means nothing");
    }
    let found = retriever.search(&vectors, args.k).remove(0);
    let documents = retriever.documents();
    if args.json {
        let hit = |hit: &contrarian_lab::retrieval::Hit| {
            let document = &documents[hit.document];
            json!({"_id": document.id, "score": hit.score, "title": document.title, "text": document.text})
        };
        let hits: Vec<_> = found.iter().map(hit).collect();
        output::print(&serde_json::to_string_pretty(&hits).map_err(std::io::Error::other)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let row = |(at, hit): (usize, &contrarian_lab::retrieval::Hit)| {
        let document = &documents[hit.document];
        let full = document.full_text();
        let mut shown: String = full.chars().take(SHOWN).collect();
        if shown.len() < full.len() {
            shown.push('…');
        }
        vec![(at + 1).to_string(), format!("{:.3}", hit.score), document.id.clone(), shown]
    };
    let rows = found.iter().enumerate().map(row);
    output::print(&output::table(&["rank", "score", "document", "text"], rows, 4))?;
    Ok(ExitCode::SUCCESS)
}
