//! The factored output layer against plain stochastic gradient descent on dense weights, in loops and f64.

use contrarian_kernels::{
    FactoredOutputLayer, KernelError, Partials, SphericalLoss, SphericalSoftmaxLoss, SphericalSquaredError, Stabilised,
    TaylorSoftmaxLoss, Upkeep, ZLoss,
};
use proptest::prelude::*;

/// Numbers in (-1, 1) from a seed.
struct Noise(u64);

impl Noise {
    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn vector(&mut self, count: usize, size: f64) -> Vec<f64> {
        (0..count).map(|_| size * self.draw()).collect()
    }

    fn below(&mut self, end: usize) -> usize {
        ((0.5 + 0.5 * self.draw()) * end as f64) as usize % end
    }
}

enum Loss {
    Z(ZLoss),
    Taylor,
    Spherical,
    Squared,
}

impl SphericalLoss for Loss {
    fn value_and_partials(&self, q: f64, s: f64, target: f64, n: usize) -> Partials {
        match self {
            Self::Z(loss) => loss.value_and_partials(q, s, target, n),
            Self::Taylor => TaylorSoftmaxLoss.value_and_partials(q, s, target, n),
            Self::Spherical => SphericalSoftmaxLoss::default().value_and_partials(q, s, target, n),
            Self::Squared => SphericalSquaredError.value_and_partials(q, s, target, n),
        }
    }
}

const LOSSES: [Loss; 5] = [
    Loss::Z(ZLoss { a: 1.0, b: 0.0, eps: 0.0 }),
    Loss::Z(ZLoss { a: 0.3, b: 4.0, eps: 1e-6 }),
    Loss::Taylor,
    Loss::Spherical,
    Loss::Squared,
];

/// Dense weights `[classes, dim]` and their step.
struct Dense {
    w: Vec<f64>,
    classes: usize,
    dim: usize,
}

