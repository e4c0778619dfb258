//! The entropy theory, by quadrature.

use crate::claim::Evidence;
use crate::findings::Table;
use contrarian::activation::{IncreasingActivation, InputDensity, Inverse, eafo_correction};
use contrarian::diagnostics::activation_output_entropy;
use std::f64::consts::{LN_2, PI};

const NORMAL: InputDensity = InputDensity::STANDARD_NORMAL;
const EXACT: f64 = 1e-6;

/// Entropies of activations onto [0, 1]: the normal distribution function must have 0, the others less.
pub fn bounded_entropies() -> (Evidence, Table) {
    let entropy = |log_slope: &dyn Fn(f64) -> f64| {
        activation_output_entropy(&NORMAL, f64::NEG_INFINITY, log_slope).expect("these activations increase")
    };
    let of = |f: IncreasingActivation| entropy(&|x| f.log_slope(x));
    let worst = of(IncreasingActivation::NormalCdf);
    let mut others: Vec<(String, f64)> = Vec::new();
    for scale in [0.5, 1.0, 1.702, 2.0, 4.0] {
        others.push((format!("sigmoid({scale} x)"), of(IncreasingActivation::Sigmoid { scale })));
    }
    others.push(("(tanh(x) + 1) / 2".into(), of(IncreasingActivation::Tanh) - LN_2));
    for scale in [0.5f64, 1.2, 2.0] {
        let log_slope = |x: f64| scale.ln() - 0.5 * (scale * x).powi(2) - 0.5 * (2.0 * PI).ln();
        others.push((format!("normal distribution function of {scale} x"), entropy(&log_slope)));
    }
    for half_width in [1.0, 2.0] {
        others.push((format!("ramp on +-{half_width}, softened"), entropy(&|x| ramp_log_slope(x, half_width))));
    }
    let violations = others.iter().filter(|(_, h)| *h >= worst).count() + usize::from(worst.abs() > EXACT);
    let slack = others.iter().map(|(_, h)| worst - h).fold(f64::INFINITY, f64::min);
    let checked = others.len() + 1;
    others.push(("normal distribution function".into(), worst));
    let rows = others.into_iter().map(|(name, h)| vec![name, format!("{h:.6}")]).collect();
    let table = Table {
        title: "Entropy of the output on [0, 1], standard normal input, in nats".into(),
        columns: vec!["activation".into(), "entropy".into()],
        rows,
    };
    (Evidence::Cases { checked, violations, slack }, table)
}

/// `log f'` of a ramp from 0 at `-c` to 1 at `c` with corners softened on a scale of 1/8:
/// `f' = (sigmoid(k (x + c)) - sigmoid(k (x - c))) / (2 c)`, as a product so that it keeps its digits in the tails.
fn ramp_log_slope(x: f64, c: f64) -> f64 {
    const K: f64 = 8.0;
    let log_cosh = |z: f64| z.abs() + (-2.0 * z.abs()).exp().ln_1p() - LN_2;
    let log_sinh = |z: f64| z + (-(-2.0 * z).exp()).ln_1p() - LN_2;
    let (a, b) = (K * (x + c) / 2.0, K * (x - c) / 2.0);
    log_sinh(K * c) - LN_2 - log_cosh(a) - log_cosh(b) - (2.0 * c).ln()
}

/// Size of the step along the correction.
const STEP: f64 = 1e-3;
/// How well the first variation must predict the change.
const ACCURACY: f64 = 0.01;

/// Name, activation, its range, and the factor of the correction.
type Case = (&'static str, IncreasingActivation, (f64, f64), fn(f64) -> f64);

/// A step along the windowed correction for three activations: change of the entropy, and what the variation predicts.
pub fn descent_steps(points: usize) -> (Evidence, Table) {
    let cases: [Case; 3] = [
        ("leaky ReLU (0.25)", IncreasingActivation::LeakyRelu { slope: 0.25 }, (-2.5, 8.0), |_| 1.0),
        ("softplus", IncreasingActivation::Softplus, (1e-4, 9.0), |_| 1.0),
        ("tanh", IncreasingActivation::Tanh, (-0.9999, 0.9999), |y| (1.0 - y * y).powi(3)),
    ];
    let (mut violations, mut slack, mut rows) = (0, f64::INFINITY, Vec::new());
    for (name, activation, range, factor) in cases {
        let step = descent_step(activation, range, factor, points);
        let error = (step.change / step.predicted - 1.0).abs();
        let holds = step.increasing && step.change < 0.0 && error <= ACCURACY;
        violations += usize::from(!holds);
        slack = slack.min(ACCURACY - error);
        rows.push(vec![
            name.to_string(),
            format!("{:.4e}", step.change),
            format!("{:.4e}", step.predicted),
            format!("{:.2}%", 100.0 * error),
        ]);
    }
    let columns = ["activation", "change of entropy", "first variation", "difference"].map(String::from).to_vec();
    let table = Table { title: format!("One step of {STEP} along the correction, in nats"), columns, rows };
    (Evidence::Cases { checked: 3, violations, slack }, table)
}

struct Step {
    change: f64,
    predicted: f64,
    increasing: bool,
}

fn descent_step(f: IncreasingActivation, (low, high): (f64, f64), factor: fn(f64) -> f64, points: usize) -> Step {
    let width = (high - low) / (points - 1) as f64;
    let ys: Vec<f64> = (0..points).map(|i| low + width * i as f64).collect();
    let inverses: Vec<Inverse> = ys.iter().map(|&y| f.inverse(y).expect("the range lies in the values")).collect();
    let corrections: Vec<f64> = inverses.iter().map(|&g| eafo_correction(&NORMAL, g)).collect();
    // Smooth, and 0 with all derivatives at the ends.
    let window = |y: f64| {
        let u = 2.0 * (y - low) / (high - low) - 1.0;
        if u.abs() < 1.0 { (-1.0 / (1.0 - u * u)).exp() * factor(y) } else { 0.0 }
    };
    let eta: Vec<f64> = ys.iter().zip(&corrections).map(|(&y, eta)| window(y) * eta).collect();
    let slope = |i: usize| match i {
        0 => 0.0,
        i if i + 1 == points => 0.0,
        i => (eta[i + 1] - eta[i - 1]) / (2.0 * width),
    };
    let weight = |i: usize| if i == 0 || i + 1 == points { 0.5 * width } else { width };
    let term = |value: f64, first: f64| {
        let q = NORMAL.density(value) * first;
        if q > 0.0 { -q * q.ln() } else { 0.0 }
    };
    let (mut change, mut predicted, mut increasing) = (0.0, 0.0, true);
    for (i, g) in inverses.iter().enumerate() {
        let first = g.first + STEP * slope(i);
        increasing &= first > 0.0;
        change += weight(i) * (term(g.value + STEP * eta[i], first) - term(g.value, g.first));
        // The variation of the entropy is minus the correction.
        predicted -= weight(i) * STEP * corrections[i] * eta[i];
    }
    Step { change, predicted, increasing }
}
