use super::{compare_embeddings, compare_interactions, compare_retrieval, setup};
use crate::args::{CompareArgs, TaskArg};
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::InvalidParameter;
use contrarian::registry::{ObjectiveSpec, parse_list};
use contrarian_lab::compare::{
    CompareConfig, CompareError, Comparison, ComparisonKind, ObjectiveResult, PairedComparison, Summary, compare,
};
use contrarian_lab::data::Problem;
use contrarian_lab::parallel::available_threads;
use contrarian_lab::report::{answer, write_comparison};
use contrarian_lab::stats::average_ranks;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is compared when nobody says: one of each kind that can help, with the papers' defaults.
const BINARY: &str = "cross-entropy, cross-entropy(class_weights=balanced), focal, brier, gce, comp-sum(tau=1.5), ldr, aldr(normalization=softplus_mean), \
                      dice, tversky(alpha=0.3, beta=0.7), any-loss(metric=f_beta, scale=10), ens-loss, hinge";
const MULTI_CLASS: &str = "cross-entropy, cross-entropy(class_weights=balanced), cross-entropy(label_smoothing=0.1), focal, brier, \
                           gce, comp-sum(tau=1.5), ldr, aldr, multiclass-dice, crammer-singer, weston-watkins";

/// Classes that are listed before the table.
const MOST_CLASSES: usize = 10;

