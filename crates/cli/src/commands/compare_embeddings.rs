use super::compare::text;
use super::setup;
use crate::args::{CompareArgs, HoldOutArg, ModelArg, TaskArg};
use crate::error::{CliError, INTERRUPTED};
use crate::{output, progress};
use contrarian::InvalidParameter;
use contrarian::registry::{EMBEDDING_OBJECTIVES, EmbeddingTask, ObjectiveSpec, parse_list};
use contrarian_lab::augment::ImageAugmentation;
use contrarian_lab::compare::{EmbeddingCompareConfig, EmbeddingProblem, HoldOut, compare_embeddings};
use contrarian_lab::data::{EmbeddingOptions, Features, embedded, load_embeddings};
use contrarian_lab::embedding::{EmbeddingMetric, UnknownEmbeddingMetric};
use contrarian_lab::model::Architecture;
use contrarian_lab::parallel::available_threads;
use contrarian_lab::report::write_comparison;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// From this many classes on whole classes are held out when nobody says.
const MANY_CLASSES: usize = 20;

/// Fewest steps of a fit by default: a step of a projection is cheap, one of a network over two views of images is not.
const STEPS: usize = 600;
const STEPS_OF_IMAGES: usize = 150;
/// Fewest steps without a better score before a fit stops.
const PATIENCE_STEPS: usize = 120;

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
    let comparison = match comparison {
        Err(error) if stop.load(Ordering::Relaxed) => {
            eprintln!("contrarian: {error}");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        other => other?,
    };
    // Printed before the files are written: a full disk must not cost the results.
    if args.json {
        output::print(&serde_json::to_string_pretty(&comparison).map_err(std::io::Error::other)?)?;
    } else {
        output::print(&text(&comparison))?;
    }
    let written = write_comparison(&folder, &comparison)?;
    eprintln!("report: {}", written.html.display());
    Ok(if comparison.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
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
    let mut problems = if args.data.images.is_empty() {
        // Two views are of images; of the embedded sets one has some.
        let name = if args.data.data.is_empty() { "glyphs" } else { "" };
        let images = embedded(name).map_err(|_| {
            CliError::Usage("--task contrastive makes random views of images: give them with --images PATH".into())
        })?;
        vec![images]
    } else {
        setup::problems(&args.data)?
    };
    let problem = match problems.len() {
        1 => problems.remove(0),
        n => return Err(CliError::Usage(format!("a space is compared on one data set, and {n} are named"))),
    };
    let Features::Images(images) = problem.features else { unreachable!("images were asked for") };
    Ok(EmbeddingProblem {
        name: problem.name,
        images: Some(images.shape),
        x: images.pixels,
        labels: problem.labels,
        classes: problem.classes,
        notes: problem.notes,
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
    let objectives = match &args.objectives {
        Some(list) => parse_list(list)?,
        None => every_objective(views.is_some()),
    };
    if let Some(twice) = objectives.iter().enumerate().find(|(i, o)| objectives[..*i].contains(o)) {
        return Err(CliError::Usage(format!("objective `{}` is listed twice", twice.1)));
    }
    let metric: EmbeddingMetric = match &budget.metric {
        Some(name) => name.parse().map_err(|error: UnknownEmbeddingMetric| CliError::Usage(error.to_string()))?,
        None => EmbeddingMetric::MapAtR,
    };
    let usual = if problem.images.is_some() { ModelArg::Cnn } else { ModelArg::Mlp };
    let model = match budget.model.unwrap_or(usual) {
        // A projection of embeddings is linear unless layers are asked for.
        ModelArg::Mlp => Architecture::Mlp {
            depth: budget.depth.unwrap_or(0),
            width: budget.width.unwrap_or(64),
            dropout: budget.dropout.unwrap_or(0.0),
        },
        ModelArg::Cnn => Architecture::Cnn,
    };
    let hold_out = match args.embeddings.hold_out {
        Some(HoldOutArg::Classes) => HoldOut::Classes,
        None if problem.classes.len() >= MANY_CLASSES => HoldOut::Classes,
        Some(HoldOutArg::Rows) | None => HoldOut::Rows,
    };
    let fractions = (0.6, 0.2, 0.2);
    let batch_size = budget.batch_size.unwrap_or(128);
    let steps = ((problem.labels.len() as f64 * fractions.0) as usize / batch_size.max(1)).max(1);
    let fewest = if problem.images.is_some() { STEPS_OF_IMAGES } else { STEPS };
    let defaults = (fewest.div_ceil(steps).max(20), PATIENCE_STEPS.div_ceil(steps).max(5));
    let baseline = args.baseline.as_deref().unwrap_or(if views.is_some() { "info-nce" } else { "triplet" });
    Ok(EmbeddingCompareConfig {
        objectives,
        baseline: baseline.parse::<ObjectiveSpec>()?,
        metric,
        splits: args.seeds,
        fractions,
        hold_out,
        seed: budget.seed,
        model,
        dim: args.embeddings.dim.unwrap_or(64),
        fit: setup::fit_config_within(budget, batch_size, defaults)?,
        views: views.map(|views| views as _),
        threads: args.threads.unwrap_or_else(available_threads).max(1),
    })
}

/// Every registered objective that can be trained, with its defaults; for views those without class weights.
fn every_objective(views: bool) -> Vec<ObjectiveSpec> {
    let spec = |name: &str| ObjectiveSpec { name: name.into(), parameters: Vec::new() };
    let fits = |spec: &ObjectiveSpec| {
        spec.build_embedding().is_ok_and(|task: EmbeddingTask| !views || !task.needs_class_weights())
    };
    EMBEDDING_OBJECTIVES.iter().map(|entry| spec(entry.name)).filter(fits).collect()
}
