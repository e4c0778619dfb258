use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A self-contained page: no scripts, no files from elsewhere, light and dark by the reader's setting.
#[derive(Debug)]
pub struct Page {
    title: String,
    subtitle: String,
    sections: Vec<(String, Markup)>,
}

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: subtitle.into(),
            sections: Vec::new(),
        }
    }

    /// Adds a section.
    pub fn section(mut self, heading: impl Into<String>, body: Markup) -> Self {
        self.sections.push((heading.into(), body));
        self
    }

    /// The page as HTML.
    pub fn html(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header { h1 { (self.title) } p.subtitle { (self.subtitle) } }
                    main {
                        @for (heading, body) in &self.sections {
                            section { h2 { (heading) } (body) }
                        }
                    }
                    footer { "made by contrarian " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
        .into_string()
    }
}

/// A chart with what it shows; `svg` comes from this crate's chart functions.
pub fn figure(svg: &str, caption: &str, legend: Option<Markup>) -> Markup {
    html! {
        figure {
            div.chart role="img" aria-label=(caption) { (PreEscaped(svg)) }
            @if let Some(legend) = legend { (legend) }
            figcaption { (caption) }
        }
    }
}

/// Names with their colours.
pub fn legend<'a>(entries: impl IntoIterator<Item = (&'a str, usize)>) -> Markup {
    html! {
        ul.legend {
            @for (name, color) in entries {
                li { span.swatch style=(format!("background: {}", color_variable(color))) {} (name) }
            }
        }
    }
}

fn color_variable(color: usize) -> String {
    if color < super::chart::SERIES {
        format!("var(--series-{color})")
    } else {
        "var(--muted)".into()
    }
}

/// A table that scrolls in its own frame; the first column is text, the others are numbers. `marked` rows stand out.
pub fn table(header: &[String], rows: &[Vec<String>], marked: &[usize]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for name in header { th scope="col" { (name) } } } }
                tbody {
                    @for (index, row) in rows.iter().enumerate() {
                        tr.marked[marked.contains(&index)] {
                            @for (column, cell) in row.iter().enumerate() {
                                @if column == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Key figures.
pub fn tiles(entries: &[(&str, String)]) -> Markup {
    html! {
        dl.tiles { @for (name, value) in entries { div { dt { (name) } dd { (value) } } } }
    }
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_is_loaded() {
        let rows = [vec!["<script>alert(1)</script>".to_string(), "1 & 2".into()]];
        let page = Page::new("<t>", "\"s\"")
            .section("a < b", table(&["x".into(), "y".into()], &rows, &[0]))
            .html();
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;") && page.contains("1 &amp; 2"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("@import"));
    }
}
