//! The Poincare ball and what is built on it against slow twins (plain f64 loops from the papers' formulas, with the
//! Mobius addition written out), laws of the geometry, and the edges: the origin, the boundary, batches without a pair.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::classification::{HypCeLossConfig, HypPcLossConfig, OddBatch, PairDistance};
use contrarian::hyperbolic::*;
use contrarian::negatives::{MeanState, PseudoNegativeSamplerConfig};
use proptest::prelude::*;

type Row = Vec<f64>;

fn tensor(rows: &[Row], dtype: DType) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [rows.len(), rows[0].len()]).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype))
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn length(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn scaled(x: &[f64], by: f64) -> Row {
    x.iter().map(|x| x * by).collect()
}

fn add(c: f64, x: &[f64], y: &[f64]) -> Row {
    let (xy, xx, yy) = (dot(x, y), dot(x, x), dot(y, y));
    let bottom = 1.0 + 2.0 * c * xy + c * c * xx * yy;
    let (of_x, of_y) = ((1.0 + 2.0 * c * xy + c * yy) / bottom, (1.0 - c * xx) / bottom);
    x.iter().zip(y).map(|(x, y)| of_x * x + of_y * y).collect()
}

fn exp0(c: f64, v: &[f64]) -> Row {
    let t = c.sqrt() * length(v);
    if t == 0.0 { v.to_vec() } else { scaled(v, t.tanh() / t) }
}

fn log0(c: f64, y: &[f64]) -> Row {
    let t = c.sqrt() * length(y);
    if t == 0.0 { y.to_vec() } else { scaled(y, t.atanh() / t) }
}

fn exp(c: f64, x: &[f64], v: &[f64]) -> Row {
    let n = length(v);
    let lambda = 2.0 / (1.0 - c * dot(x, x));
    let step = if n == 0.0 { 0.0 } else { (c.sqrt() * lambda * n / 2.0).tanh() / (c.sqrt() * n) };
    add(c, x, &scaled(v, step))
}

fn distance(c: f64, x: &[f64], y: &[f64]) -> f64 {
    2.0 / c.sqrt() * (c.sqrt() * length(&add(c, &scaled(x, -1.0), y))).atanh()
}

fn logit(c: f64, x: &[f64], a: &[f64], offset: &[f64]) -> f64 {
    let p = exp0(c, offset);
    let (margin, z) = (1.0 - c * dot(&p, &p), add(c, &scaled(&p, -1.0), x));
    let normal = scaled(a, margin);
    let n = length(&normal);
    if n == 0.0 {
        return 0.0;
    }
    let height = 2.0 * c.sqrt() * dot(&z, &normal) / ((1.0 - c * dot(&z, &z)) * n);
    2.0 / margin * n / c.sqrt() * height.asinh()
}

fn cross_entropy(c: f64, points: &[Row], labels: &[usize], normals: &[Row], offsets: &[Row]) -> f64 {
    let of = |x: &Row, y: usize| {
        let logits: Row = normals.iter().zip(offsets).map(|(a, p)| logit(c, x, a, p)).collect();
        let top = logits.iter().copied().fold(f64::MIN, f64::max);
        top + logits.iter().map(|l| (l - top).exp()).sum::<f64>().ln() - logits[y]
    };
    points.iter().zip(labels).map(|(x, &y)| of(x, y)).sum::<f64>() / points.len() as f64
}

/// Central differences of a twin of one argument.
fn slopes(rows: &[Row], of: impl Fn(&[Row]) -> f64) -> Vec<f64> {
    let (d, h) = (rows[0].len(), 1e-6);
    let at = |index: usize, by: f64| {
        let mut moved = rows.to_vec();
        moved[index / d][index % d] += by;
        of(&moved)
    };
    (0..rows.len() * d).map(|index| (at(index, h) - at(index, -h)) / (2.0 * h)).collect()
}

fn close(found: &[f64], wanted: &[f64], bound: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), wanted.len());
    let size = wanted.iter().fold(1.0f64, |m, w| m.max(w.abs()));
    for (f, w) in found.iter().zip(wanted) {
        prop_assert!((f - w).abs() <= bound * size, "{found:?} against {wanted:?}");
    }
    Ok(())
}

