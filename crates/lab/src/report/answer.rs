use super::{
    chart::shorten,
    number::{decimals_for, fixed, list, p_phrase, plural},
};
use crate::compare::{Comparison, ComparisonKind, ObjectiveResult, PairedComparison, Summary};

/// Below this the corrected p-value counts as a real difference.
pub(super) const LEVEL: f64 = 0.05;
/// Names a sentence lists before it only counts.
const MOST_NAMES: usize = 5;

/// The verdict of a comparison in plain sentences: who is best, whether that is a real gain over the baseline, and
/// whether it is one over the honest control.
pub fn answer(comparison: &Comparison) -> String {
    answer_sentences(comparison).join(" ")
}

/// The parts of [`answer`]: the ranking, the baseline, the control, and what limits them, in this order.
pub fn answer_sentences(comparison: &Comparison) -> Vec<String> {
    let settings = &comparison.settings;
    let metric = &settings.metric;
    let scored: Vec<&ObjectiveResult> =
        comparison.results.iter().filter(|row| score(comparison, row).is_some()).collect();
    let mut sentences = Vec::new();
    if let Some(best) = scored.first() {
        sentences.push(ranking(comparison, best, scored.len()));
        sentences.extend(against_baseline(comparison, best));
        sentences.extend(against_control(comparison, best));
    } else {
        sentences.push(format!("No objective gave a usable {metric}, so there is nothing to compare."));
    }
    let limits = limits(comparison);
    if !limits.is_empty() {
        sentences.push(limits.join(" "));
    }
    sentences
}

/// The summary of the metric that ranks, where it is a number.
pub(super) fn score<'a>(comparison: &Comparison, row: &'a ObjectiveResult) -> Option<&'a Summary> {
    row.metrics.get(&comparison.settings.metric).filter(|summary| summary.mean.is_finite())
}

/// Decimals for the metric that ranks.
pub(super) fn metric_decimals(comparison: &Comparison) -> usize {
    let rows = comparison.results.iter().filter_map(|row| score(comparison, row));
    decimals_for(rows.map(|summary| (summary.high - summary.low) / 2.0))
}

/// Splits that gave results: fewer than planned when the run was stopped.
pub(super) fn finished_splits(comparison: &Comparison) -> usize {
    let values = comparison.results.iter().flat_map(|row| row.metrics.values()).map(|summary| summary.values.len());
    values.max().unwrap_or(0)
}

pub(super) fn is_control(comparison: &Comparison, row: &ObjectiveResult) -> bool {
    comparison.settings.control.as_ref() == Some(&row.name)
}

pub(super) fn is_baseline(comparison: &Comparison, row: &ObjectiveResult) -> bool {
    comparison.settings.baseline == row.name
}

/// Whether a row is an objective to judge, neither the baseline nor the control.
fn is_method(comparison: &Comparison, row: &ObjectiveResult) -> bool {
    !is_baseline(comparison, row) && !is_control(comparison, row)
}

/// Whether the difference is in the better direction.
fn improves(comparison: &Comparison, paired: &PairedComparison) -> bool {
    if comparison.settings.higher_is_better { paired.difference > 0.0 } else { paired.difference < 0.0 }
}

/// A difference in the better direction that holds after Holm's correction.
pub(super) fn reliably_better(comparison: &Comparison, paired: Option<&PairedComparison>) -> bool {
    paired.is_some_and(|paired| paired.p_holm < LEVEL && improves(comparison, paired))
}

/// The same in the worse direction.
pub(super) fn reliably_worse(comparison: &Comparison, paired: Option<&PairedComparison>) -> bool {
    paired.is_some_and(|paired| paired.p_holm < LEVEL && paired.difference != 0.0 && !improves(comparison, paired))
}

fn ranking(comparison: &Comparison, best: &ObjectiveResult, rows: usize) -> String {
    let decimals = metric_decimals(comparison);
    let metric = &comparison.settings.metric;
    let Some(summary) = score(comparison, best) else {
        return String::new();
    };
    let direction = if comparison.settings.higher_is_better { "" } else { ", where lower is better" };
    let interval = if summary.low.is_finite() && summary.high.is_finite() {
        format!(" (95% interval {} to {})", fixed(summary.low, decimals), fixed(summary.high, decimals))
    } else {
        String::new()
    };
    let mean = fixed(summary.mean, decimals);
    let splits = plural(summary.values.len(), "split", "splits");
    let name = short(&best.name);
    if rows == 1 {
        return format!("{name} reaches a mean {metric} of {mean}{interval} over {splits}{direction}.");
    }
    let role = match (is_baseline(comparison, best), is_control(comparison, best)) {
        (true, _) => ", the baseline,",
        (_, true) => ", the control,",
        _ => "",
    };
    format!("{name}{role} has the best mean {metric}, {mean}{interval} over {splits}{direction}.")
}

/// What the tests against one row say: who is tested, who is better and who is worse.
struct Tests<'a> {
    tested: usize,
    better: Vec<&'a str>,
    worse: Vec<&'a str>,
}

fn tests(comparison: &Comparison, pick: impl Fn(&ObjectiveResult) -> Option<&PairedComparison>) -> Tests<'_> {
    let mut found = Tests { tested: 0, better: Vec::new(), worse: Vec::new() };
    for row in comparison.results.iter().filter(|row| is_method(comparison, row)) {
        let Some(paired) = pick(row).filter(|paired| paired.p_holm.is_finite()) else {
            continue;
        };
        found.tested += 1;
        if reliably_better(comparison, Some(paired)) {
            found.better.push(&row.name);
        } else if reliably_worse(comparison, Some(paired)) {
            found.worse.push(&row.name);
        }
    }
    found
}

