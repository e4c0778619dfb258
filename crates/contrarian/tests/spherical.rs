//! The spherical losses in both of their forms, the self-training output layer against dense layers under Burn's SGD, the
//! two-level softmax.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::classification::{
    FactoredOutputConfig, SphericalLoss, SphericalSoftmaxLossConfig, SphericalSquaredErrorConfig,
    TaylorSoftmaxLossConfig, TwoLevelSoftmaxConfig, ZLossConfig,
};
use contrarian::{LogitBatch, LogitObjective, ObjectiveState};
use proptest::prelude::*;

trait Both: SphericalLoss + LogitObjective {}

impl<L: SphericalLoss + LogitObjective> Both for L {}

fn all() -> [(&'static str, Box<dyn Both>); 5] {
    [
        ("z", Box::new(ZLossConfig::new().init())),
        ("z, tuned", Box::new(ZLossConfig::new().with_a(0.3).with_b(4.0).with_eps(1e-3).init())),
        ("taylor", Box::new(TaylorSoftmaxLossConfig::new().init())),
        ("spherical", Box::new(SphericalSoftmaxLossConfig::new().init())),
        ("squared", Box::new(SphericalSquaredErrorConfig::new().init())),
    ]
}

fn tensor(values: &[f64], shape: [usize; 2], dtype: DType) -> Tensor<2> {
    let data = TensorData::new(values.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype))
}

fn labels(values: &[usize]) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&y| y as i64).collect();
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert_dtype(DType::F64).try_to_vec().unwrap()
}

fn value(loss: &dyn LogitObjective, logits: Tensor<2>, y: &[usize]) -> Tensor<1> {
    loss.loss(LogitBatch::new(logits, labels(y)), &mut ObjectiveState::Stateless)
}

/// Value and gradient over logits.
fn full(loss: &dyn LogitObjective, row: &[f64], y: usize, dtype: DType) -> (f64, Vec<f64>) {
    let logits = tensor(row, [1, row.len()], dtype).require_grad();
    let value = value(loss, logits.clone(), &[y]);
    let gradient = numbers(logits.grad(&value.backward()).unwrap());
    (numbers(value)[0], gradient)
}

