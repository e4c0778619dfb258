//! Behaviour at extreme logits, and cost.

use super::evaluate::Evaluator;
use rand::rngs::Xoshiro256PlusPlus;
use serde::Serialize;
use std::time::Instant;

/// Value and gradient at logits of one magnitude, in f32.
#[derive(Debug, Clone, Serialize)]
pub struct Extreme {
    /// Logits are plus and minus this.
    pub magnitude: f64,
    /// Loss where every row is right.
    pub right: f64,
    /// Loss where every row is wrong.
    pub wrong: f64,
    /// Largest entry of both gradients.
    pub gradient: f64,
    /// Whether both losses and both gradients are finite.
    pub finite: bool,
}

/// Milliseconds of value and gradient over a size, in f32.
#[derive(Debug, Clone, Serialize)]
pub struct Growth {
    /// Size, and the median time.
    pub milliseconds: Vec<(f64, f64)>,
    /// Least-squares slope of log time over log size, from the larger half of the sizes: fixed costs hide it below.
    pub exponent: f64,
}

pub(super) fn extremes(evaluator: &Evaluator) -> Vec<Extreme> {
    let labels = evaluator.labels(2 * evaluator.classes);
    let at = |magnitude: f64| {
        let side = |sign: f64| {
            let logits = labels.iter().flat_map(|&label| {
                (0..evaluator.classes)
                    .map(move |class| if class == label { sign * magnitude } else { -sign * magnitude })
            });
            evaluator.value_and_gradient(&logits.collect::<Vec<_>>(), &labels)
        };
        let ((right, right_gradient), (wrong, wrong_gradient)) = (side(1.0), side(-1.0));
        let gradients = || right_gradient.iter().chain(&wrong_gradient);
        Extreme {
            magnitude,
            right,
            wrong,
            gradient: gradients().map(|g| g.abs()).fold(0.0, f64::max),
            finite: right.is_finite() && wrong.is_finite() && gradients().all(|g| g.is_finite()),
        }
    };
    [10.0, 100.0, 1e3, 1e4].map(at).to_vec()
}

const REPEATS: usize = 7;

/// Times `sizes`; `evaluator_at` gives the evaluator and the rows of a size.
pub(super) fn growth<'a>(
    sizes: &[usize],
    evaluator_at: impl Fn(usize) -> (Evaluator<'a>, usize),
    rng: &mut Xoshiro256PlusPlus,
) -> Growth {
    let mut milliseconds = Vec::new();
    for &size in sizes {
        let (evaluator, rows) = evaluator_at(size);
        let labels = evaluator.labels(rows);
        let logits = evaluator.draw(rows, 1.0, rng);
        let mut times: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let started = Instant::now();
                evaluator.value_and_gradient(&logits, &labels);
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        milliseconds.push((size as f64, times[REPEATS / 2]));
    }
    let exponent = slope(&milliseconds[milliseconds.len() / 2..]);
    Growth { milliseconds, exponent }
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mx, my) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    let top: f64 = logs.iter().map(|(x, y)| (x - mx) * (y - my)).sum();
    top / logs.iter().map(|(x, _)| (x - mx).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn the_slope_of_a_power_is_its_exponent() {
        let square: Vec<(f64, f64)> = [1.0, 2.0, 8.0].map(|x| (x, 3.0 * x * x)).to_vec();
        assert!((slope(&square) - 2.0).abs() < 1e-12);
    }
}