pub fn run(args: &CompareArgs) -> Result<ExitCode, CliError> {
    if args.recommender.interactions.is_some() {
        return compare_interactions::run(args);
    }
    if args.retrieval.beir.is_some() {
        return compare_retrieval::run(args);
    }
    if args.embeddings.embeddings.is_some() || args.embeddings.task == TaskArg::Contrastive {
        return compare_embeddings::run(args);
    }
    if args.embeddings.hold_out.is_some() || args.embeddings.dim.is_some() {
        let reason = "--hold-out and --dim are for a space: add --embeddings FILE, or --images PATH --task contrastive";
        return Err(CliError::Usage(reason.into()));
    }
    let problems = setup::problems(&args.data)?;
    // Everything that can be wrong with the arguments is found before a folder is made or a model trained.
    let configs = problems.iter().map(|problem| configure(args, problem)).collect::<Result<Vec<_>, _>>()?;
    let folder = output::run_folder(args.out.as_deref(), "compare")?;
    let stop = progress::stop_flag();
    let mut comparisons = Vec::new();
    let mut unwritten = None;
    for (index, (problem, config)) in problems.iter().zip(&configs).enumerate() {
        for note in &problem.notes {
            eprintln!("note: {note}");
        }
        let bar = progress::bar(&problem.name);
        let comparison = compare(problem, config, &|done, total| progress::advance(&bar, done, total), &stop);
        bar.finish_and_clear();
        let Some(comparison) = unless_stopped(comparison, &stop)? else { return Ok(ExitCode::from(INTERRUPTED)) };
        // Printed before the files are written: a full disk must not cost the results.
        if !args.json {
            output::print(&text(&comparison))?;
        }
        let own =
            if problems.len() == 1 { folder.clone() } else { folder.join(format!("{}-{}", index + 1, problem.name)) };
        match write_comparison(&own, &comparison) {
            Ok(written) => eprintln!("report: {}", written.html.display()),
            Err(error) => unwritten = unwritten.or(Some(error)),
        }
        comparisons.push(comparison);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    if args.json {
        let json = match &comparisons[..] {
            [one] if problems.len() == 1 => serde_json::to_string_pretty(one),
            all => serde_json::to_string_pretty(all),
        };
        output::print(&json.map_err(std::io::Error::other)?)?;
    } else if comparisons.len() > 1 {
        output::print(&ranks(&comparisons))?;
    }
    match unwritten {
        Some(error) => Err(error.into()),
        None if comparisons.iter().any(|comparison| comparison.interrupted) => Ok(ExitCode::from(INTERRUPTED)),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The comparison; nothing where it was stopped before any fit was finished, which is said.
pub fn unless_stopped(
    comparison: Result<Comparison, CompareError>,
    stop: &AtomicBool,
) -> Result<Option<Comparison>, CliError> {
    match comparison {
        Err(error) if stop.load(Ordering::Relaxed) => {
            eprintln!("contrarian: {error}");
            Ok(None)
        }
        other => Ok(Some(other?)),
    }
}

/// Prints a comparison and writes its files. Printed first: a full disk must not cost the results.
pub fn present(args: &CompareArgs, folder: &Path, comparison: &Comparison) -> Result<ExitCode, CliError> {
    if args.json {
        output::print(&serde_json::to_string_pretty(comparison).map_err(std::io::Error::other)?)?;
    } else {
        output::print(&text(comparison))?;
    }
    let written = write_comparison(folder, comparison)?;
    eprintln!("report: {}", written.html.display());
    Ok(if comparison.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// What to run on one data set, checked.
fn configure(args: &CompareArgs, problem: &Problem) -> Result<CompareConfig, CliError> {
    let binary = problem.classes.len() == 2;
    let objectives = parse_list(args.objectives.as_deref().unwrap_or(if binary { BINARY } else { MULTI_CLASS }))?;
    if let Some(twice) = objectives.iter().enumerate().find(|(i, o)| objectives[..*i].contains(o)) {
        return Err(CliError::Usage(format!("objective `{}` is listed twice", twice.1)));
    }
    if args.seeds == 0 {
        return Err(InvalidParameter::new("seeds", 0, "at least 1").into());
    }
    let mut config = CompareConfig::new(objectives, setup::metric(&args.budget, problem.classes.len())?);
    config.baseline = args.baseline.as_deref().unwrap_or("cross-entropy").parse::<ObjectiveSpec>()?;
    config.splits = args.seeds;
    config.seed = args.budget.seed;
    config.model = setup::architecture(&args.budget, &problem.features, problem.classes.len())?;
    let training_rows = problem.labels.len() as f64 * config.fractions.0;
    config.fit = setup::fit_config(&args.budget, training_rows as usize)?;
    config.tune = args.tune;
    config.threads = args.threads.unwrap_or_else(available_threads).max(1);
    config.check(problem)?;
    Ok(config)
}

/// Ranks of the rows that every data set has, averaged over data sets: one vote a data set, whatever its size.
fn ranks(comparisons: &[Comparison]) -> String {
    let value = |comparison: &Comparison, name: &str| {
        let result = comparison.results.iter().find(|result| result.name == name)?;
        let mean = result.metrics.get(&comparison.settings.metric)?.mean;
        Some(if comparison.settings.higher_is_better { mean } else { -mean })
    };
    let names: Vec<&str> = comparisons[0]
        .results
        .iter()
        .map(|result| result.name.as_str())
        .filter(|name| comparisons.iter().all(|comparison| value(comparison, name).is_some()))
        .collect();
    let blocks: Vec<Vec<f64>> = comparisons
        .iter()
        .map(|comparison| names.iter().filter_map(|name| value(comparison, name)).collect())
        .collect();
    let mut rows: Vec<(f64, &str)> = average_ranks(&blocks, true).into_iter().zip(names).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows = rows.into_iter().map(|(rank, name)| vec![name.to_string(), format!("{rank:.2}")]);
    let table = output::table(&["objective", "average rank"], rows, 1);
    format!("\nranks averaged over {} data sets (1 is best)\n{table}\n", comparisons.len())
}

/// The comparison as text: the data, the table, the answer.
pub fn text(comparison: &Comparison) -> String {
    let data = &comparison.data;
    let settings = &comparison.settings;
    // Many classes would fill the screen; the report has them all.
    let mut classes: Vec<String> =
        data.classes.iter().take(MOST_CLASSES).map(|class| format!("{} {}", class.rows, class.name)).collect();
    if data.classes.len() > MOST_CLASSES {
        classes.push("...".into());
    }
    let positive = data.positive.as_ref().map(|name| format!("; positive: {name}")).unwrap_or_default();
    let of_data = match settings.kind {
        ComparisonKind::Retrieval => format!("{} judged queries, {} documents", data.rows, data.columns),
        ComparisonKind::Recommendation => format!("{} users, {} items", data.rows, data.columns),
        _ => {
            let (features, target, count) = (data.features(), &data.target, data.classes.len());
            format!("{} rows, {features}, `{target}` in {count} classes ({}{positive})", data.rows, classes.join(", "))
        }
    };
    let mut out =
        format!("{}: {of_data}\n{}, {}, {} splits\n", data.name, settings.model, settings.training, settings.splits);
    let metric = settings.metric.as_str();
    let against = |name: &str| format!("vs {name}");
    let baseline = against(&settings.baseline);
    let control = against(settings.kind.control_in_short());
    let mut header = vec!["objective", metric, "95% interval", &baseline, "p (Holm)"];
    if settings.control.is_some() {
        header.extend([&control, "p (Holm)"]);
    }
    header.push("s/fit");
    let rows = comparison.results.iter().map(|result| row(result, metric, settings.control.is_some()));
    out.push_str(&output::table(&header, rows, 1));
    if let Some(control) = &settings.control {
        let (short, what) = (settings.kind.control_in_short(), settings.kind.control());
        out.push_str(&format!("\n{short}: `{control}`, {what}\n"));
    }
    for failure in &comparison.failures {
        out.push_str(&format!("failed: {failure}\n"));
    }
    out.push_str(&format!("\n{}\n", answer(comparison)));
    out.push_str(&format!(
        "\n{:.1} s on {} threads{}\n",
        comparison.seconds,
        comparison.threads,
        comparison.peak_memory.map(|bytes| format!(", peak memory {} MiB", bytes / (1 << 20))).unwrap_or_default(),
    ));
    out
}

fn row(result: &ObjectiveResult, metric: &str, control: bool) -> Vec<String> {
    let number = |summary: Option<&Summary>| summary.map_or("-".into(), |s| format!("{:.3}", s.mean));
    let interval = |summary: Option<&Summary>| summary.map_or("-".into(), |s| format!("{:.3} to {:.3}", s.low, s.high));
    let paired = |test: &Option<PairedComparison>| match test {
        Some(test) => [format!("{:+.3}", test.difference), output::p_value(test.p_holm)],
        None => ["-".into(), "-".into()],
    };
    let summary = result.metrics.get(metric);
    let mut cells = vec![result.name.clone(), number(summary), interval(summary)];
    cells.extend(paired(&result.against_baseline));
    if control {
        cells.extend(paired(&result.against_control));
    }
    cells.push(format!("{:.2}", result.seconds_per_fit));
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use contrarian::registry::TaskContext;

    #[test]
    fn the_default_selections_can_be_built() {
        for (list, counts) in [(BINARY, vec![90, 10]), (MULTI_CLASS, vec![5, 5, 5])] {
            let task = TaskContext { class_counts: counts };
            let objectives = parse_list(list).unwrap();
            assert!(objectives.len() >= 8);
            let built: Result<Vec<_>, _> = objectives.iter().map(|o| o.build(&task)).collect();
            built.unwrap();
        }
    }
}
