//! Bad pairs, the cropped loss, alignment and the networks for series against plain f64 loops written from the papers; with
//! `CONTRARIAN_KERNELS=off` the same tests hold the composed forms.

#[path = "support/differences.rs"]
mod differences;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};
use contrarian::classification::CroppedLossConfig;
use contrarian::contrastive::{DynamicBadPairMiningConfig, NtXentLossConfig};
use contrarian::diagnostics::linear_cka;
use contrarian::negatives::{BadPairMinerConfig, HistoryWeighting, PairLossError, PairLossMemory};
use contrarian_lab::model::{CausalConvolution, Mode, TemporalBlock};
use differences::{check, dot, ints, log_sum_exp, numbers, tensor, unit, vectors};
use proptest::prelude::*;

/// The loss of every item, over rows of length 1.
fn pair_losses(x: &[f64], y: &[f64], dim: usize, t: f64) -> Vec<f64> {
    let all = [unit(x, dim), unit(y, dim)].concat();
    let rows: Vec<&[f64]> = all.chunks(dim).collect();
    let n = rows.len() / 2;
    let of_view = |a: usize| {
        let others = (0..2 * n).filter(|&b| b != a).map(|b| dot(rows[a], rows[b]) / t);
        log_sum_exp(others) - dot(rows[a], rows[(a + n) % (2 * n)]) / t
    };
    (0..n).map(|i| f64::midpoint(of_view(i), of_view(i + n))).collect()
}

const WEIGHTINGS: [HistoryWeighting; 3] =
    [HistoryWeighting::Reference, HistoryWeighting::Normalized, HistoryWeighting::Plain];

/// What is remembered of items with a whole history, row by row, and the law of the flags.
fn remembered(history: &[f64], epochs: usize, total: usize, weighting: HistoryWeighting) -> (Vec<f64>, f64, f64) {
    let weight = |v: usize| match weighting {
        HistoryWeighting::Reference => (v + 1) as f64 / total as f64,
        HistoryWeighting::Normalized => (v + 1) as f64 * epochs as f64 / (epochs * (epochs + 1) / 2) as f64,
        HistoryWeighting::Plain => 1.0,
    };
    let mean: Vec<f64> = history
        .chunks(epochs)
        .map(|row| row.iter().enumerate().map(|(v, h)| weight(v) * h).sum::<f64>() / epochs as f64)
        .collect();
    let n = mean.len() as f64;
    let mu = mean.iter().sum::<f64>() / n;
    let sigma = (mean.iter().map(|m| (m - mu) * (m - mu)).sum::<f64>() / n).sqrt();
    (mean, mu, sigma)
}

