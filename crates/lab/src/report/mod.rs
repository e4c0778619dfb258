//! Self-contained HTML reports with SVG charts, light and dark, and the same results as JSON and CSV.

mod answer;
mod chart;
mod comparison;
mod files;
mod page;

pub use answer::answer;
pub use chart::{Bounds, Interval, Line, forest_chart, line_chart, scatter_chart};
pub use comparison::comparison_html;
pub use files::{ReportError, Written, write_comparison, write_file};
pub use page::{Page, figure, legend, table, tiles};
