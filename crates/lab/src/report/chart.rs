//! Charts as SVG text. Drawn in marker colours that are then replaced by CSS variables, so that one file is right on
//! light and dark backgrounds.

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 380;
const FONT: (&str, u32) = ("sans-serif", 14);

/// Marker colours, and the CSS variables that take their place.
const INK: RGBColor = RGBColor(1, 1, 1);
const MUTED: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
/// Series colours there are; further series share the muted one.
pub(super) const SERIES: usize = 8;

fn series_color(index: usize) -> RGBColor {
    if index < SERIES {
        RGBColor(10 + index as u8, 0, 0)
    } else {
        MUTED
    }
}

fn themed(mut svg: String) -> String {
    let mut replace = |color: RGBColor, variable: &str| {
        let RGBColor(r, g, b) = color;
        svg = svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), &format!("var(--{variable})"));
    };
    replace(INK, "ink");
    replace(MUTED, "muted");
    replace(GRID, "grid");
    for index in 0..SERIES {
        replace(series_color(index), &format!("series-{index}"));
    }
    // Scales with the page: the size comes from the viewBox.
    svg.replacen(&format!("width=\"{WIDTH}\" "), "", 1)
}

/// One line of a chart. NaN and infinite points are left out.
#[derive(Debug, Clone)]
pub struct Line {
    /// Points, left to right.
    pub points: Vec<(f64, f64)>,
    /// Colour, an index into the palette; beyond it a muted one.
    pub color: usize,
    /// Drawn thin and grey, as context.
    pub context: bool,
}

/// The range of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    /// As the points need.
    Fitted,
    /// From 0 to 1.
    Unit,
}

/// A line chart; `diagonal` draws the line from (0, 0) to (1, 1) for reference.
pub fn line_chart(lines: &[Line], x_label: &str, y_label: &str, bounds: Bounds, diagonal: bool) -> String {
    let finite = |line: &Line| -> Vec<(f64, f64)> {
        line.points
            .iter()
            .copied()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect()
    };
    let all: Vec<(f64, f64)> = lines.iter().flat_map(finite).collect();
    let (x_range, y_range) = match bounds {
        Bounds::Unit => ((0.0, 1.0), (0.0, 1.0)),
        Bounds::Fitted => (
            range(all.iter().map(|p| p.0), 0.0),
            range(all.iter().map(|p| p.1), 0.05),
        ),
    };
    draw(HEIGHT, |root| {
        let mut chart = axes(root, x_range, y_range, x_label, y_label)?;
        if diagonal {
            chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], MUTED.stroke_width(1)))?;
        }
        for line in lines {
            let style = match line.context {
                true => MUTED.mix(0.5).stroke_width(1),
                false => series_color(line.color).stroke_width(2),
            };
            let points = finite(line);
            // A line of one point would be invisible.
            if let [point] = points[..] {
                chart.draw_series([Circle::new(point, 3, style.filled())])?;
            }
            chart.draw_series(LineSeries::new(points, style))?;
        }
        Ok(())
    })
}

/// Points with names, for two measures against each other.
pub fn scatter_chart(points: &[(String, f64, f64, usize)], x_label: &str, y_label: &str) -> String {
    let finite: Vec<&(String, f64, f64, usize)> =
        points.iter().filter(|p| p.1.is_finite() && p.2.is_finite()).collect();
    let x_range = range(finite.iter().map(|p| p.1), 0.08);
    let y_range = range(finite.iter().map(|p| p.2), 0.08);
    draw(HEIGHT, |root| {
        let mut chart = axes(root, x_range, y_range, x_label, y_label)?;
        for (_, x, y, color) in finite {
            chart.draw_series([Circle::new((*x, *y), 6, series_color(*color).filled())])?;
        }
        Ok(())
    })
}

/// One row of a [`forest_chart`].
#[derive(Debug, Clone)]
pub struct Interval {
    /// Name, left of the row.
    pub name: String,
    /// Point.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Colour, an index into the palette.
    pub color: usize,
}

