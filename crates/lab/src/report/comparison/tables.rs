use super::View;
use crate::{
    compare::{Comparison, ComparisonKind, ObjectiveResult, PairedComparison, Summary},
    report::{
        answer::{LEVEL, reliably_better, reliably_worse},
        number::{MISSING, count, decimals_for, fixed, interval, p_value, percent, rate, seconds, signed},
        table::{Cell, Table},
    },
};
use maud::{Markup, Render, html};
use std::collections::{BTreeMap, BTreeSet};

/// Metrics a reader asks for first, as letters and digits only, since spellings differ.
const MAIN: [&str; 12] = [
    "f1",
    "macrof1",
    "mcc",
    "balancedaccuracy",
    "accuracy",
    "rocauc",
    "auc",
    "prauc",
    "averageprecision",
    "logloss",
    "brier",
    "ece",
];
/// Other metrics beside the one that ranks.
const BESIDE: usize = 3;

type Metrics = BTreeMap<String, Summary>;

/// The table of all rows: the metric, its tests, other main metrics and the cost.
pub(super) fn ranking(view: &View<'_>) -> Table {
    let comparison = view.comparison;
    let settings = &comparison.settings;
    let control = settings.control.is_some();
    let beside = main_metrics(comparison);
    let decimals: Vec<usize> = beside.iter().map(|name| column_decimals(view, name, |row| &row.metrics)).collect();
    let caption = format!(
        "Best first by {} on test data; {} is better. Differences in bold are reliable (p < {LEVEL} after Holm's correction).",
        settings.metric,
        if settings.higher_is_better { "higher" } else { "lower" },
    );
    let mut table =
        Table::new(caption).number("#").name("Objective").number(settings.metric.as_str()).number("To baseline");
    if control {
        table = table.number("To control");
    }
    for name in &beside {
        table = table.number(*name);
    }
    table = table.number("Mean rank").number("Time a fit").number("Steps/s").number("Epochs");
    for (index, (row, _)) in view.rows.iter().enumerate() {
        let mut cells = vec![
            Cell::new((index + 1).to_string()),
            Cell::new(row.name.as_str()),
            summary_cell(row.metrics.get(&settings.metric), view.decimals),
            difference(view, row.against_baseline.as_ref()),
        ];
        if control {
            cells.push(difference(view, row.against_control.as_ref()));
        }
        for (name, digits) in beside.iter().zip(&decimals) {
            let mean = row.metrics.get(*name).map_or(f64::NAN, |summary| summary.mean);
            cells.push(Cell::new(fixed(mean, *digits)));
        }
        cells.extend([
            Cell::new(fixed(row.mean_rank, 1)),
            Cell::new(seconds(row.seconds_per_fit)),
            Cell::new(rate(row.steps_per_second)),
            Cell::new(fixed(row.epochs, 0)),
        ]);
        table = match view.mark(row) {
            Some(mark) => table.marked_row(cells, mark),
            None => table.row(cells),
        };
    }
    table
}

/// All metrics of all rows, at each decision rule.
pub(super) fn every_metric(view: &View<'_>) -> Markup {
    let binary = view.comparison.data.classes.len() == 2;
    let plain = if view.comparison.settings.kind == ComparisonKind::Retrieval {
        "On test queries, over all documents. AUROC is of the scores of relevant against other documents among those found, of all \
         queries in one pool; the calibration gap is what is lost by it against one threshold a query. Mean over splits, 95% \
         interval below."
    } else if view.comparison.settings.kind == ComparisonKind::Recommendation {
        "Held-out items of each user among the first 20, training items left out. Mean over splits, 95% interval below."
    } else if view.comparison.settings.kind == ComparisonKind::Embedding {
        "On test rows. Mean over splits, 95% interval below. Uniformity and tolerance describe a space, neither is better \
         high or low."
    } else if binary {
        "Deciding at one half (a row marked control: at its threshold chosen on validation). Mean over splits, 95% interval \
         below."
    } else {
        "Deciding for the class with the largest probability. Mean over splits, 95% interval below."
    };
    let tuned = "Deciding at the threshold chosen on validation. Mean over splits, 95% interval below.";
    let first = metric_table(view, plain, |row| &row.metrics);
    let second = metric_table(view, tuned, |row| {
        // A row that decides there anyway holds its numbers in the other place.
        let elsewhere = row.tuned_threshold && row.metrics_at_tuned_threshold.is_empty();
        if elsewhere { &row.metrics } else { &row.metrics_at_tuned_threshold }
    });
    let has_tuned = view.comparison.results.iter().any(|row| !row.metrics_at_tuned_threshold.is_empty());
    html! { (first) @if has_tuned { (second) } }
}

