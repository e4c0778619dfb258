use super::card::property_rows;
use super::{Hardness, PairCard, Property};
use crate::report::chart::{Axis, Mark, Plot, Series, Style};
use crate::report::page::{Page, figure, grid};
use maud::{Render, html};

impl Hardness {
    fn finding(&self) -> String {
        match (self.hardest_tenth, self.entropy) {
            (Some(share), Some(entropy)) => format!(
                "the hardest tenth of the negatives has {:.1}% of the gradient; entropy of the shares {entropy:.3}",
                100.0 * share
            ),
            _ => "no gradient reaches the negatives".into(),
        }
    }
}

impl PairCard {
    /// The card line by line.
    pub fn properties(&self) -> Vec<Property> {
        let number = |name, finding| Property { name, holds: None, finding };
        let mut properties = Vec::new();
        if self.labels {
            let weights = if self.class_weights { "one row a class, part of the model" } else { "none" };
            let holds = Some(self.class_weights);
            properties.push(Property { name: "learns class weights", holds, finding: weights.into() });
        }
        properties.push(number("hardness", self.hardness.finding()));
        for point in &self.by_temperature {
            let temperature = point.temperature.unwrap_or(f64::NAN);
            properties.push(number("", format!("at temperature {temperature}: {}", point.finding())));
        }
        let list = |value: &dyn Fn(&super::BatchSize) -> Option<f64>| {
            let parts: Vec<String> = self
                .batches
                .iter()
                .filter_map(|batch| value(batch).map(|value| format!("{value:.3} at {}", batch.items)))
                .collect();
            parts.join(", ")
        };
        let relative = list(&|batch| batch.relative);
        properties.push(number("gradient over the batch", format!("relative norm for an anchor {relative}")));
        let coupling = list(&|batch| batch.coupling);
        if !coupling.is_empty() {
            properties.push(number("coupling", format!("share of the decoupled gradient kept: {coupling}")));
        }
        for c in &self.coverage {
            properties.push(number(c.batch, format!("loss {:.3}, gradient norm {:.2e}", c.value, c.gradient)));
        }
        properties
    }
}

/// The card of an objective over embeddings as a self-contained page.
pub fn pair_card_html(card: &PairCard) -> String {
    let line = |name: &str, colour: usize, points: Vec<(f64, f64)>| {
        Series::new(name, Style::Colour(colour), points).mark(Mark::LineAndPoints)
    };
    let mut figures = Vec::new();
    if !card.by_temperature.is_empty() {
        let over = |value: fn(&Hardness) -> Option<f64>| {
            card.by_temperature.iter().filter_map(|h| Some((h.temperature?, value(h)?))).collect()
        };
        let plot = Plot::new(
            "Sharing among the negatives over the temperature",
            Axis::new("temperature").log(),
            Axis::new("share, entropy").range(0.0, 1.0),
        )
        .series(line("share of the hardest tenth", 0, over(|h| h.hardest_tenth)))
        .series(line("entropy", 1, over(|h| h.entropy)));
        figures.push(figure(
            "Hardness",
            plot.render(),
            "A tenth and 1 where all negatives weigh alike; 1 and 0 where only the hardest count.",
        ));
    }
    let over = |value: fn(&super::BatchSize) -> Option<f64>| -> Vec<(f64, f64)> {
        card.batches.iter().filter_map(|b| Some((b.items as f64, value(b)?))).collect()
    };
    let plot =
        Plot::new("Gradient norm of an anchor", Axis::new("items of the batch").log(), Axis::new("relative norm"))
            .series(line("relative norm", 0, over(|b| b.relative)));
    figures.push(figure("Batch size", plot.render(), "Relative to the largest batch, for one anchor's own loss."));
    let coupling = over(|b| b.coupling);
    if !coupling.is_empty() {
        let plot = Plot::new(
            "Coupling of negatives and positive",
            Axis::new("items of the batch").log(),
            Axis::new("coefficient").range(0.0, 1.0),
        )
        .series(line("coefficient", 0, coupling));
        figures.push(figure("Coupling", plot.render(), "The share of the decoupled loss's gradient that is kept."));
    }
    let sees = match (card.labels, card.class_weights) {
        (false, _) => "pairs",
        (true, false) => "labels",
        (true, true) => "labels and class weights",
    };
    Page::new(card.objective.clone(), format!("Card of an objective over embeddings with {sees}"))
        .lead(property_rows(card.properties()))
        .section("Charts", grid(&figures))
        .section(
            "How to read it",
            html! { p { "Measured from the gradient of the objective in f64: an anchor, a positive at similarity 0.8, negatives spread evenly from -0.4 to 0.9, in directions orthogonal to each other, so that the gradient tells every similarity's part. With labels every item is a class of two; with class weights every item has its own class, whose weight is its second view, so that classes grow with the batch." } },
        )
        .footer(concat!("contrarian ", env!("CARGO_PKG_VERSION")))
        .render()
}
