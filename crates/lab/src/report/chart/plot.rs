use super::{
    axis::{Axis, Scale},
    canvas::{Area, CHARACTER, Drawn, Key, Texts, draw, line, nothing, point, text_style, units},
    ink::{Ink, Style},
};
use maud::{Markup, Render, html};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, VPos},
};

/// Space around the axes, in CSS pixels.
const MARGIN_TOP: f64 = 10.0;
const MARGIN_RIGHT: f64 = 16.0;
const MARGIN_BOTTOM: f64 = 2.0;
const MARGIN_LEFT: f64 = 2.0;
/// Height of ticks and label of the x axis.
const BELOW: f64 = 41.0;

/// Width of ticks and label of the y axis.
fn left_of(y: &Scale) -> f64 {
    y.longest_label() as f64 * CHARACTER + 34.0
}

/// How the values of a series are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points.
    #[default]
    Line,
    /// Only the points.
    Points,
    /// Both.
    LineAndPoints,
    /// Small points, for clouds of many.
    Dots,
}

/// One series of a [`Plot`].
#[derive(Debug, Clone)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    band: Vec<(f64, f64, f64)>,
    mark: Mark,
    style: Style,
}

impl Series {
    /// A series of points in drawing order; those that are not finite are left out.
    pub fn new(name: impl Into<String>, style: Style, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, band: Vec::new(), mark: Mark::Line, style }
    }

    /// A shaded band: x with its low and high.
    pub fn band(mut self, band: Vec<(f64, f64, f64)>) -> Self {
        self.band = band;
        self
    }

    /// Another mark than a line.
    pub fn mark(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }
}

/// A chart with two numeric axes: lines, points, reliability, ROC and precision-recall curves.
#[derive(Debug, Clone)]
pub struct Plot {
    label: String,
    x: Axis,
    y: Axis,
    series: Vec<Series>,
    diagonal: bool,
    levels: Vec<f64>,
    equal_units: bool,
    size: (f64, f64),
}

impl Plot {
    /// An empty chart. `label` says in words what it shows, for readers who do not see it.
    pub fn new(label: impl Into<String>, x: Axis, y: Axis) -> Self {
        let (series, levels) = (Vec::new(), Vec::new());
        Self { label: label.into(), x, y, series, diagonal: false, levels, equal_units: false, size: (440.0, 300.0) }
    }

    /// Adds a series.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Draws the line where y equals x: chance in a ROC curve, perfect calibration in a reliability diagram.
    pub fn diagonal(mut self) -> Self {
        self.diagonal = true;
        self
    }

    /// Draws a horizontal reference line at `y`.
    pub fn level(mut self, y: f64) -> Self {
        self.levels.push(y);
        self
    }

    /// Shows a unit of x as long as a unit of y, so that distances look as they are. For axes that are not logarithmic.
    pub fn equal_units(mut self) -> Self {
        self.equal_units = true;
        self
    }