fn metric_table(view: &View<'_>, caption: &str, pick: fn(&ObjectiveResult) -> &Metrics) -> Table {
    let names: BTreeSet<&str> =
        view.comparison.results.iter().flat_map(|row| pick(row).keys().map(String::as_str)).collect();
    let ranked = view.comparison.settings.metric.as_str();
    // The metric that ranks comes first; the others follow by name.
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| *name != ranked);
    let mut table = Table::new(caption).name("Objective");
    for name in &names {
        table = table.number(*name);
    }
    let decimals: Vec<usize> = names.iter().map(|name| column_decimals(view, name, pick)).collect();
    for (row, _) in view.rows.iter().filter(|(row, _)| !pick(row).is_empty()) {
        let mut cells = vec![Cell::new(row.name.as_str())];
        cells.extend(names.iter().zip(&decimals).map(|(name, digits)| summary_cell(pick(row).get(*name), *digits)));
        table = match view.mark(row) {
            Some(mark) => table.marked_row(cells, mark),
            None => table.row(cells),
        };
    }
    table
}

/// What was done to the data, how the fits ran, and what failed.
pub(super) fn facts(comparison: &Comparison) -> Markup {
    let (data, settings) = (&comparison.data, &comparison.settings);
    let total: usize = data.classes.iter().map(|class| class.rows).sum();
    let classes =
        data.classes.iter().fold(Table::new("Classes of the target").name("Class").number("Rows").number("Share"), {
            |table, class| {
                let share = percent(class.rows as f64 / total.max(1) as f64);
                let cells = vec![Cell::new(class.name.as_str()), Cell::new(count(class.rows)), Cell::new(share)];
                let positive = data.positive.as_ref() == Some(&class.name);
                if positive { table.marked_row(cells, "positive") } else { table.row(cells) }
            }
        });
    let search =
        if settings.tune == 0 { "none".to_owned() } else { format!("{} candidates an objective", settings.tune) };
    let searched: Vec<&ObjectiveResult> = comparison.results.iter().filter(|row| !row.chosen.is_empty()).collect();
    html! {
        dl.facts {
            dt { "Data" } dd { (data.name) ", target " (data.target) }
            dt { "Model" } dd { (settings.model) }
            dt { "Training" } dd { (settings.training) }
            dt { "Splits" } dd { (count(settings.splits)) ", seed " (settings.seed) }
            dt { "Parameter search" } dd { (search) }
            dt { "Baseline" } dd { (settings.baseline) }
            @if let Some(control) = &settings.control { dt { "Control" } dd { (control) } }
        }
        h3 { "What was done to the data" }
        @if data.notes.is_empty() {
            p { "Nothing to note." }
        } @else {
            ul.notes { @for note in &data.notes { li { (note) } } }
        }
        @if !data.classes.is_empty() { (classes) }
        @if !searched.is_empty() {
            h3 { "What the search chose, split by split" }
            dl.facts { @for row in searched { dt { (row.name) } dd { (row.chosen.join("; ")) } } }
        }
        @if !comparison.failures.is_empty() {
            h3 { "Fits that gave no result" }
            (failures(comparison).render())
        }
    }
}

fn failures(comparison: &Comparison) -> Table {
    let table =
        Table::new("They are left out of the means above.").name("Objective").number("Split").text("What happened");
    comparison.failures.iter().fold(table, |table, failure| {
        table.row(vec![
            Cell::new(failure.objective.as_str()),
            Cell::new(failure.split.to_string()),
            Cell::new(failure.reason.as_str()),
        ])
    })
}

fn summary_cell(summary: Option<&Summary>, decimals: usize) -> Cell {
    summary.map_or_else(
        || Cell::new(MISSING),
        |found| Cell::new(fixed(found.mean, decimals)).detail(interval(found.low, found.high, decimals)),
    )
}

fn difference(view: &View<'_>, paired: Option<&PairedComparison>) -> Cell {
    let Some(found) = paired else { return Cell::new("–") };
    let reliable = reliably_better(view.comparison, paired) || reliably_worse(view.comparison, paired);
    Cell::new(signed(found.difference, view.decimals)).strong(reliable).detail(format!("p {}", p_value(found.p_holm)))
}

fn column_decimals(view: &View<'_>, name: &str, pick: fn(&ObjectiveResult) -> &Metrics) -> usize {
    let rows = view.comparison.results.iter().filter_map(|row| pick(row).get(name));
    decimals_for(rows.map(|summary| (summary.high - summary.low) / 2.0))
}

fn main_metrics(comparison: &Comparison) -> Vec<&str> {
    let letters = |name: &str| -> String { name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect() };
    let ranked = comparison.settings.metric.as_str();
    let names: BTreeSet<&str> =
        comparison.results.iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
    let mut names: Vec<&str> = names.into_iter().filter(|name| *name != ranked).collect();
    names.sort_by_key(|name| MAIN.iter().position(|main| *main == letters(name)).unwrap_or(MAIN.len()));
    names.truncate(BESIDE);
    names
}
