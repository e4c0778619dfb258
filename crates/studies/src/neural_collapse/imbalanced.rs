use super::free_features::FreeFeatures;
use super::{Settings, by_depth, geometry, start_scale};
use crate::claim::Evidence;
use crate::findings::{Findings, Table};
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian::diagnostics::UnconstrainedLoss;

/// How many powers of ten a value, which must not be negative, lies below a bound.
fn decades_below(bound: f64, value: f64) -> f64 {
    // Rounding can make the value 0, whose logarithm says nothing.
    (bound / value.max(f64::EPSILON * f64::EPSILON)).log10()
}

const DEVIATIONS: [&str; 3] = ["deviation of the head", "deviation of the means", "deviation of the logits"];

/// Part 1: the minimum of imbalanced squared error, found by descent.
pub fn imbalanced(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 3], StudyError> {
    let found = Measurements::collect(context, "imbalanced", &by_depth(&s.depths), s.seeds, |&depth, seed| {
        let problem =
            FreeFeatures { counts: &s.counts, loss: UnconstrainedLoss::Mse, bias: false, depth, decay: s.decay };
        let trained = problem.train(s.steps, start_scale(depth), seed).map_err(|error| error.to_string())?;
        let geometry = geometry(depth, s.decay);
        let minimum = geometry.compute(&s.counts).map_err(|error| error.to_string())?.min_loss;
        let nc1 = trained.collapse()?.nc1;
        let deviations = geometry.compare(trained.head, trained.means, &s.counts).map_err(|error| error.to_string())?;
        let mut measured = Measured::from([("distance from the minimum", (trained.objective - minimum).abs())]);
        measured.insert("NC1", nc1);
        measured.extend(DEVIATIONS.into_iter().zip([deviations.weight, deviations.features, deviations.logits]));
        Ok(measured)
    })?;
    let every = |numbers: &[&str], margin: &dyn Fn(f64) -> f64| {
        let values = found.arms().flat_map(|arm| numbers.iter().flat_map(|number| found.values(arm, number)));
        Evidence::margins(&values.map(margin).collect::<Vec<_>>())
    };
    let evidence = [
        every(&["distance from the minimum"], &|distance| decades_below(1e-6, distance)),
        every(&DEVIATIONS, &|deviation| 0.01 - deviation),
        every(&["NC1"], &|nc1| decades_below(1e-6, nc1)),
    ];
    let numbers = [&["distance from the minimum", "NC1"][..], &DEVIATIONS].concat();
    let worst = |arm: &str, number: &str| {
        let largest = found.values(arm, number).into_iter().fold(0.0, f64::max);
        format!("{largest:.0e}")
    };
    let row = |arm: &str| std::iter::once(arm.to_string()).chain(numbers.iter().map(|n| worst(arm, n))).collect();
    findings.tables.push(Table {
        title: format!("Imbalanced classes {:?}, squared error without bias: the worst seed", s.counts),
        columns: std::iter::once("head").chain(numbers.iter().copied()).map(String::from).collect(),
        rows: found.arms().map(row).collect(),
    });
    findings.measurements.extend(found.lines());
    Ok(evidence)
}
