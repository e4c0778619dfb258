use plotters::style::RGBColor;

/// Colours for methods; more methods than this in one chart cannot be told apart.
const COLOURS: usize = 8;
/// Methods that keep a colour where there are more than [`COLOURS`].
const BEST: usize = 7;

/// What a method is in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of those compared.
    Method,
    /// The one the others are tested against.
    Baseline,
    /// The honest control.
    Control,
}

/// How a series looks: colour, dash and the shape of its points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One of eight colours that colour-blind readers tell apart, each with its own dash; counts from 0.
    Colour(usize),
    /// The baseline: the colour of the text, solid and heavy.
    Baseline,
    /// The control: the colour of the text, dashed and heavy.
    Control,
    /// Thin and grey: there, but not to be told apart.
    Faint,
}

/// Styles for methods in this order, best first: the same method looks the same in every chart of a page. With more
/// than eight methods the best seven keep a colour; baseline and control always stand out.
pub fn styles(roles: &[Role]) -> Vec<Style> {
    let methods = roles.iter().filter(|role| **role == Role::Method).count();
    let coloured = if methods > COLOURS { BEST } else { COLOURS };
    let mut next = 0;
    roles
        .iter()
        .map(|role| match role {
            Role::Baseline => Style::Baseline,
            Role::Control => Style::Control,
            Role::Method => {
                next += 1;
                if next <= coloured { Style::Colour(next - 1) } else { Style::Faint }
            }
        })
        .collect()
}

impl Style {
    /// Width of a line in this style.
    pub(super) fn width(self) -> f64 {
        match self {
            Self::Colour(_) => 1.8,
            Self::Baseline | Self::Control => 2.4,
            Self::Faint => 0.9,
        }
    }

    /// Drawing order: what matters most comes last and lies on top.
    pub(super) fn layer(self) -> usize {
        match self {
            Self::Faint => 0,
            Self::Colour(index) => COLOURS.saturating_sub(index),
            Self::Baseline => COLOURS + 1,
            Self::Control => COLOURS + 2,
        }
    }

    /// The shape of its points: one of four.
    pub(super) fn shape(self) -> usize {
        match self {
            Self::Colour(index) => index % 4,
            Self::Baseline => 1,
            Self::Control => 3,
            Self::Faint => 0,
        }
    }

    pub(super) fn ink(self) -> Ink {
        Ink::Of(self)
    }
}

/// Everything that has a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Muted,
    Axis,
    Grid,
    Paper,
    Of(Style),
}

impl Ink {
    const PLAIN: [Self; 8] = [
        Self::Text,
        Self::Muted,
        Self::Axis,
        Self::Grid,
        Self::Paper,
        Self::Of(Style::Baseline),
        Self::Of(Style::Control),
        Self::Of(Style::Faint),
    ];

    fn all() -> impl Iterator<Item = Self> {
        Self::PLAIN.into_iter().chain((0..COLOURS).map(|index| Self::Of(Style::Colour(index))))
    }

    fn slot(self) -> u8 {
        match self {
            Self::Of(Style::Colour(index)) => 0x20 + (index % COLOURS) as u8,
            Self::Text => 1,
            Self::Muted => 2,
            Self::Axis => 3,
            Self::Grid => 4,
            Self::Paper => 5,
            Self::Of(Style::Baseline) => 6,
            Self::Of(Style::Control) => 7,
            Self::Of(Style::Faint) => 8,
        }
    }

    /// The CSS variable with the colour.
    pub(super) fn variable(self) -> String {
        match self {
            Self::Text => "var(--ink)".into(),
            Self::Muted => "var(--muted)".into(),
            Self::Axis => "var(--axis)".into(),
            Self::Grid => "var(--grid)".into(),
            Self::Paper => "var(--paper)".into(),
            Self::Of(Style::Baseline) => "var(--baseline)".into(),
            Self::Of(Style::Control) => "var(--control)".into(),
            Self::Of(Style::Faint) => "var(--faint)".into(),
            Self::Of(Style::Colour(index)) => format!("var(--series-{})", index % COLOURS + 1),
        }
    }

