use super::Settings;
use super::network::{self, Arm, CURVE};
use crate::claim::Evidence;
use crate::findings::{Chart, Findings, Series};
use crate::study::{Context, StudyError};
use crate::support::Measurements;
use contrarian::diagnostics::UnconstrainedLoss;
use contrarian_lab::data::generate::two_moons;
use contrarian_lab::data::{Dataset, ImageOptions, load_images};
use contrarian_lab::fit::Schedule;

/// Heads of the networks.
const HEADS: [usize; 2] = [1, 3];

/// Part 4: networks, on two moons and on digits where they are.
pub fn networks(s: &Settings, context: &Context, findings: &mut Findings) -> Result<[Evidence; 2], StudyError> {
    let moons = |seed: u64| two_moons(s.network_rows, 0.1, seed);
    let on_moons = on_data("two moons", s, context, findings, &moons)?;
    let folder = context.data.as_ref().map(|data| data.join("mnist")).filter(|folder| folder.exists());
    let Some(folder) = folder else {
        return Ok([on_moons, Evidence::Untested("no MNIST in the data folder".into())]);
    };
    let unusable = |reason: String| StudyError::Data { name: "mnist", reason };
    let images = folder.join("train-images-idx3-ubyte.gz");
    let digits =
        load_images(&images, &ImageOptions::default()).map_err(|error| unusable(error.to_string()))?.into_dataset();
    let wanted = s.network_seeds * s.network_rows;
    if digits.y.len() < wanted {
        return Err(unusable(format!("it has {} images; the settings want {wanted}", digits.y.len())));
    }
    // Every seed has images of its own.
    let part = |seed: u64| {
        let first = seed as usize * s.network_rows;
        digits.select(&(first..first + s.network_rows).collect::<Vec<_>>())
    };
    let on_digits = on_data("digits", s, context, findings, &part)?;
    Ok([on_moons, on_digits])
}

fn on_data(
    name: &'static str,
    s: &Settings,
    context: &Context,
    findings: &mut Findings,
    data: &(dyn Fn(u64) -> Dataset + Sync),
) -> Result<Evidence, StudyError> {
    const BATCH: usize = 32;
    let arm = |head_depth: usize, loss: UnconstrainedLoss, words: &str| {
        let arm = Arm { head_depth, loss, schedule: Schedule::Constant };
        (format!("{words}, head of depth {head_depth}"), arm)
    };
    let claimed = HEADS.map(|depth| arm(depth, UnconstrainedLoss::Mse, "squared error"));
    let settled = Arm { schedule: Schedule::Cosine, ..claimed[0].1 };
    let others = [
        arm(1, UnconstrainedLoss::Ce, "cross-entropy"),
        ("squared error, head of depth 1, rate falling to 0".to_string(), settled),
    ];
    let arms = [&claimed[..], &others].concat();
    let found = Measurements::collect(context, name, &arms, s.network_seeds, |&arm, seed| {
        network::measure(&data(seed), arm, BATCH, s.network_epochs, seed)
    })?;
    let fall = |arm: &str, from: usize, to: usize| {
        let ends = found.values(arm, CURVE[from]).into_iter().zip(found.values(arm, CURVE[to]));
        median(ends.map(|(early, late)| early - late).collect())
    };
    let last = CURVE.len() - 1;
    let margins: Vec<f64> = claimed.iter().map(|(arm, _)| fall(arm, 1, last) - 1.0).collect();
    let curve = |arm: &str| Series {
        name: arm.into(),
        points: CURVE.iter().enumerate().map(|(i, n)| (10.0 * i as f64, median(found.values(arm, n)))).collect(),
    };
    findings.charts.push(Chart {
        title: format!("NC1 of an MLP over training on {name}, median over {} seeds", s.network_seeds),
        x_label: "share of the epochs, %".into(),
        y_label: "log10 NC1".into(),
        series: found.arms().map(curve).collect(),
    });
    let end = ["NC2 weights, orthogonal", "NC2 weights, simplex", "NC3, orthogonal", "NC3, simplex", "NC4"];
    let numbers = [&[CURVE[0], CURVE[1], CURVE[last]][..], &end].concat();
    findings
        .tables
        .push(found.table(&format!("Networks on {name}, NC2 to NC4 at the end (mean ± s.d. over seeds)"), &numbers));
    let falls = found.arms().map(|arm| format!("{arm}: {:.2}, then {:.2}", fall(arm, 0, 1), fall(arm, 1, last)));
    let early = median(claimed.iter().map(|(arm, _)| fall(arm, 0, 1) / fall(arm, 0, last)).collect());
    findings.notes.push(format!(
        "Networks on {name}: powers of ten by which NC1 falls in the first tenth of training, and from there to the end \
         (median): {}. With squared error {:.0}% of the whole fall come in the first tenth, before the claim begins to count. \
         The last arm is a control, for no claim: if the noise of the steps held NC1 up, it would end much lower.",
        falls.collect::<Vec<_>>().join("; "),
        100.0 * early
    ));
    findings.measurements.extend(found.lines());
    Ok(Evidence::margins(&margins))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
