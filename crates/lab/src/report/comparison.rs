use super::chart::SERIES;
use super::{
    Bounds, Interval, Line, Page, answer, figure, forest_chart, legend, line_chart, scatter_chart, table, tiles,
};
use crate::compare::{Comparison, Curves, ObjectiveResult, PairedComparison, Summary};
use maud::{Markup, html};

/// The report of a comparison, a self-contained page.
pub fn comparison_html(comparison: &Comparison) -> String {
    let data = &comparison.data;
    let view = View {
        comparison,
        drawn: drawn(comparison),
    };
    let subtitle = format!(
        "{}, predicting {}: the same model, splits and budget for every objective",
        data.name, data.target
    );
    let mut page = Page::new("Which objective should I train with?", subtitle)
        .section(
            "The answer",
            html! { p.answer { (answer(comparison)) } (view.tiles()) (view.forest()) },
        )
        .section("The table", view.table())
        .section("How they learn", view.learning());
    if comparison.data.classes.len() == 2 {
        page = page.section("Ranking and precision", view.ranking());
    }
    page.section("Are the probabilities right?", view.calibration())
        .section("What it costs", view.cost())
        .section("Every metric", view.every_metric())
        .section("How this was done", view.how())
        .html()
}

/// Rows that get a colour: the best, and the baseline and the control wherever they stand.
fn drawn(comparison: &Comparison) -> Vec<usize> {
    let settings = &comparison.settings;
    let special = |r: &ObjectiveResult| r.name == settings.baseline || Some(&r.name) == settings.control.as_ref();
    let results = comparison.results.iter().enumerate();
    let mut drawn: Vec<usize> = results.clone().filter(|(_, r)| special(r)).map(|(i, _)| i).collect();
    for (index, result) in results {
        if drawn.len() < SERIES && !special(result) {
            drawn.push(index);
        }
    }
    drawn.sort_unstable();
    drawn
}

struct View<'a> {
    comparison: &'a Comparison,
    drawn: Vec<usize>,
}

