//! Neural collapse: does gradient descent end in the closed-form geometries, and does a real network go their way?

mod balanced;
mod free_features;
mod imbalanced;
mod network;
mod networks;
mod sweep;

use crate::claim::{Claim, Test, judge};
use crate::findings::Findings;
use crate::study::{Context, Preset, Study, StudyError, settings, table};
use contrarian::InvalidParameter;
use contrarian::diagnostics::ImbalancedGeometry;
use serde::{Deserialize, Serialize};

const MINIMISERS: &str =
    "global minimisers collapse across the linear layers, for squared error and cross-entropy (abstract)";
const LENGTHS: &str = "imbalanced, squared error without bias: orthogonal vectors whose lengths depend on the class counts \
                       (abstract)";
const FREE: &str = "free features, as in the theorems; the paper's experiments train networks";
const NETWORKS: &str = "a small MLP instead of deep networks on images, 300 epochs instead of 30,000 steps";

const fn always(id: &'static str, statement: &'static str, reported: &'static str, differs: &'static str) -> Claim {
    Claim { id, statement, reported, differs, test: Test::Always }
}

const CLAIMS: &[Claim] = &[
    always(
        "minimum",
        "imbalanced squared error: every descent ends within 1e-6 of the closed form's minimum (slack in powers of ten)",
        LENGTHS,
        FREE,
    ),
    always(
        "geometry",
        "there head, class means and logits each deviate from the closed form by less than .01",
        LENGTHS,
        FREE,
    ),
    always("within-class", "there NC1 is below 1e-6 (slack in powers of ten)", MINIMISERS, FREE),
    always(
        "minority-collapse",
        "the head's row of a class with fewer examples than the threshold is shorter than .02 of the longest",
        "rare classes collapse to zero below a count that depends on decay (theorem)",
        FREE,
    ),
    always(
        "minority-kept",
        "the head's row of a class with more than 1.3 times the threshold is longer than .05 of the longest",
        "rare classes collapse to zero below a count that depends on decay (theorem)",
        FREE,
    ),
    always(
        "balanced-simplex",
        "balanced, cross-entropy or squared error with bias: head and class means deviate from a simplex by less than .02",
        MINIMISERS,
        FREE,
    ),
    always(
        "balanced-orthogonal",
        "balanced, squared error without bias: head and class means deviate from an orthogonal frame by less than .02",
        MINIMISERS,
        FREE,
    ),
    always(
        "told-apart",
        "where a simplex is expected, head and class means deviate from an orthogonal frame by more than .3",
        MINIMISERS,
        FREE,
    ),
    always(
        "network-moons",
        "two moons, MLP with linear heads of depth 1 and 3, squared error without bias: NC1 falls more than tenfold between \
         10% and 100% of training (median over seeds; slack in powers of ten)",
        MINIMISERS,
        NETWORKS,
    ),
    always("network-digits", "the same on handwritten digits", MINIMISERS, NETWORKS),
];

pub const STUDY: Study = Study {
    id: "neural-collapse",
    title: "Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data",
    authors: "Dang, Tran, Osher et al. 2023",
    arxiv: "2301.00437",
    summary: "Free features under a deep linear head are trained by gradient descent in f64 and set against the closed \
              forms: imbalanced classes under squared error, a class that grows through the collapse threshold, and \
              balanced classes under both losses with and without bias. Then NC1 over the training of an MLP with a linear \
              head, on two moons and, where the data folder has MNIST, on digits.",
    claims: CLAIMS,
    settings: |preset| table(&Settings::of(preset)),
    run,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    seeds: usize,
    depths: Vec<usize>,
    decay: f64,
    counts: Vec<usize>,
    steps: usize,
    sweep_counts: Vec<usize>,
    sweep_starts: usize,
    sweep_steps: usize,
    balanced_steps: usize,
    network_seeds: usize,
    network_rows: usize,
    network_epochs: usize,
}

