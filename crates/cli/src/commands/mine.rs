use super::encoders;
use crate::args::MineArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::progress;
use contrarian::InvalidParameter;
use contrarian_lab::data::Matrix;
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
    let strategy: NegativeStrategy = args.strategy.parse()?;
    if matches!(strategy, NegativeStrategy::InBatch | NegativeStrategy::Refreshed) {
        let reason =
            format!("`{}` negatives are found while training; choose random, bm25, dense or filtered", args.strategy);
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
            lines.push_str(&mined_lines(&plan, &collection, *query, relevance, &negatives));
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
