use super::compare::{present, unless_stopped};
use crate::args::{CompareArgs, GENERATED};
use crate::error::{CliError, INTERRUPTED};
use crate::{output, progress};
use contrarian::registry::parse_list;
use contrarian_lab::compare::{RecommenderCompareConfig, compare_recommenders};
use contrarian_lab::recommend::{Interactions, TasteWorld, load_interactions};
use std::process::ExitCode;

/// `compare` for recommenders.
pub fn run(args: &CompareArgs) -> Result<ExitCode, CliError> {
    let interactions = interactions(args)?;
    for note in &interactions.notes {
        eprintln!("note: {note}");
    }
    let config = configure(args)?;
    config.check(&interactions)?;
    let folder = output::run_folder(args.out.as_deref(), "compare")?;
    let stop = progress::stop_flag();
    let bar = progress::bar(&interactions.name);
    let comparison =
        compare_recommenders(&interactions, &config, &|done, total| progress::advance(&bar, done, total), &stop);
    bar.finish_and_clear();
    let Some(comparison) = unless_stopped(comparison, &stop)? else { return Ok(ExitCode::from(INTERRUPTED)) };
    present(args, &folder, &comparison)
}

/// Those of the file, or generated tastes.
fn interactions(args: &CompareArgs) -> Result<Interactions, CliError> {
    let path = args.recommender.interactions.as_deref().expect("only called with it");
    if path.as_os_str() != GENERATED || path.exists() {
        return Ok(load_interactions(path)?);
    }
    let world = TasteWorld::generate(300, 300, 0);
    let of_user = world.train.into_iter().zip(world.test).map(|(train, test)| [train, test].concat()).collect();
    Ok(Interactions { name: "generated".into(), items: world.items, of_user, notes: Vec::new() })
}

fn configure(args: &CompareArgs) -> Result<RecommenderCompareConfig, CliError> {
    let budget = &args.budget;
    let unused = [
        ("--tune", args.tune > 0),
        ("--model", budget.model.is_some()),
        ("--patience", budget.patience.is_some()),
        ("--balanced", budget.balanced),
    ];
    if let Some((name, _)) = unused.iter().find(|(_, given)| *given) {
        return Err(CliError::Usage(format!("{name} does not apply to a recommender")));
    }
    let mut config = RecommenderCompareConfig::default();
    if let Some(objectives) = &args.objectives {
        config.objectives = parse_list(objectives)?;
    }
    if let Some(baseline) = &args.baseline {
        config.baseline = baseline.parse()?;
    }
    if let Some(metric) = &budget.metric {
        config.metric.clone_from(metric);
    }
    config.splits = args.seeds;
    config.seed = budget.seed;
    config.noise = args.recommender.noise;
    config.factors.dim = args.embeddings.dim.unwrap_or(config.factors.dim);
    config.factors.epochs = budget.epochs.unwrap_or(config.factors.epochs);
    config.factors.batch_size = budget.batch_size.unwrap_or(config.factors.batch_size);
    config.factors.learning_rate = budget.learning_rate.unwrap_or(config.factors.learning_rate);
    config.threads = args.threads.map_or(config.threads, |threads| threads.max(1));
    Ok(config)
}
