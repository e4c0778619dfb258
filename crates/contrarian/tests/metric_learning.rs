//! Heads with a margin, the batch's negative pairs and the losses of pairs and triplets against plain f64 loops written from
//! the papers; with `CONTRARIAN_KERNELS=off` the same tests hold the composed forms.

#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{DType, Device, Int, Tensor};
use contrarian::classification::*;
use contrarian::contrastive::*;
use contrarian::diagnostics::pair_separation;
use differences::{check, dot, ints, log_sum_exp, numbers, tensor, unit, vectors};
use proptest::prelude::*;

/// How near a number that decides something may come to its limit: finite differences must not cross it.
const CLEAR: f64 = 1e-3;

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The own logit over the scale, from cosine and length of the feature.
fn own_logit(head: &MarginHeadConfig, c: f64, length: f64) -> f64 {
    let moved = |m: f64| (c.acos() + m).cos();
    match head {
        MarginHeadConfig::CosFace(head) => c - head.margin,
        MarginHeadConfig::ArcFace(head) => match head.angles {
            AngularMargin::Plain => moved(head.margin),
            AngularMargin::Easy if c > 0.0 => moved(head.margin),
            AngularMargin::Monotone if c.acos() + head.margin <= std::f64::consts::PI => moved(head.margin),
            AngularMargin::Monotone => c - head.margin * head.margin.sin(),
            AngularMargin::Easy => c,
        },
        MarginHeadConfig::MagFace(head) => {
            let a = length.clamp(head.lower_norm, head.upper_norm);
            let share = (a - head.lower_norm) / (head.upper_norm - head.lower_norm);
            let m = head.lower_margin + share * (head.upper_margin - head.lower_margin);
            if c > 0.0 { moved(m) } else { c }
        }
    }
}

fn scale_of(head: &MarginHeadConfig) -> f64 {
    match head {
        MarginHeadConfig::ArcFace(head) => head.scale,
        MarginHeadConfig::CosFace(head) => head.scale,
        MarginHeadConfig::MagFace(head) => head.scale,
    }
}

/// The similarities of negative pairs that the filter keeps.
fn kept_pairs(x: &[f64], dim: usize, labels: &[i64], whisker: Option<f64>) -> Vec<f64> {
    let rows: Vec<&[f64]> = x.chunks(dim).collect();
    let mut pairs = Vec::new();
    for i in 0..rows.len() {
        for j in i + 1..rows.len() {
            if labels[i] != labels[j] {
                pairs.push(cosine(rows[i], rows[j]));
            }
        }
    }
    pairs.sort_by(f64::total_cmp);
    let Some(r) = whisker.filter(|_| !pairs.is_empty()) else { return pairs };
    let (low, high) = limits(&pairs, r);
    pairs.into_iter().filter(|&b| b >= low && b <= high).collect()
}

fn limits(sorted: &[f64], r: f64) -> (f64, f64) {
    let (q1, q3) = (sorted[sorted.len() / 4], sorted[sorted.len() * 3 / 4]);
    (q1 - r * (q3 - q1), q3 + r * (q3 - q1))
}

/// The loss of a head, with the pairs in every denominator.
fn margin_loss(head: &MarginHeadConfig, x: &[f64], w: &[f64], dim: usize, labels: &[i64], pairs: &[f64]) -> f64 {
    let s = scale_of(head);
    let rows = x.chunks(dim).zip(labels).map(|(x, &y)| {
        let length = dot(x, x).sqrt();
        let logits: Vec<f64> = w.chunks(dim).map(|w| s * cosine(x, w)).collect();
        let own = s * own_logit(head, logits[y as usize] / s, length);
        let others = logits.iter().enumerate().filter(|&(k, _)| k != y as usize).map(|(_, &z)| z);
        let all = log_sum_exp(std::iter::once(own).chain(others).chain(pairs.iter().map(|b| s * b)));
        let penalty = match head {
            MarginHeadConfig::MagFace(head) => {
                let a = length.clamp(head.lower_norm, head.upper_norm);
                head.regularizer * (a / head.upper_norm.powi(2) + 1.0 / a)
            }
            _ => 0.0,
        };
        all - own + penalty
    });
    rows.sum::<f64>() / labels.len() as f64
}

