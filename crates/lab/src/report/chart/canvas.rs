use super::ink::{Ink, Style, dash_list, themed};
use maud::{Markup, PreEscaped, Render, html};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// Canvas units a CSS pixel: Plotters rounds coordinates to whole units, which shows as stairs at one to one.
pub(super) const SCALE: i32 = 4;
/// Size of a chart's text in CSS pixels.
pub(super) const TEXT: f64 = 13.0;
/// Width of an average character at that size.
pub(super) const CHARACTER: f64 = 7.2;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// CSS pixels in canvas units.
pub(super) fn units(pixels: f64) -> i32 {
    (pixels * f64::from(SCALE)).round() as i32
}

/// The texts of a chart. They stay out of Plotters, which cannot attach the full name to a shortened one: it draws a
/// placeholder, and the text takes its place at the end.
#[derive(Default)]
pub(super) struct Texts(Vec<String>);

impl Texts {
    /// A placeholder for `text`, shortened to `most` characters with the whole as a tooltip.
    pub(super) fn put(&mut self, text: &str, most: usize) -> String {
        let shown = shorten(text, most);
        let markup = html! { (shown) @if shown != text { title { (text) } } };
        self.0.push(markup.into_string());
        format!("\u{e000}{}\u{e001}", self.0.len() - 1)
    }

    fn fill(&self, svg: &str) -> String {
        let mut filled = String::with_capacity(svg.len());
        let mut rest = svg;
        while let Some((before, after)) = rest.split_once('\u{e000}') {
            filled.push_str(before);
            let Some((index, after)) = after.split_once('\u{e001}') else {
                rest = after;
                break;
            };
            if let Some(text) = index.parse::<usize>().ok().and_then(|index| self.0.get(index)) {
                filled.push_str(text);
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// The first characters of a long text, with an ellipsis; control characters, which XML forbids, become spaces.
pub fn shorten(text: &str, most: usize) -> String {
    let clean: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if clean.chars().count() <= most {
        return clean;
    }
    let mut short: String = clean.chars().take(most.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// Text in the chart's font at the usual size, at a place given in canvas units.
pub(super) fn text_style(ink: Ink, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    // Plotters writes font sizes divided by 1.24.
    let mut style =
        TextStyle::from(("sans-serif", TEXT * 1.24 * f64::from(SCALE)).into_font()).pos(Pos::new(horizontal, vertical));
    style.color = ink.solid().to_backend_color();
    style
}

/// Draws a chart of a size in CSS pixels and gives it as an `svg` element that scales with the page.
pub(super) fn draw(
    label: &str,
    size: (f64, f64),
    class: &str,
    paint: impl FnOnce(&Area<'_>, &mut Texts) -> Drawn,
) -> Markup {
    let mut svg = String::new();
    let mut texts = Texts::default();
    let (width, height) = (units(size.0) as u32, units(size.1) as u32);
    let drawn = {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        paint(&root, &mut texts).and_then(|()| root.present())
    };
    let Some(body) = svg.split_once('>').map(|(_, body)| body).filter(|_| drawn.is_ok()) else {
        return nothing("This chart could not be drawn; the numbers are in the tables.");
    };
    let body = texts.fill(&themed(body.to_owned(), SCALE));
    let head = html! { (label) }.into_string();
    PreEscaped(format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{}px\" role=\"img\" \
         aria-label=\"{head}\" xmlns=\"http://www.w3.org/2000/svg\">{body}",
        // Charts may grow a little with their column; text twice its size helps nobody.
        (size.0 * 1.15).round()
    ))
}

/// What stands in the place of a chart without data.
pub(super) fn nothing(why: &str) -> Markup {
    html! { p.nothing { (why) } }
}

/// One entry of a legend, as a small drawing and a name.
pub(super) struct Key<'a> {
    pub name: &'a str,
    pub style: Style,
    pub line: bool,
    pub points: bool,
}

impl Render for Key<'_> {
    fn render(&self) -> Markup {
        let ink = self.style.ink();
        let colour = ink.variable();
        let dashes = ink.dashes().map(|dashes| dash_list(dashes, 1));
        let name = shorten(self.name, 34);
        html! {
            li title=[(name != self.name).then_some(self.name)] {
                svg.key viewBox="0 0 30 12" aria-hidden="true" {
                    @if self.line {
                        line x1="0" x2="30" y1="6" y2="6" stroke=(colour) stroke-width=(self.style.width())
                            stroke-dasharray=[dashes] {}
                    }
                    @if self.points { (key_point(self.style, &colour)) }
                }
                span { (name) }
            }
        }
    }
}

fn key_point(style: Style, colour: &str) -> Markup {
    html! {
        @match style.shape() {
            0 => circle cx="15" cy="6" r="4" fill=(colour) {},
            1 => rect x="11.5" y="2.5" width="7" height="7" fill=(colour) {},
            2 => polygon points="15,1 20,10 10,10" fill=(colour) {},
            _ => polygon points="15,1 20,6 15,11 10,6" fill=(colour) {},
        }
    }
}

/// A point in a style's shape, in canvas units around its place.
pub(super) fn point(area: &Area<'_>, style: Style, (x, y): (i32, i32), radius: f64) -> Drawn {
    let fill = style.ink().solid().filled();
    let r = units(radius);
    match style.shape() {
        0 => area.draw(&Circle::new((x, y), r, fill)),
        1 => {
            let half = units(radius * 0.88);
            area.draw(&Rectangle::new([(x - half, y - half), (x + half, y + half)], fill))
        }
        2 => {
            let far = units(radius * 1.2);
            area.draw(&Polygon::new([(x, y - far), (x + far, y + r), (x - far, y + r)], fill))
        }
        _ => {
            let far = units(radius * 1.2);
            area.draw(&Polygon::new([(x, y - far), (x + far, y), (x, y + far), (x - far, y)], fill))
        }
    }
}

/// A line along these places, in canvas units.
pub(super) fn line(area: &Area<'_>, places: Vec<(i32, i32)>, colour: RGBColor, width: f64) -> Drawn {
    let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: units(width) as u32 };
    area.draw(&PathElement::new(places, style))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_whole_as_a_tooltip() {
        let mut texts = Texts::default();
        let token = texts.put("a <b> name that is far too long", 10);
        let filled = texts.fill(&format!("<text>{token}</text>"));
        assert_eq!(filled, "<text>a &lt;b&gt; nam…<title>a &lt;b&gt; name that is far too long</title></text>");
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shorten("日本語の名前です", 4), "日本語…");
        assert_eq!(shorten("a\tb", 4), "a b");
    }
}
