use super::{Calibration, CalibrationScore, MethodResult};
use crate::compare::PairedComparison;
use crate::report::chart::{Axis, Mark, Plot, Series, Style};
use crate::report::number::{fixed, interval, p_value, signed};
use crate::report::page::{Page, figure, grid};
use crate::report::table::{Cell, Table};
use maud::{Render, html};

/// What calibrating a model found as a self-contained page, with a reliability diagram of every line.
pub fn calibration_html(calibration: &Calibration, model: &str) -> String {
    let said = html! {
        @for sentence in calibration.sentences() { p { (sentence) } }
        p { (calibration.rows_sentence()) }
        @if !calibration.notes.is_empty() { ul { @for note in &calibration.notes { li { (note) } } } }
    };
    let before = &calibration.results[0];
    let diagrams: Vec<_> = calibration.results.iter().map(|result| diagram(result, before)).collect();
    Page::new(format!("Calibration of {model}"), format!("Every way to calibrate, on {}", calibration.data))
        .lead(said)
        .section("Scores", table(calibration).render())
        .section("Reliability", grid(&diagrams))
        .section(
            "How to read it",
            html! {
                p {
                    "Means over the halves that a method was not fitted on. Log-loss ranks: it is least for the true \
                     probabilities. ECE is the distance of confidence and accuracy over 25 bins of equal width, adaptive ECE \
                     over bins of equal count; the kernel error is an unbiased estimate of a square and may fall below 0. \
                     Differences are to the uncalibrated model over the same halves, with the interval of the corrected \
                     resampled t-test; p is corrected for the number of methods (Holm)."
                }
                p {
                    "On the diagonal, predictions of a confidence are right that often; below it the model is \
                     over-confident."
                }
            },
        )
        .footer(concat!("contrarian ", env!("CARGO_PKG_VERSION")))
        .render()
}

fn table(calibration: &Calibration) -> Table {
    let mut table = Table::new("Scores on halves not fitted on")
        .name("method")
        .number("log-loss")
        .number("difference")
        .number("p (Holm)")
        .number("ECE")
        .number("difference")
        .number("ECE if right")
        .number("adaptive ECE")
        .number("top-1 Brier")
        .number("kernel error")
        .number("AUROC of right")
        .number("accuracy");
    for result in &calibration.results {
        let number = |of: &dyn Fn(&CalibrationScore) -> Option<f64>, decimals| {
            Cell::new(fixed(result.mean(of).unwrap_or(f64::NAN), decimals))
        };
        let difference = |test: &Option<PairedComparison>| match test {
            Some(test) => Cell::new(signed(test.difference, 3)).detail(interval(test.low, test.high, 3)),
            None => Cell::default(),
        };
        let cells = vec![
            Cell::new(&result.name),
            number(&|s| Some(s.log_loss), 3),
            difference(&result.log_loss),
            Cell::new(result.log_loss.as_ref().map_or_else(String::new, |test| p_value(test.p_holm))),
            number(&|s| Some(s.errors.ece), 3),
            difference(&result.ece),
            Cell::new(fixed(result.ece_if_right, 3)),
            number(&|s| Some(s.errors.adaptive_ece), 3),
            number(&|s| Some(s.errors.top1_brier), 3),
            number(&|s| Some(s.errors.kernel), 5),
            number(&|s| s.errors.auroc, 3),
            number(&|s| Some(s.accuracy), 3),
        ];
        table = match Some(&result.name) == calibration.chosen.as_ref() {
            true => table.marked_row(cells, "chosen"),
            false => table.row(cells),
        };
    }
    table
}

fn diagram(result: &MethodResult, before: &MethodResult) -> maud::Markup {
    let points = |result: &MethodResult| {
        let filled = result.reliability.iter().filter(|bin| bin.count > 0);
        filled.map(|bin| (bin.confidence, bin.accuracy)).collect::<Vec<_>>()
    };
    let axis = |label: &str| Axis::new(label).range(0.0, 1.0);
    let mut plot =
        Plot::new(format!("Reliability of {}", result.name), axis("confidence"), axis("accuracy")).diagonal();
    if result.name != before.name {
        plot = plot.series(Series::new(&before.name, Style::Faint, points(before)).mark(Mark::LineAndPoints));
    }
    let own = Series::new(&result.name, Style::Colour(0), points(result)).mark(Mark::LineAndPoints);
    let rows: usize = result.reliability.iter().map(|bin| bin.count).sum();
    let filled = result.reliability.iter().filter(|bin| bin.count > 0).count();
    let caption = format!("{rows} predictions on held-out halves of all splits, in {filled} bins of equal width.");
    figure(&result.name, plot.series(own).render(), &caption)
}