fn against_baseline(comparison: &Comparison, best: &ObjectiveResult) -> Option<String> {
    let name = short(&comparison.settings.baseline);
    let found = tests(comparison, |row| row.against_baseline.as_ref());
    if found.tested == 0 {
        let others = comparison.results.iter().any(|row| is_method(comparison, row));
        return others.then(|| {
            format!("Nothing could be tested against the baseline {name}, so chance may explain any difference.")
        });
    }
    let mut sentences = Vec::new();
    let mut other = format!("the baseline {name}");
    if let Some(lead) = lead_over(comparison, &other, best.against_baseline.as_ref()) {
        sentences.push(format!("It is {lead}"));
        "the baseline".clone_into(&mut other);
    }
    sentences.extend(verdict(&found, best, &other));
    if !found.worse.is_empty() {
        let are = if found.worse.len() == 1 { "is" } else { "are" };
        sentences.push(format!("{} {are} reliably worse than it.", names(&found.worse)));
    }
    Some(sentences.join(" "))
}

fn against_control(comparison: &Comparison, best: &ObjectiveResult) -> Option<String> {
    let name = short(comparison.settings.control.as_ref()?);
    let found = tests(comparison, |row| row.against_control.as_ref());
    if found.tested == 0 {
        return None;
    }
    let mut sentences = Vec::new();
    let mut other = format!("the control ({name})");
    if let Some(lead) = lead_over(comparison, &other, best.against_control.as_ref()) {
        sentences.push(format!("{} is {lead}", short(&best.name)));
        "the control".clone_into(&mut other);
    }
    sentences.extend(verdict(&found, best, &other));
    if found.better.is_empty() {
        let more_than = match comparison.settings.kind {
            ComparisonKind::Classification => {
                "another objective gains more than choosing the baseline's decision threshold on validation does"
            }
            ComparisonKind::Embedding => "training helps at all",
            ComparisonKind::Retrieval => "a trained retriever finds more than words in common do",
            ComparisonKind::Recommendation => "a trained recommender is better than showing everybody the same",
        };
        sentences.push(format!("So these results do not show that {more_than}."));
    }
    Some(sentences.join(" "))
}

/// How far the best row is ahead, and whether that is real; `None` where the best row is the one tested against.
fn lead_over(comparison: &Comparison, other: &str, paired: Option<&PairedComparison>) -> Option<String> {
    let paired = paired.filter(|paired| paired.difference.is_finite())?;
    let shown = fixed(paired.difference.abs(), metric_decimals(comparison));
    let side = if paired.difference < 0.0 { "below" } else { "above" };
    let test = format!("{} after Holm's correction", p_phrase(paired.p_holm));
    let judged = if !paired.p_holm.is_finite() {
        "which could not be tested".to_owned()
    } else if reliably_better(comparison, Some(paired)) {
        format!("a difference that holds up ({test})")
    } else {
        format!("a difference that chance can explain ({test})")
    };
    Some(format!("{shown} {side} {other}, {judged}."))
}

/// Which objectives are reliably better; nothing where that would only repeat what was said of the best one.
fn verdict(found: &Tests<'_>, best: &ObjectiveResult, other: &str) -> Option<String> {
    let rest: Vec<&str> = found.better.iter().copied().filter(|name| *name != best.name).collect();
    let are = if rest.len() == 1 { "is" } else { "are" };
    if found.better.is_empty() {
        Some(format!("No objective is reliably better than {other}."))
    } else if rest.len() == found.better.len() {
        Some(format!("Reliably better than {other} {are} {}.", names(&rest)))
    } else if !rest.is_empty() {
        Some(format!("{} {are} reliably better than {other} too.", names(&rest)))
    } else if found.tested > 1 {
        Some(format!("No other objective is reliably better than {other}."))
    } else {
        None
    }
}

/// A name in a sentence; the tables have it in full.
fn short(name: &str) -> String {
    shorten(name, 48)
}

fn names(full: &[&str]) -> String {
    let short: Vec<String> = full.iter().map(|name| short(name)).collect();
    list(&short.iter().map(String::as_str).collect::<Vec<_>>(), MOST_NAMES)
}

fn limits(comparison: &Comparison) -> Vec<String> {
    let mut sentences = Vec::new();
    let finished = finished_splits(comparison);
    if comparison.interrupted {
        let planned = comparison.settings.splits;
        let reached = if finished < planned {
            format!(", with results from {finished} of {}", plural(planned, "split", "splits"))
        } else {
            String::new()
        };
        sentences.push(format!("The run was stopped early{reached}: treat this as preliminary."));
    }
    if !comparison.failures.is_empty() {
        let mut failed: Vec<&str> = comparison.failures.iter().map(|failure| failure.objective.as_str()).collect();
        failed.sort_unstable();
        failed.dedup();
        let fits = plural(comparison.failures.len(), "fit", "fits");
        sentences.push(format!("{fits} gave no result ({}).", names(&failed)));
    }
    if finished == 1 {
        sentences.push("One split cannot show how much chance there is in these numbers.".to_owned());
    }
    sentences
}
