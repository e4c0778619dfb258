use super::free_features::FreeFeatures;
use super::{Settings, start_scale};
use crate::claim::Evidence;
use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian::diagnostics::UnconstrainedLoss;

/// Below this deviation a figure is what it is compared with; the claims say so.
const BOUND: f64 = 0.02;
const BALANCED: [usize; 4] = [20; 4];

/// Part 3: balanced classes.
pub fn balanced(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 3], StudyError> {
    const SIMPLEX: [&str; 2] = ["head from a simplex", "means from a simplex"];
    const ORTHOGONAL: [&str; 2] = ["head from a frame", "means from a frame"];
    let kinds = [
        ("cross-entropy with bias", UnconstrainedLoss::Ce, true),
        ("squared error with bias", UnconstrainedLoss::Mse, true),
        ("squared error without bias", UnconstrainedLoss::Mse, false),
    ];
    let mut arms = Vec::new();
    for &depth in &s.depths {
        for (name, loss, bias) in kinds {
            arms.push((format!("{name}, depth {depth}"), (loss, bias, depth)));
        }
    }
    let found = Measurements::collect(context, "balanced", &arms, s.seeds, |&(loss, bias, depth), seed| {
        let problem = FreeFeatures { counts: &BALANCED, loss, bias, depth, decay: s.decay };
        let trained = problem.train(s.balanced_steps, start_scale(depth), seed).map_err(|error| error.to_string())?;
        let collapse = trained.collapse()?;
        Ok(Measured::from([
            ("objective", trained.objective),
            (SIMPLEX[0], collapse.nc2_weight_etf),
            (SIMPLEX[1], collapse.nc2_means_etf),
            (ORTHOGONAL[0], collapse.nc2_weight_orthogonal),
            (ORTHOGONAL[1], collapse.nc2_means_orthogonal),
            ("NC3 from a simplex", collapse.nc3_etf),
            ("NC3 from a frame", collapse.nc3_orthogonal),
            ("NC4", collapse.nc4_disagreement),
        ]))
    })?;
    let with_bias = |wanted: bool, numbers: &[&str], margin: &dyn Fn(f64) -> f64| {
        let chosen = arms.iter().filter(|(_, (_, bias, _))| *bias == wanted);
        let values = chosen.flat_map(|(arm, _)| numbers.iter().flat_map(|number| found.values(arm, number)));
        Evidence::margins(&values.map(margin).collect::<Vec<_>>())
    };
    findings.tables.push(found.table(
        "Balanced classes: deviations (mean ± s.d. over seeds)",
        &[&["objective"][..], &SIMPLEX, &ORTHOGONAL, &["NC3 from a simplex", "NC3 from a frame", "NC4"]].concat(),
    ));
    for (arm, _) in arms.iter().filter(|(_, (_, bias, _))| *bias) {
        let deviations = found.values(arm, SIMPLEX[0]);
        let objectives = found.values(arm, "objective");
        let lowest = |at_simplex: bool| {
            let ends = objectives.iter().zip(&deviations).filter(|(_, d)| (**d < BOUND) == at_simplex);
            ends.map(|(objective, _)| *objective).min_by(f64::total_cmp)
        };
        let text = match (lowest(true), lowest(false)) {
            (_, None) => continue,
            (None, Some(other)) => format!("none ended at a simplex; the lowest objective reached is {other:.6}."),
            (Some(simplex), Some(other)) if other < simplex => format!(
                "the objective is {other:.6} where the lowest descent ended and {simplex:.6} at a simplex, so here the \
                 simplex is not the global minimum: the decay of several factors asks for a low rank."
            ),
            (Some(simplex), Some(_)) => {
                format!("some descents ended above the simplex, whose objective is {simplex:.6}.")
            }
        };
        findings.notes.push(format!("Balanced classes, {arm}, decay {}: {text}", s.decay));
    }
    findings.measurements.extend(found.lines());
    Ok([
        with_bias(true, &SIMPLEX, &|deviation| BOUND - deviation),
        with_bias(false, &ORTHOGONAL, &|deviation| BOUND - deviation),
        with_bias(true, &ORTHOGONAL, &|deviation| deviation - 0.3),
    ])
}
