use super::{Cleaning, Effect, SplitScores};
use crate::compare::PairedComparison;
use crate::data::Matrix;
use crate::report::chart::{Axis, Row, RowChart, RowMark, Style};
use crate::report::number::{count, fixed, interval, p_value, percent, signed};
use crate::report::page::{Page, figure};
use crate::report::table::{Cell, Table};
use crate::report::{SpacePicture, space_chart};
use maud::{Markup, Render, html};

/// Most suspects on the page; the file has all.
const MOST: usize = 200;

/// What was found as a self-contained page: the suspects, where they lie, and whether training without them helps.
pub fn cleaning_html(found: &Cleaning) -> String {
    let lead = html! { @for sentence in found.sentences() { p { (sentence) } } };
    let title = format!("Suspect labels of {}", found.data);
    let mut page = Page::new(title, format!("Column {}, {} rows", found.target, count(found.rows))).lead(lead);
    if !found.suspects.is_empty() {
        page = page.section("Suspects", suspects(found));
    }
    if let Some((embeddings, suspect)) = &found.view {
        page = page.section("Where they lie", picture(embeddings, suspect));
    }
    if let Some(effect) = &found.effect {
        page = page.section("Does training without them help?", control(found, effect));
    }
    page.section("How to read it", explanation(found))
        .footer(concat!("contrarian ", env!("CARGO_PKG_VERSION")))
        .render()
}

fn suspects(found: &Cleaning) -> Markup {
    let mut table = Table::new("Suspects, the strongest evidence first")
        .number("row")
        .text("given")
        .text("suggested")
        .number("evidence")
        .number("probability of given")
        .number("neighbours with given");
    for suspect in found.suspects.iter().take(MOST) {
        table = table.row(vec![
            Cell::new(suspect.row.to_string()),
            Cell::new(&suspect.given),
            Cell::new(&suspect.suggested),
            Cell::new(fixed(suspect.evidence, 3)),
            Cell::new(fixed(suspect.probability, 3)),
            Cell::new(percent(suspect.agreeing)),
        ]);
    }
    html! {
        (table.render())
        @if found.suspects.len() > MOST {
            p { "The first " (MOST) " of " (count(found.suspects.len())) "; suspects.csv, beside this file, has all." }
        }
    }
}

/// A fold's held-out rows by the first two principal components of their directions in the embedding.
fn picture(embeddings: &Matrix, suspect: &[bool]) -> Markup {
    let directions = Matrix { data: unit_rows(embeddings), ..*embeddings };
    let labels: Vec<usize> = suspect.iter().map(|&suspect| usize::from(suspect)).collect();
    let classes = ["other rows", "suspects"].map(String::from);
    let caption = "Rows that a fold's model has not seen, in its embedding. Suspects at the edge of a group may be rare rather \
                   than wrong.";
    let picture = SpacePicture::of("Suspects in the embedding", caption, &directions, &labels, &classes);
    figure(&picture.title, space_chart(&picture), &picture.caption)
}

fn unit_rows(x: &Matrix) -> Vec<f32> {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
        row.iter().map(|v| v / length).collect::<Vec<f32>>()
    };
    x.data.chunks(x.cols.max(1)).flat_map(unit).collect()
}

/// A number of one split.
type Score = fn(&SplitScores) -> f64;

fn control(found: &Cleaning, effect: &Effect) -> Markup {
    let mut table = Table::new("Scores on held-out rows").name("trained").number(found.metric());
    let scores: [(&str, Score); 3] = [
        ("without the suspects", |s| s.cleaned),
        ("without as many random rows of the same labels", |s| s.random),
        ("on all rows", |s| s.all),
    ];
    for (name, of) in scores {
        table = table.row(vec![Cell::new(name), Cell::new(fixed(effect.mean(of), 3))]);
    }
    let axis = Axis::new(format!("Difference in {}", found.metric()));
    let mut chart = RowChart::new("Differences over the splits", axis, RowMark::Dots).reference(0.0);
    let differences: [(&str, &Option<PairedComparison>, Score); 2] = [
        ("suspects against random rows", &effect.against_random, |s| s.cleaned - s.random),
        ("suspects against all rows", &effect.against_all, |s| s.cleaned - s.all),
    ];
    for (at, (name, test, difference)) in differences.into_iter().enumerate() {
        let Some(test) = test else { continue };
        chart = chart.row(Row {
            name: name.into(),
            style: Style::Colour(at),
            value: test.difference,
            interval: Some((test.low, test.high)),
            values: effect.splits.iter().map(difference).collect(),
            text: format!("{} {}, p {}", signed(test.difference, 3), interval(test.low, test.high, 3), p_value(test.p)),
        });
    }
    let caption = "Means with 95% intervals of the corrected resampled t-test, and each split. Right of 0, leaving the suspects \
                   out is better.";
    html! {
        (table.render())
        @if effect.against_random.is_some() { (figure("Differences", chart.render(), caption)) }
    }
}

fn explanation(found: &Cleaning) -> Markup {
    html! {
        p {
            "Every row was judged by a small network that was trained without it, on the rows of the other "
            (found.folds - 1) " folds, and by its " (found.k) " nearest neighbours in that network's embedding. Evidence is one \
             minus the mean of the probability of the given label and the part of the neighbours that has it: near 1, everything \
             speaks against the label."
        }
        p {
            "The comparison repeats the search within the training part of each split, so that the rows that judge have no part \
             in it. Leaving rows out changes the shares of the classes, which can raise a score whatever is left out: only the \
             difference to equally many random rows of the same labels says what the choice of the rows is worth."
        }
    }
}
