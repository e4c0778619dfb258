use super::{
    axis::{Axis, Scale},
    canvas::{Area, CHARACTER, Drawn, Texts, draw, line, nothing, point, text_style, units},
    ink::{Ink, Style},
};
use maud::{Markup, Render, html};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

/// One row of a [`RowChart`].
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How it looks.
    pub style: Style,
    /// The value; a row whose value is not finite keeps its place and says so.
    pub value: f64,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// Single values behind it, drawn small.
    pub values: Vec<f64>,
    /// The value in words.
    pub text: String,
}

/// How the values of a [`RowChart`] are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowMark {
    /// A dot with its interval: a forest plot.
    Dots,
    /// A bar from zero.
    Bars,
}

/// A chart with one row a name: a forest plot, or horizontal bars. It is drawn twice, for a wide page and for a phone;
/// the style sheet shows the one that fits.
#[derive(Debug, Clone)]
pub struct RowChart {
    label: String,
    axis: Axis,
    mark: RowMark,
    rows: Vec<Row>,
    reference: Option<f64>,
}

/// Where things are, in CSS pixels.
struct Layout {
    width: f64,
    row: f64,
    left: f64,
    right: f64,
    name_width: f64,
    stacked: bool,
}

const WIDE: Layout = Layout { width: 980.0, row: 30.0, left: 262.0, right: 182.0, name_width: 240.0, stacked: false };
const NARROW: Layout = Layout { width: 370.0, row: 44.0, left: 10.0, right: 14.0, name_width: 196.0, stacked: true };
const TOP: f64 = 8.0;
const BOTTOM: f64 = 46.0;

impl RowChart {
    /// An empty chart. `label` says in words what it shows, for readers who do not see it.
    pub fn new(label: impl Into<String>, axis: Axis, mark: RowMark) -> Self {
        Self { label: label.into(), axis, mark, rows: Vec::new(), reference: None }
    }

    /// Adds a row below the others.
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// Draws a vertical reference line at `value`.
    pub fn reference(mut self, value: f64) -> Self {
        self.reference = Some(value);
        self
    }

    fn scale(&self, layout: &Layout) -> Scale {
        let values = self.rows.iter().flat_map(|row| {
            let ends = row.interval.map_or([f64::NAN; 2], |(low, high)| [low, high]);
            [row.value, ends[0], ends[1]].into_iter().chain(row.values.iter().copied())
        });
        let zero = (self.mark == RowMark::Bars).then_some(0.0);
        let scale = self.axis.scale(values.chain(self.reference).chain(zero), if layout.stacked { 4 } else { 7 });
        if self.mark == RowMark::Bars
            && scale.high > 0.0
            && self.rows.iter().all(|row| row.value.is_nan() || row.value >= 0.0)
        {
            // Bars that cannot be negative start at the edge, not beside it.
            return self.axis.clone().range(0.0, scale.high).scale([], if layout.stacked { 4 } else { 7 });
        }
        scale
    }

    fn paint(&self, root: &Area<'_>, texts: &mut Texts, layout: &Layout) -> Drawn {
        let scale = self.scale(layout);
        let across = layout.width - layout.left - layout.right;
        let at = |place: f64| units(layout.left + (scale.clamp(place) - scale.low) / (scale.high - scale.low) * across);
        let bottom = TOP + self.rows.len() as f64 * layout.row;
        // On a phone names stand above their rows, and no line may cross them.
        let segments: Vec<(f64, f64)> = if layout.stacked {
            let top = |index: usize| TOP + index as f64 * layout.row;
            (0..self.rows.len()).map(|index| (top(index) + 20.0, top(index + 1))).collect()
        } else {
            vec![(TOP, bottom)]
        };
        let vertical = |x: i32, colour, width| {
            let mut parts = segments.iter();
            parts.try_for_each(|(from, to)| line(root, vec![(x, units(*from)), (x, units(*to))], colour, width))
        };
        for (tick, label) in &scale.ticks {
            let x = at(*tick);
            vertical(x, Ink::Grid.solid(), 0.8)?;
            let style = text_style(Ink::Muted, HPos::Center, VPos::Top);
            root.draw_text(&texts.put(label, 12), &style, (x, units(bottom + 6.0)))?;
        }
        let middle = units(layout.left + across / 2.0);
        let style = text_style(Ink::Text, HPos::Center, VPos::Top);
        root.draw_text(&texts.put(self.axis.label(), 56), &style, (middle, units(bottom + 25.0)))?;
        if let Some(place) = self.reference.and_then(|value| self.axis.place(value)) {
            vertical(at(place), Ink::Axis.dashed(), 1.4)?;
        }
        for (index, row) in self.rows.iter().enumerate() {
            self.paint_row(root, texts, layout, row, TOP + index as f64 * layout.row, &at)?;
        }
        Ok(())
    }

