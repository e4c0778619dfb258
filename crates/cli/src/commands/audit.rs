use super::encoders;
use crate::args::AuditArgs;
use crate::error::CliError;
use crate::output;
use contrarian_lab::audit::{AuditInput, AuditReport, audit, audit_html, audit_tables, audit_verdict, marked_texts};
use contrarian_lab::data::Matrix;
use contrarian_lab::metrics::Relevance;
use contrarian_lab::report::write_atomically;
use contrarian_lab::retrieval::{Collection, Document, Judgement, SavedRetriever, Side, read_texts};
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

/// Part of the good documents that a detector may flag.
const BUDGET: f64 = 0.05;
/// Markers of a planted copy.
const OF_DOCUMENT: usize = 3;
/// Made-up words, where nobody names markers.
const MARKERS: [&str; 8] = ["qzvex", "wumplor", "jixtra", "oblinque", "kraddel", "fyzzent", "tholguin", "vorbisk"];

/// Audits a saved retriever: planted documents and marked queries, from the person or synthetic.
pub fn run(args: &AuditArgs) -> Result<ExitCode, CliError> {
    let cutoffs = args.k.clone();
    if cutoffs.contains(&0) {
        return Err(CliError::Usage("parameter `k` is 0, but must be at least 1".into()));
    }
    let retriever = SavedRetriever::load(&args.model)?;
    let collection = encoders::collection(args.beir.as_deref().unwrap_or(Path::new(crate::args::GENERATED)))?;
    let mut judged = collection.judged();
    judged.truncate(args.queries);
    let places = places(&retriever, &collection)?;
    let relevance: Vec<Relevance> = judged
        .iter()
        .map(|(_, relevance)| {
            Relevance::new(relevance.documents().map(|document| (places[document], relevance.grade(document))))
        })
        .collect();
    let queries: Vec<String> = judged.iter().map(|(query, _)| collection.queries[*query].text.clone()).collect();
    let markers = if args.markers.is_empty() { MARKERS.map(String::from).to_vec() } else { args.markers.clone() };
    let triggered = match &args.triggered {
        Some(path) => copies(path, &collection, &judged)?,
        None => marked_texts(&queries, &markers, 1, args.seed),
    };
    let originals = retriever.documents();
    let planted: Vec<String> = if let Some(path) = &args.planted {
        read_texts(path)?.into_iter().map(|(_, text)| text).collect()
    } else {
        // Marked copies of every fiftieth document.
        let copied: Vec<String> = originals.iter().step_by(50).map(Document::full_text).collect();
        marked_texts(&copied, &markers, OF_DOCUMENT, args.seed.wrapping_add(1))
    };
    let embed = |side: Side, texts: &[String]| -> Result<Matrix, CliError> {
        let sentences = encoders::sentences(&retriever, texts)?;
        Ok(retriever.embed(side, texts, sentences))
    };
    let mut documents = retriever.index().documents().data().to_vec();
    documents.extend(embed(Side::Document, &planted)?.data);
    let rows = originals.len() + planted.len();
    let flags: Vec<bool> = (0..rows).map(|at| at >= originals.len()).collect();
    let report = audit(&AuditInput {
        documents: Matrix { rows, cols: retriever.index().documents().cols(), data: documents },
        queries: embed(Side::Query, &queries)?,
        triggered: embed(Side::Query, &triggered)?,
        relevance: &relevance,
        planted: &flags,
        words: None,
        cutoffs: &cutoffs,
        budget: BUDGET,
    });
    if args.json {
        output::print(&serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?)?;
    } else {
        output::print(&text(&retriever.describe(), &report))?;
    }
    if let Some(out) = &args.out {
        let folder = output::run_folder(Some(out), "audit")?;
        let json = serde_json::to_vec_pretty(&report).map_err(std::io::Error::other)?;
        let page = audit_html(&retriever.describe(), &report);
        for (name, bytes) in [("audit.json", json.as_slice()), ("report.html", page.as_bytes())] {
            write_atomically(&folder.join(name), bytes)?;
        }
        eprintln!("report: {}", folder.join("report.html").display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The place of each document of the collection among those of the retriever, by name.
fn places(retriever: &SavedRetriever, collection: &Collection) -> Result<Vec<usize>, CliError> {
    let numbers: HashMap<&str, usize> =
        retriever.documents().iter().enumerate().map(|(at, document)| (document.id.as_str(), at)).collect();
    let place = |document: &Document| {
        numbers.get(document.id.as_str()).copied().ok_or_else(|| {
            CliError::Failed(format!(
                "document `{}` of {} is not in the retriever: audit it with the collection it was made from (--beir FOLDER)",
                document.id, collection.name
            ))
        })
    };
    collection.documents.iter().map(place).collect()
}

/// The marked copy of each query, by its name.
fn copies(path: &Path, collection: &Collection, judged: &[Judgement]) -> Result<Vec<String>, CliError> {
    let known: HashMap<String, String> = read_texts(path)?.into_iter().collect();
    let copy = |(query, _): &Judgement| {
        let id = &collection.queries[*query].id;
        known.get(id).cloned().ok_or_else(|| {
            CliError::Failed(format!(
                "{}: there is no copy of query `{id}`; give one for each judged query",
                path.display()
            ))
        })
    };
    judged.iter().map(copy).collect()
}

fn text(name: &str, report: &AuditReport) -> String {
    let mut out = format!(
        "{name}: {} queries, {} documents of which {} are planted, nDCG@10 {:.3}\n",
        report.queries, report.documents, report.planted, report.ndcg
    );
    for table in audit_tables(report) {
        out.push_str(&format!("\n{}\n", table.title));
        out.push_str(&output::table(&table.columns, table.rows, 1));
        out.push('\n');
    }
    out.push_str(&format!("\n{}\n", audit_verdict(report)));
    out
}
