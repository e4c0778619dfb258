use crate::metrics::{Predictions, pools};

/// Points of the averaged ROC and precision-recall curves.
const CURVE_POINTS: usize = 101;

/// The common horizontal positions at which curves of splits are averaged.
pub(super) fn curve_grid() -> impl Iterator<Item = f64> {
    (0..CURVE_POINTS).map(|i| i as f64 / (CURVE_POINTS - 1) as f64)
}

/// The ROC curve of queries' scores in one pool, at common horizontal positions; empty without a query.
pub(super) fn pools_on_grid(queries: &[(Vec<f64>, Vec<f64>)]) -> Vec<f64> {
    let positives: Vec<f64> = queries.iter().flat_map(|query| query.0.iter().copied()).collect();
    let negatives: Vec<f64> = queries.iter().flat_map(|query| query.1.iter().copied()).collect();
    pools::roc_curve(&positives, &negatives).map_or_else(
        |_| Vec::new(),
        |curve| {
            let points: Vec<(f64, f64)> = curve.fpr.into_iter().zip(curve.tpr).collect();
            curve_grid().map(|x| interpolate(&points, x)).collect()
        },
    )
}

/// A curve of one fit at common horizontal positions, so that splits can be averaged; empty for more than two classes.
pub(super) fn on_grid(test: &Predictions, curve: fn(&Predictions) -> Vec<(f64, f64)>) -> Vec<f64> {
    if test.classes != 2 {
        return Vec::new();
    }
    let points = curve(test);
    if points.is_empty() {
        return Vec::new();
    }
    curve_grid().map(|x| interpolate(&points, x)).collect()
}

/// Piecewise linear; `points` ascend in x. At a vertical step the last value counts.
fn interpolate(points: &[(f64, f64)], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 <= x);
    match (after.checked_sub(1).map(|i| points[i]), points.get(after)) {
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (Some((_, y)), None) | (None, Some(&(_, y))) => y,
        (None, None) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_follows_the_line_and_takes_the_top_of_a_step() {
        let points = [(0.0, 0.0), (0.0, 0.4), (0.5, 0.8), (1.0, 1.0)];
        for (x, y) in [(0.0, 0.4), (0.25, 0.6), (0.5, 0.8), (1.0, 1.0)] {
            assert!((interpolate(&points, x) - y).abs() < 1e-12);
        }
    }
}