fn close(a: &[f64], b: &[f64], bound: f64) -> bool {
    let size = b.iter().fold(1.0f64, |m, x| m.max(x.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= bound * size)
}

proptest! {
    #[test]
    fn the_form_over_logits_is_the_form_over_statistics(
        (row, y) in (2usize..9).prop_flat_map(|k| (prop::collection::vec(-5.0f64..5.0, k), 0..k)),
    ) {
        let (q, s): (f64, f64) = (row.iter().map(|o| o * o).sum(), row.iter().sum());
        let n = row.len() as f64;
        // The statistics lose the digits of a spread that is small against the mean.
        prop_assume!(q / n - (s / n).powi(2) > 1e-3);
        for (name, loss) in all() {
            let p = loss.value_and_partials(q, s, row[y], row.len());
            let partial = |(k, o): (usize, &f64)| 2.0 * p.dq * o + p.ds + if k == y { p.dtarget } else { 0.0 };
            let expected: Vec<f64> = row.iter().enumerate().map(partial).collect();
            let (value, gradient) = full(&*loss, &row, y, DType::F64);
            prop_assert!(close(&[value], &[p.loss], 1e-9), "{name}: {value} against {}", p.loss);
            prop_assert!(close(&gradient, &expected, 1e-8), "{name}: {gradient:?} against {expected:?}");
        }
    }
}

#[test]
fn the_z_loss_does_not_see_shift_and_scale() {
    let loss = ZLossConfig::new().with_a(0.5).with_b(1.0).init();
    let row = [0.3, -1.2, 2.0, 0.7];
    let moved = row.map(|o| 1e5 + 3.0 * o);
    let ((a, g), (b, h)) = (full(&loss, &row, 3, DType::F64), full(&loss, &moved, 3, DType::F64));
    assert!((a - b).abs() < 1e-9, "{a} {b}");
    let h: Vec<f64> = h.iter().map(|g| 3.0 * g).collect();
    assert!(close(&h, &g, 1e-8), "{h:?} {g:?}");
    assert!(g.iter().sum::<f64>().abs() < 1e-12);
}

#[test]
fn a_constant_row_has_a_value_and_a_gradient_that_raises_the_label() {
    for constant in [0.0, 0.1, -1e4, 1e4] {
        let loss = ZLossConfig::new().with_b(1.0).init();
        for dtype in [DType::F32, DType::F64] {
            let (value, gradient) = full(&loss, &[constant; 7], 2, dtype);
            assert!((value - 1f64.exp().ln_1p()).abs() < 1e-6, "{constant}: {value}");
            let slope = 1.0 / (1.0 + (-1f64).exp());
            let expected: Vec<f64> = (0..7).map(|k| slope * (1.0 / 7.0 - f64::from(u8::from(k == 2)))).collect();
            assert!(close(&gradient, &expected, 1e-6), "{constant}: {gradient:?}");
        }
    }
}

#[test]
fn extremes_are_finite() {
    for (name, loss) in all() {
        for row in [[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [1.0, 1.0, 1.0 + 1e-7], [1e-20, 0.0, 0.0]] {
            for dtype in [DType::F32, DType::F64] {
                let (value, gradient) = full(&*loss, &row, 0, dtype);
                assert!(value.is_finite() && gradient.iter().all(|g| g.is_finite()), "{name} {row:?}: {gradient:?}");
            }
        }
    }
}

/// Numbers between -1 and 1 without a pattern.
fn noise(count: usize, seed: u64) -> Vec<f64> {
    (0..count as u64)
        .map(|i| ((i + 1) as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43_758.545)
        .map(|x| 2.0 * (x - x.floor()) - 1.0)
        .collect()
}

#[test]
fn the_factored_layer_trains_as_a_dense_one_under_sgd() {
    let (classes, dim, m, eta) = (30, 6, 5, 0.2);
    for (name, loss) in all() {
        let mut layer = FactoredOutputConfig::new(classes, dim).with_deviation(0.4).init(3).unwrap();
        assert_eq!((layer.classes(), layer.dim()), (classes, dim));
        let weight: Vec<f64> = layer.layer.dense_weight().unwrap().into_iter().map(f64::from).collect();
        let mut weight = tensor(&weight, [classes, dim], DType::F64);
        for step in 0..20 {
            let values = noise(m * dim, step);
            let y: Vec<usize> = noise(m, 100 + step).iter().map(|x| ((x + 1.0) * 15.0) as usize).collect();
            // Something below the layer, so that its gradient has to travel on.
            let below = |dtype| {
                let input = tensor(&values, [m, dim], dtype).require_grad();
                (input.clone(), input.mul_scalar(0.5).tanh())
            };
            let (dense_input, dense_hidden) = below(DType::F64);
            let leaf = weight.clone().require_grad();
            let expected = value(&*loss, dense_hidden.matmul(leaf.clone().transpose()), &y);
            let gradients = expected.backward();
            weight = (leaf.clone() - Tensor::from_inner(leaf.grad(&gradients).unwrap()).mul_scalar(eta)).detach();

            let (input, hidden) = below(DType::F32);
            let found = layer.forward(hidden, labels(&y), &*loss, eta).unwrap();
            let gradient = input.grad(&found.backward()).unwrap();
            assert!(close(&numbers(found), &numbers(expected), 1e-5), "{name}, step {step}");
            let wanted = numbers(dense_input.grad(&gradients).unwrap());
            assert!(close(&numbers(gradient), &wanted, 1e-5), "{name}, step {step}: {wanted:?}");
        }
        let dense = numbers(weight.clone());
        let own: Vec<f64> = layer.layer.dense_weight().unwrap().into_iter().map(f64::from).collect();
        assert!(close(&own, &dense, 1e-5), "{name}");
        let hidden = tensor(&noise(m * dim, 7), [m, dim], DType::F64);
        let logits = layer.logits(hidden.clone()).unwrap();
        assert_eq!(logits.dims(), [m, classes]);
        assert!(close(&numbers(logits), &numbers(hidden.matmul(weight.transpose())), 1e-5), "{name}");
    }
}

#[test]
fn what_the_factored_layer_refuses_leaves_it_alone() {
    let mut layer = FactoredOutputConfig::new(10, 3).with_deviation(0.5).init(1).unwrap();
    let before = layer.layer.dense_weight().unwrap();
    let loss = SphericalSquaredErrorConfig::new().init();
    let hidden = || tensor(&noise(6, 1), [2, 3], DType::F32);
    // As many numbers as three rows of the right length.
    let wrong = tensor(&noise(6, 1), [3, 2], DType::F32);
    let errors = [
        layer.forward(wrong.clone(), labels(&[0, 1, 2]), &loss, 0.1).unwrap_err().to_string(),
        layer.logits(wrong).unwrap_err().to_string(),
        layer.forward(hidden(), labels(&[0, 10]), &loss, 0.1).unwrap_err().to_string(),
        layer.forward(hidden(), labels(&[0, 1, 2]), &loss, 0.1).unwrap_err().to_string(),
        layer.forward(hidden(), labels(&[0, 1]), &loss, f64::NAN).unwrap_err().to_string(),
    ];
    for (error, part) in errors.iter().zip(["hidden", "hidden", "below 10", "targets", "eta"]) {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(before, layer.layer.dense_weight().unwrap());
}

#[test]
fn the_two_level_softmax_is_a_distribution_over_the_classes() {
    let device = Device::flex();
    let hidden = tensor(&noise(8, 2), [2, 4], DType::F32);
    // 3 clusters of 3, and 3 of 3 of which the last place is no class.
    for (classes, full) in [(9, true), (8, false)] {
        let layer = TwoLevelSoftmaxConfig::new(4, classes).init(&device.clone().autodiff(), 5);
        assert_eq!(layer.b2.val().dims(), [3, 3]);
        let log_p = layer.log_probabilities(hidden.clone());
        assert_eq!(log_p.dims(), [2, classes]);
        let total = numbers(log_p.clone().exp().sum_dim(1));
        assert!(total.iter().all(|sum| if full { (sum - 1.0).abs() < 1e-5 } else { *sum < 0.999 }), "{total:?}");
        let rows = numbers(log_p);
        for y in 0..classes {
            let loss = numbers(layer.forward_no_reduction(hidden.clone(), labels(&[y, y])));
            assert!(close(&loss, &[-rows[y], -rows[classes + y]], 1e-5), "class {y}");
        }
    }
}

#[test]
fn bad_parameters_are_named() {
    let field = |result: Result<(), contrarian::InvalidParameter>| result.unwrap_err().field;
    assert_eq!(field(ZLossConfig::new().with_a(0.0).validate()), "a");
    assert_eq!(field(ZLossConfig::new().with_b(f64::NAN).validate()), "b");
    assert_eq!(field(ZLossConfig::new().with_eps(-1.0).validate()), "eps");
    assert_eq!(field(SphericalSoftmaxLossConfig::new().with_epsilon(0.0).validate()), "epsilon");
    assert_eq!(field(FactoredOutputConfig::new(1, 4).validate()), "classes");
    assert_eq!(field(FactoredOutputConfig::new(3, 0).validate()), "dim");
    assert_eq!(field(FactoredOutputConfig::new(3, 1).with_deviation(-1.0).validate()), "deviation");
    assert_eq!(field(TwoLevelSoftmaxConfig::new(4, 2).validate()), "classes");
    assert_eq!(field(TwoLevelSoftmaxConfig::new(4, 9).with_cluster_size(Some(9)).validate()), "cluster_size");
}
