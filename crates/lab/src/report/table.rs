//! Tables for a page.

use maud::{Markup, Render, html};

/// A cell: a main text and, smaller below it, a detail.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    detail: String,
    strong: bool,
}

impl Cell {
    /// A cell with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A smaller line below the text.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Sets the text in bold where `strong`.
    pub fn strong(mut self, strong: bool) -> Self {
        self.strong = strong;
        self
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// A table with a caption. Numeric columns are set to the right; a wide table scrolls in its own container, with the
/// column of names in place.
#[derive(Debug, Clone)]
pub struct Table {
    caption: String,
    columns: Vec<(String, bool)>,
    head: usize,
    rows: Vec<(Vec<Cell>, Option<String>)>,
}

impl Table {
    /// An empty table.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), columns: Vec::new(), head: 0, rows: Vec::new() }
    }

    /// Adds a column of text.
    pub fn text(mut self, heading: impl Into<String>) -> Self {
        self.columns.push((heading.into(), false));
        self
    }

    /// Adds a column of numbers.
    pub fn number(mut self, heading: impl Into<String>) -> Self {
        self.columns.push((heading.into(), true));
        self
    }

    /// Adds a column of text that names the rows; without one the first column does.
    pub fn name(mut self, heading: impl Into<String>) -> Self {
        self.head = self.columns.len();
        self.text(heading)
    }

    /// Adds a row.
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push((cells, None));
        self
    }

    /// Adds a row that stands out, with a word beside its name: `baseline`.
    pub fn marked_row(mut self, cells: Vec<Cell>, mark: impl Into<String>) -> Self {
        self.rows.push((cells, Some(mark.into())));
        self
    }

    fn class(&self, column: usize) -> Option<&'static str> {
        self.columns.get(column).is_some_and(|(_, number)| *number).then_some("number")
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            div.scroll role="region" tabindex="0" aria-label=(self.caption) {
                table {
                    caption { span { (self.caption) } }
                    thead { tr {
                        @for (index, (heading, _)) in self.columns.iter().enumerate() {
                            @if index == self.head { th.name scope="col" { (heading) } }
                            @else { th class=[self.class(index)] scope="col" { (heading) } }
                        }
                    } }
                    tbody {
                        @for (cells, mark) in &self.rows {
                            tr.marked[mark.is_some()] {
                                @for (index, cell) in cells.iter().enumerate() {
                                    @if index == self.head {
                                        th.name scope="row" {
                                            (cell) @if let Some(mark) = mark { " " span.mark { (mark) } }
                                        }
                                    } @else {
                                        td class=[self.class(index)] { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Render for Cell {
    fn render(&self) -> Markup {
        html! {
            @if self.strong { strong { (self.text) } } @else { (breakable(&self.text)) }
            @if !self.detail.is_empty() { span.detail { (self.detail) } }
        }
    }
}

/// Text that may break after the punctuation in names such as `focal(alpha=0.25,gamma=2)`.
fn breakable(text: &str) -> Markup {
    html! { @for (index, part) in text.split_inclusive(['(', ',', '_']).enumerate() { @if index > 0 { wbr; } (part) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_and_rows_named() {
        let table = Table::new("c").number("#").name("who").row(vec!["1".into(), Cell::new("<i>").detail("a & b")]);
        let markup = table.render().into_string();
        assert!(markup.contains("<th class=\"name\" scope=\"row\">&lt;i&gt;<span class=\"detail\">a &amp; b</span>"));
        assert!(markup.contains("<td class=\"number\">1</td>"));
    }
}
