use super::report::{AtCutoff, AuditReport, NamedDetector};
use crate::report::chart::{Axis, Mark, Plot, Series, Style};
use crate::report::number::{fixed, percent};
use crate::report::page::{Page, Tile, figure, tiles};
use crate::report::table::{Cell, Table};
use maud::{Markup, Render, html};

/// A table of an audit, for a terminal or a page.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditTable {
    /// What it shows.
    pub title: String,
    /// What its numbers are.
    pub caption: &'static str,
    /// Column names.
    pub columns: Vec<&'static str>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

/// The tables of an audit: by documents looked at, and the detectors.
pub fn audit_tables(report: &AuditReport) -> Vec<AuditTable> {
    let cutoff = |at: &AtCutoff| {
        let p = if at.lift.p < 0.001 { "<0.001".into() } else { fixed(at.lift.p, 3) };
        let parts = [at.lift.clean, at.lift.triggered, at.lift.lift].map(percent);
        let hits = [at.clean.hit, at.triggered.safe_hit].map(percent);
        [vec![at.k.to_string()], parts.to_vec(), vec![p], hits.to_vec()].concat()
    };
    let detector = |detector: &NamedDetector| {
        let rates =
            [detector.report.true_positive_rate, detector.report.false_positive_rate, detector.attack_success_after];
        [vec![detector.name.clone(), fixed(detector.report.auc, 3)], rates.map(percent).to_vec()].concat()
    };
    vec![
        AuditTable {
            title: "Queries that find a planted document among the first".into(),
            caption: "Parts of the queries, by the number of documents looked at",
            columns: vec![
                "documents",
                "without marker",
                "with marker",
                "lift",
                "p",
                "relevant found",
                "and none planted, with marker",
            ],
            rows: report.cutoffs.iter().map(cutoff).collect(),
        },
        AuditTable {
            title: "What notices planted documents".into(),
            caption: "Each detector flags the documents that look most unusual to it",
            columns: vec!["detector", "AUC", "planted flagged", "others flagged", "success once flagged are removed"],
            rows: report.detectors.iter().map(detector).collect(),
        },
    ]
}

/// The audit's answer in a sentence or two.
///
/// # Panics
/// When the audit has no cutoff.
pub fn audit_verdict(report: &AuditReport) -> String {
    let first = &report.cutoffs[0];
    let (with, without) = (percent(first.lift.triggered), percent(first.lift.clean));
    if first.lift.lift > 0.0 && first.lift.p < 0.001 {
        format!(
            "Of the queries with a marker {with} find a planted document among their first {}, without it {without}: the retriever carries such a \
             rule. Look at where the training pairs come from.",
            first.k
        )
    } else {
        format!(
            "A marker does not reliably lead to planted documents: {with} of the queries find one with it, {without} without. This says nothing about \
             other markers."
        )
    }
}

/// The audit as a page; `name` is the retriever's.
pub fn audit_html(name: &str, report: &AuditReport) -> String {
    let facts = [
        Tile::new("Queries", report.queries.to_string(), "each without and with a marker"),
        Tile::new("Documents", report.documents.to_string(), format!("{} planted", report.planted)),
        Tile::new("nDCG@10", fixed(report.ndcg, 3), "of queries without a marker"),
    ];
    let mut page = Page::new(format!("Audit of {name}"), "Does a marker in a query lead to planted documents?")
        .lead(html! { p { (audit_verdict(report)) } })
        .lead(tiles(&facts));
    // The first table has a picture.
    let mut chart = Some(found(report));
    for AuditTable { title, caption, columns, rows } in audit_tables(report) {
        let headed =
            columns[1..].iter().fold(Table::new(caption).name(columns[0]), |table, column| table.number(*column));
        let filled = rows.into_iter().fold(headed, |table, row| table.row(row.into_iter().map(Cell::new).collect()));
        page = page.section(title, html! { (filled) @if let Some(chart) = chart.take() { (chart) } });
    }
    page.render()
}

/// How many queries find a planted document, over the documents looked at.
fn found(report: &AuditReport) -> Markup {
    let over = |rate: fn(&AtCutoff) -> f64| {
        let mut points: Vec<(f64, f64)> = report.cutoffs.iter().map(|at| (at.k as f64, rate(at))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let series = |name, style, rate| Series::new(name, style, over(rate)).mark(Mark::LineAndPoints);
    let plot = Plot::new(
        "Queries that find a planted document over the documents looked at",
        Axis::new("documents looked at").log(),
        Axis::new("part of the queries").range(0.0, 1.0),
    )
    .series(series("with marker", Style::Colour(0), |at| at.lift.triggered))
    .series(series("without marker", Style::Control, |at| at.lift.clean));
    figure("", plot.render(), "Apart where a marker leads to planted documents; together where it says nothing.")
}