    /// The size in CSS pixels at which text has its usual size; the chart scales with the page.
    pub fn size(mut self, width: f64, height: f64) -> Self {
        self.size = (width.clamp(120.0, 4000.0), height.clamp(100.0, 4000.0));
        self
    }

    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        Some((self.x.place(x)?, self.y.place(y)?))
    }

    fn scales(&self) -> (Scale, Scale) {
        let drawn =
            || self.series.iter().flat_map(|series| &series.points).filter(|point| self.place(**point).is_some());
        let bands = || self.series.iter().flat_map(|series| &series.band);
        let x = self.x.scale(drawn().map(|(x, _)| *x).chain(bands().map(|(x, ..)| *x)), 6);
        let y_values = drawn().map(|(_, y)| *y).chain(bands().flat_map(|(_, low, high)| [*low, *high]));
        let y = self.y.scale(y_values.chain(self.levels.iter().copied()), 5);
        if !self.equal_units {
            return (x, y);
        }
        let width = self.size.0 - left_of(&y) - MARGIN_LEFT - MARGIN_RIGHT;
        let height = self.size.1 - BELOW - MARGIN_TOP - MARGIN_BOTTOM;
        let unit = ((x.high - x.low) / width).max((y.high - y.low) / height);
        let widened = |axis: &Axis, scale: &Scale, pixels: f64, ticks| {
            let (middle, half) = (f64::midpoint(scale.low, scale.high), unit * pixels / 2.0);
            axis.clone().range(middle - half, middle + half).scale([], ticks)
        };
        (widened(&self.x, &x, width, 6), widened(&self.y, &y, height, 5))
    }

    fn paint(&self, root: &Area<'_>, texts: &mut Texts) -> Drawn {
        let (x, y) = self.scales();
        let mut chart = ChartBuilder::on(root)
            .margin_top(units(MARGIN_TOP))
            .margin_right(units(MARGIN_RIGHT))
            .margin_bottom(units(MARGIN_BOTTOM))
            .margin_left(units(MARGIN_LEFT))
            .x_label_area_size(units(BELOW))
            .y_label_area_size(units(left_of(&y)))
            .build_cartesian_2d(x.clone(), y.clone())?;
        let (x_desc, y_desc) = (texts.put(self.x.label(), 60), texts.put(self.y.label(), 40));
        chart
            .configure_mesh()
            .bold_line_style(Ink::Grid.solid().stroke_width(units(0.8) as u32))
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Axis.solid().stroke_width(units(0.9) as u32))
            .set_all_tick_mark_size(units(4.0))
            .label_style(text_style(Ink::Muted, HPos::Center, VPos::Top))
            .axis_desc_style(text_style(Ink::Text, HPos::Center, VPos::Top))
            .x_desc(x_desc)
            .y_desc(y_desc)
            .draw()?;

        let at = |(px, py): (f64, f64)| chart.backend_coord(&(x.clamp(px), y.clamp(py)));
        if self.diagonal {
            let (low, high) = (x.low.max(y.low), x.high.min(y.high));
            if low < high {
                line(root, vec![at((low, low)), at((high, high))], Ink::Axis.dashed(), 1.2)?;
            }
        }
        for level in self.levels.iter().filter_map(|level| self.y.place(*level)) {
            line(root, vec![at((x.low, level)), at((x.high, level))], Ink::Axis.dashed(), 1.2)?;
        }
        for series in self.in_layers() {
            let band = |upper: bool| {
                let edge = move |(px, low, high): &(f64, f64, f64)| self.place((*px, if upper { *high } else { *low }));
                series.band.iter().filter(|band| band.1.is_finite() && band.2.is_finite()).filter_map(edge).map(at)
            };
            let outline: Vec<_> = band(true).chain(band(false).collect::<Vec<_>>().into_iter().rev()).collect();
            if outline.len() >= 4 {
                root.draw(&Polygon::new(outline, series.style.ink().solid().mix(0.16).filled()))?;
            }
            let places: Vec<_> = series.points.iter().filter_map(|point| self.place(*point)).map(at).collect();
            if matches!(series.mark, Mark::Line | Mark::LineAndPoints) && places.len() > 1 {
                line(root, places.clone(), series.style.ink().dashed(), series.style.width())?;
            }
            if series.mark != Mark::Line || places.len() == 1 {
                let radius = match series.mark {
                    Mark::LineAndPoints => 3.2,
                    Mark::Dots => 2.6,
                    Mark::Line | Mark::Points => 4.6,
                };
                let radius = if series.style == Style::Faint { radius * 0.7 } else { radius };
                for place in places {
                    point(root, series.style, place, radius)?;
                }
            }
        }
        Ok(())
    }

    fn drawable(&self, series: &Series) -> bool {
        series.points.iter().any(|point| self.place(*point).is_some())
    }

    fn in_layers(&self) -> Vec<&Series> {
        let mut series: Vec<&Series> = self.series.iter().filter(|series| self.drawable(series)).collect();
        series.sort_by_key(|series| series.style.layer());
        series
    }
}

