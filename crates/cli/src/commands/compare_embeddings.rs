use super::compare::{present, unless_stopped};
use super::setup;
use crate::args::{CompareArgs, HoldOutArg, ModelArg, TaskArg};
use crate::error::{CliError, INTERRUPTED};
use crate::{output, progress};
use contrarian::InvalidParameter;
use contrarian::registry::{ObjectiveSpec, parse_list};
use contrarian_lab::augment::ImageAugmentation;
use contrarian_lab::compare::{EmbeddingCompareConfig, EmbeddingProblem, HoldOut, compare_embeddings};
use contrarian_lab::data::{EmbeddingOptions, embedded, load_embeddings};
use contrarian_lab::embedding::UnknownEmbeddingMetric;
use contrarian_lab::model::Architecture;
use std::process::ExitCode;

/// `compare` for embeddings, or for images without labels.
pub fn run(args: &CompareArgs) -> Result<ExitCode, CliError> {
    let problem = problem(args)?;
    let views = problem.images.filter(|_| args.embeddings.task == TaskArg::Contrastive).map(ImageAugmentation::new);
    let config = configure(args, &problem, views.as_ref())?;
    config.check(&problem)?;
    let folder = output::run_folder(args.out.as_deref(), "compare")?;
    for note in &problem.notes {
        eprintln!("note: {note}");
    }
    let stop = progress::stop_flag();
    let bar = progress::bar(&problem.name);
    let comparison = compare_embeddings(&problem, &config, &|done, total| progress::advance(&bar, done, total), &stop);
    bar.finish_and_clear();
    let Some(comparison) = unless_stopped(comparison, &stop)? else { return Ok(ExitCode::from(INTERRUPTED)) };
    present(args, &folder, &comparison)
}

/// The rows: embeddings, or images.
fn problem(args: &CompareArgs) -> Result<EmbeddingProblem, CliError> {
    let given = &args.embeddings;
    if let Some(path) = &given.embeddings {
        if given.task == TaskArg::Contrastive {
            let reason =
                "--task contrastive makes random views of images: add --images PATH, or leave it out for embeddings";
            return Err(CliError::Usage(reason.into()));
        }
        let options = EmbeddingOptions {
            labels: given.labels.clone(),
            target: args.data.target.clone(),
            tensor: given.tensor.clone(),
        };
        return Ok(load_embeddings(path, &options)?.into());
    }
    // Of the embedded sets one has images; it takes the place of the default, a table.
    let default = args.data.images.is_empty() && args.data.data.is_empty() && args.data.dataset == ["winequality"];
    let mut problems = match default {
        true => vec![embedded("glyphs").map_err(|error| CliError::Usage(error.to_string()))?],
        false => setup::problems(&args.data)?,
    };
    let problem = match problems.len() {
        1 => problems.remove(0),
        n => return Err(CliError::Usage(format!("a space is compared on one data set, and {n} are named"))),
    };
    EmbeddingProblem::of_images(problem).ok_or_else(|| {
        CliError::Usage("--task contrastive makes random views of images: give them with --images PATH".into())
    })
}

/// What to run, checked but for what depends on the rows.
fn configure<'a>(
    args: &CompareArgs,
    problem: &EmbeddingProblem,
    views: Option<&'a ImageAugmentation>,
) -> Result<EmbeddingCompareConfig<'a>, CliError> {
    let budget = &args.budget;
    if args.seeds == 0 {
        return Err(InvalidParameter::new("seeds", 0, "at least 1").into());
    }
    let unused =
        [("--tune", args.tune > 0), ("--balanced", budget.balanced), ("--positive", args.data.positive.is_some())];
    if let Some((option, _)) = unused.into_iter().find(|(_, given)| *given) {
        return Err(CliError::Usage(format!("{option} is for classifiers, and here a space is learned")));
    }
    let mut config = EmbeddingCompareConfig::new(problem, views.map(|views| views as _));
    if let Some(list) = &args.objectives {
        config.objectives = parse_list(list)?;
    }
    if let Some(twice) = config.objectives.iter().enumerate().find(|(i, o)| config.objectives[..*i].contains(o)) {
        return Err(CliError::Usage(format!("objective `{}` is listed twice", twice.1)));
    }
    if let Some(baseline) = &args.baseline {
        config.baseline = baseline.parse::<ObjectiveSpec>()?;
    }
    if let Some(name) = &budget.metric {
        config.metric = name.parse().map_err(|error: UnknownEmbeddingMetric| CliError::Usage(error.to_string()))?;
    }
    let layers = budget.depth.is_some() || budget.width.is_some() || budget.dropout.is_some();
    match budget.model {
        Some(ModelArg::Cnn) => config.model = Architecture::Cnn,
        None if problem.images.is_some() => {}
        _ => {
            config.model = Architecture::Mlp {
                depth: budget.depth.unwrap_or(0),
                width: budget.width.unwrap_or(64),
                dropout: budget.dropout.unwrap_or(0.0),
            };
        }
    }
    if layers && config.model == Architecture::Cnn {
        let reason = "--depth, --width and --dropout are settings of the mlp, and a cnn is trained: add --model mlp";
        return Err(CliError::Usage(reason.into()));
    }
    match args.embeddings.hold_out {
        Some(HoldOutArg::Rows) => config.hold_out = HoldOut::Rows,
        Some(HoldOutArg::Classes) => config.hold_out = HoldOut::Classes,
        None => {}
    }
    let batch_size = budget.batch_size.unwrap_or(config.fit.batch_size);
    config.fit = setup::fit_config_within(budget, batch_size, config.budget_for(problem, batch_size))?;
    config.splits = args.seeds;
    config.seed = budget.seed;
    config.dim = args.embeddings.dim.unwrap_or(config.dim);
    config.threads = args.threads.map_or(config.threads, |threads| threads.max(1));
    Ok(config)
}