fn history(items: usize, epochs: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.1f64..3.0, items * epochs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn pair_losses_and_their_weights_are_the_twin(
        (n, x, y) in (1usize..7).prop_flat_map(|n| (Just(n), vectors(n, 3), vectors(n, 3))),
        past in history(12, 4), t in prop::sample::select(vec![0.2, 0.005]),
        which in 0usize..3, peak in any::<bool>(),
    ) {
        let miner = BadPairMinerConfig::new()
            .with_max_epochs(9).with_cut_noisy(0.8).with_cut_faulty(0.9).with_weighting(WEIGHTINGS[which]);
        let objective = DynamicBadPairMiningConfig::new()
            .with_temperature(t).with_peak_normalized(peak).with_miner(miner).init();
        let bad = objective.miner.mine_history(tensor(&past, 4)).unwrap();
        let (mean, mu, sigma) = remembered(&past, 4, 9, WEIGHTINGS[which]);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * (1.0 + b.abs());
        prop_assert!(close(bad.mu, mu) && close(bad.sigma, sigma) && bad.mean.iter().zip(&mean).all(|(a, b)| close(*a, *b)));
        let (low, high) = (mu - 0.8 * sigma, mu + 0.9 * sigma);
        prop_assume!(mean.iter().all(|m| (m - low).abs() > 1e-9 && (m - high).abs() > 1e-9));
        for (item, m) in mean.iter().enumerate() {
            prop_assert_eq!((bad.noisy[item], bad.faulty[item]), (*m < low, *m > high));
        }
        let items: Vec<usize> = (0..n).map(|i| (i * 5) % 12).collect();
        let (first, second) = (tensor(&x, 3), tensor(&y, 3));
        let weights = numbers(objective.weights(objective.pair_losses(first.clone(), second.clone()), &items, &bad));
        let losses = pair_losses(&x, &y, 3, t);
        for (k, &item) in items.iter().enumerate() {
            let density = (-(losses[k] - mu).powi(2) / (2.0 * sigma * sigma)).exp();
            let scale = if peak { 1.0 } else { 1.0 / (sigma * (2.0 * std::f64::consts::PI).sqrt()) };
            let expected = if mean[item] < low || mean[item] > high { scale * density } else { 1.0 };
            prop_assert!((weights[k] - expected).abs() < 1e-9 * (1.0 + expected), "{}: {} {expected}", k, weights[k]);
            prop_assert!(!peak || (0.0..=1.0).contains(&weights[k]));
        }
        // No gradient through the weights: they are constants of the twin. At the small temperature second derivatives are
        // too large for differences.
        let loss = objective.forward(first.clone(), second.clone(), &items, Some(&bad));
        if t > 0.1 {
            check("dbpm", loss, &[(&first, &x), (&second, &y)], &|v| {
                let losses = pair_losses(&v[0], &v[1], 3, t);
                losses.iter().zip(&weights).map(|(l, w)| l * w).sum::<f64>() / n as f64
            })?;
        } else {
            let expected = losses.iter().zip(&weights).map(|(l, w)| l * w).sum::<f64>() / n as f64;
            prop_assert!((numbers(loss)[0] - expected).abs() < 1e-10 * (1.0 + expected.abs()));
        }
        let plain = objective.forward(first.clone(), second.clone(), &items, None);
        let nt_xent = NtXentLossConfig::new().with_temperature(t).init().forward(first, second);
        prop_assert!((numbers(plain)[0] - numbers(nt_xent)[0]).abs() < 1e-10 * (1.0 + 1.0 / t));
    }

    #[test]
    fn a_memory_is_the_mean_of_what_it_was_given(past in history(5, 6), skipped in 0usize..5, which in 0usize..3) {
        let mut memory = PairLossMemory::new(5, 10, WEIGHTINGS[which]);
        for epoch in 0..6 {
            // An item that every other epoch leaves out, as a dropped last batch does.
            let items: Vec<usize> = (0..5).filter(|&item| item != skipped || epoch % 2 == 0).collect();
            let losses: Vec<f64> = items.iter().map(|item| past[item * 6 + epoch]).collect();
            // In two batches.
            let (a, b) = items.split_at(2);
            memory.record(a, &losses[..2]).unwrap();
            memory.record(b, &losses[2..]).unwrap();
            memory.finish_epoch().unwrap();
        }
        let mean = memory.mean().unwrap();
        let (whole, ..) = remembered(&past, 6, 10, WEIGHTINGS[which]);
        for item in (0..5).filter(|&item| item != skipped) {
            prop_assert!((mean[item] - whole[item]).abs() < 1e-12);
        }
        let h = |epoch: usize| past[skipped * 6 + epoch];
        let expected = match WEIGHTINGS[which] {
            HistoryWeighting::Reference => (0.1 * h(0) + 0.3 * h(2) + 0.5 * h(4)) / 3.0,
            HistoryWeighting::Normalized => (h(0) + 3.0 * h(2) + 5.0 * h(4)) / 9.0,
            HistoryWeighting::Plain => (h(0) + h(2) + h(4)) / 3.0,
        };
        prop_assert!((mean[skipped] - expected).abs() < 1e-12);
    }

    #[test]
    fn the_cropped_loss_is_its_twin(
        (n, places, classes, h) in (1usize..4, 1usize..4, 2usize..4)
            .prop_flat_map(|(n, places, classes)| (Just(n), Just(places), Just(classes), vectors(n * classes * places, 4))),
    ) {
        let h: Vec<f64> = h[..n * classes * places].iter().map(|v| 4.0 * v).collect();
        let labels: Vec<i64> = (0..n as i64).map(|i| i % classes as i64).collect();
        let flat = tensor(&h, classes * places);
        let loss = CroppedLossConfig::new().init().forward(flat.clone().reshape([n, classes, places]), ints(&labels));
        check("cropped", loss, &[(&flat, &h)], &|v| {
            let window = |i: usize, label: i64| -> f64 {
                (0..places).map(|t| {
                    let logit = |k: usize| v[0][(i * classes + k) * places + t];
                    log_sum_exp((0..classes).map(logit)) - logit(label as usize)
                }).sum::<f64>() / places as f64
            };
            labels.iter().enumerate().map(|(i, &label)| window(i, label)).sum::<f64>() / n as f64
        })?;
    }

    #[test]
    fn alignment_is_its_twin(
        (n, p, q, x, y) in (4usize..8, 1usize..10, 1usize..6)
            .prop_flat_map(|(n, p, q)| (Just(n), Just(p), Just(q), vectors(n, p), vectors(n, q))),
    ) {
        let gram = |x: &[f64], p: usize| -> Vec<Vec<f64>> {
            x.chunks(p).map(|a| x.chunks(p).map(|b| dot(a, b)).collect()).collect()
        };
        let (k, l) = (gram(&x, p), gram(&y, q));
        // Biased: Gram matrices centred on both sides.
        let centred = |k: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let nf = n as f64;
            let rows: Vec<f64> = k.iter().map(|row| row.iter().sum::<f64>() / nf).collect();
            let all = rows.iter().sum::<f64>() / nf;
            (0..n).map(|i| (0..n).map(|j| k[i][j] - rows[i] - rows[j] + all).collect()).collect()
        };
        let inner = |a: &[Vec<f64>], b: &[Vec<f64>]| -> f64 { a.iter().zip(b).map(|(a, b)| dot(a, b)).sum() };
        let (kc, lc) = (centred(&k), centred(&l));
        let biased = inner(&kc, &lc) / (inner(&kc, &kc) * inner(&lc, &lc)).sqrt();
        let found = linear_cka(tensor(&x, p), tensor(&y, q), false).unwrap();
        prop_assert!((found - biased).abs() < 1e-9 && (0.0..=1.0 + 1e-12).contains(&found), "{found} {biased}");
        // Debiased: Gram matrices as they are, without their diagonals.
        let hsic = |k: &[Vec<f64>], l: &[Vec<f64>]| {
            let off = |m: &[Vec<f64>], i: usize, j: usize| if i == j { 0.0 } else { m[i][j] };
            let sum = |m: &[Vec<f64>], i: usize| (0..n).map(|j| off(m, i, j)).sum::<f64>();
            let trace: f64 = (0..n * n).map(|at| off(k, at / n, at % n) * off(l, at / n, at % n)).sum();
            let totals = (0..n).map(|i| sum(k, i)).sum::<f64>() * (0..n).map(|i| sum(l, i)).sum::<f64>();
            let cross: f64 = (0..n).map(|i| sum(k, i) * sum(l, i)).sum();
            let n = n as f64;
            (trace + totals / ((n - 1.0) * (n - 2.0)) - 2.0 * cross / (n - 2.0)) / (n * (n - 3.0))
        };
        let (kk, ll) = (hsic(&k, &k), hsic(&l, &l));
        prop_assume!(kk > 1e-6 && ll > 1e-6);
        let found = linear_cka(tensor(&x, p), tensor(&y, q), true).unwrap();
        let expected = hsic(&k, &l) / (kk * ll).sqrt();
        prop_assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        // Alignment of a set with itself, scaled, is 1.
        let scaled: Vec<f64> = x.iter().map(|v| 1e5 * v).collect();
        prop_assert!((linear_cka(tensor(&x, p), tensor(&scaled, p), true).unwrap() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_temporal_block_and_its_gradient_are_the_twin(
        (from, to, x, w1, w2, wd) in (1usize..4, 1usize..4).prop_flat_map(|(from, to)| {
            (Just(from), Just(to), vectors(2 * from, 9), vectors(to * from, 3), vectors(to * to, 3), vectors(to, from))
        }),
        dilation in 1usize..4,
    ) {
        let (samples, kernel) = (9, 3);
        let [x_in, first, second, shortcut] = [tensor(&x, samples), tensor(&w1, kernel), tensor(&w2, kernel), tensor(&wd, 1)];
        let [gain1, gain2] = [first.clone(), second.clone()].map(|w| {
            w.reshape([to as i32, -1]).square().sum_dim(1).sqrt().reshape([to]).detach()
        });
        let bias = |shift: f64| -> Vec<f64> { (0..to).map(|o| 0.1 * o as f64 - shift).collect() };
        let parameter = |values: &[f64]| Tensor::<1>::from_data(
            TensorData::new(values.to_vec(), [values.len()]), (&Device::flex().autodiff(), DType::F64),
        );
        let convolution = |w: &Tensor<2>, gain: Tensor<1>, from: usize, shift: f64| CausalConvolution {
            direction: Param::initialized(burn::module::ParamId::new(), w.clone().reshape([to, from, kernel])),
            gain: Param::initialized(burn::module::ParamId::new(), gain),
            bias: Param::initialized(burn::module::ParamId::new(), parameter(&bias(shift))),
            dilation,
        };
        let lengths = |w: &[f64]| -> Vec<f64> { w.chunks(w.len() / to).map(|w| dot(w, w).sqrt()).collect() };
        let (length1, length2) = (lengths(&w1), lengths(&w2));
        let block = TemporalBlock {
            first: convolution(&first, gain1, from, 0.05),
            second: convolution(&second, gain2, to, 0.02),
            shortcut_weight: Some(Param::initialized(burn::module::ParamId::new(), shortcut.clone().reshape([to, from, 1]))),
            shortcut_bias: None,
            dropout: 0.5,
        };
        // Gains are constants: the twin divides by the length of the moved direction and multiplies by the old one.
        let twin = |v: &[Vec<f64>]| {
            let mut kink = f64::INFINITY;
            let mut causal = |x: &[f64], channels: usize, w: &[f64], gains: &[f64], shift: f64| -> Vec<f64> {
                let size = channels * kernel;
                (0..to * samples).map(|at| {
                    let (o, t) = (at / samples, at % samples);
                    let w = &w[o * size..][..size];
                    let scale = gains[o] / dot(w, w).sqrt();
                    let sum: f64 = (0..size).map(|j| {
                        let (c, back) = (j / kernel, (kernel - 1 - j % kernel) * dilation);
                        if back > t { 0.0 } else { scale * w[j] * x[c * samples + t - back] }
                    }).sum();
                    let y: f64 = sum + bias(shift)[o];
                    kink = kink.min(y.abs());
                    y.max(0.0)
                }).collect()
            };
            let mut total = 0.0;
            let mut nearest = f64::INFINITY;
            for x in v[0].chunks(from * samples) {
                let hidden = causal(x, from, &v[1], &length1, 0.05);
                let inner = causal(&hidden, to, &v[2], &length2, 0.02);
                for (at, inner) in inner.iter().enumerate() {
                    let (o, t) = (at / samples, at % samples);
                    let residual: f64 = (0..from).map(|c| v[3][o * from + c] * x[c * samples + t]).sum();
                    let y = residual + inner;
                    nearest = nearest.min(y.abs());
                    total += y.max(0.0).powi(2);
                }
            }
            (total, kink.min(nearest))
        };
        let values = [x.clone(), w1.clone(), w2.clone(), wd.clone()];
        prop_assume!(lengths(&w1).iter().chain(&lengths(&w2)).all(|l| *l > 0.1));
        prop_assume!(twin(&values).1 > 1e-4);
        let y = block.forward(x_in.clone().reshape([2, from, samples]), &mut Mode::Inference);
        let loss = y.square().sum().reshape([1]);
        let inputs = [(&x_in, &x[..]), (&first, &w1[..]), (&second, &w2[..]), (&shortcut, &wd[..])];
        check("temporal block", loss, &inputs, &|v| twin(v).0)?;
    }
}

#[test]
fn a_memory_says_what_is_wrong() {
    let memory = || PairLossMemory::new(3, 4, HistoryWeighting::Plain);
    let mut twice = memory();
    twice.record(&[0, 1, 2], &[1.0, 2.0, 3.0]).unwrap();
    twice.finish_epoch().unwrap();
    twice.record(&[0, 1], &[5.0, 5.0]).unwrap();
    twice.record(&[1, 2], &[7.0, 7.0]).unwrap();
    assert_eq!(twice.finish_epoch(), Err(PairLossError::Twice { index: 1 }));
    // The epoch is forgotten, and the memory goes on.
    assert_eq!((twice.epochs(), twice.mean().unwrap()), (1, vec![1.0, 2.0, 3.0]));
    twice.record(&[2], &[5.0]).unwrap();
    twice.finish_epoch().unwrap();
    assert_eq!(twice.mean().unwrap(), [1.0, 2.0, 4.0]);

    let mut never = memory();
    assert_eq!(never.mean(), Err(PairLossError::Never { index: 0 }));
    never.record(&[0, 2], &[1.0, 3.0]).unwrap();
    assert_eq!(never.finish_epoch(), Err(PairLossError::Never { index: 1 }));
    never.record(&[1], &[2.0]).unwrap();
    never.finish_epoch().unwrap();
    assert_eq!(never.mean().unwrap(), [1.0, 2.0, 3.0]);

    let mut bad = memory();
    assert_eq!(bad.record(&[3], &[1.0]), Err(PairLossError::Outside { index: 3, items: 3 }));
    assert_eq!(bad.record(&[0], &[]), Err(PairLossError::Lengths { items: 1, losses: 0 }));
    assert!(bad.record(&[0], &[f64::NAN]).unwrap_err().to_string().contains("the loss of item 0 is NaN"));
    assert_eq!(PairLossMemory::new(0, 4, HistoryWeighting::Plain).mean(), Err(PairLossError::Empty));
}

#[test]
fn histories_without_spread_flag_nothing() {
    for robust in [false, true] {
        for value in [0.0, 0.1, 1e4, 1e-300] {
            let miner = BadPairMinerConfig::new().with_cut_noisy(0.0).with_cut_faulty(0.0).with_robust(robust).init();
            let bad = miner.mine_history(tensor(&[value; 21], 3)).unwrap();
            assert_eq!(bad.sigma, 0.0, "{value}");
            assert!(!bad.noisy.iter().chain(&bad.faulty).any(|flag| *flag));
            // And all weigh 1, whatever their loss.
            let objective = DynamicBadPairMiningConfig::new().init();
            let losses = tensor(&[3.0, 0.0], 1).reshape([2]);
            assert_eq!(numbers(objective.weights(losses, &[0, 6], &bad)), [1.0, 1.0]);
        }
    }
    assert_eq!(
        BadPairMinerConfig::new().init().mine_history(tensor(&[f64::INFINITY, 1.0], 1)).unwrap_err(),
        PairLossError::NotFinite { index: 0, loss: f64::INFINITY }
    );
}

/// A heavy tail above hides what lies below; median and absolute deviation find both.
#[test]
fn the_robust_form_finds_what_faulty_pairs_hide() {
    // Four of twenty pairs at 5, two at 0.4, the others from 0.86 to 1.12.
    let history: Vec<f64> = (0..20)
        .map(|i| match i {
            0..4 => 5.0,
            4..6 => 0.4,
            i => 1.0 + 0.02 * f64::from(i - 13),
        })
        .collect();
    let flags = |robust| {
        let miner = BadPairMinerConfig::new().with_robust(robust).with_weighting(HistoryWeighting::Plain).init();
        miner.mine_history(tensor(&history, 1)).unwrap().noisy.iter().filter(|flag| **flag).count()
    };
    assert_eq!((flags(false), flags(true)), (0, 2));
}

#[test]
fn the_warm_up_weighs_all_alike_and_extremes_stay_finite() {
    let objective = DynamicBadPairMiningConfig::new().with_warm_up(2).init();
    let mut memory = objective.miner.memory(3);
    for epoch in 0..2 {
        assert!(objective.mine(&memory).unwrap().is_none(), "{epoch}");
        memory.record(&[0, 1, 2], &[1.0, 2.0, 3.0]).unwrap();
        memory.finish_epoch().unwrap();
    }
    assert!(objective.mine(&memory).unwrap().is_some());
    // One item has nothing to be told from; large and zero vectors stay finite in value and gradient.
    let one = tensor(&[1.0, 2.0], 2);
    assert_eq!(numbers(objective.pair_losses(one.clone(), one)), [0.0]);
    for size in [0.0, 1e4] {
        let x = Tensor::<2>::full([3, 4], size, &Device::flex().autodiff()).require_grad();
        let loss = objective.forward(x.clone(), x.clone().neg(), &[0, 1, 2], objective.mine(&memory).unwrap().as_ref());
        let gradient = x.grad(&loss.backward()).unwrap();
        assert!(loss.into_scalar::<f32>().is_finite() && gradient.into_data().iter::<f32>().all(f32::is_finite));
    }
    let wrong = DynamicBadPairMiningConfig::new().with_miner(BadPairMinerConfig::new().with_cut_faulty(-1.0));
    assert_eq!(wrong.validate().unwrap_err().field, "cut_faulty");
    assert_eq!(DynamicBadPairMiningConfig::new().with_temperature(0.0).validate().unwrap_err().field, "temperature");
}

#[test]
#[should_panic(expected = "item 7 is outside the memory of 3 items")]
fn an_item_outside_the_memory_is_refused() {
    let objective = DynamicBadPairMiningConfig::new().init();
    let bad = objective.miner.mine_history(tensor(&[1.0, 2.0, 3.0], 1)).unwrap();
    objective.weights(tensor(&[1.0], 1).reshape([1]), &[7], &bad);
}

#[test]
fn alignment_is_defined_at_its_edges() {
    let x = [1.0, 2.0, 0.5, -1.0, 3.0, 0.25, 2.0, 2.0, -0.5, 1.0];
    let of = |x: &[f64], p: usize, y: &[f64], q: usize, debiased| linear_cka(tensor(x, p), tensor(y, q), debiased);
    for debiased in [false, true] {
        // Without variance there is nothing to align, also where the mean leaves rounding.
        assert_eq!(of(&x, 2, &[0.1; 5], 1, debiased).unwrap(), 0.0);
        assert!((of(&x, 2, &x, 2, debiased).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(of(&x, 2, &x, 1, debiased).unwrap_err().field, "y");
    }
    assert_eq!(
        of(&x[..6], 2, &x[..6], 2, true).unwrap_err().to_string(),
        "parameter `x` is 3, but must be at least 4 rows"
    );
    assert!(of(&[f64::NAN, 1.0], 1, &[0.0, 1.0], 1, false).is_err());
    // Far more features than rows: near 1 whatever they are, but not debiased.
    let noise = |seed: u64| -> Vec<f64> {
        (0..6 * 400).map(|i: u64| (((i + 1) * (2 * seed + 7919)).pow(2) % 10007) as f64 / 5003.0 - 1.0).collect()
    };
    let (a, b) = (noise(1), noise(2));
    let biased = of(&a, 400, &b, 400, false).unwrap();
    let debiased = of(&a, 400, &b, 400, true).unwrap();
    assert!(biased > 0.8 && debiased.abs() < 0.5, "{biased} {debiased}");
}
