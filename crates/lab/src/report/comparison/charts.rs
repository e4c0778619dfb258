use super::View;
use crate::{
    compare::{Comparison, ObjectiveResult},
    report::{
        answer::score,
        chart::{Axis, Mark, Plot, Row, RowChart, RowMark, Series, Style},
        number::seconds,
        page::{figure, grid},
        space::space_chart,
    },
};
use maud::{Markup, Render, html};

/// The sections with charts that have something to show.
pub(super) fn sections(view: &View<'_>) -> Vec<(&'static str, Markup)> {
    let has = |test: fn(&ObjectiveResult) -> bool| view.comparison.results.iter().any(test);
    let mut sections = Vec::new();
    if has(|row| !row.curves.learning.is_empty()) {
        sections.push(("Learning", learning(view)));
    }
    let mut figures = Vec::new();
    if has(|row| !row.curves.roc.is_empty()) {
        figures.push(roc(view));
    }
    if has(|row| !row.curves.precision_recall.is_empty()) {
        figures.push(precision_recall(view));
    }
    if !figures.is_empty() {
        sections.push(("Every threshold", grid(&figures)));
    }
    if has(|row| row.curves.calibration.iter().any(|bin| bin.count > 0)) {
        sections.push(("Calibration", calibration(view)));
    }
    sections.push(("Cost", cost(view)));
    sections
}

/// Rows with curves of their own: one that only moves another row's threshold has the same curves.
fn distinct<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a ObjectiveResult, Style)> {
    let same = |row: &ObjectiveResult| {
        let others = view.comparison.results.iter();
        row.tuned_threshold
            && others.into_iter().any(|other| !other.tuned_threshold && other.objective == row.objective)
    };
    view.rows.iter().filter(move |(row, _)| !same(row)).map(|(row, style)| (*row, *style))
}

fn lines(view: &View<'_>, mut plot: Plot, mark: Mark, points: impl Fn(&ObjectiveResult) -> Vec<(f64, f64)>) -> Markup {
    for (row, style) in distinct(view) {
        let points = points(row);
        if points.is_empty() {
            continue;
        }
        // Points on lines that cannot be told apart only add ink.
        let mark = if style == Style::Faint { Mark::Line } else { mark };
        plot = plot.series(Series::new(row.name.as_str(), style, points).mark(mark));
    }
    plot.render()
}

/// The space before and after training.
pub(super) fn spaces(comparison: &Comparison) -> Markup {
    let figures: Vec<Markup> =
        comparison.spaces.iter().map(|space| figure(&space.title, space_chart(space), &space.caption)).collect();
    grid(&figures)
}

fn learning(view: &View<'_>) -> Markup {
    let metric = &view.comparison.settings.metric;
    let epochs = || Axis::new("Epoch").whole();
    let validation = Plot::new(
        format!("{metric} on validation data after each epoch, one line an objective"),
        epochs(),
        Axis::new(format!("{metric} on validation")),
    );
    let validation = lines(view, validation, Mark::Line, |row| {
        row.curves.learning.iter().map(|point| (point.epoch as f64, point.validation)).collect()
    });
    let training = Plot::new(
        "Training loss after each epoch, scaled for each objective",
        epochs(),
        Axis::new("Training loss, scaled").range(0.0, 1.0),
    );
    let training = lines(view, training, Mark::Line, scaled_loss);
    grid(&[
        figure("What it is judged by", validation, "Averaged over the splits still training at that epoch."),
        figure(
            "What it is trained on",
            training,
            "Losses of different objectives have different units, so each is scaled from its highest value (1) to its \
             lowest (0): compare the shapes, not the heights.",
        ),
    ])
}

fn scaled_loss(row: &ObjectiveResult) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = row
        .curves
        .learning
        .iter()
        .map(|point| (point.epoch as f64, point.train_loss))
        .filter(|(_, loss)| loss.is_finite())
        .collect();
    let low = points.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, loss)| *loss).fold(f64::NEG_INFINITY, f64::max);
    let span = high - low;
    points.into_iter().map(|(epoch, loss)| (epoch, if span > 0.0 { (loss - low) / span } else { 0.0 })).collect()
}