fn heads() -> Vec<(&'static str, MarginHeadConfig)> {
    let arc = |angles| {
        MarginHeadConfig::ArcFace(ArcFaceLossConfig::new().with_scale(8.0).with_margin(0.9).with_angles(angles))
    };
    let mag = MagFaceLossConfig::new().with_scale(8.0).with_lower_norm(0.6).with_upper_norm(1.2).with_regularizer(2.0);
    vec![
        ("arc-face", arc(AngularMargin::Plain)),
        ("arc-face, monotone", arc(AngularMargin::Monotone)),
        ("arc-face, easy", arc(AngularMargin::Easy)),
        ("cos-face", MarginHeadConfig::CosFace(CosFaceLossConfig::new().with_scale(8.0))),
        ("mag-face", MarginHeadConfig::MagFace(mag)),
    ]
}

/// Features, class weights, labels and the length of a vector.
fn batches() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>, Vec<i64>)> {
    (1usize..7, 2usize..5, prop::sample::select(vec![3usize, 5])).prop_flat_map(|(n, classes, dim)| {
        let labels = prop::collection::vec(0..classes as i64, n);
        (Just(dim), vectors(n, dim), vectors(classes, dim), labels)
    })
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// All triplets, each with its two distances.
fn triplets(x: &[f64], dim: usize, labels: &[i64]) -> Vec<(usize, f64, f64)> {
    let n = labels.len();
    let d = |i: usize, j: usize| distance(&x[i * dim..][..dim], &x[j * dim..][..dim]);
    let mut found = Vec::new();
    for a in 0..n {
        for p in (0..n).filter(|&p| p != a && labels[p] == labels[a]) {
            for k in (0..n).filter(|&k| labels[k] != labels[a]) {
                found.push((a, d(a, p), d(a, k)));
            }
        }
    }
    found
}

fn triplet_loss(triplets: &[(usize, f64, f64)], margin: f64, mining: TripletMining) -> f64 {
    let hinge = |p: f64, n: f64| f64::max(p - n + margin, 0.0);
    let chosen: Vec<f64> = match mining {
        TripletMining::All => triplets.iter().map(|&(_, p, n)| hinge(p, n)).filter(|&l| l > 0.0).collect(),
        TripletMining::SemiHard => {
            triplets.iter().filter(|&&(_, p, n)| n > p && n < p + margin).map(|&(_, p, n)| hinge(p, n)).collect()
        }
        TripletMining::BatchHard => {
            let anchors: std::collections::BTreeSet<usize> = triplets.iter().map(|t| t.0).collect();
            let of = |anchor: usize| triplets.iter().filter(move |t| t.0 == anchor);
            let hardest = |anchor: usize| {
                hinge(of(anchor).map(|t| t.1).fold(0.0, f64::max), of(anchor).map(|t| t.2).fold(f64::MAX, f64::min))
            };
            anchors.into_iter().map(hardest).collect()
        }
    };
    if chosen.is_empty() { 0.0 } else { chosen.iter().sum::<f64>() / chosen.len() as f64 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn heads_are_their_twins(
        (dim, x, w, labels) in batches(), whisker in prop::sample::select(vec![None, Some(0.5), Some(1.5)]),
    ) {
        let rows: Vec<&[f64]> = x.chunks(dim).collect();
        let classes: Vec<&[f64]> = w.chunks(dim).collect();
        for (row, &y) in rows.iter().zip(&labels) {
            let (c, length) = (cosine(row, classes[y as usize]), dot(row, row).sqrt());
            // Away from where the margin or the length changes its form, and from where the arc cosine has no slope.
            prop_assume!(c.abs() > CLEAR && c.abs() < 0.95 && length > 0.3 && (c + 0.9f64.cos()).abs() > CLEAR);
            prop_assume!((length - 0.6).abs() > CLEAR && (length - 1.2).abs() > CLEAR);
        }
        prop_assume!(classes.iter().all(|w| dot(w, w) > 0.09));
        let pairs = kept_pairs(&x, dim, &labels, None);
        // A single pair is its own quartiles, and always kept.
        if let Some(r) = whisker.filter(|_| pairs.len() > 1) {
            let (low, high) = limits(&pairs, r);
            prop_assume!(pairs.iter().all(|b| (b - low).abs() > CLEAR && (b - high).abs() > CLEAR));
        }
        for (name, config) in heads() {
            let (features, weights) = (tensor(&x, dim), tensor(&w, dim));
            let inputs = [(&features, &x[..]), (&weights, &w[..])];
            let head = config.init();
            // With no more classes than rows the mean is a kernel of its own.
            let mean = head.forward(features.clone(), weights.clone(), ints(&labels));
            let of_rows = head.forward_no_reduction(features.clone(), weights.clone(), ints(&labels)).mean();
            for loss in [mean, of_rows] {
                check(name, loss, &inputs, &|v| margin_loss(&config, &v[0], &v[1], dim, &labels, &[]))?;
            }
            let unified = UnpgLossConfig::new().with_head(config.clone()).with_whisker(whisker).init();
            let loss = unified.forward(features.clone(), weights.clone(), ints(&labels));
            check(&format!("unpg, {name}"), loss, &inputs, &|v| {
                margin_loss(&config, &v[0], &v[1], dim, &labels, &kept_pairs(&v[0], dim, &labels, whisker))
            })?;
        }
        let similarities = normalize_rows(tensor(&x, dim));
        let similarities = negative_pair_similarities(similarities, ints(&labels));
        prop_assert_eq!(similarities.dims()[0], pairs.len());
        let kept = numbers(whisker_filter(similarities, whisker.unwrap_or(1.5)));
        let expected = kept_pairs(&x, dim, &labels, Some(whisker.unwrap_or(1.5)));
        if whisker.is_some() {
            prop_assert_eq!(kept.len(), expected.len());
            prop_assert!(kept.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14), "{:?} {:?}", kept, expected);
        }
    }

    #[test]
    fn pair_and_triplet_losses_are_their_twins(
        (dim, x, _, labels) in batches(), margin in prop::sample::select(vec![0.2, 0.7]), normalize: bool,
    ) {
        let n = labels.len();
        prop_assume!(x.chunks(dim).all(|row| dot(row, row) > 0.09));
        let rows = |x: &[f64]| if normalize { unit(x, dim) } else { x.to_vec() };
        let all = triplets(&rows(&x), dim, &labels);
        prop_assume!(all.iter().all(|&(_, p, k)| (p - k).abs() > CLEAR && (p - k + margin).abs() > CLEAR));
        // Which of an anchor's candidates is the hardest must not change either.
        let apart = |pick: fn(&(usize, f64, f64)) -> f64| {
            all.iter().all(|a| all.iter().all(|b| {
                a.0 != b.0 || pick(a) == pick(b) || (pick(a) - pick(b)).abs() > CLEAR
            }))
        };
        prop_assume!(apart(|t| t.1) && apart(|t| t.2));
        let features = tensor(&x, dim);
        let inputs = [(&features, &x[..])];
        for mining in [TripletMining::All, TripletMining::SemiHard, TripletMining::BatchHard] {
            let config = TripletLossConfig::new().with_margin(margin).with_mining(mining).with_normalize(normalize);
            let loss = config.init().forward(features.clone(), ints(&labels));
            check(&format!("{mining:?}"), loss, &inputs, &|v| {
                triplet_loss(&triplets(&rows(&v[0]), dim, &labels), margin, mining)
            })?;
        }

        let pairs = |x: &[f64], same: bool| -> Vec<f64> {
            let x = rows(x);
            let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
            let chosen = pairs.filter(|&(i, j)| i != j && (labels[i] == labels[j]) == same);
            chosen.map(|(i, j)| distance(&x[i * dim..][..dim], &x[j * dim..][..dim])).collect()
        };
        let (near, far) = (0.5 * margin, 2.0 * margin);
        prop_assume!(pairs(&x, true).iter().all(|d| (d - near).abs() > CLEAR));
        prop_assume!(pairs(&x, false).iter().all(|d| (d - far).abs() > CLEAR));
        let mean = |losses: Vec<f64>| {
            let active: Vec<f64> = losses.into_iter().filter(|&l| l > 0.0).collect();
            if active.is_empty() { 0.0 } else { active.iter().sum::<f64>() / active.len() as f64 }
        };
        let config = PairContrastiveLossConfig::new().with_positive_margin(near).with_negative_margin(far);
        let loss = config.with_normalize(normalize).init().forward(features.clone(), ints(&labels));
        check("pair-contrastive", loss, &inputs, &|v| {
            mean(pairs(&v[0], true).iter().map(|d| d - near).collect())
                + mean(pairs(&v[0], false).iter().map(|d| far - d).collect())
        })?;
    }

    #[test]
    fn losses_over_similarities_are_their_twins(
        (dim, x, _, labels) in batches(), m in prop::sample::select(vec![0.0, 0.25]),
    ) {
        let n = labels.len();
        prop_assume!(x.chunks(dim).all(|row| dot(row, row) > 0.09));
        let features = tensor(&x, dim);
        let inputs = [(&features, &x[..])];
        let s = |x: &[f64], i: usize, j: usize| cosine(&x[i * dim..][..dim], &x[j * dim..][..dim]);
        let others = |i: usize, same: bool| (0..n).filter(move |&j| j != i).filter({
            let labels = &labels;
            move |&j| (labels[i] == labels[j]) == same
        });

        // The circle loss's weights are constants: taken from the batch as it is, whatever the differences move.
        let g = 8.0;
        let circle = CircleLossConfig::new().with_margin(m).with_gamma(g).init();
        check("circle", circle.forward(features.clone(), ints(&labels)), &inputs, &|v| {
            let anchors = (0..n).filter(|&i| others(i, true).next().is_some() && others(i, false).next().is_some());
            let losses: Vec<f64> = anchors.map(|i| {
                let push: f64 = others(i, false)
                    .map(|j| (g * (s(&x, i, j) + m).max(0.0) * (s(&v[0], i, j) - m)).exp()).sum();
                let pull: f64 = others(i, true)
                    .map(|j| (-g * (1.0 + m - s(&x, i, j)).max(0.0) * (s(&v[0], i, j) - (1.0 - m))).exp()).sum();
                (push * pull).ln_1p()
            }).collect();
            if losses.is_empty() { 0.0 } else { losses.iter().sum::<f64>() / losses.len() as f64 }
        })?;

        let (a, b, base) = (2.0, 9.0, 0.5);
        let objective = MultiSimilarityLossConfig::new().with_beta(b).init();
        check("multi-similarity", objective.forward(features.clone(), ints(&labels)), &inputs, &|v| {
            (0..n).map(|i| {
                let pull: f64 = others(i, true).map(|j| (-a * (s(&v[0], i, j) - base)).exp()).sum();
                let push: f64 = others(i, false).map(|j| (b * (s(&v[0], i, j) - base)).exp()).sum();
                pull.ln_1p() / a + push.ln_1p() / b
            }).sum::<f64>() / n as f64
        })?;
    }
}

/// In f32 and f64: the value, and whether value and all gradients are finite.
fn finite(loss: &dyn Fn(Tensor<2>, Tensor<2>) -> Tensor<1>, x: [[f32; 2]; 4], w: [[f32; 2]; 2]) -> Vec<f64> {
    let values = [DType::F32, DType::F64].map(|dtype| {
        let device = Device::flex().autodiff();
        let leaf = |tensor: Tensor<2>| tensor.cast(dtype).detach().require_grad();
        let (x, w) = (leaf(Tensor::from_floats(x, &device)), leaf(Tensor::from_floats(w, &device)));
        let loss = loss(x.clone(), w.clone());
        let gradients = loss.backward();
        for gradient in [x.grad(&gradients), w.grad(&gradients)].into_iter().flatten() {
            assert!(numbers(gradient).into_iter().all(f64::is_finite), "{dtype:?} {x} {w}");
        }
        numbers(loss)[0]
    });
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    values.to_vec()
}

#[test]
fn heads_are_finite_at_the_ends() {
    // On its own class weight, opposite to it, all zeros (cosine 0), and long.
    let x = [[2.0, 0.0], [-3.0, 0.0], [0.0, 0.0], [1e4, 1e4]];
    for (name, config) in heads() {
        for weights in [[[1.0, 0.0], [0.0, 5.0]], [[1.0, 0.0], [0.0, 0.0]]] {
            let unified = UnpgLossConfig::new().with_head(config.clone()).init();
            finite(&|x, w| config.init().forward(x, w, ints(&[0, 0, 1, 1])), x, weights);
            finite(&|x, w| unified.forward(x, w, ints(&[0, 0, 1, 1])), x, weights);
            // Of one class there are no pairs, of one row neither.
            for labels in [[0, 0, 0, 0], [1, 1, 1, 1]] {
                let plain = finite(&|x, w| config.init().forward_no_reduction(x, w, ints(&labels)).mean(), x, weights);
                let same = finite(&|x, w| unified.forward(x, w, ints(&labels)), x, weights);
                assert_eq!(plain, same, "{name}");
            }
            let one = |x: Tensor<2>| x.narrow(0, 3, 1);
            let plain = finite(&|x, w| config.init().forward_no_reduction(one(x), w, ints(&[1])), x, weights);
            assert_eq!(plain, finite(&|x, w| unified.forward(one(x), w, ints(&[1])), x, weights), "{name}");
        }
    }
    // At cosine 1 the own logit is s cos m, up to the smallest sine.
    let objective = ArcFaceLossConfig::new().with_scale(1.0).init();
    let scores = objective.scores(tensor(&[3.0, 0.0], 2), tensor(&[1.0, 0.0, 0.0, 1.0], 2), ints(&[0]));
    assert!((numbers(scores.own)[0] - 0.5f64.cos()).abs() < 1e-6);
    assert!(numbers(scores.others)[0].abs() < 1e-15);
}

#[test]
fn any_head_can_be_given_more_negatives() {
    // log(e^2 + e^1 + e^0 + e^3) - 2, by hand.
    let scores = TargetScores::from_logits(tensor(&[2.0, 1.0, 0.0], 3), ints(&[0]));
    let more = Tensor::<1>::from_floats([3.0], &Device::flex().autodiff()).cast(DType::F64);
    let loss = numbers(scores.clone().with_negatives(more).losses())[0];
    assert!((loss - (f64::exp(-1.0) + f64::exp(-2.0) + 1.0 + f64::exp(1.0)).ln()).abs() < 1e-14, "{loss}");
    let plain = numbers(scores.losses())[0];
    assert!((plain - (1.0 + f64::exp(-1.0) + f64::exp(-2.0)).ln()).abs() < 1e-14, "{plain}");
}

type OfEmbeddings = fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1>;

#[test]
fn pair_losses_are_finite_at_the_ends() {
    let losses: [(&str, OfEmbeddings); 6] = [
        ("all", |x, y| TripletLossConfig::new().init().forward(x, y)),
        ("semi-hard", |x, y| TripletLossConfig::new().with_mining(TripletMining::SemiHard).init().forward(x, y)),
        ("batch-hard", |x, y| {
            let config = TripletLossConfig::new().with_mining(TripletMining::BatchHard).with_normalize(false);
            config.init().forward(x, y)
        }),
        ("pair-contrastive", |x, y| PairContrastiveLossConfig::new().with_normalize(false).init().forward(x, y)),
        ("circle", |x, y| CircleLossConfig::new().with_gamma(256.0).init().forward(x, y)),
        ("multi-similarity", |x, y| MultiSimilarityLossConfig::new().init().forward(x, y)),
    ];
    let batches =
        [[[0.0; 2]; 4], [[1.0, 2.0]; 4], [[1e4, 0.0], [1e4, 0.0], [-1e4, 0.0], [0.0, 0.0]], [[1e-20, 0.0]; 4]];
    for (name, loss) in losses {
        for x in batches {
            for labels in [[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 2, 3], [5, 5, 5, 5]] {
                let found = finite(&|x, _| loss(x, ints(&labels)), x, [[0.0; 2]; 2]);
                let no_triplet = labels[0] != labels[1] || labels[0] == labels[3];
                if no_triplet && !matches!(name, "pair-contrastive" | "multi-similarity") {
                    assert_eq!(found, [0.0; 2], "{name} {labels:?}: there is no triplet");
                }
            }
        }
        let one = finite(&|x, _| loss(x.narrow(0, 0, 1), ints(&[3])), batches[2], [[0.0; 2]; 2]);
        assert_eq!(one, [0.0; 2], "{name}: one row has no pair");
    }
    // All rows equal: every triplet has the margin as its loss, and nothing pulls.
    let x = tensor(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0], 2);
    let loss = TripletLossConfig::new().init().forward(x.clone(), ints(&[0, 0, 1]));
    assert!(numbers(x.grad(&loss.backward()).unwrap()).into_iter().all(|g| g == 0.0));
    assert!((numbers(loss)[0] - 0.2).abs() < 1e-15);
}

