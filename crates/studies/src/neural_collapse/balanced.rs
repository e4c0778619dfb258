use super::free_features::FreeFeatures;
use super::{Settings, start_scale};
use crate::claim::Evidence;
use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian::diagnostics::UnconstrainedLoss;

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
            arms.push((format!("{name}, {depth} layers"), (loss, bias, depth)));
        }
    }
    let found = Measurements::collect(context, "balanced", &arms, s.seeds, |&(loss, bias, depth), seed| {
        let problem = FreeFeatures { counts: &BALANCED, loss, bias, depth, decay: s.decay };
        let trained = problem.train(s.balanced_steps, start_scale(depth), seed).map_err(|error| error.to_string())?;
        let collapse = trained.collapse()?;
        Ok(Measured::from([
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
        &[&SIMPLEX[..], &ORTHOGONAL, &["NC3 from a simplex", "NC3 from a frame", "NC4"]].concat(),
    ));
    findings.measurements.extend(found.lines());
    Ok([
        with_bias(true, &SIMPLEX, &|deviation| 0.02 - deviation),
        with_bias(false, &ORTHOGONAL, &|deviation| 0.02 - deviation),
        with_bias(true, &ORTHOGONAL, &|deviation| deviation - 0.3),
    ])
}