fn share(label: &str) -> Axis {
    Axis::new(label).range(0.0, 1.0)
}

fn roc(view: &View<'_>) -> Markup {
    let plot = Plot::new("ROC curve of every objective", share("False-positive rate"), share("True-positive rate"));
    let chart = lines(view, plot.diagonal().size(420.0, 380.0), Mark::Line, |row| row.curves.roc.clone());
    figure("ROC", chart, "Test data, averaged over splits. The dashed diagonal is guessing.")
}

fn precision_recall(view: &View<'_>) -> Markup {
    let data = &view.comparison.data;
    let total: usize = data.classes.iter().map(|class| class.rows).sum();
    let positive = data.classes.iter().find(|class| data.positive.as_ref() == Some(&class.name));
    let mut plot =
        Plot::new("Precision-recall curve of every objective", share("Recall"), share("Precision")).size(420.0, 380.0);
    let mut caption = "Test data, averaged over splits.".to_owned();
    if let Some(class) = positive.filter(|_| total > 0) {
        plot = plot.level(class.rows as f64 / total as f64);
        caption.push_str(" The dashed line is guessing: the share of positive rows.");
    }
    let chart = lines(view, plot, Mark::Line, |row| row.curves.precision_recall.clone());
    figure("Precision and recall", chart, &caption)
}

fn calibration(view: &View<'_>) -> Markup {
    let what = if view.comparison.data.classes.len() == 2 { "positive class" } else { "predicted class" };
    let plot = Plot::new(
        format!("Reliability of the predicted probability of the {what}, one line an objective"),
        share(&format!("Predicted probability of the {what}")),
        share("Observed share"),
    );
    let chart = lines(view, plot.diagonal().size(420.0, 380.0), Mark::LineAndPoints, |row| {
        let bins = row.curves.calibration.iter().filter(|bin| bin.count > 0);
        bins.map(|bin| (bin.predicted, bin.observed)).collect()
    });
    let caption = "On the dashed diagonal, 70% of the predictions made with a probability of 0.7 are right. Below it the \
                   probabilities are too high, above it too low. Objectives that do not aim at probabilities may bend far \
                   from it and still decide well.";
    html! { div.grid { (figure("", chart, "")) div { p { (caption) } } } }
}

fn cost(view: &View<'_>) -> Markup {
    let metric = &view.comparison.settings.metric;
    let mut scatter = Plot::new(
        format!("Training time of a fit against {metric}, one point an objective"),
        Axis::new("Seconds a fit, logarithmic").log(),
        Axis::new(metric.as_str()),
    );
    let mut bars = RowChart::new("Training time of one fit, fastest first", Axis::new("Seconds a fit"), RowMark::Bars);
    // The control costs what the baseline does, but its quality is its own.
    // What is not trained costs nothing.
    for (row, style) in view.rows.iter().filter(|(row, _)| row.seconds_per_fit > 0.0) {
        if let Some(summary) = score(view.comparison, row) {
            let place = vec![(row.seconds_per_fit, summary.mean)];
            scatter = scatter.series(Series::new(row.name.as_str(), *style, place).mark(Mark::Points));
        }
    }
    let mut rows: Vec<(&ObjectiveResult, Style)> =
        distinct(view).filter(|(row, _)| row.seconds_per_fit > 0.0).collect();
    rows.sort_by(|(one, _), (other, _)| one.seconds_per_fit.total_cmp(&other.seconds_per_fit));
    for (row, style) in rows {
        bars = bars.row(Row {
            name: row.name.clone(),
            style,
            value: row.seconds_per_fit,
            interval: None,
            values: Vec::new(),
            text: seconds(row.seconds_per_fit),
        });
    }
    let corner = if view.comparison.settings.higher_is_better { "upper" } else { "lower" };
    let caption = format!("The {corner} left is best: good and quick.");
    html! {
        (figure("Time of a fit", bars.render(), "Mean training time on this machine, fastest first."))
        div.grid { (figure("Time against quality", scatter.render(), &caption)) }
    }
}