    /// Dashes that tell this line from the others without its colour, in CSS pixels.
    pub(super) fn dashes(self) -> Option<&'static [f64]> {
        const DASHES: [Option<&[f64]>; COLOURS] = [
            None,
            Some(&[7.0, 3.0]),
            Some(&[2.5, 2.5]),
            Some(&[9.0, 3.0, 2.5, 3.0]),
            Some(&[4.5, 2.0]),
            Some(&[13.0, 3.0]),
            Some(&[7.0, 2.5, 2.0, 2.5, 2.0, 2.5]),
            Some(&[1.5, 3.5]),
        ];
        match self {
            Self::Of(Style::Colour(index)) => DASHES[index % COLOURS],
            Self::Of(Style::Control) => Some(&[5.0, 3.0]),
            Self::Axis => Some(&[4.0, 4.0]),
            _ => None,
        }
    }

    /// The placeholder Plotters draws with; [`themed`] puts the CSS variable in its place.
    pub(super) fn solid(self) -> RGBColor {
        RGBColor(0xF1, 0, self.slot())
    }

    /// The same for a line with dashes.
    pub(super) fn dashed(self) -> RGBColor {
        RGBColor(0xF1, 1, self.slot())
    }
}

/// Puts CSS variables and dashes in the place of the placeholder colours. `scale` is canvas units a CSS pixel.
pub(super) fn themed(mut svg: String, scale: i32) -> String {
    // With its quotes a placeholder cannot be mistaken for text: in text Plotters writes `&quot;`.
    for ink in Ink::all() {
        let RGBColor(red, _, slot) = ink.solid();
        let solid = format!("\"#{red:02X}00{slot:02X}\"");
        let dashed = format!("\"#{red:02X}01{slot:02X}\"");
        let variable = ink.variable();
        if svg.contains(&solid) {
            svg = svg.replace(&solid, &format!("\"{variable}\""));
        }
        if svg.contains(&dashed) {
            let dashes = ink
                .dashes()
                .map_or(String::new(), |dashes| format!(" stroke-dasharray=\"{}\"", dash_list(dashes, scale)));
            svg = svg.replace(&dashed, &format!("\"{variable}\"{dashes}"));
        }
    }
    svg
}

/// Dashes as SVG writes them.
pub(super) fn dash_list(dashes: &[f64], scale: i32) -> String {
    dashes.iter().map(|dash| (dash * f64::from(scale)).to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_methods_keep_seven_colours() {
        let mut roles = vec![Role::Method; 9];
        roles.push(Role::Baseline);
        roles.push(Role::Control);
        let styles = styles(&roles);
        assert_eq!(styles[6], Style::Colour(6));
        assert_eq!(&styles[7..], [Style::Faint, Style::Faint, Style::Baseline, Style::Control]);
    }

    #[test]
    fn eight_methods_all_have_a_colour() {
        assert!(!styles(&[Role::Method; 8]).contains(&Style::Faint));
    }

    #[test]
    fn placeholders_become_variables() {
        let line = Ink::Of(Style::Colour(1)).dashed();
        let svg = format!("<path stroke=\"#{:02X}{:02X}{:02X}\"/>", line.0, line.1, line.2);
        assert_eq!(themed(svg, 2), "<path stroke=\"var(--series-2)\" stroke-dasharray=\"14 6\"/>");
    }

    #[test]
    fn style_sheet_has_every_colour_for_light_and_dark() {
        let css = include_str!("../style.css");
        for ink in Ink::all() {
            let name = ink.variable().replace("var(", "").replace(')', ":");
            assert_eq!(css.matches(name.as_str()).count(), 2, "{name}");
        }
    }
}
