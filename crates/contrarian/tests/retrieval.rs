//! STAR and ADORE against plain f64 loops written from the paper.

#[expect(dead_code, reason = "shared with tests of losses that scale their rows")]
#[path = "support/differences.rs"]
mod differences;

use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use contrarian::ranking::*;
use differences::{check, dot, numbers, tensor, vectors};
use proptest::prelude::*;

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn mask(cells: &[bool], columns: usize) -> Tensor<2, Bool> {
    let data = TensorData::new(cells.to_vec(), [cells.len() / columns, columns]);
    Tensor::from_data(data, &Device::flex().autodiff())
}

/// The sum over the masked pairs and their number.
fn star(queries: &[f64], documents: &[f64], hard: &[f64], used: &[bool], alpha: f64, dim: usize) -> f64 {
    let n = queries.len() / dim;
    let row = |x: &[f64], at: usize| x[at * dim..(at + 1) * dim].to_vec();
    let columns = n + hard.len() / dim;
    let (mut sum, mut count) = (0.0, 0.0);
    for query in 0..n {
        let q = row(queries, query);
        let positive = dot(&q, &row(documents, query));
        for column in (0..columns).filter(|column| used[query * columns + column]) {
            let (other, weight) =
                if column < n { (row(documents, column), alpha) } else { (row(hard, column - n), 1.0) };
            sum += weight * softplus(dot(&q, &other) - positive);
            count += 1.0;
        }
    }
    sum / count
}

