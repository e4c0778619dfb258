//! SVG charts that follow the page's colours.
//!
//! [`Plot`] has two numeric axes (lines, points, bands); [`RowChart`] has one row a name (intervals or bars). Both give
//! markup for a page of [`Page`](super::page::Page), whose style sheet holds the colours for light, dark and print.

mod axis;
mod canvas;
mod ink;
mod plot;
mod rows;

pub use axis::Axis;
pub use canvas::shorten;
pub use ink::{Role, Style, styles};
pub use plot::{Mark, Plot, Series};
pub use rows::{Row, RowChart, RowMark};
