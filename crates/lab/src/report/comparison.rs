mod charts;
mod tables;

use super::{
    answer::{
        answer_sentences, finished_splits, is_baseline, is_control, metric_decimals, reliably_better, reliably_worse,
        score,
    },
    chart::{Axis, Role, Row, RowChart, RowMark, Style, shorten, styles},
    number::{bytes, count, fixed, interval, percent, plural, seconds},
    page::{Page, Tile, Verdict, badge_saying, figure, tiles},
};
use crate::compare::{Comparison, ComparisonKind, ObjectiveResult, PairedComparison};
use maud::{Markup, Render, html};

/// A comparison as one self-contained page: the answer first, then the evidence, then everything else.
pub fn comparison_html(comparison: &Comparison) -> String {
    let view = View::new(comparison);
    let data = &comparison.data;
    let title = format!("{}: which training objective is best?", shorten(&data.name, 80));
    let settings = &comparison.settings;
    let direction = if settings.higher_is_better { "higher" } else { "lower" };
    let subtitle = format!(
        "Target {}; ranked by {} on test data, {direction} is better.",
        shorten(&data.target, 60),
        settings.metric
    );
    let mut page = Page::new(title, subtitle).lead(view.answer()).lead(tiles(&view.tiles()));
    if !comparison.results.is_empty() {
        page = page
            .section("Ranking", html! { (view.forest()) (reading(comparison)) })
            .section("All objectives", tables::ranking(&view).render());
        if !comparison.spaces.is_empty() {
            page = page.section("The space", charts::spaces(comparison));
        }
        for (heading, markup) in charts::sections(&view) {
            page = page.section(heading, markup);
        }
        page = page.section("Every metric", tables::every_metric(&view));
    }
    page.section("Data and settings", tables::facts(comparison))
        .footer(format!(
            "Made by contrarian {}. The same results for programs: comparison.json and results.csv, beside this file.",
            comparison.version
        ))
        .render()
}

/// A comparison with what its parts share: how each row looks and how its numbers are written.
struct View<'a> {
    comparison: &'a Comparison,
    rows: Vec<(&'a ObjectiveResult, Style)>,
    decimals: usize,
}

impl<'a> View<'a> {
    fn new(comparison: &'a Comparison) -> Self {
        let role = |row: &ObjectiveResult| {
            if is_control(comparison, row) {
                Role::Control
            } else if is_baseline(comparison, row) {
                Role::Baseline
            } else {
                Role::Method
            }
        };
        let roles: Vec<Role> = comparison.results.iter().map(role).collect();
        let rows = comparison.results.iter().zip(styles(&roles)).collect();
        Self { comparison, rows, decimals: metric_decimals(comparison) }
    }

