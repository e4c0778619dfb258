use super::compare::{present, unless_stopped};
use super::encoders;
use crate::args::CompareArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::{output, progress};
use contrarian::registry::{ObjectiveSpec, parse_list};
use contrarian_lab::compare::{
    BM25, Comparison, RetrievalCompareConfig, RetrievalProblem, UNTRAINED, compare_retrieval, train_for_search,
};
use contrarian_lab::retrieval::{NegativeStrategy, save_retriever};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// `compare` for retrievers; the best one is trained on all judged queries and saved.
pub fn run(args: &CompareArgs) -> Result<ExitCode, CliError> {
    let given = &args.retrieval;
    let collection = encoders::collection(given.beir.as_deref().expect("only called with it"))?;
    for note in &collection.notes {
        eprintln!("note: {note}");
    }
    let problem = encoders::problem(&collection, given.encoder.as_deref())?;
    let config = configure(args, &problem)?;
    config.check(&problem)?;
    let folder = output::run_folder(args.out.as_deref(), "compare")?;
    let stop = progress::stop_flag();
    let bar = progress::bar(&problem.name);
    let comparison = compare_retrieval(&problem, &config, &|done, total| progress::advance(&bar, done, total), &stop);
    bar.finish_and_clear();
    let Some(comparison) = unless_stopped(comparison, &stop)? else { return Ok(ExitCode::from(INTERRUPTED)) };
    let code = present(args, &folder, &comparison)?;
    if comparison.interrupted {
        return Ok(code);
    }
    if let Some(best) = best(&comparison) {
        let target = folder.join("retriever");
        save(&problem, &config, &best, &target, &collection, &stop)?;
        eprintln!("{best} is saved: contrarian search --model {} \"...\"", target.display());
    }
    Ok(code)
}

/// The first row that is trained.
fn best(comparison: &Comparison) -> Option<ObjectiveSpec> {
    let trained = |name: &&str| ![UNTRAINED, BM25].contains(name);
    comparison.results.iter().map(|row| row.name.as_str()).find(trained)?.parse().ok()
}

fn save(
    problem: &RetrievalProblem,
    config: &RetrievalCompareConfig,
    objective: &ObjectiveSpec,
    folder: &Path,
    collection: &contrarian_lab::retrieval::Collection,
    stop: &AtomicBool,
) -> Result<(), CliError> {
    let trained = train_for_search(problem, config, objective, stop)?;
    let documents = &problem.data.documents;
    let saved =
        save_retriever(folder, collection, &problem.encoding, &trained.retriever, documents, &objective.to_string());
    saved.map_err(|error| CliError::Failed(error.to_string()))
}

fn configure(args: &CompareArgs, problem: &RetrievalProblem) -> Result<RetrievalCompareConfig, CliError> {
    let (budget, given) = (&args.budget, &args.retrieval);
    let unused = [
        ("--tune", args.tune > 0),
        ("--model", budget.model.is_some()),
        ("--epochs (use --steps)", budget.epochs.is_some()),
        ("--patience", budget.patience.is_some()),
        ("--balanced", budget.balanced),
    ];
    if let Some((name, _)) = unused.iter().find(|(_, given)| *given) {
        return Err(CliError::Usage(format!("{name} does not apply to a retriever")));
    }
    let mut config = RetrievalCompareConfig::new(&problem.encoding);
    if let Some(objectives) = &args.objectives {
        config.objectives = parse_list(objectives)?;
    }
    if !given.negatives.is_empty() {
        if args.objectives.is_none() {
            config.objectives = parse_list("mnr, mw, star")?;
        }
        config.objectives = crossed(&config.objectives, &given.negatives)?;
    }
    if let Some(baseline) = &args.baseline {
        config.baseline = baseline.parse()?;
    }
    if let Some(metric) = &budget.metric {
        config.metric.clone_from(metric);
    }
    config.splits = args.seeds;
    config.seed = budget.seed;
    config.budget.steps = given.steps.unwrap_or(config.budget.steps);
    config.budget.batch_size = budget.batch_size.unwrap_or(config.budget.batch_size);
    config.budget.learning_rate = budget.learning_rate.unwrap_or(config.budget.learning_rate);
    config.threads = args.threads.map_or(config.threads, |threads| threads.max(1));
    Ok(config)
}

/// Each objective with each source of negatives; ADORE and those that name theirs stay as they are.
fn crossed(objectives: &[ObjectiveSpec], negatives: &[String]) -> Result<Vec<ObjectiveSpec>, CliError> {
    let names = negatives.iter().map(|name| Ok(name.parse::<NegativeStrategy>()?.name()));
    let names: Vec<&str> = names.collect::<Result<_, CliError>>()?;
    let of_objective = |objective: &ObjectiveSpec| -> Vec<ObjectiveSpec> {
        if objective.name == "adore" || objective.parameters.iter().any(|(name, _)| name == "negatives") {
            return vec![objective.clone()];
        }
        let with = |name: &&str| {
            let mut objective = objective.clone();
            // The batch's own are there without a word.
            if *name != NegativeStrategy::InBatch.name() {
                objective.parameters.push(("negatives".into(), (*name).into()));
            }
            objective
        };
        names.iter().map(with).collect()
    };
    Ok(objectives.iter().flat_map(of_objective).collect())
}
