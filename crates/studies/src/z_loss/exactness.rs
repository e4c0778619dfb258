use super::Settings;
use crate::claim::Evidence;
use crate::findings::Findings;
use crate::study::{Context, StudyError};
use crate::support::{Measured, Measurements};
use contrarian_kernels::{
    FactoredOutputLayer, SphericalLoss, SphericalSoftmaxLoss, SphericalSquaredError, TaylorSoftmaxLoss, ZLoss,
};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

const CLASSES: usize = 200;
const DIM: usize = 16;
const BATCH: usize = 10;
/// Learning rate of the sum over a batch.
const RATE: f64 = 0.005;
const BOUND: f64 = 1e-9;

type Loss = Box<dyn SphericalLoss + Sync>;

/// Part 1: the factored layer and dense gradient descent side by side.
pub fn exactness(s: &Settings, context: &Context, findings: &mut Findings) -> Result<Evidence, StudyError> {
    let arms: Vec<(String, Loss)> = vec![
        ("Z-loss".into(), Box::new(ZLoss { a: 1.0, b: 0.0, eps: 1e-12 })),
        ("squared error".into(), Box::new(SphericalSquaredError)),
        ("Taylor softmax".into(), Box::new(TaylorSoftmaxLoss)),
        ("spherical softmax".into(), Box::new(SphericalSoftmaxLoss { epsilon: 0.01 })),
    ];
    let measured = Measurements::collect(context, "exactness", &arms, s.exact_seeds, |loss, seed| {
        measure(&**loss, s.exact_steps, seed)
    })?;
    findings.measurements.extend(measured.lines());
    let margins: Vec<f64> = measured
        .arms()
        .flat_map(|arm| measured.values(arm, "largest difference"))
        .map(|difference| BOUND.log10() - difference.max(f64::MIN_POSITIVE).log10())
        .collect();
    Ok(Evidence::margins(&margins))
}

fn measure(loss: &dyn SphericalLoss, steps: usize, seed: u64) -> Result<Measured, String> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let deviation = 1.0 / (DIM as f64).sqrt();
    let normal = |rng: &mut Xoshiro256PlusPlus| -> f64 { StandardNormal.sample(rng) };
    let mut dense: Vec<f64> = (0..CLASSES * DIM).map(|_| deviation * normal(&mut rng)).collect();
    let mut first = dense.iter().copied();
    let mut layer = FactoredOutputLayer::<f64>::new(CLASSES, DIM, || first.next().expect("as many as weights"))
        .map_err(|error| error.to_string())?;
    for _ in 0..steps {
        let hidden: Vec<f64> = (0..BATCH * DIM).map(|_| normal(&mut rng)).collect();
        let targets: Vec<usize> = (0..BATCH).map(|_| rng.random_range(0..CLASSES)).collect();
        layer.step(&hidden, &targets, loss, RATE).map_err(|error| error.to_string())?;
        descend(&mut dense, &hidden, &targets, loss);
    }
    let own = layer.dense_weight().map_err(|error| error.to_string())?;
    let largest = own.iter().zip(&dense).fold(0.0f64, |largest, (a, b)| largest.max((a - b).abs()));
    Ok(Measured::from([("largest difference", largest)]))
}

/// `W <- W - eta sum_j (2 dq W h_j + ds 1 + dtarget e_y) h_j^T`, from outputs that are computed.
fn descend(weight: &mut [f64], hidden: &[f64], targets: &[usize], loss: &dyn SphericalLoss) {
    let mut gradient = vec![0.0; weight.len()];
    for (h, &target) in hidden.chunks_exact(DIM).zip(targets) {
        let outputs: Vec<f64> =
            weight.chunks_exact(DIM).map(|row| row.iter().zip(h).map(|(w, h)| w * h).sum()).collect();
        let (q, s) = outputs.iter().fold((0.0, 0.0), |(q, s), o| (q + o * o, s + o));
        let partials = loss.value_and_partials(q, s, outputs[target], CLASSES);
        for (class, (row, output)) in gradient.chunks_exact_mut(DIM).zip(&outputs).enumerate() {
            let own = if class == target { partials.dtarget } else { 0.0 };
            let slope = 2.0 * partials.dq * output + partials.ds + own;
            row.iter_mut().zip(h).for_each(|(g, h)| *g += slope * h);
        }
    }
    weight.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= RATE * g);
}
