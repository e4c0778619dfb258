use crate::claim::Judged;
use crate::findings::{Chart, Table};
use crate::study::StudyRun;
use contrarian_lab::report::chart::{Axis, Plot, Role, Series, styles};
use contrarian_lab::report::number::p_phrase;
use contrarian_lab::report::page::{Page, Tile, Verdict, badge, figure, tiles};
use contrarian_lab::report::table;
use maud::{Markup, Render, html};

/// The report of a run, a self-contained page.
pub fn findings_html(run: &StudyRun) -> String {
    let findings = &run.findings;
    let count = |verdict: Verdict| findings.claims.iter().filter(|claim| claim.verdict == verdict).count().to_string();
    let mut page = Page::new(run.title.clone(), format!("Study {} of contrarian, {} preset", run.id, run.preset))
        .lead(tiles(&[
            Tile::new("claims supported", count(Verdict::Supported), ""),
            Tile::new("not supported", count(Verdict::NotSupported), ""),
            Tile::new("inconclusive", count(Verdict::Inconclusive), ""),
            Tile::new("time", format!("{:.1} s", run.seconds), ""),
        ]))
        .section("Claims", html! { @for claim in &findings.claims { (claim_card(claim)) } });
    if !findings.notes.is_empty() {
        page = page.section("What to know", html! { @for note in &findings.notes { p { (note) } } });
    }
    if !findings.charts.is_empty() {
        page = page.section("Charts", html! { @for chart in &findings.charts { (draw(chart)) } });
    }
    if !findings.tables.is_empty() {
        page = page.section("Measurements", html! { @for table in &findings.tables { (measured(table)) } });
    }
    let settings = Table {
        title: "Every setting of this run".into(),
        columns: vec!["setting".into(), "value".into()],
        rows: run.settings.iter().map(|(name, value)| vec![name.clone(), value.to_string()]).collect(),
    };
    let again = html! { p { "Run it again with " code { "contrarian run --config config.toml" } "." } };
    page.section("Settings", html! { (measured(&settings)) (again) })
        .footer(format!("contrarian {}", run.version))
        .render()
}

fn claim_card(claim: &Judged) -> Markup {
    html! {
        article {
            h3 { (claim.id) " " (badge(claim.verdict)) }
            p { (claim.statement) }
            p {
                @if let Some(effect) = claim.effect { "Effect " (format!("{effect:+.4}")) ", " }
                @if let Some((low, high)) = claim.interval { (format!("95% interval {low:+.4} to {high:+.4}")) ", " }
                @if let Some(p) = claim.p { (p_phrase(p)) ": " }
                (claim.reason) "."
            }
            p { "The paper: " (claim.reported) "." }
            @if !claim.differs.is_empty() { p { "How the test differs: " (claim.differs) "." } }
        }
    }
}

fn draw(chart: &Chart) -> Markup {
    let styles = styles(&vec![Role::Method; chart.series.len()]);
    let mut plot = Plot::new(chart.title.clone(), Axis::new(chart.x_label.clone()), Axis::new(chart.y_label.clone()));
    for (series, style) in chart.series.iter().zip(styles) {
        plot = plot.series(Series::new(series.name.clone(), style, series.points.clone()));
    }
    figure(&chart.title, plot.render(), "")
}

fn measured(table: &Table) -> Markup {
    let mut drawn = table::Table::new(table.title.clone());
    for (index, column) in table.columns.iter().enumerate() {
        drawn = if index == 0 { drawn.name(column.clone()) } else { drawn.number(column.clone()) };
    }
    for row in &table.rows {
        drawn = drawn.row(row.iter().map(|cell| cell.clone().into()).collect());
    }
    drawn.render()
}