impl Dense {
    /// Losses and the gradient in the hidden layer before the step.
    fn step(
        &mut self,
        h: &[f64],
        targets: &[usize],
        k: usize,
        loss: &impl SphericalLoss,
        eta: f64,
        decay: f64,
    ) -> (Vec<f64>, Vec<f64>) {
        let Self { w, classes, dim } = self;
        let (classes, dim) = (*classes, *dim);
        let mut change: Vec<f64> = w.iter().map(|w| decay * w).collect();
        let (mut losses, mut grad_hidden) = (Vec::new(), Vec::new());
        for (h, targets) in h.chunks(dim).zip(targets.chunks(k)) {
            let o: Vec<f64> = w.chunks(dim).map(|row| row.iter().zip(h).map(|(w, h)| w * h).sum()).collect();
            let target = targets.iter().map(|&c| o[c]).sum();
            let p = loss.value_and_partials(o.iter().map(|o| o * o).sum(), o.iter().sum(), target, classes);
            let mut go: Vec<f64> = o.iter().map(|o| 2.0 * p.dq * o + p.ds).collect();
            for &c in targets {
                go[c] += p.dtarget;
            }
            losses.push(p.loss);
            grad_hidden.extend((0..dim).map(|i| (0..classes).map(|c| go[c] * w[c * dim + i]).sum::<f64>()));
            for (row, go) in change.chunks_mut(dim).zip(&go) {
                row.iter_mut().zip(h).for_each(|(x, h)| *x += go * h);
            }
        }
        w.iter_mut().zip(&change).for_each(|(w, x)| *w -= eta * x);
        (losses, grad_hidden)
    }
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// Factors that are not trivial, and the dense weights they stand for.
fn layer(classes: usize, dim: usize, noise: &mut Noise) -> (FactoredOutputLayer<f64>, Dense) {
    let v = noise.vector(classes * dim, 0.5);
    let mut u = noise.vector(dim * dim, 0.2 / (dim as f64).sqrt());
    u.iter_mut().step_by(dim + 1).for_each(|x| *x += 1.0);
    let omega = noise.vector(dim, 0.3);
    let layer = FactoredOutputLayer::from_factors(classes, v, &u, omega).unwrap();
    let w = layer.dense_weight().unwrap();
    (layer, Dense { w, classes, dim })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn steps_are_those_of_dense_weights(
        (classes, dim) in (2usize..40, 1usize..20),
        m in prop::sample::select(vec![1usize, 2, 3, 17, 33]),
        k in 1usize..3,
        decay in prop::sample::select(vec![0.0, 0.1]),
        loss in 0..LOSSES.len(),
        seed in any::<u64>(),
    ) {
        let noise = &mut Noise(seed);
        let (mut layer, mut dense) = layer(classes, dim, noise);
        layer.weight_decay = decay;
        for _ in 0..5 {
            let hidden = noise.vector(m * dim, 1.0);
            let targets: Vec<usize> = (0..m * k).map(|_| noise.below(classes)).collect();
            let eta = 0.02 / (m * k) as f64;
            let found = layer.step(&hidden, &targets, &LOSSES[loss], eta).unwrap();
            let (losses, grad_hidden) = dense.step(&hidden, &targets, k, &LOSSES[loss], eta, decay);
            prop_assert!(largest_difference(&found.losses, &losses) < 1e-8);
            let size = grad_hidden.iter().fold(1.0, |m: f64, g| m.max(g.abs()));
            prop_assert!(largest_difference(&found.grad_hidden, &grad_hidden) < 1e-7 * size, "{found:?} {grad_hidden:?}");
        }
        prop_assert!(largest_difference(&layer.dense_weight().unwrap(), &dense.w) < 1e-9);
        let agreement = layer.consistency();
        prop_assert!(agreement.inverse < 1e-10 && agreement.gram < 1e-8 && agreement.row_sum < 1e-9, "{agreement:?}");
    }
}

#[test]
fn a_long_run_stays_exact() {
    // m > dim now and then, batches of one, repeated targets; f32 weights carry their own rounding only.
    let (classes, dim) = (60, 12);
    for loss in &LOSSES {
        let noise = &mut Noise(5);
        let (mut exact, mut dense) = layer(classes, dim, noise);
        let v = dense.w.iter().map(|&w| w as f32).collect();
        let identity: Vec<f64> = (0..dim * dim).map(|i| f64::from(u8::from(i % (dim + 1) == 0))).collect();
        let mut single = FactoredOutputLayer::<f32>::from_factors(classes, v, &identity, vec![0.0; dim]).unwrap();
        for step in 0..5000 {
            let m = [1, 8, 30][step % 3];
            let hidden: Vec<f64> = noise.vector(m * dim, 1.0).iter().map(|&x| f64::from(x as f32)).collect();
            // The target is in part a function of the input, so that there is something to learn.
            let targets: Vec<usize> =
                hidden.chunks(dim).map(|h| if h[0] > 0.0 { 7 } else { noise.below(classes) }).collect();
            // The slope of log(o^2 + epsilon) turns within 0.1 of 0: longer steps make its path chaotic, and then any two
            // roundings part.
            let eta = if matches!(loss, Loss::Spherical) { 0.001 } else { 0.05 } / m as f64;
            exact.step(&hidden, &targets, loss, eta).unwrap();
            let narrow: Vec<f32> = hidden.iter().map(|&x| x as f32).collect();
            single.step(&narrow, &targets, loss, eta).unwrap();
            dense.step(&hidden, &targets, 1, loss, eta, 0.0);
        }
        let size = dense.w.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        let error = largest_difference(&exact.dense_weight().unwrap(), &dense.w) / size;
        let single_error = largest_difference(
            &single.dense_weight().unwrap().iter().map(|&w| f64::from(w)).collect::<Vec<_>>(),
            &dense.w,
        ) / size;
        assert!(error < 1e-10 && single_error < 1e-4, "{error} {single_error}");
        for (agreement, bound) in [(exact.consistency(), 1e-10), (single.consistency(), 1e-4)] {
            assert!(agreement.inverse < 1e-12 && agreement.gram < bound * size * size, "{agreement:?}");
            assert!(agreement.row_sum < bound * size, "{agreement:?}");
        }
    }
}

#[test]
fn stabilising_changes_the_factors_and_not_the_weights() {
    let (classes, dim) = (50, 9);
    for (bad, expected) in [(0, Stabilised::Polished), (2, Stabilised::Rescaled(2)), (5, Stabilised::Unfactorised)] {
        let noise = &mut Noise(11);
        // A rotation of the plane of the first two coordinates, then a scale for each.
        let (c, s) = (0.6, 0.8);
        let mut u = vec![0.0; dim * dim];
        for i in 0..dim {
            u[i * dim + i] = if i < bad { [7.0, 0.01][i % 2] } else { 1.0 };
        }
        for row in u.chunks_mut(dim) {
            (row[0], row[1]) = (c * row[0] - s * row[1], s * row[0] + c * row[1]);
        }
        let v = noise.vector(classes * dim, 1.0);
        let mut layer = FactoredOutputLayer::from_factors(classes, v, &u, noise.vector(dim, 1.0)).unwrap();
        let before = layer.dense_weight().unwrap();
        assert_eq!(layer.stabilise().unwrap(), expected);
        assert!(largest_difference(&before, &layer.dense_weight().unwrap()) < 1e-12);
        let agreement = layer.consistency();
        assert!(agreement.inverse < 1e-12 && agreement.gram < 1e-10 && agreement.row_sum < 1e-10, "{agreement:?}");
        assert_eq!(layer.stabilise().unwrap(), Stabilised::Polished);
    }
}

#[test]
fn outputs_are_those_of_the_dense_weights() {
    let noise = &mut Noise(3);
    let (layer, dense) = layer(70, 5, noise);
    let hidden = noise.vector(130 * 5, 1.0);
    let expected: Vec<f64> = hidden
        .chunks(5)
        .flat_map(|h| dense.w.chunks(5).map(|w| w.iter().zip(h).map(|(w, h)| w * h).sum::<f64>()).collect::<Vec<_>>())
        .collect();
    assert!(largest_difference(&layer.logits(&hidden).unwrap(), &expected) < 1e-13);
    assert!(layer.logits(&[]).unwrap().is_empty());
}

#[test]
fn numbers_do_not_depend_on_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let noise = &mut Noise(9);
            let (classes, dim, m) = (500, 96, 80);
            let mut layer = FactoredOutputLayer::new(classes, dim, || noise.draw() as f32).unwrap();
            layer.upkeep = Upkeep { stabilise_every: 2, recompute_every: 3, ..Upkeep::default() };
            for step in 0..6 {
                let hidden: Vec<f32> = (0..m * dim).map(|i| ((i * 31 + step) % 17) as f32 / 17.0 - 0.5).collect();
                let targets: Vec<usize> = (0..m).map(|j| (j * 13 + step) % classes).collect();
                layer.step(&hidden, &targets, &ZLoss::default(), 0.01).unwrap();
            }
            (layer.dense_weight().unwrap(), layer.gram().to_vec())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let message = |error: KernelError| error.to_string();
    assert!(message(FactoredOutputLayer::new(1, 3, || 0.0f32).unwrap_err()).contains("`classes` is 1"));
    assert!(message(FactoredOutputLayer::new(2, 0, || 0.0f32).unwrap_err()).contains("`dim` is 0"));
    assert!(message(FactoredOutputLayer::new(usize::MAX, 3, || 0.0f32).unwrap_err()).contains("do not fit memory"));
    assert!(message(FactoredOutputLayer::new(1 << 50, 64, || 0.0f32).unwrap_err()).contains("do not fit memory"));
    let singular = FactoredOutputLayer::from_factors(2, vec![0.0; 4], &[1.0, 1.0, 1.0, 1.0], vec![0.0; 2]);
    assert!(message(singular.unwrap_err()).contains("`u` is singular"));