    /// The word beside a row's name.
    fn mark(&self, row: &ObjectiveResult) -> Option<&'static str> {
        if is_control(self.comparison, row) {
            Some("control")
        } else if is_baseline(self.comparison, row) {
            Some("baseline")
        } else {
            None
        }
    }

    fn answer(&self) -> Markup {
        let comparison = self.comparison;
        let sentences = answer_sentences(comparison);
        let (first, rest) = sentences.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let claims = self.claims();
        html! {
            div.answer role="region" aria-label="The answer" {
                p { strong { (first) } }
                @for part in rest { p { (part) } }
                @if !claims.is_empty() {
                    ul.claims { @for (claim, badge) in claims { li { (claim) " " (badge) } } }
                }
            }
        }
    }

    /// Whether any objective beats the baseline, and whether any beats the control, at a glance.
    fn claims(&self) -> Vec<(&'static str, Markup)> {
        let judged = |pick: fn(&ObjectiveResult) -> Option<&PairedComparison>| {
            let methods = self.comparison.results.iter().filter(|row| self.mark(row).is_none());
            let tested: Vec<_> = methods.filter_map(pick).filter(|paired| paired.p_holm.is_finite()).collect();
            if tested.is_empty() {
                return None;
            }
            let better = tested.iter().any(|paired| reliably_better(self.comparison, Some(paired)));
            let all_worse = tested.iter().all(|paired| reliably_worse(self.comparison, Some(paired)));
            Some(match (better, all_worse) {
                (true, _) => badge_saying(Verdict::Supported, "yes"),
                (_, true) => badge_saying(Verdict::NotSupported, "no, all are worse"),
                _ => badge_saying(Verdict::Inconclusive, "not shown"),
            })
        };
        let control = self.comparison.settings.control.is_some();
        let beats_control = match self.comparison.settings.kind {
            ComparisonKind::Classification => "An objective beats the tuned threshold:",
            ComparisonKind::Embedding => "An objective beats no training:",
            ComparisonKind::Retrieval => "A trained retriever beats BM25:",
            ComparisonKind::Recommendation => "A trained recommender beats the most popular items:",
        };
        [
            ("An objective beats the baseline:", judged(|row| row.against_baseline.as_ref())),
            (beats_control, judged(|row| row.against_control.as_ref()).filter(|_| control)),
        ]
        .into_iter()
        .filter_map(|(claim, badge)| Some((claim, badge?)))
        .collect()
    }

    fn tiles(&self) -> Vec<Tile> {
        let comparison = self.comparison;
        let data = &comparison.data;
        let finished = finished_splits(comparison);
        let planned = comparison.settings.splits;
        let splits = if comparison.interrupted { format!("{finished} of {planned}") } else { count(planned) };
        let objectives: std::collections::BTreeSet<&str> =
            comparison.results.iter().map(|row| row.objective.as_str()).collect();
        let control = match (&comparison.settings.control, comparison.settings.kind) {
            (None, _) => "",
            (_, ComparisonKind::Classification) => "and the tuned-threshold control",
            (_, ComparisonKind::Embedding) => "with no training as the control",
            (_, ComparisonKind::Retrieval) => "with BM25 as the control",
            (_, ComparisonKind::Recommendation) => "with the most popular items as the control",
        };
        let total: usize = data.classes.iter().map(|class| class.rows).sum();
        let smallest = data.classes.iter().min_by_key(|class| class.rows);
        let imbalance = smallest.map_or_else(String::new, |class| {
            let share = percent(class.rows as f64 / total.max(1) as f64);
            let name = shorten(&class.name, 24);
            format!("smallest: {name}, {share}")
        });
        let memory = comparison.peak_memory.map_or_else(String::new, |peak| format!(", peak {}", bytes(peak)));
        let of_data = match comparison.settings.kind {
            ComparisonKind::Retrieval => {
                let documents = plural(data.columns, "document", "documents");
                vec![Tile::new("Queries", count(data.rows), format!("with judged documents, among {documents}"))]
            }
            ComparisonKind::Recommendation => {
                let items = plural(data.columns, "item", "items");
                vec![Tile::new(
                    "Users",
                    count(data.rows),
                    format!("{} of {items}", plural(data.inputs, "choice", "choices")),
                )]
            }
            _ => {
                let inputs = format!("{}, {}", data.features(), plural(data.inputs, "input", "inputs"));
                vec![
                    Tile::new("Rows", count(data.rows), inputs),
                    Tile::new("Classes", count(data.classes.len()), imbalance),
                ]
            }
        };
        let of_run = [
            Tile::new("Splits", splits, "train, validation and test"),
            Tile::new("Objectives", count(objectives.len()), control),
            Tile::new(
                "Time",
                seconds(comparison.seconds),
                format!("{}{memory}", plural(comparison.threads, "fit at a time", "fits at a time")),
            ),
        ];
        of_data.into_iter().chain(of_run).collect()
    }

    fn forest(&self) -> Markup {
        let comparison = self.comparison;
        let metric = &comparison.settings.metric;
        let better = if comparison.settings.higher_is_better { "right" } else { "left" };
        let label = format!("{metric} of every objective with its 95% interval, best first");
        let mut chart = RowChart::new(label, Axis::new(format!("{metric}, mean with 95% interval")), RowMark::Dots);
        for (row, style) in &self.rows {
            let summary = row.metrics.get(metric);
            let (mean, low, high) =
                summary.map_or((f64::NAN, f64::NAN, f64::NAN), |found| (found.mean, found.low, found.high));
            chart = chart.row(Row {
                name: row.name.clone(),
                style: *style,
                value: mean,
                interval: Some((low, high)),
                values: summary.map_or_else(Vec::new, |found| found.values.clone()),
                text: format!("{} {}", fixed(mean, self.decimals), interval(low, high, self.decimals))
                    .trim_end()
                    .to_owned(),
            });
        }
        let baseline = comparison.results.iter().find(|row| is_baseline(comparison, row));
        let mean = baseline.and_then(|row| score(comparison, row)).map(|summary| summary.mean);
        if let Some(mean) = mean {
            chart = chart.reference(mean);
        }
        let reference = if mean.is_some() { " The dashed line is the baseline's mean." } else { "" };
        let caption = format!("Further {better} is better. Pale dots are single splits.{reference}");
        figure("", chart.render(), &caption)
    }
}

/// How to read the intervals and the tests.
fn reading(comparison: &Comparison) -> Markup {
    let control = match (&comparison.settings.control, comparison.settings.kind) {
        (None, _) => "",
        (_, ComparisonKind::Classification) => {
            " The control is the baseline with only its decision threshold moved to where it does best on validation data: \
             a gain over the baseline that the control has as well does not need another objective."
        }
        (_, ComparisonKind::Embedding) => {
            " The control is the vectors as they came: an objective that is not better than it is not worth training with."
        }
        (_, ComparisonKind::Retrieval) => {
            " The control is BM25, which ranks by words in common and is not trained; judged queries that were found by such a \
             ranking in the first place favour it. \"no training\" is the encoder as it is."
        }
        (_, ComparisonKind::Recommendation) => {
            " The control is what most users chose, the same for everybody: an objective that is not better than it has learned no taste."
        }
    };
    html! {
        p {
            strong { "How to read this. " }
            "Each objective trained the same model on the same splits. The interval says where the mean would plausibly lie \
             with other splits of this data; it is widened because training sets overlap. Overlapping intervals do not \
             settle a comparison, as all rows share their splits: the paired test does. Its p-value says how often chance \
             alone would give at least such a difference between equals; Holm's correction raises it for testing many rows \
             at once. Below 0.05 we call a difference reliable; above, it is not shown, which does not mean equal."
            (control)
        }
    }
}
