//! Properties that hold for every input: EnsLoss's draws, the adversarial bound, masks, mining.

use burn::tensor::{Device, Int, Tensor};
use contrarian::classification::{
    BinaryDiceLossConfig, CompSumLossConfig, EnsLossConfig, EnsLossSchedule, RhoMarginCompSumLossConfig,
    SmoothAdvCompSumLossConfig,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

fn floats(values: &[f32]) -> Tensor<1> {
    Tensor::from_floats(values, &Device::flex())
}

fn ints(values: &[i32]) -> Tensor<1, Int> {
    Tensor::from_ints(values, &Device::flex())
}

proptest! {
    #[test]
    fn draws_are_derivatives_of_convex_calibrated_losses(
        rows in prop::collection::vec(((-40i32..40).prop_map(|v| v as f32 / 8.0), 0i32..2, -3.0f64..3.0), 1..60),
        lambda in -1.0f64..1.0,
        cap in 0.1f64..3.0,
    ) {
        let (scores, labels): (Vec<f32>, Vec<i32>) = rows.iter().map(|row| (row.0, row.1)).unzip();
        let noise: Vec<f64> = rows.iter().map(|row| row.2).collect();
        let objective = EnsLossConfig::new().with_box_cox_lambda(lambda).with_cap(cap).init();
        let g = objective.derivatives(floats(&scores), ints(&labels), &noise);
        let mut pairs: Vec<(f32, f64)> = scores.iter().zip(&labels).map(|(x, y)| x * (2 * y - 1) as f32).zip(g).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for pair in &pairs {
            prop_assert!(pair.1 < 0.0 && pair.1 >= -(cap + 1e-6) - 1e-12);
        }
        for pair in pairs.windows(2) {
            prop_assert!(pair[1].1 >= pair[0].1 - 1e-12, "{pairs:?}");
        }
    }

    #[test]
    fn the_smooth_loss_bounds_the_margin_loss_from_above(
        clean in prop::collection::vec(-4.0f32..4.0, 12),
        moved in prop::collection::vec(-4.0f32..4.0, 12),
        labels in prop::collection::vec(0i32..4, 3),
        rho in 0.3f64..3.0,
        tau in 0.0f64..2.5,
    ) {
        let grid = |values: &[f32]| floats(values).reshape([3, 4]);
        let nu = 3f64.sqrt() / rho;
        let smooth = SmoothAdvCompSumLossConfig::new().with_tau(tau).with_rho(rho).with_nu(nu).init();
        let margin = RhoMarginCompSumLossConfig::new().with_tau(tau).with_rho(rho).init();
        let above: Vec<f32> =
            smooth.forward_no_reduction(grid(&clean), grid(&moved), ints(&labels)).into_data().try_to_vec().unwrap();
        let below: Vec<f32> = margin.forward_no_reduction(grid(&moved), ints(&labels)).into_data().try_to_vec().unwrap();
        for (above, below) in above.iter().zip(&below) {
            prop_assert!(above * (1.0 + 1e-4) + 1e-4 >= *below, "{above} < {below}");
        }
    }
}

#[test]
fn ties_keep_the_order_of_the_examples() {
    let objective = EnsLossConfig::new().init();
    let g = objective.derivatives(floats(&[0.5; 3]), ints(&[1; 3]), &[-1.0, -3.0, -2.0]);
    assert!(g[0] < g[1] && g[1] < g[2], "the most negative draw goes to the first of equals: {g:?}");
}

#[test]
fn the_schedule_redraws_when_its_period_is_full() {
    let mut objective = EnsLossConfig::new().init();
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    EnsLossSchedule::default().end_of_epoch(&mut objective, 10, rng);
    assert_eq!(objective.box_cox_lambda, 0.0);
    let schedule = EnsLossSchedule { period: Some(5), ..EnsLossSchedule::default() };
    schedule.end_of_epoch(&mut objective, 4, rng);
    assert_eq!(objective.box_cox_lambda, 0.0);
    schedule.end_of_epoch(&mut objective, 5, rng);
    assert!(objective.box_cox_lambda != 0.0 && objective.box_cox_lambda.abs() <= 1.0);
}

#[test]
fn masking_is_removing_and_mining_keeps_the_hardest() {
    let value = |loss: Tensor<1>| loss.into_scalar::<f32>();
    for level in ["batch", "example"] {
        let config: BinaryDiceLossConfig = serde_json::from_str(&format!(
            r#"{{"smooth": 1.0, "alpha": 0.2, "squared": true, "level": "{level}", "ohem_ratio": 0.0}}"#
        ))
        .unwrap();
        let masked = config.init().forward_masked(
            floats(&[0.5, -1.0, 2.0, 0.1]),
            ints(&[1, 0, 0, 1]),
            ints(&[1, 0, 1, 1]).equal_scalar(1),
        );
        let removed = config.init().forward(floats(&[0.5, 2.0, 0.1]), ints(&[1, 0, 1]));
        assert!((value(masked) - value(removed.clone())).abs() < 1e-6, "{level}");
        // One positive and a ratio of 2 keep the two hardest negatives; of the equal ones the first.
        let mined = config.clone().with_ohem_ratio(2.0).init();
        let all = mined.forward(floats(&[0.5, -1.0, 2.0, -1.0]), ints(&[1, 0, 0, 0]));
        let hardest = config.init().forward(floats(&[0.5, -1.0, 2.0]), ints(&[1, 0, 0]));
        assert!((value(all) - value(hardest)).abs() < 1e-6, "{level}");
    }
}

#[test]
#[should_panic(expected = "nothing to score")]
fn a_mask_that_leaves_nothing_is_refused() {
    let nothing = ints(&[0, 0]).equal_scalar(1);
    BinaryDiceLossConfig::new().init().forward_masked(floats(&[0.5, 1.0]), ints(&[1, 0]), nothing);
}

#[test]
#[should_panic(expected = "2 labels for 3 examples")]
fn shapes_that_differ_are_refused() {
    BinaryDiceLossConfig::new().init().forward(floats(&[0.5, 1.0, 2.0]), ints(&[1, 0]));
}

#[test]
#[should_panic(expected = "at least two, got logits [2, 1]")]
fn one_class_is_refused() {
    CompSumLossConfig::new().init().forward(floats(&[0.5, 1.0]).reshape([2, 1]), ints(&[0, 0]));
}
