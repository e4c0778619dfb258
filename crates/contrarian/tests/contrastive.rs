//! The contrastive room against plain f64 loops written from the papers, with random shapes and options; with
//! `CONTRARIAN_KERNELS=off` the same tests hold the composed forms.

#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use contrarian::classification::LinearCrossEntropyLossConfig;
use contrarian::contrastive::*;
use differences::{check, dot, ints, log_sum_exp, numbers, tensor, unit, vectors};
use proptest::prelude::*;

/// Two sets of `n` vectors, three extra ones, their length.
fn sets() -> impl Strategy<Value = (usize, usize, Vec<f64>, Vec<f64>, Vec<f64>)> {
    (2usize..6, prop::sample::select(vec![2usize, 3, 5]))
        .prop_flat_map(|(n, dim)| (Just(n), Just(dim), vectors(n, dim), vectors(n, dim), vectors(3, dim)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pair_losses_are_their_twins(
        (n, dim, a, b, extra) in sets(), t in prop::sample::select(vec![0.2, 1.0]), normalize: bool,
    ) {
        let unit = |x: &[f64]| if normalize { unit(x, dim) } else { x.to_vec() };
        let (x, y, z) = (tensor(&a, dim), tensor(&b, dim), tensor(&extra, dim));
        let three = [(&x, &a[..]), (&y, &b[..]), (&z, &extra[..])];
        let row = |x: &[f64], i: usize| x[i * dim..][..dim].to_vec();

        let one_way = |x: &[f64], y: &[f64], extra: &[f64]| -> f64 {
            (0..n).map(|i| {
                let own = dot(&row(x, i), &row(y, i)) / t;
                let all = y.chunks(dim).chain(extra.chunks(dim)).map(|y| dot(&row(x, i), y) / t);
                log_sum_exp(all) - own
            }).sum::<f64>() / n as f64
        };
        let config = InfoNceLossConfig::new().with_temperature(t).with_normalize(normalize);
        let loss = config.init().forward_with_negatives(x.clone(), y.clone(), z.clone());
        check("info-nce", loss, &three, &|v| one_way(&unit(&v[0]), &unit(&v[1]), &unit(&v[2])))?;
        let loss = config.clone().with_symmetric(true).init().forward(x.clone(), y.clone());
        check("symmetric", loss, &three[..2], &|v| {
            let (x, y) = (unit(&v[0]), unit(&v[1]));
            f64::midpoint(one_way(&x, &y, &[]), one_way(&y, &x, &[]))
        })?;

        let views = |x: &[f64], y: &[f64], extra: &[f64], coupled: bool| -> f64 {
            let all: Vec<f64> = [x, y].concat();
            (0..2 * n).map(|i| {
                let partner = (i + n) % (2 * n);
                let negatives = (0..2 * n).filter(|&j| j != i && (coupled || j != partner)).map(|j| row(&all, j));
                let negatives = negatives.chain(extra.chunks(dim).map(<[f64]>::to_vec));
                log_sum_exp(negatives.map(|y| dot(&row(&all, i), &y) / t)) - dot(&row(&all, i), &row(&all, partner)) / t
            }).sum::<f64>() / (2 * n) as f64
        };
        let nt_xent = NtXentLossConfig::new().with_temperature(t).with_normalize(normalize).init();
        let loss = nt_xent.forward_with_negatives(x.clone(), y.clone(), z.clone());
        check("nt-xent", loss, &three, &|v| views(&unit(&v[0]), &unit(&v[1]), &unit(&v[2]), true))?;
        let dcl = DclLossConfig::new().with_temperature(t).with_normalize(normalize).init();
        let loss = dcl.forward_with_negatives(x.clone(), y.clone(), z.clone());
        check("dcl", loss, &three, &|v| 2.0 * views(&unit(&v[0]), &unit(&v[1]), &unit(&v[2]), false))?;

        let sigma = 0.5;
        let dclw = DclwLossConfig::new().with_temperature(t).with_normalize(normalize).init();
        let loss = dclw.forward(x.clone(), y.clone());
        check("dclw", loss, &three[..2], &|v| {
            let (x, y) = (unit(&v[0]), unit(&v[1]));
            let agreement: Vec<f64> = (0..n).map(|i| dot(&row(&x, i), &row(&y, i))).collect();
            let total = log_sum_exp(agreement.iter().map(|c| c / sigma));
            let extra: f64 = agreement
                .iter()
                .map(|c| (2.0 - n as f64 * (c / sigma - total).exp() - 1.0) * c / t)
                .sum::<f64>() / n as f64;
            2.0 * (views(&x, &y, &[], false) - extra)
        })?;
    }

    #[test]
    fn losses_of_one_set_are_their_twins((n, dim, a, ..) in sets(), t in prop::sample::select(vec![0.2, 1.0])) {
        let labels: Vec<i64> = (0..n as i64).map(|i| (i * i) % 3).collect();
        let classes = ints(&labels);
        let x = tensor(&a, dim);
        let loss = SupConLossConfig::new().with_temperature(t).with_normalize(false).init().forward(x.clone(), classes.clone());
        check("sup-con", loss, &[(&x, &a)], &|v| {
            let s = |i: usize, j: usize| dot(&v[0][i * dim..][..dim], &v[0][j * dim..][..dim]) / t;
            let rows: Vec<f64> = (0..n).filter_map(|i| {
                let same: Vec<f64> = (0..n).filter(|&j| j != i && labels[i] == labels[j]).map(|j| s(i, j)).collect();
                let all = log_sum_exp((0..n).filter(|&j| j != i).map(|j| s(i, j)));
                (!same.is_empty()).then(|| all - same.iter().sum::<f64>() / same.len() as f64)
            }).collect();
            if rows.is_empty() { 0.0 } else { rows.iter().sum::<f64>() / rows.len() as f64 }
        })?;
        let loss = negative_pair_log_sum_exp(x.clone(), classes, 4.0, None);
        if labels.iter().any(|label| *label != labels[0]) {
            check("negative pairs", loss, &[(&x, &a)], &|v| {
                let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).filter(|&(i, j)| labels[i] != labels[j]);
                log_sum_exp(pairs.map(|(i, j)| 4.0 * dot(&v[0][i * dim..][..dim], &v[0][j * dim..][..dim])))
            })?;
        }
        let loss = UniformityLossConfig::new().with_t(t).init().forward(x.clone());
        check("uniformity", loss, &[(&x, &a)], &|v| {
            let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
            let d = |i: usize, j: usize| -> f64 {
                v[0][i * dim..][..dim].iter().zip(&v[0][j * dim..][..dim]).map(|(a, b)| (a - b) * (a - b)).sum()
            };
            log_sum_exp(pairs.map(|(i, j)| -t * d(i, j))) - ((n * (n - 1) / 2) as f64).ln()
        })?;
    }

    #[test]
    fn linear_cross_entropy_is_its_twin(
        (n, dim, h, _, w) in sets(), e in prop::sample::select(vec![0.0, 0.2]), c in prop::sample::select(vec![0.0, 0.1]),
    ) {
        let labels: Vec<i64> = (0..n as i64).map(|i| if i == 1 { -100 } else { i % 3 }).collect();
        let classes = ints(&labels);
        let (hidden, weight) = (tensor(&h, dim), tensor(&w, dim));
        let objective = LinearCrossEntropyLossConfig::new()
            .with_label_smoothing(e)
            .with_ignore_index(Some(-100))
            .with_log_z_penalty(c)
            .init();
        let loss = objective.forward(hidden.clone(), weight.clone(), None, classes);
        check("linear cross-entropy", loss, &[(&hidden, &h), (&weight, &w)], &|v| {
            let rows: Vec<f64> = (0..n).filter(|&i| labels[i] >= 0).map(|i| {
                let z: Vec<f64> = v[1].chunks(dim).map(|w| dot(&v[0][i * dim..][..dim], w)).collect();
                let all = log_sum_exp(z.iter().copied());
                let spread = z.iter().map(|z| all - z).sum::<f64>() / 3.0;
                (1.0 - e) * (all - z[labels[i] as usize]) + e * spread + c * all * all
            }).collect();
            rows.iter().sum::<f64>() / rows.len() as f64
        })?;
    }

    #[test]
    fn cacr_with_momentum_is_its_twin(
        (n, dim, a, b, _) in sets(), t in prop::sample::select(vec![0.2, 1.0]), count in 1usize..3, rbf: bool,
        normalize: bool,
    ) {
        let unit = |x: &[f64]| if normalize { unit(x, dim) } else { x.to_vec() };
        // The second query of an item is the key of the next.
        let queries = [&a[..], &b[dim..], &b[..dim]].concat()[..count * n * dim].to_vec();
        let (x, keys) = (tensor(&queries, dim), tensor(&b, dim));
        let cost = if rbf { RepulsionCost::Rbf } else { RepulsionCost::Euclidean };
        let objective = CacrMomentumLossConfig::new().with_temperature(t).with_cost(cost).with_normalize(normalize).init();
        let loss = || objective.forward(x.clone().reshape([count, n, dim]), keys.clone());
        let k = unit(&b);
        let key = |j: usize| &k[j * dim..][..dim];
        let frozen = unit(&queries);
        let query = |q: &[f64], a: usize, i: usize| q[(a * n + i) * dim..][..dim].to_vec();
        let far = |a: usize, i: usize| -> f64 {
            query(&frozen, a, i).iter().zip(key(i)).map(|(q, k)| (q - k).powi(2)).sum::<f64>() / t
        };
        let gradients = loss().backward();
        prop_assert!(keys.grad(&gradients).is_none_or(|g| numbers(g).iter().all(|g| *g == 0.0)), "keys are constants");
        check("cacr-momentum", loss(), &[(&x, &queries)], &|v| {
            let q = unit(&v[0]);
            let mut total = 0.0;
            for a in 0..count {
                for i in 0..n {
                    let p = (far(a, i) - log_sum_exp((0..count).map(|a| far(a, i)))).exp();
                    let s = |j: usize| dot(&query(&q, a, i), key(j));
                    if rbf {
                        total += p * 2.0 * t * (log_sum_exp((0..n).map(|j| s(j) / t)) - s(i) / t) / n as f64;
                        continue;
                    }
                    let at_rest = |j: usize| -(1.0 - dot(&query(&frozen, a, i), key(j))) / t;
                    let others = || (0..n).filter(|&j| j != i);
                    let all = log_sum_exp(others().map(at_rest));
                    let push: f64 = others().map(|j| (at_rest(j) - all).exp() * (1.0 - s(j))).sum();
                    total += p * ((1.0 - s(i)) - push);
                }
            }
            total
        })?;
    }

    #[test]
    fn entropies_of_weights_are_of_the_distances((n, dim, a, b, _) in sets(), tau in prop::sample::select(vec![1.0, 900.0])) {
        let third: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - 0.5 * b).collect();
        let views = tensor(&[&a[..], &b, &third].concat(), dim).reshape([3, n, dim]);
        let objective = CacrLossConfig::new().with_tau_pos(tau).with_tau_neg(tau).init();
        let (positive, negative) = objective.weight_entropies(views);
        let d = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum() };
        let row = |x: &[f64], i: usize| x[i * dim..][..dim].to_vec();
        let mean_entropy = |scores: &dyn Fn(usize) -> Vec<f64>| -> f64 {
            let of_row = |i: usize| {
                let all = log_sum_exp(scores(i).into_iter());
                -scores(i).into_iter().map(|s| (s - all).exp() * (s - all)).sum::<f64>()
            };
            (0..n).map(of_row).sum::<f64>() / n as f64
        };
        let far = mean_entropy(&|i| [&b, &third].map(|y| tau * d(&row(&a, i), &row(y, i))).to_vec());
        let near = mean_entropy(&|i| {
            (0..n).filter(|&j| j != i).map(|j| -tau * d(&row(&a, i), &row(&b, j))).collect()
        });
        for (found, expected) in [(positive, far), (negative, near)] {
            let found = numbers(found)[0];
            prop_assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
        }
    }

    #[test]
    fn a_summary_of_penalties_is_of_their_distribution((n, dim, a, b, extra) in sets(), more in 0usize..2) {
        // More anchors than a block holds, and fewer.
        let repeats = 1 + more * 50;
        let repeat = |x: &[f64]| -> Vec<f64> {
            (0..repeats).flat_map(|r| x.iter().map(move |x| x + 0.01 * r as f64)).collect()
        };
        let (a, b) = (repeat(&a), repeat(&b));
        let rows = n * repeats;
        let [x, y, z] = [&a, &b, &extra].map(|x| tensor(x, dim));
        let found = penalty_summary(x, y, Some(z), 0.3).unwrap();
        let [entropy, largest, gini] = [found.entropy, found.largest, found.gini].map(numbers);
        let candidates: Vec<&[f64]> = b.chunks(dim).chain(extra.chunks(dim)).collect();
        for i in 0..rows {
            let s: Vec<f64> = (0..candidates.len())
                .filter(|&j| j != i)
                .map(|j| dot(&a[i * dim..][..dim], candidates[j]) / 0.3)
                .collect();
            let all = log_sum_exp(s.iter().copied());
            let r: Vec<f64> = s.iter().map(|s| (s - all).exp()).collect();
            let m = r.len() as f64;
            // The Gini coefficient as half the relative mean difference; shares have the mean 1 / m.
            let differences: f64 = r.iter().flat_map(|a| r.iter().map(move |b| (a - b).abs())).sum();
            let expected = [
                -r.iter().map(|r| r * r.ln()).sum::<f64>(),
                r.iter().copied().fold(0.0, f64::max),
                differences / (2.0 * m),
            ];
            for (found, expected) in [entropy[i], largest[i], gini[i]].into_iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-11, "{found}, expected {expected}");
            }
        }
    }
}

