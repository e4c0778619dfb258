use super::free_features::FreeFeatures;
use super::{STUDY, Settings, geometry, start_scale};
use crate::claim::Evidence;
use crate::findings::{Chart, Findings, Series, Table};
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian::InvalidParameter;
use contrarian::diagnostics::UnconstrainedLoss;

/// The count at which a class of the sweep collapses: decay is chosen so that theory says this for every count.
pub const THRESHOLD: f64 = 10.0;
/// The other classes of the sweep.
const MAJORITIES: [usize; 3] = [40; 3];

/// The classes of the sweep with so many examples of the smallest.
fn sweep_counts(smallest: usize) -> Vec<usize> {
    [&MAJORITIES[..], &[smallest]].concat()
}

/// The decay of layers and features for which theory puts the collapse threshold at [`THRESHOLD`].
fn decay_for_threshold(depth: usize, smallest: usize) -> Result<f64, InvalidParameter> {
    const REFERENCE: f64 = 1e-3;
    let examples = sweep_counts(smallest).iter().sum();
    let threshold = geometry(depth, REFERENCE).collapse_threshold(examples)?;
    // The threshold grows as decay^((M + 1) / M).
    let depth = depth as f64;
    Ok(REFERENCE * (THRESHOLD / threshold).powf(depth / (depth + 1.0)))
}

/// Length of the smallest class's row of the head relative to the longest row, in the closed form.
fn relative_length(depth: usize, smallest: usize) -> Result<f64, InvalidParameter> {
    let found = geometry(depth, decay_for_threshold(depth, smallest)?).compute(&sweep_counts(smallest))?;
    Ok(last_to_longest(&found.weight_gram_diag).sqrt())
}

fn last_to_longest(lengths: &[f64]) -> f64 {
    lengths.last().copied().unwrap_or(f64::NAN) / lengths.iter().copied().fold(0.0, f64::max)
}

/// Part 2: a class that grows through the collapse threshold.
pub fn sweep(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 2], StudyError> {
    let name = |depth: usize, smallest: usize| format!("depth {depth}, {smallest} examples");
    let cases: Vec<(usize, usize)> =
        s.depths.iter().flat_map(|&depth| s.sweep_counts.iter().map(move |&smallest| (depth, smallest))).collect();
    let arms: Vec<_> = cases.iter().map(|&(depth, smallest)| (name(depth, smallest), (depth, smallest))).collect();
    let found = Measurements::collect(context, "sweep", &arms, s.sweep_starts, |&(depth, smallest), start| {
        let counts = sweep_counts(smallest);
        let decay = decay_for_threshold(depth, smallest).map_err(|error| error.to_string())?;
        let problem = FreeFeatures { counts: &counts, loss: UnconstrainedLoss::Mse, bias: false, depth, decay };
        // With two layers or more 0 is a local minimum, which only some starts escape: large ones more often.
        let scale = start_scale(depth) * if depth == 1 { 1.0 } else { [1.0, 4.0 / 3.0, 5.0 / 3.0][start as usize % 3] };
        // A start that diverges is one that found no minimum.
        Ok(match problem.train(s.sweep_steps, scale, start) {
            Ok(trained) => Measured::from([
                ("objective", trained.objective),
                ("relative length", last_to_longest(&trained.row_lengths())),
            ]),
            Err(_) => Measured::from([("objective", f64::INFINITY), ("relative length", f64::NAN)]),
        })
    })?;
    let lowest = |depth: usize, smallest: usize| {
        let arm = name(depth, smallest);
        let starts = found.values(&arm, "objective").into_iter().zip(found.values(&arm, "relative length"));
        starts.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(f64::NAN, |(_, length)| length)
    };
    let lengths: Vec<(usize, usize, f64)> =
        cases.iter().map(|&(depth, smallest)| (depth, smallest, lowest(depth, smallest))).collect();
    let where_count = |holds: &dyn Fn(f64) -> bool, margin: &dyn Fn(f64) -> f64| {
        let chosen = lengths.iter().filter(|(_, smallest, _)| holds(*smallest as f64));
        Evidence::margins(&chosen.map(|(_, _, length)| margin(*length)).collect::<Vec<_>>())
    };
    let evidence = [
        where_count(&|count| count < THRESHOLD, &|length| 0.02 - length),
        where_count(&|count| count > 1.3 * THRESHOLD, &|length| length - 0.05),
    ];

    let bad = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
    let largest = s.sweep_counts.iter().copied().max().unwrap_or(0);
    let mut series = Vec::new();
    for &depth in &s.depths {
        let theory = (1..=largest).map(|count| Ok((count as f64, relative_length(depth, count)?)));
        let theory = theory.collect::<Result<Vec<_>, InvalidParameter>>().map_err(bad)?;
        let trained = lengths.iter().filter(|(of, ..)| *of == depth).map(|&(_, count, length)| (count as f64, length));
        series.push(Series { name: format!("depth {depth}, trained"), points: trained.collect() });
        series.push(Series { name: format!("depth {depth}, closed form"), points: theory });
    }
    findings.charts.push(Chart {
        title: format!("Minority collapse: three classes of 40, threshold at {THRESHOLD}"),
        x_label: "examples of the smallest class".into(),
        y_label: "length of its row of the head, relative to the longest".into(),
        series,
    });
    let mut rows = Vec::new();
    for &(depth, count, length) in &lengths {
        let objectives = found.values(&name(depth, count), "objective");
        let best = objectives.iter().copied().fold(f64::INFINITY, f64::min);
        let at_best = objectives.iter().filter(|objective| **objective < best + 1e-6).count();
        let diverged = objectives.iter().filter(|objective| objective.is_infinite()).count();
        let theory = relative_length(depth, count).map_err(bad)?;
        let numbers = [format!("{length:.4}"), format!("{theory:.4}"), at_best.to_string(), diverged.to_string()];
        rows.push([vec![name(depth, count)], numbers.to_vec()].concat());
    }
    findings.tables.push(Table {
        title: format!(
            "Minority collapse: relative length of the smallest class's row, lowest of {} starts",
            s.sweep_starts
        ),
        columns: ["", "trained", "closed form", "starts at the lowest", "starts diverged"].map(String::from).to_vec(),
        rows,
    });
    findings.notes.push(format!(
        "Minority collapse: the decay of every count is chosen so that theory puts the threshold at {THRESHOLD}. With two \
         layers or more, weight decay makes a row of 0 a local minimum on both sides of it, so a single descent may end \
         in the wrong one; the lowest of several starts is kept, and the table says how many reached it."
    ));
    findings.measurements.extend(found.lines());
    Ok(evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_has_its_threshold_where_it_says() {
        for depth in [1, 2, 3, 9] {
            for smallest in [1, 9, 11, 40] {
                let decay = decay_for_threshold(depth, smallest).unwrap();
                let examples = sweep_counts(smallest).iter().sum();
                let threshold = geometry(depth, decay).collapse_threshold(examples).unwrap();
                assert!((threshold - THRESHOLD).abs() < 1e-9, "{depth} layers, {smallest}: {threshold}");
                assert_eq!(relative_length(depth, smallest).unwrap() == 0.0, smallest < 10);
            }
        }
    }
}
