//! Self-contained HTML reports with SVG charts, light and dark, and the same results as JSON and CSV.
//!
//! [`write_comparison`] writes the report of a [`Comparison`](crate::compare::Comparison) as files; [`answer`] is its
//! verdict in plain sentences. [`page`], [`table`] and [`chart`] hold the pieces for other pages.

pub mod chart;
pub mod number;
pub mod page;
pub mod table;

mod answer;
mod comparison;
mod files;
mod space;

pub use answer::{answer, answer_sentences};
pub use comparison::comparison_html;
pub use files::{ReportError, Written, results_csv, write_atomically, write_comparison};
pub use space::{SpacePicture, space_chart};
