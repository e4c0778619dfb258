use super::*;
use proptest::prelude::*;

/// The order from its definition: again and again the largest of the classes that are left, the label first.
fn order_twin(teacher: &[f64], label: usize) -> Vec<u32> {
    let mut left: Vec<usize> = (0..teacher.len()).filter(|&class| class != label).collect();
    let mut order = vec![label as u32];
    while !left.is_empty() {
        let largest = left.iter().map(|&class| teacher[class]).fold(f64::NEG_INFINITY, f64::max);
        let at = left.iter().position(|&class| teacher[class] == largest).unwrap();
        order.push(left.remove(at) as u32);
    }
    order
}

fn softmax_twin(logits: &[f64], temperature: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = logits.iter().map(|logit| ((logit - largest) / temperature).exp()).collect();
    let total: f64 = e.iter().sum();
    e.into_iter().map(|e| e / total).collect()
}

/// Loss and gradient of one row as sums over ranks: every step is a cross-entropy over the items that are left.
fn row_twin(scores: &[f64], order: &[u32], weights: &[f64]) -> (f64, Vec<f64>) {
    let mut loss = 0.0;
    let mut gradient = vec![0.0; scores.len()];
    for k in 0..order.len() {
        let chosen = order[k] as usize;
        let left: Vec<f64> = order[k..].iter().map(|&item| scores[item as usize]).collect();
        let largest = left.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let at = left.iter().position(|&s| s == largest).unwrap();
        let p = softmax_twin(&left, 1.0);
        // ln(1 + x) of what is beside the largest keeps the digits of small steps.
        let others: f64 = left.iter().enumerate().filter(|&(i, _)| i != at).map(|(_, s)| (s - largest).exp()).sum();
        loss += weights[k] * (largest - scores[chosen] + others.ln_1p());
        // p - 1 of the chosen is minus the sum of the others.
        for (item, p) in order[k + 1..].iter().zip(&p[1..]) {
            gradient[*item as usize] += weights[k] * p;
            gradient[chosen] -= weights[k] * p;
        }
    }
    (loss, gradient)
}

fn close<T: Real>(found: &PlackettLuceLoss<T>, expected: &[(f64, Vec<f64>)], bound: f64) -> Result<(), TestCaseError> {
    let items = expected[0].1.len();
    for (i, (loss, gradient)) in expected.iter().enumerate() {
        let off = (found.losses[i].f64() - loss).abs();
        prop_assert!(off <= bound * loss.abs() + 1e-30, "loss {i}: {} for {loss}", found.losses[i]);
        let size = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        for (f, e) in found.gradient[i * items..(i + 1) * items].iter().zip(gradient) {
            prop_assert!((f.f64() - e).abs() <= bound * size + 1e-30, "row {i}: {f} for {e}, largest {size}");
        }
    }
    Ok(())
}

fn f64s(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&number| number.into()).collect()
}

