use super::{Growth, Minimiser, PROPER_WITHIN, PropertyCard};
use crate::report::chart::{Axis, Mark, Plot, Series, Style};
use crate::report::page::{Page, Verdict, badge_saying, figure, grid};
use crate::report::table::Table;
use maud::{Markup, Render, html};

/// One line of the card.
#[derive(Debug, Clone)]
pub struct Property {
    /// Name of the property, `convex`.
    pub name: &'static str,
    /// Whether it held in everything measured; `None` where it is a number and no question.
    pub holds: Option<bool>,
    /// The numbers behind it.
    pub finding: String,
}

impl PropertyCard {
    /// The card line by line.
    pub fn properties(&self) -> Vec<Property> {
        let question = |name, holds: bool, finding: String| Property { name, holds: Some(holds), finding };
        let Self { convexity, invariance, gradient, noise, .. } = self;
        let violated = 100.0 * convexity.violated;
        let difference = self.minimisers.iter().map(Minimiser::difference).fold(0.0, f64::max);
        let decided = self.minimisers.iter().filter(|m| m.same_decision()).count();
        let infinite: Vec<String> =
            self.extremes.iter().filter(|e| !e.finite).map(|e| format!("{:.0}", e.magnitude)).collect();
        let mut properties = vec![
            question(
                "convex",
                violated == 0.0,
                format!(
                    "{violated:.0}% of {} midpoint inequalities violated, largest {:.2e}",
                    convexity.checked,
                    convexity.largest.max(0.0)
                ),
            ),
            question("shift-invariant", invariance.shift < 1e-6, format!("largest change {:.2e}", invariance.shift)),
            question("scale-invariant", invariance.scale < 1e-6, format!("largest change {:.2e}", invariance.scale)),
            question(
                "bounded gradient",
                !gradient.growing,
                format!("largest norm {:.3} over logits of scale 0.1 to 1000", gradient.largest),
            ),
            question(
                "noise-symmetric",
                noise.holds(),
                format!("the sum over labels lies in [{:.3}, {:.3}]", noise.lowest, noise.highest),
            ),
            question(
                "proper",
                difference < PROPER_WITHIN,
                format!("the minimiser of the expected loss is off by at most {difference:.3}"),
            ),
            question(
                "decides right",
                decided == self.minimisers.len(),
                format!("the minimiser has the likeliest class in {decided} of {} cases", self.minimisers.len()),
            ),
            question(
                "finite at extremes",
                infinite.is_empty(),
                match infinite.is_empty() {
                    true => "values and gradients at logits of ±10 to ±10000, f32".into(),
                    false => format!("not finite at logits of ±{}, f32", infinite.join(", ±")),
                },
            ),
        ];
        let cost = |growth: &Growth, of: &str| {
            let last = growth.milliseconds.last().map_or((0.0, 0.0), |last| *last);
            format!("time grows as {of}^{:.2}; {:.3} ms at {:.0}", growth.exponent, last.1, last.0)
        };
        properties.push(Property { name: "cost over rows", holds: None, finding: cost(&self.rows, "rows") });
        if let Some(growth) = &self.over_classes {
            properties.push(Property { name: "cost over classes", holds: None, finding: cost(growth, "classes") });
        }
        properties
    }
}

/// The properties as a table of a page.
pub(super) fn property_rows(properties: Vec<Property>) -> Markup {
    html! {
        table {
            thead { tr { th { "property" } th { "measured" } th { "numbers" } } }
            tbody {
                @for property in properties {
                    tr {
                        th scope="row" { (property.name) }
                        td {
                            @match property.holds {
                                Some(true) => (badge_saying(Verdict::Supported, "yes")),
                                Some(false) => (badge_saying(Verdict::NotSupported, "no")),
                                None => "",
                            }
                        }
                        td { (property.finding) }
                    }
                }
            }
        }
    }
}

/// The card as a self-contained page.
pub fn property_card_html(card: &PropertyCard) -> String {
    let line = |name: &str, colour: usize, points: Vec<(f64, f64)>| {
        Series::new(name, Style::Colour(colour), points).mark(Mark::LineAndPoints)
    };
    let gradient = Plot::new(
        "Largest gradient norm over the scale of the logits",
        Axis::new("scale of logits").log(),
        Axis::new("largest norm"),
    )
    .series(line("largest norm", 0, card.gradient.by_scale.clone()));
    let minimisers =
        card.minimisers.iter().flat_map(|m| m.probabilities.iter().copied().zip(m.prediction.iter().copied()));
    let proper = Plot::new(
        "Minimising prediction over the true probability",
        Axis::new("probability").range(0.0, 1.0),
        Axis::new("prediction").range(0.0, 1.0),
    )
    .diagonal()
    .series(Series::new("minimiser", Style::Colour(0), minimisers.collect()).mark(Mark::Points));
    let extreme = |side: fn(&super::Extreme) -> f64| card.extremes.iter().map(|e| (e.magnitude, side(e))).collect();
    let extremes = Plot::new("Loss at extreme logits", Axis::new("logits, ±").log(), Axis::new("loss"))
        .series(line("right", 0, extreme(|e| e.right)))
        .series(line("wrong", 1, extreme(|e| e.wrong)));
    let mut cost = Plot::new("Milliseconds over size", Axis::new("size").log(), Axis::new("milliseconds").log())
        .series(line("rows", 0, card.rows.milliseconds.clone()));
    if let Some(growth) = &card.over_classes {
        cost = cost.series(line("classes", 1, growth.milliseconds.clone()));
    }
    let mut table =
        Table::new("Minimisers of the expected loss").name("probabilities").text("prediction").number("difference");
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.3}")).collect::<Vec<_>>().join(", ");
    for m in &card.minimisers {
        let cells = [list(&m.probabilities), list(&m.prediction), format!("{:.4}", m.difference())];
        table = table.row(cells.into_iter().map(Into::into).collect());
    }
    let subtitle = format!("Property card, measured over random logits of {} classes", card.classes);
    Page::new(card.objective.clone(), subtitle)
        .lead(property_rows(card.properties()))
        .section(
            "Charts",
            grid(&[
                figure("Gradients", gradient.render(), "The largest norm of an example's gradient. A line that climbs is no bound."),
                figure("Properness", proper.render(), "On the diagonal the minimiser of the expected loss is the probability itself."),
                figure("Extremes", extremes.render(), "Loss in f32 where every row is right and where every row is wrong; values that are not finite are left out."),
                figure("Cost", cost.render(), "Median time of value and gradient in f32: over rows at ten classes (two for a binary objective), over classes at 64 rows."),
            ]),
        )
        .section("Minimisers", table.render())
        .section(
            "How to read it",
            html! { p { "These are measurements, not proofs: a violated inequality disproves a property, and none among many random draws makes it likely. A stochastic objective is measured at its first draw." } },
        )
        .footer(concat!("contrarian ", env!("CARGO_PKG_VERSION")))
        .render()
}