/// Rows with entries in tenths (zeros and equal rows occur), some of them made points of the ball of curvature `c`.
fn rows(n: usize, d: usize) -> impl Strategy<Value = Vec<Row>> {
    let cell = prop_oneof![8 => (-15i32..=15).prop_map(|v| f64::from(v) / 10.0), 1 => Just(0.0)];
    prop::collection::vec(prop::collection::vec(cell, d), n)
}

fn on_ball(c: f64, rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|v| exp0(c, v)).collect()
}

/// Curvature, and two sets of rows of one shape.
fn case() -> impl Strategy<Value = (f64, Vec<Row>, Vec<Row>)> {
    let curvature = prop_oneof![Just(0.1), Just(1.0), 0.01f64..2.0];
    (curvature, 1usize..5, 1usize..5).prop_flat_map(|(c, n, d)| (Just(c), rows(n, d), rows(n, d)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn maps_and_distances_agree_with_their_twins((c, v, w) in case()) {
        let ball = PoincareBallConfig { curvature: c }.init();
        let (x, y) = (on_ball(c, &v), on_ball(c, &w));
        let t = |rows: &[Row]| tensor(rows, DType::F64);
        let each = |of: &dyn Fn(&Row, &Row) -> Row| x.iter().zip(&w).flat_map(|(x, w)| of(x, w)).collect::<Row>();
        close(&numbers(ball.expmap0(t(&w))), &each(&|_, w| exp0(c, w)), 1e-12)?;
        close(&numbers(ball.logmap0(t(&x))), &each(&|x, _| log0(c, x)), 1e-10)?;
        close(&numbers(ball.logmap0(t(&x))), &v.concat(), 1e-10)?;
        close(&numbers(ball.expmap(t(&x), t(&w))), &each(&|x, w| exp(c, x, w)), 1e-10)?;
        let pairs: Vec<f64> = x.iter().zip(&y).map(|(x, y)| distance(c, x, y)).collect();
        close(&numbers(ball.distance(t(&x), t(&y))), &pairs, 1e-7)?;
        let all: Vec<f64> = x.iter().flat_map(|x| y.iter().map(|y| numbers(ball.distance(t(std::slice::from_ref(x)), t(std::slice::from_ref(y))))[0])).collect();
        close(&numbers(ball.distance_matrix(t(&x), t(&y))), &all, 1e-7)?;
        let lambda: Vec<f64> = x.iter().map(|x| 2.0 / (1.0 - c * dot(x, x))).collect();
        close(&numbers(ball.conformal_factor(t(&x))), &lambda, 1e-9)?;
    }

    #[test]
    fn the_laws_of_the_ball_hold((c, v, w) in case()) {
        let ball = PoincareBallConfig { curvature: c }.init();
        let (x, y) = (tensor(&on_ball(c, &v), DType::F64), tensor(&on_ball(c, &w), DType::F64));
        let cancelled = ball.mobius_add(x.clone().neg(), ball.mobius_add(x.clone(), y.clone()));
        close(&numbers(cancelled), &numbers(y.clone()), 1e-9)?;
        let there = numbers(ball.distance(x.clone(), y.clone()));
        close(&there, &numbers(ball.distance(y.clone(), x.clone())), 1e-12)?;
        let origin = x.zeros_like();
        let detour = numbers(ball.distance(x.clone(), origin.clone()) + ball.distance(origin, y.clone()));
        prop_assert!(there.iter().zip(&detour).all(|(a, b)| *a <= b + 1e-9));
        // The product with the identity is the point itself.
        let identity = Tensor::<2>::eye(v[0].len(), &x.device()).cast(DType::F64);
        close(&numbers(ball.mobius_matmul(x.clone(), identity)), &numbers(x), 1e-10)?;
    }

    #[test]
    fn cross_entropy_agrees_with_its_twin((c, v, _) in case(), a in rows(3, 4), p in rows(3, 4), labels in prop::collection::vec(0usize..3, 4)) {
        let d = v[0].len();
        let cut = |rows: &[Row]| rows.iter().map(|row| row[..d].to_vec()).collect::<Vec<Row>>();
        let (x, a, p, labels) = (on_ball(c, &v), cut(&a), cut(&p), &labels[..v.len()]);
        let loss = HypCeLossConfig { curvature: c }.init();
        let leaf = |rows: &[Row]| tensor(rows, DType::F64).require_grad();
        let (tx, ta, tp) = (leaf(&x), leaf(&a), leaf(&p));
        let classes: Vec<i64> = labels.iter().map(|&y| y as i64).collect();
        let classes = Tensor::<1, Int>::from_data(TensorData::new(classes, [labels.len()]), &tx.device());
        let value = loss.forward(tx.clone(), classes, ta.clone(), tp.clone());
        close(&numbers(value.clone()), &[cross_entropy(c, &x, labels, &a, &p)], 1e-9)?;
        let gradients = value.backward();
        let of = |leaf: &Tensor<2>| numbers(leaf.grad(&gradients).unwrap());
        close(&of(&tx), &slopes(&x, |x| cross_entropy(c, x, labels, &a, &p)), 1e-5)?;
        close(&of(&tp), &slopes(&p, |p| cross_entropy(c, &x, labels, &a, p)), 1e-5)?;
        // The length of a normal that is 0 has no derivative; ours is 0.
        if a.iter().all(|a| length(a) > 0.0) {
            close(&of(&ta), &slopes(&a, |a| cross_entropy(c, &x, labels, a, &p)), 1e-5)?;
        }
    }

    #[test]
    fn confusion_agrees_with_its_twin((c, v, w) in case(), atan in any::<bool>()) {
        let points = [on_ball(c, &v), on_ball(c, &w)].concat();
        let half = points.len() / 2;
        let twin = |points: &[Row]| {
            let of = |(x, y): (&Row, &Row)| {
                let m = c.sqrt() * length(&add(c, &scaled(x, -1.0), y));
                2.0 / c.sqrt() * if atan { m.atan() } else { m.atanh() }
            };
            points[..half].iter().zip(&points[half..]).map(of).sum::<f64>() / points.len() as f64
        };
        let kind = if atan { PairDistance::Atan } else { PairDistance::Artanh };
        let loss = HypPcLossConfig::new().with_curvature(c).with_distance(kind).init();
        let leaf = tensor(&points, DType::F64).require_grad();
        let value = loss.forward(leaf.clone());
        close(&numbers(value.clone()), &[twin(&points)], 1e-7)?;
        let found = numbers(leaf.grad(&value.backward()).unwrap());
        // The distance of equal points has a kink at 0; ours has gradient 0 there.
        if (0..half).all(|i| points[i] != points[half + i]) {
            close(&found, &slopes(&points, twin), 1e-4)?;
        }
        prop_assert!(found.iter().all(|g| g.is_finite()));
    }
}

/// Lengths of a row, from the origin over the boundary (at 3.16) to far outside the ball.
const EDGES: [f64; 9] = [0.0, 1e-30, 1e-8, 0.03, 1.0, 3.1622, 3.1622777, 4.0, 1e4];

#[test]
fn values_and_gradients_are_finite_from_the_origin_to_far_outside() {
    let ball = PoincareBallConfig::new().init();
    let layer = ToPoincareConfig::new(3).init(&Device::flex().autodiff());
    let loss = HypCeLossConfig::new().init();
    for dtype in [DType::F32, DType::F64] {
        let other = tensor(&[vec![0.3, -0.2, 0.1]], dtype);
        for size in EDGES {
            type Map<'a> = &'a dyn Fn(Tensor<2>) -> Tensor<2>;
            let maps: [(&str, Map); 12] = [
                ("expmap0", &|x| ball.expmap0(x)),
                ("logmap0", &|x| ball.logmap0(x)),
                ("expmap at x", &|x| ball.expmap(x, other.clone())),
                ("expmap of x", &|x| ball.expmap(other.clone(), x)),
                ("mobius_add", &|x| ball.mobius_add(x, other.clone())),
                ("mobius_add to the opposite", &|x| ball.mobius_add(x.clone(), x.neg())),
                ("distance", &|x| ball.distance(x, other.clone())),
                ("distance to itself", &|x| ball.distance(x.clone(), x)),
                ("distance_matrix", &|x| ball.distance_matrix(x.clone(), Tensor::cat(vec![x, other.clone()], 0))),
                ("project", &|x| ball.project(x, 1e-3)),
                ("gyroplanes", &|x| ball.gyroplane_logits(x.clone(), x.clone(), x)),
                ("riemannian", &|x| ball.riemannian_gradient(ball.project(x, 1e-3))),
            ];
            for (name, map) in maps {
                let x = tensor(&[vec![0.6 * size, 0.0, -0.8 * size]], dtype).require_grad();
                let value = map(x.clone());
                assert!(numbers(value.clone()).iter().all(|v| v.is_finite()), "{name} at {size} in {dtype:?}");
                let gradient = numbers(x.grad(&value.sum().backward()).unwrap());
                assert!(gradient.iter().all(|g| g.is_finite()), "{name} at {size} in {dtype:?}: {gradient:?}");
            }
            let x = tensor(&[vec![0.6 * size, 0.0, -0.8 * size]], DType::F32).require_grad();
            let points = layer.forward(x.clone());
            ball.check(&points).unwrap();
            let labels = Tensor::<1, Int>::from_ints([1], &x.device());
            let planes = tensor(&[vec![1e4, 0.0, 0.0], vec![0.0, 0.0, 0.0]], DType::F32);
            let value = loss.forward(points, labels, planes.clone(), planes);
            assert!(numbers(value.clone())[0].is_finite());
            let gradient = numbers(x.grad(&value.backward()).unwrap());
            assert!(gradient.iter().all(|g| g.is_finite()), "loss at {size}: {gradient:?}");
        }
    }
}

#[test]
fn points_outside_are_told_and_mended() {
    let ball = PoincareBallConfig { curvature: 1.0 }.init();
    let points = tensor(&[vec![0.5, 0.5], vec![0.6, 0.8], vec![3.0, 4.0]], DType::F64);
    let error = ball.check(&points).unwrap_err();
    assert_eq!((error.row, error.radius), (1, 1.0));
    assert!(error.to_string().contains("project the points first"), "{error}");
    let projected = ball.project(points, 1e-3);
    ball.check(&projected).unwrap();
    let norms: Vec<f64> = numbers(projected).chunks(2).map(length).collect();
    assert!((norms[0] - 0.5f64.sqrt()).abs() < 1e-15, "points inside stay");
    assert!((norms[1] - 0.999).abs() < 1e-12 && (norms[2] - 0.999).abs() < 1e-12, "{norms:?}");
    let error = ball.check(&tensor(&[vec![0.1, f64::NAN]], DType::F64)).unwrap_err();
    assert!(error.norm.is_nan());
}

#[test]
fn clipping_keeps_the_direction_and_short_features() {
    let clip = FeatureClipConfig::new().init();
    let found = numbers(clip.forward(tensor(&[vec![3.0, 4.0], vec![0.6, 0.8], vec![0.0, 0.0]], DType::F64)));
    assert!(found.iter().zip([1.2, 1.6, 0.6, 0.8, 0.0, 0.0]).all(|(f, w)| (f - w).abs() < 1e-15), "{found:?}");
}

#[test]
fn the_riemannian_gradient_is_the_scaled_one() {
    let ball = PoincareBallConfig { curvature: 1.0 }.init();
    let x = tensor(&[vec![0.6, 0.0]], DType::F64).require_grad();
    let y = ball.riemannian_gradient(x.clone());
    assert_eq!(numbers(y.clone()), [0.6, 0.0]);
    let gradient = numbers(x.grad(&y.sum().backward()).unwrap());
    let factor = 0.64 * 0.64 / 4.0;
    assert!(gradient.iter().all(|g| (g - factor).abs() < 1e-15), "{gradient:?}");
}

#[test]
fn an_odd_batch_is_refused_or_loses_its_last_row() {
    let rows = [vec![0.1, 0.2], vec![0.3, -0.1], vec![0.5, 0.5]];
    let drop = HypPcLossConfig::new().with_odd_batch(OddBatch::DropLast).init();
    let value = |rows: &[Row]| numbers(drop.forward(tensor(rows, DType::F64)))[0];
    assert_eq!(value(&rows), value(&rows[..2]));
    assert_eq!(value(&rows[..1]), 0.0, "one point has no pair");
    let refused = std::panic::catch_unwind(|| HypPcLossConfig::new().init().forward(tensor(&rows, DType::F64)));
    let message = *refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("got 3 points") && message.contains("drop_last"), "{message}");
}

#[test]
fn parameters_outside_their_range_are_named() {
    let fields = [
        PoincareBallConfig { curvature: 0.0 }.validate().unwrap_err(),
        HypCeLossConfig { curvature: f64::NAN }.validate().unwrap_err(),
        HypPcLossConfig::new().with_curvature(-1.0).validate().unwrap_err(),
        FeatureClipConfig { radius: 0.0 }.validate().unwrap_err(),
        ToPoincareConfig::new(0).validate().unwrap_err(),
        ToPoincareConfig::new(2).with_clip(Some(-1.0)).validate().unwrap_err(),
        ToPoincareConfig::new(2).with_eps(1.0).validate().unwrap_err(),
        HyperbolicMlrConfig::new(2, 1).validate().unwrap_err(),
        PseudoNegativeSamplerConfig::new().with_alpha(1.1).validate().unwrap_err(),
        PseudoNegativeSamplerConfig::new().with_std_dev(-1.0).validate().unwrap_err(),
    ]
    .map(|error| error.field);
    let wanted = ["curvature", "curvature", "curvature", "radius", "dim", "clip", "eps", "classes", "alpha", "std_dev"];
    assert_eq!(fields, wanted);
}

#[test]
fn pseudo_negatives_surround_the_remembered_mean() {
    let features = |shift: f64| tensor(&vec![vec![shift, -shift]; 2000], DType::F32);
    for (state, wanted) in
        [(MeanState::PreviousBatch, 0.8 * 1.0 + 0.2 * 3.0), (MeanState::Running, 0.8 * 0.2 + 0.2 * 3.0)]
    {
        let sampler = PseudoNegativeSamplerConfig::new().with_std_dev(4.0).with_mean_state(state).with_seed(3).init();
        let (first, after) = sampler.forward(features(1.0), sampler.initial_state());
        let (again, _) = sampler.forward(features(1.0), sampler.initial_state());
        assert_eq!(numbers(first.clone()), numbers(again), "the state decides the draw");
        let (second, _) = sampler.forward(features(3.0), after);
        let draws: Vec<f64> = numbers(second).chunks(2).map(|row| row[0]).collect();
        let mean = draws.iter().sum::<f64>() / 2000.0;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 1999.0;
        // Standard errors: 2 / sqrt(2000) = 0.045 of the mean, 4 sqrt(2 / 2000) = 0.13 of the variance.
        assert!((mean - wanted).abs() < 0.2 && (variance - 4.0).abs() < 0.6, "{state:?}: {mean} {variance}");
        assert_ne!(numbers(first)[..10], draws[..10]);
    }
    let sampler = PseudoNegativeSamplerConfig::new().init();
    let (one, state) = sampler.forward(tensor(&[vec![5.0, 5.0]], DType::F64), sampler.initial_state());
    assert_eq!(one.dims(), [1, 2]);
    assert_eq!(numbers(state.mean.unwrap()), [5.0, 5.0]);
}