fn check(
    student: &[f32],
    teacher: &[f32],
    items: usize,
    labels: &[usize],
    temperature: f64,
) -> Result<(), TestCaseError> {
    let rows = labels.len();
    let (student64, teacher64) = (f64s(student), f64s(teacher));
    let row = |matrix: &[f64], i: usize| matrix[i * items..(i + 1) * items].to_vec();
    let orders: Vec<Vec<u32>> = (0..rows).map(|i| order_twin(&row(&teacher64, i), labels[i])).collect();
    prop_assert_eq!(&teacher_order(teacher, rows, items, labels).unwrap(), &orders.concat());
    prop_assert_eq!(&teacher_order(&teacher64, rows, items, labels).unwrap(), &orders.concat());
    let custom: Vec<f64> = (0..items).map(|k| if k % 3 == 1 { 0.0 } else { 0.25 * k as f64 }).collect();
    let kinds = [
        RankWeights::Teacher { temperature },
        RankWeights::Uniform,
        RankWeights::ListMle,
        RankWeights::First,
        RankWeights::Position,
        RankWeights::Custom(&custom),
    ];
    for kind in kinds {
        if kind == RankWeights::Position && items > 100 {
            continue;
        }
        let weights_of = |i: usize| -> Vec<f64> {
            let p = softmax_twin(&row(&teacher64, i), temperature);
            let weight = |k: usize| match kind {
                RankWeights::Teacher { .. } => p[orders[i][k] as usize],
                RankWeights::Uniform => 1.0 / items as f64,
                RankWeights::ListMle => 1.0,
                RankWeights::First => f64::from(u8::from(k == 0)),
                RankWeights::Position => 2f64.powf((items - k - 1) as f64) - 1.0,
                RankWeights::Custom(custom) => custom[k],
            };
            (0..items).map(weight).collect()
        };
        let expected: Vec<(f64, Vec<f64>)> =
            (0..rows).map(|i| row_twin(&row(&student64, i), &orders[i], &weights_of(i))).collect();
        // The exponents of a row reach as far as its logits are wide; their rounding is the error of the weights.
        let wide = teacher64.iter().filter(|t| t.is_finite()).fold(0.0f64, |m, t| m.max(t.abs())) / temperature;
        // Running log-sums have the size of the scores, and its rounding is an error of the exponent.
        let size = student64.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let bound64 = 1e-12 + 1e-15 * (wide.min(700.0) + size);
        let bound32 = 2e-6 + 1e-7 * wide.min(87.0);
        for level in [Level::Scalar, Level::Avx2, Level::Avx512] {
            let found = distillation_at(level, student, teacher, rows, items, labels, kind).unwrap();
            close(&found, &expected, bound32)?;
            let found = distillation_at(level, &student64, &teacher64, rows, items, labels, kind).unwrap();
            close(&found, &expected, bound64)?;
        }
        let weights = rank_weights(kind, &teacher64, rows, items, &orders.concat()).unwrap();
        close(&plackett_luce(&student64, rows, items, &orders.concat(), &weights).unwrap(), &expected, bound64)?;
    }
    Ok(())
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        6 => -4.0f32..4.0,
        2 => (-8i32..8).prop_map(|v| v as f32 / 4.0),
        1 => prop_oneof![Just(1e3f32), Just(-1e3f32), Just(1e4f32), Just(-1e4f32)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn losses_agree_with_their_twins(
        (items, student, teacher, labels) in prop_oneof![Just(1usize), Just(2), Just(3), Just(17), Just(127), Just(129)]
            .prop_flat_map(|items| (1usize..20).prop_flat_map(move |rows| {
                let plain = prop::collection::vec(-4.0f32..4.0, rows * items);
                let student = prop_oneof![plain, prop::collection::vec(logit(), rows * items)];
                let logits = prop::collection::vec(prop_oneof![9 => logit(), 1 => Just(f32::NEG_INFINITY)], rows * items);
                (Just(items), student, logits, prop::collection::vec(0..items, rows))
            })),
        temperature in prop_oneof![Just(1.0), Just(4.0), Just(0.01)],
    ) {
        let mut teacher = teacher;
        // At least one class of every row is there.
        teacher.iter_mut().step_by(items).for_each(|logit| if *logit == f32::NEG_INFINITY { *logit = 0.5 });
        check(&student, &teacher, items, &labels, temperature)?;
    }
}

#[test]
fn equal_scores_and_many_items() {
    check(&[0.5; 40], &[1.0; 40], 20, &[3, 19], 1.0).unwrap();
    check(&[0.5], &[1.0], 1, &[0], 1.0).unwrap();
    // More items than a block of sums; scores that fall by 60 in all.
    let student: Vec<f32> = (0..3000).map(|i| -(i as f32) / 50.0).collect();
    let teacher: Vec<f32> = (0..3000).map(|i| ((i * 7919) % 3000) as f32 / 300.0).collect();
    check(&student, &teacher, 3000, &[17], 1.0).unwrap();
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let text = |error: KernelError| error.to_string();
    let order = |teacher: &[f32], labels: &[usize]| text(teacher_order(teacher, 1, 2, labels).unwrap_err());
    assert!(order(&[1.0, f32::NAN], &[0]).contains("NaN in row 0, class 1"));
    assert!(order(&[1.0, f32::INFINITY], &[0]).contains("inf in row 0, class 1"));
    assert!(order(&[1.0, 2.0], &[2]).contains("`labels` is 2 at 0"));
    assert!(order(&[1.0], &[0]).contains("`teacher` has 1 numbers"));
    assert!(text(teacher_order::<f32>(&[], 1, 0, &[0]).unwrap_err()).contains("`items` is 0"));
    let loss = |order: &[u32], weights: &[f32]| text(plackett_luce(&[0.0, 1.0], 1, 2, order, weights).unwrap_err());
    assert!(loss(&[0, 0], &[1.0; 2]).contains("a permutation"));
    assert!(loss(&[0, 2], &[1.0; 2]).contains("a permutation"));
    assert!(loss(&[0, 1], &[1.0, -1.0]).contains("-1 at 1"));
    let gone = [f32::NEG_INFINITY; 2];
    let teacher = RankWeights::Teacher { temperature: 1.0 };
    assert!(text(plackett_luce_distillation(&[0.0; 2], &gone, 1, 2, &[0], teacher).unwrap_err()).contains("row 0"));
    let many = [0.0f32; 200];
    let position = plackett_luce_distillation(&many, &many, 1, 200, &[0], RankWeights::Position);
    assert!(text(position.unwrap_err()).contains("inf at rank 1"));
    let diverged = plackett_luce(&[0.0, f32::NAN, 0.0, 1.0], 2, 2, &[0, 1, 0, 1], &[1.0; 4]).unwrap();
    assert!(diverged.losses[0].is_nan() && diverged.gradient[..2].iter().all(|g| g.is_nan()));
    assert!(diverged.losses[1].is_finite());
}