impl View<'_> {
    fn metric(&self) -> &str {
        &self.comparison.settings.metric
    }

    /// Colour of a row: its place among those drawn, or none.
    fn color(&self, row: usize) -> usize {
        self.drawn.iter().position(|&drawn| drawn == row).unwrap_or(SERIES)
    }

    fn marked(&self) -> Vec<usize> {
        let settings = &self.comparison.settings;
        let special = |r: &ObjectiveResult| r.name == settings.baseline || Some(&r.name) == settings.control.as_ref();
        self.comparison
            .results
            .iter()
            .enumerate()
            .filter(|(_, r)| special(r))
            .map(|(i, _)| i)
            .collect()
    }

    fn tiles(&self) -> Markup {
        let Comparison {
            data,
            settings,
            results,
            seconds,
            threads,
            peak_memory,
            ..
        } = self.comparison;
        let sizes: Vec<usize> = data.classes.iter().map(|class| class.rows).collect();
        let (most, least) = (
            sizes.iter().max().copied().unwrap_or(0),
            sizes.iter().min().copied().unwrap_or(1),
        );
        let mut entries = vec![
            ("rows", data.rows.to_string()),
            ("classes", data.classes.len().to_string()),
            (
                "largest to smallest class",
                format!("{:.1} : 1", most as f64 / least.max(1) as f64),
            ),
            ("rows compared", results.len().to_string()),
            ("splits", settings.splits.to_string()),
            ("time", format!("{seconds:.1} s on {threads} threads")),
        ];
        entries.extend(peak_memory.map(|bytes| ("peak memory", format!("{} MiB", bytes / (1 << 20)))));
        tiles(&entries)
    }

    fn forest(&self) -> Markup {
        let interval = |(row, result): (usize, &ObjectiveResult)| {
            let summary = result.metrics.get(self.metric())?;
            let Summary { mean, low, high, .. } = *summary;
            Some(Interval {
                name: result.name.clone(),
                mean,
                low,
                high,
                color: self.color(row),
            })
        };
        let rows: Vec<Interval> = self
            .comparison
            .results
            .iter()
            .enumerate()
            .filter_map(interval)
            .collect();
        let baseline = rows
            .iter()
            .find(|row| row.name == self.comparison.settings.baseline)
            .map(|row| row.mean);
        let direction = if self.comparison.settings.higher_is_better {
            "higher is better"
        } else {
            "lower is better"
        };
        let caption = format!(
            "{} on test data, mean and 95% interval over splits ({direction}). The vertical line is the baseline. Whether \
             two rows differ is told by the paired tests below, not by overlap of these intervals.",
            self.metric()
        );
        figure(&forest_chart(&rows, baseline, self.metric()), &caption, None)
    }

    fn table(&self) -> Markup {
        let settings = &self.comparison.settings;
        let mut header: Vec<String> = [
            "objective",
            self.metric(),
            "95% interval",
            "against the baseline",
            "p (Holm)",
        ]
        .map(String::from)
        .to_vec();
        if settings.control.is_some() {
            header.extend(["against the control", "p (Holm)"].map(String::from));
        }
        header.extend(["mean rank", "s a fit", "steps a s"].map(String::from));
        let row = |result: &ObjectiveResult| {
            let summary = result.metrics.get(self.metric());
            let mut cells = vec![
                result.name.clone(),
                summary.map_or("–".into(), |s| format!("{:.3}", s.mean)),
                summary.map_or("–".into(), |s| format!("{:.3} to {:.3}", s.low, s.high)),
            ];
            cells.extend(paired(result.against_baseline.as_ref()));
            if settings.control.is_some() {
                cells.extend(paired(result.against_control.as_ref()));
            }
            cells.push(format!("{:.1}", result.mean_rank));
            cells.push(format!("{:.2}", result.seconds_per_fit));
            cells.push(format!("{:.0}", result.steps_per_second));
            cells
        };
        let rows: Vec<Vec<String>> = self.comparison.results.iter().map(row).collect();
        html! {
            (table(&header, &rows, &self.marked()))
            p.note {
                "Marked: the baseline, " (settings.baseline)
                @if let Some(control) = &settings.control { ", and the control, " (control) }
                ". Differences are paired over the same splits and tested with the corrected resampled t-test (Nadeau and \
                 Bengio), then corrected for the number of rows (Holm). Below 0.05 chance is an unlikely explanation."
            }
        }
    }

    /// A chart of one curve a row: colours for the rows drawn, grey for the others.
    fn lines(&self, points: impl Fn(&Curves) -> Vec<(f64, f64)>) -> Vec<Line> {
        let results = &self.comparison.results;
        // The control has its baseline's model, so its curves would only cover the baseline's.
        let own: Vec<usize> = (0..results.len())
            .filter(|&row| !results[row].tuned_threshold)
            .collect();
        let line = |row: usize| Line {
            points: points(&results[row].curves),
            color: self.color(row),
            context: !self.drawn.contains(&row),
        };
        let (front, back): (Vec<usize>, Vec<usize>) = own.into_iter().partition(|row| self.drawn.contains(row));
        back.into_iter().chain(front).map(line).collect()
    }

    fn legend(&self) -> Markup {
        let results = &self.comparison.results;
        let names = self.drawn.iter().filter(|&&row| !results[row].tuned_threshold);
        legend(names.map(|&row| (results[row].name.as_str(), self.color(row))))
    }

    fn learning(&self) -> Markup {
        let validation = self.lines(|c| c.learning.iter().map(|p| (p.epoch as f64, p.validation)).collect());
        let y_label = format!("{} on validation", self.metric());
        let caption = "Validation after each epoch, averaged over the splits still training. Early stopping keeps the best \
                       epoch of each split. Training losses of different objectives are on different scales and are not \
                       compared; they are in comparison.json.";
        figure(
            &line_chart(&validation, "epoch", &y_label, Bounds::Fitted, false),
            caption,
            Some(self.legend()),
        )
    }

    fn ranking(&self) -> Markup {
        let roc = line_chart(
            &self.lines(|c| c.roc.clone()),
            "false positives",
            "true positives",
            Bounds::Unit,
            true,
        );
        let precision = line_chart(
            &self.lines(|c| c.precision_recall.clone()),
            "recall",
            "precision",
            Bounds::Unit,
            false,
        );
        html! {
            div.pair {
                (figure(&roc, "ROC curves on test data, averaged over splits. The diagonal is guessing.", None))
                (figure(&precision, "Precision and recall on test data, averaged over splits.", None))
            }
            (self.legend())
        }
    }

    fn calibration(&self) -> Markup {
        let lines = self.lines(|c| c.calibration.iter().map(|bin| (bin.predicted, bin.observed)).collect());
        let caption = "Predicted probability against what happened, test data of all splits, 15 bins. On the diagonal a \
                       probability of 70% is right 70% of the time. Objectives made for decisions need not be calibrated.";
        figure(
            &line_chart(&lines, "predicted", "observed", Bounds::Unit, true),
            caption,
            Some(self.legend()),
        )
    }

    fn cost(&self) -> Markup {
        let point = |(row, result): (usize, &ObjectiveResult)| {
            let mean = result.metrics.get(self.metric())?.mean;
            Some((result.name.clone(), result.seconds_per_fit, mean, self.color(row)))
        };
        let points: Vec<_> = self.comparison.results.iter().enumerate().filter_map(point).collect();
        let caption = "Quality against training time of one fit, with as many fits side by side as there are threads.";
        let names = self
            .drawn
            .iter()
            .map(|&row| (self.comparison.results[row].name.as_str(), self.color(row)));
        figure(
            &scatter_chart(&points, "seconds a fit", self.metric()),
            caption,
            Some(legend(names)),
        )
    }

    fn every_metric(&self) -> Markup {
        let results = &self.comparison.results;
        let names: Vec<String> = results
            .first()
            .map(|r| r.metrics.keys().cloned().collect())
            .unwrap_or_default();
        let header: Vec<String> = std::iter::once("objective".into())
            .chain(names.iter().cloned())
            .collect();
        let rows = |tuned: bool| -> Vec<Vec<String>> {
            let row = |result: &ObjectiveResult| {
                let values = if tuned {
                    &result.metrics_at_tuned_threshold
                } else {
                    &result.metrics
                };
                let cell = |name: &String| values.get(name).map_or("–".into(), |s| format!("{:.3}", s.mean));
                std::iter::once(result.name.clone())
                    .chain(names.iter().map(cell))
                    .collect()
            };
            results
                .iter()
                .filter(|result| !(tuned && result.tuned_threshold))
                .map(row)
                .collect()
        };
        html! {
            h3 { "Deciding for the most probable class" }
            (table(&header, &rows(false), &self.marked()))
            @if self.comparison.settings.control.is_some() {
                h3 { "Deciding at the threshold chosen on validation" }
                (table(&header, &rows(true), &[]))
                p.note { "The first table has the control at its tuned threshold. Lower is better for log-loss, brier and ece." }
            }
        }
    }

    fn how(&self) -> Markup {
        let Comparison {
            data,
            settings,
            failures,
            version,
            ..
        } = self.comparison;
        let classes: Vec<String> = data
            .classes
            .iter()
            .map(|class| format!("{} ({} rows)", class.name, class.rows))
            .collect();
        let positive = data
            .positive
            .as_ref()
            .map(|name| format!(" Positive: {name}."))
            .unwrap_or_default();
        let chosen = self
            .comparison
            .results
            .iter()
            .filter(|r| !r.chosen.is_empty() && !r.tuned_threshold);
        html! {
            p { "Model: " (settings.model) ". Training: " (settings.training) ". " (settings.splits)
                " stratified splits into 60% training, 20% validation and 20% test, seed " (settings.seed) ". "
                "Columns are scaled and encoded with what the training part shows." }
            p { "Data: " (data.rows) " rows, " (data.columns) " columns, " (data.inputs) " model inputs after encoding. Classes: "
                (classes.join(", ")) "." (positive) }
            p { "An interval says where the mean over further splits of the same data would lie; it allows for the overlap of \
                 the training parts. It says nothing about data of another origin." }
            @if settings.tune > 1 {
                p { "Each objective had the same search of " (settings.tune) " candidates of learning rate and weight decay, \
                     chosen on validation in each split." }
                @for result in chosen { p.note { (result.name) ": " (result.chosen.join("; ")) } }
            }
            @if !data.notes.is_empty() {
                h3 { "Notes on the data" }
                ul { @for note in &data.notes { li { (note) } } }
            }
            @if !failures.is_empty() {
                h3 { "Failed fits" }
                ul { @for failure in failures { li { (failure.to_string()) } } }
            }
            p.note { "contrarian " (version) }
        }
    }
}

fn paired(test: Option<&PairedComparison>) -> [String; 2] {
    let Some(test) = test else {
        return ["–".into(), "–".into()];
    };
    let p = if test.p_holm < 0.001 {
        "< 0.001".into()
    } else {
        format!("{:.3}", test.p_holm)
    };
    [
        format!("{:+.3} ({:+.3} to {:+.3})", test.difference, test.low, test.high),
        p,
    ]
}