/// Means with intervals, a row each, first on top; `reference` is a vertical line.
pub fn forest_chart(rows: &[Interval], reference: Option<f64>, x_label: &str) -> String {
    const ROW: u32 = 26;
    let names = rows.iter().map(|row| shortened(&row.name)).collect::<Vec<_>>();
    // Without font metrics: 7.2 pixels is a wide average for 13-pixel sans-serif.
    let margin = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) as f64 * 7.2;
    let values = rows
        .iter()
        .flat_map(|row| [row.mean, row.low, row.high])
        .chain(reference);
    let (low, high) = range(values, 0.03);
    let count = rows.len().max(1);
    draw(ROW * count as u32 + 64, |root| {
        let mut chart = ChartBuilder::on(root)
            .margin(8)
            .margin_right(16)
            .x_label_area_size(44)
            .set_label_area_size(LabelAreaPosition::Left, margin as u32 + 8)
            .build_cartesian_2d(low..high, 0.0..count as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(6)
            .x_desc(x_label)
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(TRANSPARENT)
            .label_style(FONT.into_font().color(&MUTED))
            .axis_desc_style(FONT.into_font().color(&INK))
            .x_label_formatter(&|x| tick(*x))
            .draw()?;
        if let Some(x) = reference.filter(|x| x.is_finite()) {
            chart.draw_series(LineSeries::new([(x, 0.0), (x, count as f64)], MUTED.stroke_width(1)))?;
        }
        let plotting = chart.plotting_area();
        for (index, (row, name)) in rows.iter().zip(&names).enumerate() {
            let y = count as f64 - index as f64 - 0.5;
            let color = series_color(row.color);
            if row.low.is_finite() && row.high.is_finite() {
                plotting.draw(&PathElement::new(
                    vec![(row.low, y), (row.high, y)],
                    color.stroke_width(2),
                ))?;
            }
            if row.mean.is_finite() {
                plotting.draw(&Circle::new((row.mean, y), 5, color.filled()))?;
            }
            let style = ("sans-serif", 13)
                .into_font()
                .color(&INK)
                .pos(Pos::new(HPos::Right, VPos::Center));
            let (left, _) = plotting.get_pixel_range();
            let (_, pixel) = plotting.map_coordinate(&(low, y));
            root.draw(&Text::new(name.clone(), (left.start - 8, pixel), style))?;
        }
        Ok(())
    })
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

fn draw(height: u32, paint: impl FnOnce(&Area) -> Drawn<()>) -> String {
    let mut svg = String::new();
    let painted = {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        paint(&root).and_then(|()| Ok(root.present()?))
    };
    // A chart that cannot be drawn must not cost the report: it says so in its place.
    if let Err(error) = painted {
        svg.clear();
        let _ = write!(svg, "<p>this chart could not be drawn: {error}</p>");
    }
    themed(svg).replacen(&format!("height=\"{height}\" "), "", 1)
}

fn axes<'a, 'b>(
    root: &'a Area<'b>,
    x: (f64, f64),
    y: (f64, f64),
    x_label: &str,
    y_label: &str,
) -> Drawn<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(root)
        .margin(10)
        .margin_right(18)
        .x_label_area_size(46)
        .y_label_area_size(62)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .x_labels(6)
        .y_labels(6)
        .x_desc(x_label)
        .y_desc(y_label)
        .label_style(FONT.into_font().color(&MUTED))
        .axis_desc_style(FONT.into_font().color(&INK))
        .x_label_formatter(&|x| tick(*x))
        .y_label_formatter(&|y| tick(*y))
        .draw()?;
    Ok(chart)
}

/// The range of finite values with a margin on both sides; something drawable when there are none or all are the same.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let width = high - low;
    let pad = if width > 1e-12 * low.abs().max(high.abs()) {
        width * margin
    } else {
        low.abs().max(1.0) * 0.1
    };
    (low - pad, high + pad)
}

/// A tick's number without digits that say nothing.
fn tick(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Long names are cut in the middle, where they differ least.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 34;
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= LONGEST {
        return name.into();
    }
    let start: String = characters[..LONGEST - 12].iter().collect();
    let end: String = characters[characters.len() - 11..].iter().collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(svg: &str) {
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        for color in [INK, MUTED, GRID, series_color(0)] {
            let RGBColor(r, g, b) = color;
            assert!(
                !svg.contains(&format!("#{r:02X}{g:02X}{b:02X}")),
                "a marker colour is left"
            );
        }
    }

    #[test]
    fn odd_data_still_gives_a_chart() {
        let line = |points: &[(f64, f64)]| Line {
            points: points.to_vec(),
            color: 0,
            context: false,
        };
        for points in [
            vec![],
            vec![(1.0, 1.0)],
            vec![(0.0, 2.0), (1.0, 2.0)],
            vec![(0.0, f64::NAN), (1.0, f64::INFINITY), (2.0, 1e300)],
            vec![(0.0, 1.0), (1.0, 3.0)],
        ] {
            for bounds in [Bounds::Fitted, Bounds::Unit] {
                sound(&line_chart(&[line(&points), line(&[])], "x", "y", bounds, true));
            }
        }
        sound(&forest_chart(&[], None, "x"));
        let row = |name: &str, mean| Interval {
            name: name.into(),
            mean,
            low: f64::NAN,
            high: f64::NAN,
            color: 99,
        };
        let long = "an objective with a very long name (and=parameters, more=parameters, yet=more)";
        sound(&forest_chart(
            &[row(long, 0.5), row("<b>&\"", f64::NAN)],
            Some(0.5),
            "x",
        ));
        sound(&scatter_chart(&[("a".into(), 1.0, f64::NAN, 0)], "x", "y"));
    }

    #[test]
    fn ticks_are_short() {
        let ticks: Vec<String> = [0.0, -0.0, 0.5, 0.125, 100.0, 2e-5, 3e7].map(tick).to_vec();
        assert_eq!(ticks, ["0", "0", "0.5", "0.125", "100", "2.0e-5", "3.0e7"]);
    }
}
