//! Self-contained HTML reports with SVG charts, light and dark, and the same results as JSON and CSV.
