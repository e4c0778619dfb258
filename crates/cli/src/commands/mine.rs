use super::encoders;
use crate::args::MineArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::progress;
use contrarian::InvalidParameter;
use contrarian_lab::data::Matrix;
use contrarian_lab::mining::{
    ChatConfig, ChatGenerator, GeneratorError, RecordedGenerator, TemplateGeneratorConfig, TextGenerator, TextRequest,
};
use contrarian_lab::retrieval::{
    Bm25Config, Bm25Index, Collection, DEFAULT_MAX_RATIO, Document, ExactIndex, Hit, MinedFile, MinedFormat,
    MiningPlan, NegativeStrategy, SavedRetriever, Side, Vocabulary, choose_negatives, mined_lines,
};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Queries between two notes of progress on disk.
const CHUNK: usize = 64;
/// Documents looked at beyond those asked for: known relevant ones and filtered ones are left out.
const BEYOND: usize = 100;

pub fn run(args: &MineArgs) -> Result<ExitCode, CliError> {
    if args.strategy == GENERATED {
        return generated(args);
    }
    let strategy: NegativeStrategy = args.strategy.parse()?;
    if matches!(strategy, NegativeStrategy::InBatch | NegativeStrategy::Refreshed | NegativeStrategy::Clustered) {
        let reason = format!(
            "`{}` negatives are found while training; choose random, bm25, dense, filtered or generated",
            args.strategy
        );
        return Err(CliError::Usage(reason));
    }
    let format: MinedFormat = args.format.parse().map_err(CliError::Usage)?;
    if args.count == 0 {
        return Err(InvalidParameter::new("count", 0, "at least 1").into());
    }
    let collection = encoders::collection(args.beir.as_deref().expect("clap asks for it"))?;
    for note in &collection.notes {
        eprintln!("note: {note}");
    }
    let encoder = args
        .model
        .as_ref()
        .map_or_else(|| args.encoder.clone().unwrap_or_else(|| "static".into()), |folder| folder.display().to_string());
    let plan = MiningPlan {
        strategy: strategy.name().into(),
        count: args.count,
        pool: args.pool.unwrap_or(args.count),
        max_ratio: (strategy == NegativeStrategy::Filtered).then_some(DEFAULT_MAX_RATIO),
        format,
        seed: args.seed,
        source: format!("{} with {encoder}", collection.name),
    };
    let judged = collection.judged();
    let failed = |error: std::io::Error| CliError::Failed(format!("cannot write {}: {error}", args.out.display()));
    let mut file = MinedFile::open(&args.out, &plan).map_err(failed)?;
    let first = file.queries_done().min(judged.len());
    if first > 0 {
        eprintln!("note: {first} of {} queries are done already; going on", judged.len());
    }
    let search = Search::prepare(args, strategy, &collection)?;
    let stop = progress::stop_flag();
    let bar = progress::bar("mining");
    let mut without = 0;
    for start in (first..judged.len()).step_by(CHUNK) {
        if stop.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            eprintln!("stopped after {start} of {} queries; the same command goes on", judged.len());
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let chunk = &judged[start..judged.len().min(start + CHUNK)];
        let queries: Vec<usize> = chunk.iter().map(|(query, _)| *query).collect();
        let found = search.find(&collection, &queries, plan.pool + BEYOND);
        let mut lines = String::new();
        for ((query, relevance), hits) in chunk.iter().zip(&found) {
            let negatives = choose_negatives(&plan, *query, hits, relevance, collection.documents.len());
            without += usize::from(negatives.is_empty());
            let texts: Vec<String> = negatives.iter().map(|&at| collection.documents[at].full_text()).collect();
            lines.push_str(&mined_lines(&plan, &collection, *query, relevance, &texts));
        }
        file.add(&lines, chunk.len()).map_err(failed)?;
        progress::advance(&bar, start + chunk.len(), judged.len());
    }
    bar.finish_and_clear();
    file.finish().map_err(failed)?;
    if without > 0 {
        eprintln!("note: {without} queries have no negative by this strategy and no line");
    }
    eprintln!("{} queries, {} negatives each: {}", judged.len(), args.count, args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// Negatives that are written instead of found: by a template, from texts that are there, or by a language model behind an endpoint.
fn generated(args: &MineArgs) -> Result<ExitCode, CliError> {
    let collection = encoders::collection(args.beir.as_deref().expect("clap asks for it"))?;
    let format: MinedFormat = args.format.parse().map_err(CliError::Usage)?;
    let stop = progress::stop_flag();
    let failed = |error: GeneratorError| CliError::Failed(error.to_string());
    let (generator, source): (Box<dyn TextGenerator>, String) = match (&args.texts, &args.endpoint) {
        (Some(path), _) => (Box::new(RecordedGenerator::open(path).map_err(failed)?), path.display().to_string()),
        (None, Some(endpoint)) => {
            let model = args.llm.as_deref().expect("clap asks for it");
            let mut config = ChatConfig::new(endpoint, model);
            config.key_variable.clone_from(&args.key_variable);
            let answers = args.out.with_extension("answers.jsonl");
            (
                Box::new(ChatGenerator::open(config, &answers, stop.clone()).map_err(failed)?),
                format!("{model} at {endpoint}"),
            )
        }
        (None, None) => {
            let queries = collection.queries.iter().map(|query| query.text.as_str());
            let config = TemplateGeneratorConfig::new().with_seed(args.seed);
            (Box::new(config.init(queries)), "template".into())
        }
    };
    let plan = MiningPlan {
        strategy: GENERATED.into(),
        count: 1,
        pool: 1,
        max_ratio: None,
        format,
        seed: args.seed,
        source: format!("{} by {source}", collection.name),
    };
    let judged = collection.judged();
    let unwritten = |error: std::io::Error| CliError::Failed(format!("cannot write {}: {error}", args.out.display()));
    let mut file = MinedFile::open(&args.out, &plan).map_err(unwritten)?;
    let bar = progress::bar("writing");
    let first = file.queries_done().min(judged.len());
    let mut without = 0;
    for (at, (query, relevance)) in judged.iter().enumerate().skip(first) {
        let asked = &collection.queries[*query];
        let positive = relevance.documents().next().map(|document| collection.documents[document].full_text());
        let request = TextRequest { query_id: asked.id.clone(), query: asked.text.clone(), positive };
        let text = match generator.generate(&request) {
            Ok(text) => vec![text],
            Err(GeneratorError::Stopped { .. }) => {
                bar.finish_and_clear();
                eprintln!(
                    "stopped after {at} of {} queries; the same command goes on, and asks for nothing again",
                    judged.len()
                );
                return Ok(ExitCode::from(INTERRUPTED));
            }
            // An answer that is none costs its query alone; what ends all else ends the run, with all answers kept.
            Err(error @ (GeneratorError::Empty { .. } | GeneratorError::Unreadable { .. })) => {
                bar.suspend(|| eprintln!("note: {error}; the query is left out"));
                without += 1;
                Vec::new()
            }
            Err(error) => {
                bar.finish_and_clear();
                return Err(CliError::Failed(format!(
                    "{error}; {at} of {} queries are done and kept, and the same command goes on",
                    judged.len()
                )));
            }
        };
        file.add(&mined_lines(&plan, &collection, *query, relevance, &text), 1).map_err(unwritten)?;
        progress::advance(&bar, at + 1, judged.len());
    }
    bar.finish_and_clear();
    file.finish().map_err(unwritten)?;
    eprintln!("{} queries, {without} without a text: {}", judged.len(), args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// The strategy whose negatives are written.
const GENERATED: &str = "generated";

/// What finds candidates.
enum Search {
    /// Any document will do.
    Nothing,
    Words(Bm25Index, Vocabulary),
    /// An index, and the vectors of all queries.
    Vectors(ExactIndex, Matrix),
}

impl Search {
    fn prepare(args: &MineArgs, strategy: NegativeStrategy, collection: &Collection) -> Result<Self, CliError> {
        match strategy {
            NegativeStrategy::Random => return Ok(Self::Nothing),
            NegativeStrategy::Bm25 => {
                let texts: Vec<String> = collection.documents.iter().map(Document::full_text).collect();
                let words = Vocabulary::learn(texts.iter().map(String::as_str), 1, false);
                let encoded: Vec<Vec<u32>> = texts.iter().map(|text| words.encode(text)).collect();
                return Ok(Self::Words(Bm25Config::new().build(&encoded), words));
            }
            _ => {}
        }
        let (documents, queries) = if let Some(folder) = &args.model {
            of_model(folder, collection)?
        } else {
            let problem = encoders::problem(collection, args.encoder.as_deref())?;
            let retriever = problem.encoding.untrained(args.seed);
            let embed = |side, texts| retriever.embed(side, texts);
            (embed(Side::Document, &problem.data.documents), embed(Side::Query, &problem.data.queries))
        };
        Ok(Self::Vectors(ExactIndex::new(documents), queries))
    }

    /// The best documents of some queries.
    fn find(&self, collection: &Collection, queries: &[usize], k: usize) -> Vec<Vec<Hit>> {
        match self {
            Self::Nothing => vec![Vec::new(); queries.len()],
            Self::Words(index, words) => {
                let top = |&query: &usize| index.top(&words.encode(&collection.queries[query].text), k, &[]);
                queries.iter().map(top).collect()
            }
            Self::Vectors(index, vectors) => index.search(&vectors.gather(queries), k),
        }
    }
}

/// Vectors of documents and queries by a saved retriever.
fn of_model(folder: &Path, collection: &Collection) -> Result<(Matrix, Matrix), CliError> {
    let retriever = SavedRetriever::load(folder)?;
    let embed = |side: Side, texts: Vec<String>| -> Result<Matrix, CliError> {
        let sentences = encoders::sentences(&retriever, &texts)?;
        Ok(retriever.embed(side, &texts, sentences))
    };
    let documents = collection.documents.iter().map(Document::full_text).collect();
    let queries = collection.queries.iter().map(|query| query.text.clone()).collect();
    Ok((embed(Side::Document, documents)?, embed(Side::Query, queries)?))
}