impl Render for Plot {
    fn render(&self) -> Markup {
        let drawable: Vec<&Series> = self.series.iter().filter(|series| self.drawable(series)).collect();
        if drawable.is_empty() {
            return nothing("No data to draw.");
        }
        let faint = drawable.iter().filter(|series| series.style == Style::Faint).count();
        let others = format!("{faint} others");
        html! {
            div.chart {
                (draw(&self.label, self.size, "plot", |root, texts| self.paint(root, texts)))
                @if drawable.len() > 1 {
                    ul.legend {
                        @for series in drawable.iter().filter(|series| series.style != Style::Faint) {
                            (key(series, &series.name))
                        }
                        @if let Some(series) = drawable.iter().find(|series| series.style == Style::Faint) {
                            (key(series, if faint == 1 { &series.name } else { &others }))
                        }
                    }
                }
            }
        }
    }
}

fn key<'a>(series: &Series, name: &'a str) -> Key<'a> {
    let line = matches!(series.mark, Mark::Line | Mark::LineAndPoints);
    Key { name, style: series.style, line, points: series.mark != Mark::Line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(points: Vec<(f64, f64)>) -> String {
        Plot::new("test", Axis::new("x").log(), Axis::new("y"))
            .series(Series::new("s", Style::Colour(0), points.clone()))
            .series(Series::new("t", Style::Faint, points).mark(Mark::LineAndPoints))
            .diagonal()
            .level(0.5)
            .render()
            .into_string()
    }

    #[test]
    fn odd_points_do_not_panic() {
        assert!(rendered(vec![]).contains("No data"));
        assert!(rendered(vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (-1.0, 2.0)]).contains("No data"));
        assert!(rendered(vec![(1.0, 1.0)]).contains("<circle"));
        assert!(rendered(vec![(2.0, 1.0); 5]).contains("<svg"));
        assert!(rendered(vec![(1e-300, 1e300), (1e300, -1e300), (1.0, 0.0)]).contains("<svg"));
    }

    #[test]
    fn no_placeholder_colour_is_left() {
        let svg = rendered(vec![(1.0, 1.0), (10.0, 2.0)]);
        assert!(!svg.contains("#F1"), "{svg}");
        assert!(svg.contains("var(--series-1)"));
    }

    /// Two corners of a square, 4 canvas units a pixel: as far apart across as down.
    #[test]
    fn equal_units_keep_a_square_square() {
        let corners = Series::new("s", Style::Colour(0), vec![(-3.0, 5.0), (2.0, 10.0)]).mark(Mark::Dots);
        let svg = Plot::new("t", Axis::new("x"), Axis::new("y")).series(corners).equal_units().render().into_string();
        let number = |circle: &str, name: &str| -> f64 {
            let text = circle.split_once(&format!(" {name}=\"")).unwrap().1.split_once('"').unwrap().0;
            text.parse().unwrap()
        };
        let circles: Vec<(f64, f64)> =
            svg.split("<circle").skip(1).map(|circle| (number(circle, "cx"), number(circle, "cy"))).collect();
        let [(x, y), (to_x, to_y)] = circles[..] else { panic!("two dots: {svg}") };
        let (across, down) = (to_x - x, y - to_y);
        // Ticks of the widened axis may be a digit longer than those the room was measured with: 7 pixels of about 250.
        assert!(across > 100.0 && (across - down).abs() < 0.05 * down, "{across} across, {down} down");
    }

    #[test]
    fn bands_are_shaded() {
        let series = Series::new("s", Style::Colour(0), vec![(0.0, 1.0), (1.0, 2.0)]);
        let band = vec![(0.0, 0.5, 1.5), (1.0, 1.5, 2.5), (2.0, f64::NAN, 1.0)];
        let plot = Plot::new("test", Axis::new("x"), Axis::new("y")).series(series.band(band));
        assert!(plot.render().into_string().contains("<polygon"));
    }
}