impl Settings {
    fn of(preset: Preset) -> Self {
        let base = Self {
            seeds: 5,
            depths: vec![1, 3],
            decay: 2e-3,
            counts: vec![40, 20, 10, 10],
            steps: 2000,
            sweep_counts: vec![1, 2, 4, 6, 8, 9, 11, 12, 14, 16, 20, 25, 30, 40],
            sweep_starts: 6,
            sweep_steps: 4000,
            balanced_steps: 4000,
            network_seeds: 3,
            network_rows: 400,
            network_epochs: 300,
        };
        match preset {
            Preset::Smoke => Self {
                seeds: 1,
                depths: vec![1],
                counts: vec![8, 4, 2],
                steps: 800,
                sweep_counts: vec![4, 20],
                sweep_starts: 1,
                sweep_steps: 800,
                balanced_steps: 800,
                network_seeds: 1,
                network_rows: 100,
                network_epochs: 20,
                ..base
            },
            Preset::Default => base,
            Preset::Full => Self {
                seeds: 20,
                depths: vec![1, 2, 3],
                steps: 30_000,
                sweep_counts: (1..=40).filter(|&count| count != sweep::THRESHOLD as usize).collect(),
                sweep_starts: 10,
                sweep_steps: 10_000,
                balanced_steps: 30_000,
                network_seeds: 20,
                network_rows: 1000,
                ..base
            },
        }
    }

    fn check(&self) -> Result<(), InvalidParameter> {
        let require = |holds: bool, field: &str, value: String, allowed: &str| match holds {
            true => Ok(()),
            false => Err(InvalidParameter::new(field, value, allowed)),
        };
        let (counts, sweep) = (&self.counts, &self.sweep_counts);
        let classes = 2..=free_features::WIDTH;
        let whole = classes.contains(&counts.len()) && !counts.contains(&0);
        require(whole, "counts", format!("{counts:?}"), "of 2 to 16 classes, each at least 1")?;
        require(!sweep.contains(&0), "sweep_counts", format!("{sweep:?}"), "at least 1 each")?;
        require(self.network_rows >= 50, "network_rows", self.network_rows.to_string(), "at least 50")?;
        require(self.network_epochs >= 10, "network_epochs", self.network_epochs.to_string(), "at least 10")?;
        self.depths.iter().try_for_each(|&depth| geometry(depth, self.decay).validate())
    }
}

fn run(table: &toml::Table, context: &Context) -> Result<Findings, StudyError> {
    let s: Settings = settings(STUDY.id, table)?;
    let bad = |error: InvalidParameter| StudyError::Settings { study: STUDY.id, reason: error.to_string() };
    s.check().map_err(bad)?;
    let mut findings = Findings::default();
    let mut evidence = imbalanced::imbalanced(&s, context, &mut findings)?.to_vec();
    evidence.extend(sweep::sweep(&s, context, &mut findings)?);
    evidence.extend(balanced::balanced(&s, context, &mut findings)?);
    evidence.extend(networks::networks(&s, context, &mut findings)?);
    findings.claims = CLAIMS.iter().zip(&evidence).map(|(claim, evidence)| judge(claim, evidence)).collect();
    Ok(findings)
}

fn geometry(depth: usize, decay: f64) -> ImbalancedGeometry {
    ImbalancedGeometry::new().with_depth(depth).with_weight_decay(decay).with_feature_decay(decay)
}

/// Scale of the first weights: a deep head started any smaller stays long at the saddle at 0.
fn start_scale(depth: usize) -> f64 {
    if depth == 1 { 0.1 } else { 0.3 }
}

fn by_depth(depths: &[usize]) -> Vec<(String, usize)> {
    depths.iter().map(|&depth| (format!("depth {depth}"), depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let with = |change: &dyn Fn(&mut Settings)| {
            let mut settings = Settings::of(Preset::Smoke);
            change(&mut settings);
            settings.check().map_err(|error| error.field)
        };
        assert_eq!(with(&|_| ()), Ok(()));
        assert_eq!(with(&|s| s.counts = vec![3]), Err("counts".into()));
        assert_eq!(with(&|s| s.counts = vec![3, 0]), Err("counts".into()));
        assert_eq!(with(&|s| s.sweep_counts = vec![0]), Err("sweep_counts".into()));
        assert_eq!(with(&|s| s.depths = vec![0]), Err("depth".into()));
        assert_eq!(with(&|s| s.decay = 0.0), Err("weight_decay".into()));
        assert_eq!(with(&|s| s.network_epochs = 9), Err("network_epochs".into()));
    }
}
