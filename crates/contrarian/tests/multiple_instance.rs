//! Bags: masked is removed, for every model and for the regulariser; empty bags and NaN are errors, one instance is defined.

use burn::tensor::{DType, Device, Tensor, TensorData};
use contrarian::multiple_instance::*;
use contrarian::regularization::{AttentionEntropyRegularizerConfig, top_attention_share};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

const FEATURES: usize = 3;

fn close<const D: usize>(a: Tensor<D>, b: Tensor<D>, bound: f32) {
    let distance = (a - b).abs().max().into_scalar::<f32>();
    assert!(distance <= bound, "{distance}");
}

/// What a model says of each bag alone is what it says of it in a padded batch (f32 rounding aside).
fn agrees_alone<M: BagModel>(model: &M, bags: &[Vec<f32>]) {
    let device = Device::flex();
    let slices: Vec<&[f32]> = bags.iter().map(Vec::as_slice).collect();
    let together = model.forward(&Bags::pad(&slices, FEATURES, &device).unwrap());
    for (row, bag) in slices.iter().enumerate() {
        let alone = model.forward(&Bags::pad(&[bag], FEATURES, &device).unwrap());
        close(together.logits.clone().narrow(0, row, 1), alone.logits, 1e-5);
        if let (Some(scores), Some(own)) = (together.scores.clone(), alone.scores) {
            close(scores.narrow(0, row, 1).narrow(2, 0, bag.len() / FEATURES), own, 1e-5);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn masked_is_removed_for_every_model(
        bags in prop::collection::vec((1usize..6).prop_flat_map(|n| prop::collection::vec(-3.0f32..3.0, n * FEATURES)), 1..5)
    ) {
        let device = Device::flex();
        agrees_alone(&GatedAttentionMilConfig::new(FEATURES, 2).with_reduced(4).with_attention(5).init(&device, 1), &bags);
        agrees_alone(&AttentionMilConfig::new(FEATURES, 2).with_reduced(4).with_attention(5).init(&device, 1), &bags);
        agrees_alone(&MultiHeadAttentionMilConfig::new(FEATURES, 2).with_reduced(4).with_heads(2).init(&device, 1), &bags);
        agrees_alone(&PoolMilConfig::new(FEATURES, 2).with_reduced(4).init_mean(&device, 1), &bags);
        agrees_alone(&PoolMilConfig::new(FEATURES, 2).with_reduced(4).init_max(&device, 1), &bags);
    }

    /// The twin: plain loops over each head of each bag, and its differences as gradient.
    #[test]
    fn the_regulariser_agrees_with_its_twin(
        scores in prop::collection::vec((-24i32..=24).prop_map(|v| f64::from(v) / 4.0), 12),
        lengths in prop::collection::vec(1usize..=3, 2),
        normalise in any::<bool>(),
    ) {
        let twin = |scores: &[f64]| {
            let mut total = 0.0;
            for (row, head) in scores.chunks(3).enumerate() {
                let real = &head[..lengths[row / 2]];
                let sum: f64 = real.iter().map(|s| s.exp()).sum();
                let negative: f64 = real.iter().map(|s| s.exp() / sum * (s - sum.ln())).sum();
                let largest = (real.len() as f64).ln();
                total += if !normalise { negative } else if real.len() == 1 { 0.0 } else { negative / largest };
            }
            total / 4.0
        };
        let device = Device::flex().autodiff();
        let data = TensorData::new(scores.clone(), [2, 2, 3]);
        let leaf = Tensor::<3>::from_data(data, (&device, DType::F64)).require_grad();
        let mask = BagMask::of_lengths(&lengths, &device).unwrap();
        // The longest bag may be shorter than the scores.
        let places = mask.dims()[1];
        let regulariser = AttentionEntropyRegularizerConfig::new().with_normalise(normalise).init();
        let loss = regulariser.forward(leaf.clone().narrow(2, 0, places), Some(&mask));
        let gradient: Vec<f64> = leaf.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
        let value: f64 = loss.into_scalar();
        prop_assert!((value - twin(&scores)).abs() < 1e-12, "{value} against {}", twin(&scores));
        for index in 0..12 {
            let at = |shift: f64| {
                let mut moved = scores.clone();
                moved[index] += shift;
                twin(&moved)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            prop_assert!((gradient[index] - slope).abs() < 1e-8, "{} against {slope}", gradient[index]);
        }
    }
}

#[test]
fn attention_given_as_probabilities_or_logarithms_is_the_same() {
    let device = Device::flex();
    let scores = Tensor::<3>::from_floats([[[0.5, -1.0, 2.0], [1.0, 1.0, -4.0]]], &device);
    let log = burn::tensor::activation::log_softmax(scores.clone(), 2);
    let regulariser = AttentionEntropyRegularizerConfig::new().init();
    let value = regulariser.forward(scores, None);
    close(regulariser.of_attention(log.clone(), true, None), value.clone(), 1e-6);
    close(regulariser.of_attention(log.exp(), false, None), value, 1e-6);
    let hard = Tensor::<3>::from_floats([[[0.0, 1.0, 0.0]]], &device);
    assert_eq!(regulariser.of_attention(hard, false, None).into_scalar::<f32>(), 0.0);
}

#[test]
fn extreme_scores_and_single_instances_are_finite() {
    let device = Device::flex().autodiff();
    let regulariser = AttentionEntropyRegularizerConfig::new().init();
    for scores in [[1e4, -1e4, 0.0], [0.0, 0.0, 0.0], [f32::NEG_INFINITY, 1.0, 2.0]] {
        let leaf = Tensor::<3>::from_floats([[scores]], &device).require_grad();
        let loss = regulariser.forward(leaf.clone(), None);
        let gradient: Vec<f32> = leaf.grad(&loss.backward()).unwrap().into_data().try_to_vec().unwrap();
        assert!(loss.into_scalar::<f32>().is_finite() && gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    }
    let one = Tensor::<3>::from_floats([[[7.0]]], &device);
    assert_eq!(regulariser.forward(one.clone(), None).into_scalar::<f32>(), 0.0);
    assert_eq!(top_attention_share(one, None, 10).into_scalar::<f32>(), 1.0);
}

#[test]
fn bags_that_cannot_be_learned_from_are_named() {
    let device = Device::flex();
    let error = |bags: &[&[f32]]| Bags::pad(bags, 2, &device).unwrap_err();
    assert_eq!(error(&[]), BagError::NoBags);
    assert_eq!(error(&[&[1.0, 2.0], &[]]), BagError::Empty { bag: 1 });
    assert_eq!(error(&[&[1.0, 2.0, 3.0]]), BagError::Ragged { bag: 0, numbers: 3, features: 2 });
    let nan = error(&[&[1.0, 2.0], &[1.0, 2.0, 3.0, f32::NAN]]).to_string();
    assert!(nan.contains("bag 1, instance 1, feature 1"), "{nan}");
    let mask = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 0.0]], &device).equal_scalar(1.0);
    assert_eq!(BagMask::new(mask).unwrap_err(), BagError::Empty { bag: 1 });
    assert!(AttentionEntropyRegularizerConfig::new().with_weight(-0.1).validate().is_err());
}

#[test]
fn augmentations_leave_something_and_repeat() {
    let draw = |seed| {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        (1..20).map(|n| InstanceSubsampling::new().draw(n, rng)).collect::<Vec<_>>()
    };
    assert!(draw(1).iter().enumerate().all(|(at, kept)| kept.len() == 1 + at / 2) && draw(1) == draw(1));
    let scores = Tensor::<3>::from_floats([[[3.0, 1.0, 2.0, 9.0]], [[1.0, 5.0, 0.0, 0.0]]], &Device::flex());
    let mask = BagMask::of_lengths(&[4, 1], &Device::flex()).unwrap();
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
    let dropped = AttentionDropout::new().with_top(2).drop(scores, Some(&mask), rng);
    let dropped: Vec<f32> = dropped.into_data().try_to_vec().unwrap();
    // One of the top two (9 and 3) of the first bag; nothing of a bag of one instance.
    assert_eq!(dropped.iter().filter(|score| score.is_infinite()).count(), 1);
    assert!(dropped[0].is_infinite() || dropped[3].is_infinite());
}