#[test]
fn a_learned_temperature_gets_its_gradient() {
    let (a, b) = ([0.5, 0.1, -0.3, 0.8, 0.9, -0.2], [0.4, 0.3, -0.1, 0.7, 0.2, -0.6]);
    let device = Device::flex().autodiff();
    let objective = InfoNceLossConfig::new().init();
    let at = |t: f64| numbers(objective.clone().with(t).forward(tensor(&a, 2), tensor(&b, 2)))[0];
    let t = Tensor::<1>::from_data(TensorData::new(vec![0.3f64], [1]), (&device, DType::F64)).require_grad();
    let loss = objective.forward_with_temperature(tensor(&a, 2), tensor(&b, 2), t.clone());
    let slope = numbers(t.grad(&loss.backward()).unwrap())[0];
    let numeric = (at(0.3 + 1e-6) - at(0.3 - 1e-6)) / 2e-6;
    assert!((slope - numeric).abs() < 1e-6 * numeric.abs(), "{slope} {numeric}");
    assert!((numbers(loss)[0] - at(0.3)).abs() < 1e-12);
}

/// The objective at another temperature.
trait With {
    fn with(self, temperature: f64) -> Self;
}

impl With for InfoNceLoss {
    fn with(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }
}

#[test]
fn edges_are_defined() {
    let device = Device::flex().autodiff();
    let zeros = Tensor::<2>::zeros([3, 4], &device).require_grad();
    let losses = [
        InfoNceLossConfig::new().init().forward(zeros.clone(), zeros.clone()),
        NtXentLossConfig::new().init().forward(zeros.clone(), zeros.clone()),
        DclLossConfig::new().init().forward(zeros.clone(), zeros.clone()),
        UniformityLossConfig::new().init().forward(zeros.clone()),
        CacrLossConfig::new().init().forward_pairs(zeros.clone(), zeros.clone()),
    ];
    for loss in losses {
        let gradient = zeros.grad(&loss.backward()).unwrap();
        assert!(loss.into_scalar::<f32>().is_finite());
        assert!(gradient.into_data().iter::<f32>().all(f32::is_finite));
    }
    // One pair has nothing to be told from.
    let one = Tensor::<2>::ones([1, 4], &device).require_grad();
    let loss = InfoNceLossConfig::new().init().forward(one.clone(), one.clone());
    let gradient = one.grad(&loss.backward()).unwrap();
    assert_eq!(loss.into_scalar::<f32>(), 0.0);
    assert!(gradient.into_data().iter::<f32>().all(|g| g == 0.0));
    // No two of a class.
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
    let alone = SupConLossConfig::new().init().forward(zeros, labels);
    assert_eq!(alone.into_scalar::<f32>(), 0.0);
    assert_eq!(
        InfoNceLossConfig::new().with_temperature(0.0).validate().unwrap_err().to_string(),
        "parameter `temperature` is 0, but must be finite and above 0"
    );
}

#[test]
#[should_panic(expected = "at least two items, got 1")]
fn a_decoupled_loss_of_one_item_is_refused() {
    let one = Tensor::<2>::ones([1, 4], &Device::flex());
    DclLossConfig::new().init().forward(one.clone(), one);
}
