//! LoL, the reformulation loss, CET, AR2 and NGAME's triplets against plain f64 loops written from the papers.

#[expect(dead_code, reason = "shared with tests of losses that scale their rows")]
#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{Bool, Device, Tensor, TensorData};
use contrarian::ranking::*;
use differences::{check, log_sum_exp, numbers, tensor, vectors};
use proptest::prelude::*;

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn mask(cells: &[bool], columns: usize) -> Tensor<2, Bool> {
    Tensor::from_data(TensorData::new(cells.to_vec(), [cells.len() / columns, columns]), &Device::flex().autodiff())
}

fn flat(x: &Tensor<2>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.clone().reshape([count])
}

fn softmax(row: &[f64], temperature: f64) -> Vec<f64> {
    let all = log_sum_exp(row.iter().map(|x| x / temperature));
    row.iter().map(|x| (x / temperature - all).exp()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn lol_is_the_mean_over_pairs_of_revisions(
        (r, losses, counts) in (1usize..4, 1usize..4).prop_flat_map(|(n, r)| {
            (Just(r), vectors(n, r), prop::collection::vec(prop::collection::vec(0usize..4, r), n))
        }),
        margin in prop::sample::select(vec![0.0, 0.3]), lambda in 0.0f64..3.0,
    ) {
        let x = tensor(&losses, r);
        let loss = LolRegulariserConfig::new().with_margin(margin).with_lambda(lambda).init();
        let twin = |v: &[Vec<f64>]| {
            let (mut sum, mut pairs) = (0.0, 0.0f64);
            for (row, counts) in v[0].chunks(r).zip(&counts) {
                for (a, b) in (0..r).flat_map(|a| (0..r).map(move |b| (a, b))).filter(|(a, b)| counts[*a] > counts[*b]) {
                    sum += (row[a] - row[b] + margin).max(0.0);
                    pairs += 1.0;
                }
            }
            v[0].iter().sum::<f64>() / v[0].len() as f64 + lambda * sum / pairs.max(1.0)
        };
        check("lol", loss.forward(x.clone(), &counts).0, &[(&x, &losses)], &twin)?;
        // Detached, the regulariser never raises the loss with less feedback.
        let detached = LolRegulariserConfig::new().with_lambda(lambda).with_detach_less(true).init();
        let gradients = detached.forward(x.clone(), &counts).0.backward();
        let least = 1.0 / losses.len() as f64 - 1e-12;
        prop_assert!(numbers(x.grad(&gradients).unwrap()).into_iter().all(|slope| slope >= least));
    }

    #[test]
    fn reformulation_is_a_softmax_without_the_other_relevant_documents(q in vectors(2, 3), d in vectors(7, 3)) {
        let relevant = [vec![5usize, 1], vec![0]];
        let (x, documents) = (tensor(&q, 3), tensor(&d, 3));
        let losses = ReformulationLossConfig::new().init().forward_no_reduction(x.clone(), documents.clone(), &relevant);
        let targets = ReformulationLossConfig::new().init().targets(&x.clone().matmul(documents.clone().transpose()), &relevant);
        check("reformulation", losses.sum(), &[(&x, &q), (&documents, &d)], &|v| {
            let of_query = |(query, (relevant, target)): (&[f64], (&Vec<usize>, &usize))| {
                let score = |document: usize| differences::dot(query, &v[1][document * 3..document * 3 + 3]);
                let kept = (0..7).filter(|document| document == target || !relevant.contains(document));
                log_sum_exp(kept.map(score)) - score(*target)
            };
            v[0].chunks(3).zip(relevant.iter().zip(&targets)).map(of_query).sum::<f64>()
        })?;
    }

    #[test]
    fn cet_weighs_by_the_other_model(scores in vectors(4, 3), ratio in 0.5f64..10.0) {
        let all: Vec<Tensor<2>> = scores.chunks(3).map(|row| tensor(row, 3)).collect();
        let step = CetConfig::new().with_ratio(ratio).init().forward(
            [flat(&all[0]), flat(&all[1])],
            [flat(&all[2]), flat(&all[3])],
        );
        let weights = |row: &[f64]| row.iter().map(|s| 1.0 + (s / ratio).exp()).collect::<Vec<f64>>();
        // Weights are constants: those of the first scores.
        let (of_relevance, of_selection) = (weights(&scores[9..]), weights(&scores[3..6]));
        let twin = |v: &[Vec<f64>]| {
            let part = |p: &[f64], n: &[f64], w: &[f64]| (0..3).map(|at| w[at] * softplus(n[at] - p[at])).sum::<f64>() / 3.0;
            part(&v[0], &v[1], &of_relevance) + part(&v[2], &v[3], &of_selection)
        };
        let inputs: Vec<(&Tensor<2>, &[f64])> = all.iter().zip(scores.chunks(3)).collect();
        check("cet", step.relevance_loss + step.selection_loss, &inputs, &twin)?;
    }

    #[test]
    fn ar2_is_the_game_and_the_distillation(
        s in vectors(2, 4), z in vectors(2, 4), lambda in 0.0f64..=1.0, temperature in 0.5f64..3.0, all in any::<bool>(),
    ) {
        let x = tensor(&s, 4);
        let candidates = if all { AdversarialCandidates::All } else { AdversarialCandidates::Negatives };
        let loss = Ar2RetrieverLossConfig::new().with_lambda(lambda).with_temperature(temperature).with_adversarial(candidates);
        let twin = |v: &[Vec<f64>]| {
            let of_query = |(s, z): (&[f64], &[f64])| {
                let from = usize::from(!all);
                let (p, whole, taught) = (softmax(&s[from..], 1.0), softmax(s, 1.0), softmax(z, temperature));
                let game: f64 = p.iter().zip(&z[from..]).map(|(p, z_i)| -softplus(z_i - z[0]) * p.ln()).sum();
                let distilled: f64 = taught.iter().zip(&whole).map(|(t, p)| -t * p.ln()).sum();
                lambda * game + (1.0 - lambda) * distilled
            };
            v[0].chunks(4).zip(z.chunks(4)).map(of_query).sum::<f64>() / 2.0
        };
        check("ar2", loss.init().forward(x.clone(), tensor(&z, 4).detach()), &[(&x, &s)], &twin)?;
    }

    #[test]
    fn triplets_take_the_hardest_negatives(
        s in vectors(3, 5), extra in prop::collection::vec(any::<bool>(), 15), k in 1usize..6, soft in any::<bool>(),
    ) {
        let positive: Vec<bool> = (0..15).map(|cell| cell / 5 == cell % 5 || extra[cell]).collect();
        let x = tensor(&s, 5);
        let loss = TripletOhnmLossConfig::new().with_num_negatives(k).with_softmax(soft).init();
        let k = k.min(5);
        let rows = |v: &[f64]| -> f64 {
            (0..3).map(|row| {
                let score = |column: usize| v[row * 5 + column];
                // The choice is that of the first values: near them nothing changes place.
                let mut negatives: Vec<usize> = (0..5).filter(|column| !positive[row * 5 + column]).collect();
                negatives.sort_by(|a, b| s[row * 5 + b].total_cmp(&s[row * 5 + a]));
                negatives.truncate(k);
                let violations: Vec<f64> = (0..k)
                    .map(|at| negatives.get(at).map_or(0.0, |column| (score(*column) - score(row) + 0.3).max(0.0)))
                    .collect();
                let logits: Vec<f64> = (0..k)
                    .map(|at| if violations[at] > 0.0 { score(negatives[at]) / 0.1 } else { 0.0 })
                    .collect();
                let weights = if soft { softmax(&logits, 1.0) } else { vec![1.0; k] };
                weights.iter().zip(&violations).map(|(w, h)| w * h).sum::<f64>()
            }).sum::<f64>() / (3 * k) as f64
        };
        check("ohnm", loss.forward(x.clone(), mask(&positive, 5)), &[(&x, &s)], &|v| rows(&v[0]))?;
    }

    #[test]
    fn ohnm_multi_and_hinge_agree_with_plain_loops(s in vectors(3, 5), marks in prop::collection::vec(any::<bool>(), 15), columns in 3usize..6) {
        let (rows, cells) = (3, 3 * columns);
        let (s, marks) = (s[..cells].to_vec(), &marks[..cells]);
        let x = tensor(&s, columns);
        // A square matrix is one of pairs: its diagonal is positive, other marked columns are only no negatives.
        let is_positive = |row: usize, column: usize| {
            if columns == rows { row == column } else { marks[row * columns + column] }
        };
        let multi = |v: &[f64]| -> f64 {
            (0..rows).map(|row| {
                let by = |sign: f64, wanted: &dyn Fn(usize) -> bool, k: usize| {
                    let mut found: Vec<usize> = (0..columns).filter(|column| wanted(*column)).collect();
                    found.sort_by(|a, b| (sign * s[row * columns + a]).total_cmp(&(sign * s[row * columns + b])));
                    found.truncate(k);
                    found
                };
                let positives = by(1.0, &|column| is_positive(row, column), 3);
                let negatives = by(-1.0, &|column| !marks[row * columns + column], 5);
                positives.iter().map(|p| {
                    let mut violations: Vec<f64> = negatives
                        .iter()
                        .map(|n| (v[row * columns + n] - v[row * columns + p] + 0.2).max(0.0))
                        .collect();
                    violations.resize(5.min(columns), 0.0);
                    let logits: Vec<f64> = violations.iter().map(|h| if *h > 0.0 { *h } else { -100.0 }).collect();
                    softmax(&logits, 1.0).iter().zip(&violations).map(|(w, h)| w * h).sum::<f64>()
                }).sum::<f64>()
            }).sum::<f64>() / (rows * 15) as f64
        };
        let loss = TripletOhnmMultiLossConfig::new().init();
        check("multi", loss.forward(x.clone(), mask(marks, columns)), &[(&x, &s)], &|v| multi(&v[0]))?;
        let hinge = |v: &[f64]| -> f64 {
            let of = |(x, mark): (&f64, &bool)| if *mark { 0.7 * (1.0 - x) } else { (x - 0.1).max(0.0) };
            v.iter().zip(marks).map(of).sum::<f64>() / cells as f64
        };
        let loss = HingeContrastiveLossConfig::new().with_margin(0.1).with_pos_weight(0.7).init();
        check("hinge", loss.forward(x.clone(), mask(marks, columns)), &[(&x, &s)], &|v| hinge(&v[0]))?;
    }
}

#[test]
fn large_scores_and_rows_without_a_partner_are_finite() {
    for scale in [0.0, 1e4, -1e4] {
        let x = tensor(&[scale, -scale, 0.0, scale], 2);
        let positive = mask(&[true, false, false, true], 2);
        let all_positive = mask(&[true; 4], 2);
        let losses = [
            Ar2RetrieverLossConfig::new().init().forward(x.clone(), x.clone()),
            CetConfig::new().init().forward([flat(&x), flat(&x)], [flat(&x), flat(&x)]).relevance_loss,
            TripletOhnmLossConfig::new().init().forward(x.clone(), positive.clone()),
            TripletOhnmLossConfig::new().init().forward(x.clone(), all_positive.clone()),
            TripletOhnmMultiLossConfig::new().init().forward(x.clone(), positive.clone()),
            TripletOhnmMultiLossConfig::new().init().forward(x.clone(), all_positive),
            HingeContrastiveLossConfig::new().init().forward(x.clone(), positive),
            ReformulationLossConfig::new()
                .init()
                .forward_no_reduction(x.clone(), x.clone(), &[vec![0], vec![1, 0]])
                .sum(),
            LolRegulariserConfig::new().init().forward(x.clone(), &[vec![1, 1], vec![0, 2]]).0,
        ];
        for (at, loss) in losses.into_iter().enumerate() {
            let gradient = x.grad(&loss.backward()).map_or_else(Vec::new, numbers);
            assert!(numbers(loss).into_iter().chain(gradient).all(f64::is_finite), "loss {at} at {scale}");
        }
    }
    // Rho and lambda of 1: nothing is unlabelled.
    let posterior = pooling_posterior(1.0, 1.0);
    assert_eq!((posterior.labelled, posterior.relevant_unlabelled), (1.0, 0.0));
}

#[test]
fn parameters_out_of_range_are_named() {
    let fields = [
        LolRegulariserConfig::new().with_lambda(-1.0).validate().unwrap_err().field,
        CetConfig::new().with_ratio(0.0).validate().unwrap_err().field,
        Ar2RetrieverLossConfig::new().with_lambda(1.5).validate().unwrap_err().field,
        TripletOhnmLossConfig::new().with_tau(0.0).validate().unwrap_err().field,
        TripletOhnmMultiLossConfig::new().with_num_positives(0).validate().unwrap_err().field,
        HingeContrastiveLossConfig::new().with_margin(2.0).validate().unwrap_err().field,
        FeedbackSampler::new().with_n_compare(6).validate().unwrap_err().field,
    ];
    assert_eq!(fields, ["lambda", "ratio", "lambda", "tau", "num_positives", "margin", "n_compare"]);
}
