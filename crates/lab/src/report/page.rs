//! The shell of a self-contained page, and the small pieces on it.
//!
//! A page has no scripts and loads nothing: its style is inline, its fonts are the system's, its charts are SVG.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};

const STYLE: &str = include_str!("style.css");

/// A page in the making: a title, what stands above the first heading, and sections.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    subtitle: String,
    lead: Vec<Markup>,
    sections: Vec<(String, String, Markup)>,
    footer: String,
}

impl Page {
    /// A page with a title and a line below it.
    pub fn new(title: impl Into<String>, subtitle: impl Into<String>) -> Self {
        let (lead, sections) = (Vec::new(), Vec::new());
        Self { title: title.into(), subtitle: subtitle.into(), lead, sections, footer: String::new() }
    }

    /// Adds markup above the first section: the answer, the key figures.
    pub fn lead(mut self, markup: Markup) -> Self {
        self.lead.push(markup);
        self
    }

    /// Adds a section with a heading; the contents at the top link to it.
    pub fn section(mut self, heading: impl Into<String>, markup: Markup) -> Self {
        let heading = heading.into();
        let id = self.unused_id(&heading);
        self.sections.push((heading, id, markup));
        self
    }

    /// Sets the line at the foot of the page.
    pub fn footer(mut self, text: impl Into<String>) -> Self {
        self.footer = text.into();
        self
    }

    /// The page as one HTML file.
    pub fn render(&self) -> String {
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
                    header {
                        h1 { (self.title) }
                        @if !self.subtitle.is_empty() { p.subtitle { (self.subtitle) } }
                    }
                    main {
                        @for markup in &self.lead { (markup) }
                        @if self.sections.len() > 2 {
                            nav aria-label="Contents" {
                                ul {
                                    @for (heading, id, _) in &self.sections {
                                        li { a href={ "#" (id) } { (heading) } }
                                    }
                                }
                            }
                        }
                        @for (heading, id, markup) in &self.sections {
                            section id=(id) {
                                h2 { (heading) }
                                (markup)
                            }
                        }
                    }
                    @if !self.footer.is_empty() { footer { (self.footer) } }
                }
            }
        }
        .into_string()
    }

    fn unused_id(&self, heading: &str) -> String {
        let letters = heading.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
        let slug = letters.collect::<String>().to_lowercase();
        let words: Vec<&str> = slug.split('-').filter(|word| !word.is_empty()).collect();
        let stem = if words.is_empty() { "section".to_owned() } else { words.join("-") };
        let taken = |id: &str| self.sections.iter().any(|(_, other, _)| other == id);
        let mut id = stem.clone();
        let mut number = 2;
        while taken(&id) {
            id = format!("{stem}-{number}");
            number += 1;
        }
        id
    }
}

/// How a claim fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The results bear it out.
    Supported,
    /// The results speak against it.
    NotSupported,
    /// The results cannot tell.
    Inconclusive,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::NotSupported => "not supported",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// A badge with a verdict, marked by a sign and a word as well as by its colour.
pub fn badge(verdict: Verdict) -> Markup {
    badge_saying(verdict, verdict.words())
}

/// A badge in the colours of a verdict with words of its own.
pub fn badge_saying(verdict: Verdict, words: &str) -> Markup {
    let (class, sign) = match verdict {
        Verdict::Supported => ("badge yes", "✓"),
        Verdict::NotSupported => ("badge no", "✗"),
        Verdict::Inconclusive => ("badge open", "?"),
    };
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (words) } }
}

/// A key figure: a number, what it is, and a detail.
#[derive(Debug, Clone)]
pub struct Tile {
    /// What the number is.
    pub label: String,
    /// The number.
    pub value: String,
    /// A line below; may be empty.
    pub detail: String,
}

impl Tile {
    /// A tile.
    pub fn new(label: impl Into<String>, value: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { label: label.into(), value: value.into(), detail: detail.into() }
    }
}

/// Key figures side by side.
pub fn tiles(tiles: &[Tile]) -> Markup {
    html! {
        dl.tiles {
            @for tile in tiles {
                div {
                    dt { (tile.label) }
                    dd.value { (tile.value) }
                    @if !tile.detail.is_empty() { dd.detail { (tile.detail) } }
                }
            }
        }
    }
}

/// A chart with a heading and a caption that says what it shows.
pub fn figure(heading: &str, chart: Markup, caption: &str) -> Markup {
    html! {
        figure {
            @if !heading.is_empty() { h3 { (heading) } }
            (chart)
            @if !caption.is_empty() { figcaption { (caption) } }
        }
    }
}

/// Figures side by side where the page is wide enough.
pub fn grid(figures: &[Markup]) -> Markup {
    html! { div.grid { @for figure in figures { (figure) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_get_ids_of_their_own() {
        let page = Page::new("t", "").section("A & b", html! {}).section("A b", html! {}).section("日本", html! {});
        let ids: Vec<&str> = page.sections.iter().map(|(_, id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a-b", "a-b-2", "section"]);
    }

    #[test]
    fn page_is_self_contained() {
        let page = Page::new("<script>alert(1)</script>", "s").section("x", badge(Verdict::Supported)).render();
        assert!(!page.contains("<script"));
        for outside in ["http:", "https:", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