/// Batch, embedding length, query, document and hard vectors, and which pairs count.
fn batches() -> impl Strategy<Value = (usize, Vec<f64>, Vec<f64>, Vec<f64>, Vec<bool>)> {
    (1usize..5, 1usize..4, 1usize..5).prop_flat_map(|(n, dim, hard)| {
        let used = prop::collection::vec(any::<bool>(), n * (n + hard));
        (Just(dim), vectors(n, dim), vectors(n, dim), vectors(hard, dim), used)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn star_is_the_mean_over_its_pairs((dim, q, d, h, mut used) in batches(), alpha in 0.0f64..2.0) {
        let n = q.len() / dim;
        let columns = n + h.len() / dim;
        used[columns - 1] = true;
        let cut = |from: usize, to: usize| -> Vec<bool> {
            used.chunks(columns).flat_map(|row| row[from..to].to_vec()).collect()
        };
        let (pairs, hard_pairs) = (mask(&cut(0, n), n), mask(&cut(n, columns), columns - n));
        let objective = StarLossConfig::new().with_alpha(alpha).init();
        let (queries, documents, hard) = (tensor(&q, dim), tensor(&d, dim), tensor(&h, dim));
        let loss = objective.forward(queries.clone(), documents.clone(), Some(hard.clone()), Some(pairs), Some(hard_pairs));
        let inputs: [(&Tensor<2>, &[f64]); 3] = [(&queries, &q), (&documents, &d), (&hard, &h)];
        check("star", loss, &inputs, &|x| star(&x[0], &x[1], &x[2], &used, alpha, dim))?;
    }

    /// The lists are those of the first values: near them, where the gradient is, nothing changes place.
    #[test]
    fn adore_is_the_weighted_mean_over_its_lists(
        q in vectors(2, 3), d in vectors(9, 3), topk in 1usize..9, cut in prop::option::of(1usize..9), weighted in any::<bool>()
    ) {
        let relevant = [vec![4usize], vec![0, 7]];
        let objective = AdoreLossConfig::new().with_topk(topk).with_metric_cut(cut).with_weighted(weighted).init();
        let (queries, documents) = (tensor(&q, 3), tensor(&d, 3));
        let (loss, lists) = objective.forward(queries.clone(), documents, &relevant);
        let score = |q: &[f64], document: usize| dot(q, &d[document * 3..document * 3 + 3]);
        for (list, (q, relevant)) in lists.iter().zip(q.chunks(3).zip(&relevant)) {
            let mut order: Vec<usize> = (0..9).collect();
            order.sort_by(|a, b| score(q, *b).total_cmp(&score(q, *a)));
            prop_assert_eq!(&list.documents[..topk], &order[..topk]);
            let has = order[..topk].iter().any(|document| relevant.contains(document));
            prop_assert_eq!(list.documents.len(), if has { topk } else { topk + relevant.len() });
        }
        let twin = |x: &[Vec<f64>]| {
            let mut sum = 0.0;
            for (list, q) in lists.iter().zip(x[0].chunks(3)) {
                let of = |wanted: bool| (0..list.documents.len()).filter(move |at| list.relevant[*at] == wanted);
                let pairs = (of(true).count() * of(false).count()) as f64;
                for (a, b) in of(true).flat_map(|a| of(false).map(move |b| (a, b))) {
                    let discount = |at: usize| match at < topk && at < cut.unwrap_or(usize::MAX) {
                        true => 1.0 / (at as f64 + 1.0),
                        false => 0.0,
                    };
                    let weight = if weighted { (discount(a) - discount(b)).abs() } else { 1.0 };
                    sum += weight / pairs * softplus(score(q, list.documents[b]) - score(q, list.documents[a]));
                }
            }
            sum / 2.0
        };
        check("adore", loss, &[(&queries, &q)], &twin)?;
    }
}

#[test]
fn large_scores_ties_and_batches_of_one_are_finite() {
    for scale in [0.0, 1e4, -1e4] {
        let scores = tensor(&[scale, -scale, scale, 0.0], 2);
        let loss = StarLossConfig::new().init().forward_scores(scores.clone(), None, None, None);
        let gradient = numbers(scores.grad(&loss.backward()).unwrap());
        assert!(numbers(loss).into_iter().chain(gradient).all(f64::is_finite));
        let queries = tensor(&[scale], 1);
        let documents = tensor(&[1.0, 1.0, -1.0], 1);
        let (loss, lists) = AdoreLossConfig::new().init().forward(queries.clone(), documents, &[vec![1]]);
        let gradient = numbers(queries.grad(&loss.backward()).unwrap());
        assert!(numbers(loss).into_iter().chain(gradient).all(f64::is_finite));
        assert_eq!(lists[0].documents.len(), 3);
    }
    let one = tensor(&[0.5], 1);
    let hard = StarLossConfig::new().init().forward(one.clone(), one.clone(), Some(one), None, None);
    assert!((numbers(hard)[0] - std::f64::consts::LN_2).abs() < 1e-12);
}

#[test]
fn a_list_of_relevant_documents_alone_counts_nothing() {
    let queries = tensor(&[1.0], 1);
    let documents = tensor(&[1.0, 2.0], 1);
    let (loss, lists) = AdoreLossConfig::new().init().forward(queries.clone(), documents, &[vec![0, 1]]);
    assert_eq!(numbers(queries.grad(&loss.backward()).unwrap()), [0.0]);
    assert_eq!((numbers(loss), lists[0].reciprocal_rank(10, 200)), (vec![0.0], 1.0));
}

#[test]
fn f32_agrees_with_f64() {
    let (q, d) = ([0.3, -0.2, 0.9, 0.4], [0.1, 0.7, -0.3, 0.5, 0.8, -0.6]);
    let both = [DType::F64, DType::F32].map(|dtype| {
        let of = |x: &[f64]| tensor(x, 2).cast(dtype);
        numbers(AdoreLossConfig::new().with_topk(2).init().forward(of(&q), of(&d), &[vec![0], vec![2]]).0)[0]
    });
    assert!((both[0] - both[1]).abs() < 1e-6);
}

#[test]
#[should_panic(expected = "no pair of a query and a negative is left")]
fn star_without_a_pair_is_an_error() {
    let x = tensor(&[1.0], 1);
    let _ = StarLossConfig::new().init().forward(x.clone(), x, None, None, None);
}

#[test]
#[should_panic(expected = "query 1 has no relevant document")]
fn adore_without_a_relevant_document_is_an_error() {
    let x = tensor(&[1.0, 2.0], 1);
    let _ = AdoreLossConfig::new().init().forward(x.clone(), x, &[vec![0], vec![]]);
}

#[test]
fn parameters_out_of_range_are_named() {
    let star = StarLossConfig::new().with_alpha(f64::NAN).validate().unwrap_err();
    assert_eq!(star.field, "alpha");
    assert_eq!(AdoreLossConfig::new().with_topk(0).validate().unwrap_err().field, "topk");
    assert_eq!(AdoreLossConfig::new().with_metric_cut(Some(0)).validate().unwrap_err().field, "metric_cut");
}