    let mut layer =
        FactoredOutputLayer::from_factors(4, (0..8).map(f64::from).collect(), &[1.0, 0.0, 0.0, 1.0], vec![0.0; 2])
            .unwrap();
    let before = layer.dense_weight().unwrap();
    let mut refused = |hidden: &[f64], targets: &[usize], eta: f64| {
        message(layer.step(hidden, targets, &SphericalSquaredError, eta).unwrap_err())
    };
    assert_eq!(refused(&[1.0, 0.0, 0.0, 1.0], &[0, 4], 0.1), "`targets` is 4 at 1, but must be below 4");
    assert!(refused(&[1.0, f64::NAN], &[0], 0.1).contains("`hidden` is NaN in row 0, column 1"));
    assert!(refused(&[1.0, 0.0, 1.0], &[0], 0.1).contains("`hidden` has 3 numbers"));
    assert!(refused(&[1.0, 0.0, 0.0, 1.0], &[0, 1, 2], 0.1).contains("`targets` has 3"));
    // 2 eta dq |h|^2 = 1 with dq = 1.
    assert!(refused(&[2.0, 1.0], &[0], 0.1).contains("`eta` is 0.1, but must be smaller"));
    assert!(refused(&[1.0, 0.0], &[0], f64::NAN).contains("`eta` is NaN"));
    assert_eq!(layer.steps(), 0);
    assert_eq!(layer.dense_weight().unwrap(), before);
    assert!(layer.step(&[], &[], &SphericalSquaredError, 0.1).unwrap().losses.is_empty());
}