    fn paint_row(
        &self,
        root: &Area<'_>,
        texts: &mut Texts,
        layout: &Layout,
        row: &Row,
        top: f64,
        at: &impl Fn(f64) -> i32,
    ) -> Drawn {
        let center = if layout.stacked { top + layout.row * 0.65 } else { top + layout.row / 2.0 };
        let text_y = units(if layout.stacked { top + 13.0 } else { center });
        let most = (layout.name_width / CHARACTER) as usize;
        root.draw_text(
            &texts.put(&row.name, most),
            &text_style(Ink::Text, HPos::Left, VPos::Center),
            (units(4.0), text_y),
        )?;
        let right = (units(layout.width - 4.0), text_y);
        let place = self.axis.place(row.value);
        let text = if place.is_some() { row.text.as_str() } else { "no value" };
        root.draw_text(&texts.put(text, 26), &text_style(Ink::Muted, HPos::Right, VPos::Center), right)?;
        let Some(place) = place else { return Ok(()) };
        let y = units(center);
        let colour = row.style.ink().solid();
        match self.mark {
            RowMark::Bars => {
                let half = units(if layout.stacked { 6.0 } else { 8.0 });
                let zero = at(self.axis.place(0.0).unwrap_or(f64::MIN));
                root.draw(&Rectangle::new([(zero, y - half), (at(place), y + half)], colour.filled()))
            }
            RowMark::Dots => {
                // Below the interval, which would hide them.
                for value in row.values.iter().filter_map(|value| self.axis.place(*value)) {
                    root.draw(&Circle::new((at(value), y + units(9.0)), units(2.0), colour.mix(0.45).filled()))?;
                }
                let ends = row.interval.and_then(|(low, high)| Some((self.axis.place(low)?, self.axis.place(high)?)));
                if let Some((low, high)) = ends {
                    line(root, vec![(at(low), y), (at(high), y)], colour, 2.2)?;
                    for end in [low, high] {
                        line(root, vec![(at(end), y - units(4.5)), (at(end), y + units(4.5))], colour, 2.2)?;
                    }
                }
                point(root, row.style, (at(place), y), 5.2)
            }
        }
    }
}

impl Render for RowChart {
    fn render(&self) -> Markup {
        if self.rows.is_empty() {
            return nothing("No data to draw.");
        }
        let drawn = |layout: &Layout, class: &str| {
            let height = TOP + BOTTOM + self.rows.len() as f64 * layout.row;
            draw(&self.label, (layout.width, height), class, |root, texts| self.paint(root, texts, layout))
        };
        html! {
            div.chart { (drawn(&WIDE, "rows wide")) (drawn(&NARROW, "rows narrow")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: f64, interval: Option<(f64, f64)>) -> Row {
        Row { name: name.into(), style: Style::Colour(2), value, interval, values: vec![value], text: "text".into() }
    }

    #[test]
    fn rows_without_a_value_keep_their_place() {
        for mark in [RowMark::Dots, RowMark::Bars] {
            for axis in [Axis::new("x"), Axis::new("x").log()] {
                let chart = RowChart::new("test", axis, mark)
                    .row(row("a", 0.5, Some((0.4, f64::INFINITY))))
                    .row(row("b", f64::NAN, None))
                    .reference(f64::NAN);
                let markup = chart.render().into_string();
                assert_eq!(markup.matches("no value").count(), 2, "{markup}");
                assert!(!markup.contains("#F1"));
            }
        }
    }

    #[test]
    fn equal_and_missing_rows_do_not_panic() {
        let same = RowChart::new("t", Axis::new("x"), RowMark::Bars).row(row("a", 0.0, None)).row(row("b", 0.0, None));
        assert!(same.render().into_string().contains("<rect"));
        assert!(RowChart::new("t", Axis::new("x"), RowMark::Dots).render().into_string().contains("No data"));
    }
}