#[test]
fn the_own_row_is_told_by_index() {
    // A copy of the anchor under its label is its positive, at distance 0; the first rows' only negative is at 1.
    let x = tensor(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0], 2);
    let config = TripletLossConfig::new().with_margin(1.5).with_normalize(false);
    for mining in [TripletMining::All, TripletMining::SemiHard, TripletMining::BatchHard] {
        let loss = config.clone().with_mining(mining).init().forward(x.clone(), ints(&[0, 0, 1]));
        assert!((numbers(loss)[0] - 0.5).abs() < 1e-15, "{mining:?}");
    }
    // The same copy under another label is the nearest negative.
    let loss = config.with_mining(TripletMining::BatchHard).init().forward(x, ints(&[0, 1, 0]));
    assert!((numbers(loss)[0] - f64::midpoint(2.5, 1.5)).abs() < 1e-15);
}

#[test]
fn the_filter_keeps_what_a_box_plot_does() {
    let kept = |values: &[f64], r: f64| numbers(whisker_filter(tensor(values, 1).reshape([values.len()]), r));
    // Sorted 0 1 2 3 4 5 6 20: quartiles at places 2 and 6 are 2 and 6, so 1.5 reaches from -4 to 12.
    let values = [5.0, 20.0, 0.0, 4.0, 1.0, 3.0, 2.0, 6.0];
    assert_eq!(kept(&values, 1.5), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(kept(&values, 0.0), [2.0, 3.0, 4.0, 5.0, 6.0], "the ends belong to it");
    assert_eq!(kept(&[0.5; 5], 0.0), [0.5; 5]);
    assert_eq!(kept(&[0.5], 1.5), [0.5]);
    let none = negative_pair_similarities(tensor(&[1.0, 0.0], 2), ints(&[0]));
    assert_eq!(whisker_filter(none, 1.5).dims(), [0]);
}

#[test]
fn the_gap_of_known_pairs() {
    // Positives at cosine 1 (rows 0, 1) and 0 (rows 2, 3); negatives at 0 (rows 0, 1 with 2) and 1 (with 3).
    let x = tensor(&[1.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.5, 0.0], 2);
    let found = pair_separation(x.clone(), ints(&[0, 0, 1, 1])).unwrap();
    assert_eq!((found.lowest_positive, found.highest_negative, found.gap(), found.overlap), (0.0, 1.0, -1.0, 0.5));
    let apart = pair_separation(x.clone(), ints(&[0, 0, 1, 0])).unwrap();
    assert_eq!((apart.gap(), apart.overlap), (1.0, 0.0));
    for labels in [[0, 0, 0, 0], [0, 1, 2, 3]] {
        assert!(pair_separation(x.clone(), ints(&labels)).unwrap_err().to_string().contains("two embeddings share"));
    }
    assert!(pair_separation(x, ints(&[0])).unwrap_err().to_string().contains("one for each of 4"));
}

#[test]
fn a_normalised_layer_gives_cosines_of_its_seed() {
    let layer = |seed| NormalizedLinearConfig::new(2, 3).init(&Device::flex(), seed);
    let (one, again, other) = (layer(1), layer(1), layer(2));
    assert_eq!(numbers(one.weight.val()), numbers(again.weight.val()));
    assert_ne!(numbers(one.weight.val()), numbers(other.weight.val()));
    let x = Tensor::<2>::from_floats([[3.0, 4.0], [0.0, 0.0]], &Device::flex());
    let (found, weights) = (numbers(one.forward(x)), numbers(one.weight.val()));
    for (k, w) in weights.chunks(2).enumerate() {
        assert!((found[k] - cosine(&[3.0, 4.0], w)).abs() < 1e-6);
        assert_eq!(found[3 + k], 0.0);
        // Xavier's bound for 2 inputs and 3 classes.
        assert!(w.iter().all(|w| w.abs() <= 1.2f64.sqrt() + 1e-6));
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    let arc = ArcFaceLossConfig::new();
    assert!(arc.clone().with_scale(0.0).validate().unwrap_err().to_string().contains("`scale` is 0"));
    assert!(arc.with_margin(4.0).validate().unwrap_err().to_string().contains("`margin` is 4"));
    let mag = MagFaceLossConfig::new();
    assert_eq!(mag.clone().with_upper_norm(5.0).validate().unwrap_err().field, "upper_norm");
    assert_eq!(mag.with_lower_margin(0.9).validate().unwrap_err().field, "lower_margin");
    let unified = UnpgLossConfig::new().with_whisker(Some(-1.0));
    assert_eq!(unified.validate().unwrap_err().field, "whisker");
    let head = MarginHeadConfig::CosFace(CosFaceLossConfig::new().with_margin(f64::NAN));
    assert_eq!(UnpgLossConfig::new().with_head(head).validate().unwrap_err().field, "margin");
    assert_eq!(TripletLossConfig::new().with_margin(0.0).validate().unwrap_err().field, "margin");
    assert_eq!(CircleLossConfig::new().with_gamma(0.0).validate().unwrap_err().field, "gamma");
    assert_eq!(MultiSimilarityLossConfig::new().with_beta(-1.0).validate().unwrap_err().field, "beta");
}

#[test]
#[should_panic(expected = "label 2 is not in 0..2")]
fn a_label_without_weights_is_refused() {
    CosFaceLossConfig::new().init().forward(tensor(&[1.0, 0.0], 2), tensor(&[1.0, 0.0, 0.0, 1.0], 2), ints(&[2]));
}

#[test]
#[should_panic(expected = "weights must be [classes, 2], not [2, 1]")]
fn weights_of_another_length_are_refused() {
    CosFaceLossConfig::new().init().forward(tensor(&[1.0, 0.0], 2), tensor(&[1.0, 0.0], 1), ints(&[0]));
}
