//! The losses over triples of query, positive and hard negative against plain f64 loops; with `CONTRARIAN_KERNELS=off` the same
//! tests hold the composed forms.

#[path = "support/differences.rs"]
#[expect(dead_code, reason = "tests of losses over labels use the rest")]
mod differences;

use burn::tensor::{Device, Tensor};
use contrarian::ranking::*;
use differences::{check, dot, log_sum_exp, numbers, tensor, unit, vectors};
use proptest::prelude::*;

fn triples() -> impl Strategy<Value = (usize, usize, Vec<f64>, Vec<f64>, Vec<f64>)> {
    (1usize..6, prop::sample::select(vec![2usize, 3, 5]))
        .prop_flat_map(|(n, dim)| (Just(n), Just(dim), vectors(n, dim), vectors(n, dim), vectors(n, dim)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn losses_are_their_twins((n, dim, q, p, h) in triples(), scale in prop::sample::select(vec![1.0, 20.0])) {
        let (x, y, z) = (tensor(&q, dim), tensor(&p, dim), tensor(&h, dim));
        let three = [(&x, &q[..]), (&y, &p[..]), (&z, &h[..])];
        for similarity in [Similarity::Dot, Similarity::Cosine] {
            let loss = MnrLossConfig::new().with_scale(scale).with_similarity(similarity).init();
            let twin = |v: &[Vec<f64>]| -> f64 {
                let [q, p, h] = [0, 1, 2].map(|at| match similarity {
                    Similarity::Cosine => unit(&v[at], dim),
                    Similarity::Dot => v[at].clone(),
                });
                let one = |i: usize| {
                    let q = &q[i * dim..][..dim];
                    let all = p.chunks(dim).chain(h.chunks(dim)).map(|c| scale * dot(q, c));
                    log_sum_exp(all) - scale * dot(q, &p[i * dim..][..dim])
                };
                (0..n).map(one).sum::<f64>() / n as f64
            };
            // Short vectors turn fast under the cosine, where differences are too coarse.
            let short = three.iter().flat_map(|(_, v)| v.chunks(dim)).any(|row| dot(row, row) < 0.04);
            if similarity == Similarity::Dot || !short {
                check("mnr", loss.forward(x.clone(), y.clone(), Some(z.clone())), &three, &twin)?;
            }
        }

        let rows = |v: &[f64], i: usize| v[i * dim..][..dim].to_vec();
        let distance = |a: Vec<f64>, b: Vec<f64>| -> f64 {
            a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let gap = |v: &[Vec<f64>], i: usize| {
            distance(rows(&v[0], i), rows(&v[1], i)) - distance(rows(&v[0], i), rows(&v[2], i)) + 0.5
        };
        let all = [q.clone(), p.clone(), h.clone()];
        // No differences at the hinge's corner.
        if (0..n).all(|i| gap(&all, i).abs() > 1e-3) {
            let loss = QueryTripletLossConfig::new().with_margin(0.5).init().forward(x.clone(), y.clone(), z.clone());
            check("triplet", loss, &three, &|v| (0..n).map(|i| gap(v, i).max(0.0)).sum::<f64>() / n as f64)?;
        }
    }
}

#[test]
fn extremes_are_finite() {
    let device = Device::flex().autodiff();
    let rows = |values: [[f32; 2]; 2]| Tensor::<2>::from_floats(values, &device).require_grad();
    let finite = |loss: Tensor<1>, leaf: &Tensor<2>| {
        let gradient = numbers(leaf.grad(&loss.backward()).unwrap());
        let value = numbers(loss)[0];
        assert!(value.is_finite() && gradient.iter().all(|g| g.is_finite()), "{value} {gradient:?}");
    };
    // Inner products of 1e4 either way, ties, and rows of zeros.
    for values in [[[100.0, 0.0], [-100.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]] {
        let x = rows(values);
        for similarity in [Similarity::Cosine, Similarity::Dot] {
            let loss = MnrLossConfig::new().with_similarity(similarity).init();
            finite(loss.forward(x.clone(), x.clone().neg(), Some(x.clone())), &x);
            finite(loss.forward(x.clone(), x.clone().neg(), None), &x);
        }
        finite(QueryTripletLossConfig::new().init().forward(x.clone(), x.clone(), x.clone()), &x);
    }
    let one = tensor(&[1.0, 2.0], 2);
    assert_eq!(numbers(MnrLossConfig::new().init().forward(one.clone(), one, None)), [0.0], "one pair, no negative");
}

#[test]
fn values_out_of_range_are_named() {
    assert_eq!(MnrLossConfig::new().with_scale(0.0).validate().unwrap_err().field, "scale");
    assert_eq!(QueryTripletLossConfig::new().with_margin(-1.0).validate().unwrap_err().field, "margin");
}

#[test]
#[should_panic(expected = "negatives must have the shape of the queries")]
fn triples_of_other_shapes_are_refused() {
    let x = tensor(&[1.0, 2.0], 1);
    QueryTripletLossConfig::new().init().forward(x.clone(), x.clone(), tensor(&[1.0], 1));
}
