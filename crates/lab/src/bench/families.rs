use super::case::Family;
use super::inputs::{labels, matrix, vector, views};
use super::measure::{Outcome, Step, backward, leaf};
use burn::tensor::{Int, Tensor};
use contrarian::classification::{
    CompSumLossConfig, CrossEntropyLossConfig, FocalLossConfig, LdrKlLossConfig, LinearCrossEntropyLossConfig,
};
use contrarian::contrastive::{DclLossConfig, InfoNceLossConfig, NtXentLossConfig};
use contrarian::ranking::{MwLossConfig, PlackettLuceLossConfig};

/// Temperature of the in-batch losses.
const TEMPERATURE: f64 = 0.1;

const IN_BATCH: &[&[usize]] = &[&[1024, 128], &[4096, 128], &[16384, 128]];

/// A batch over a thousand classes, and over a vocabulary.
const LOGITS: &[&[usize]] = &[&[4096, 1000], &[512, 50_000]];

const POOLS: &[&[usize]] = &[&[1000, 100_000]];

/// What is measured. `bench/kernels/pytorch.py` has the same work in PyTorch under the same names.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "info-nce",
        summary: "InfoNCE, one way",
        sizes: &["pairs", "dim"],
        measured: IN_BATCH,
        textbook: |sizes| sizes[0] * sizes[0],
        prepare: |sizes| {
            let loss = InfoNceLossConfig::new().with_temperature(TEMPERATURE).with_normalize(false).init();
            over_views(sizes, move |x, y| loss.forward(x, y))
        },
    },
    Family {
        name: "decoupled-contrastive",
        summary: "the decoupled contrastive loss, both directions",
        sizes: &["pairs", "dim"],
        measured: IN_BATCH,
        textbook: |sizes| 4 * sizes[0] * sizes[0],
        prepare: |sizes| {
            let loss = DclLossConfig::new().with_temperature(TEMPERATURE).with_normalize(false).init();
            over_views(sizes, move |x, y| loss.forward(x, y))
        },
    },
    Family {
        name: "nt-xent",
        summary: "NT-Xent (pytorch-metric-learning's form holds the cube of the batch)",
        sizes: &["pairs", "dim"],
        measured: &[&[64, 128], &[128, 128], &[256, 128], &[512, 128], &[1024, 128]],
        textbook: |sizes| 4 * sizes[0] * sizes[0],
        prepare: |sizes| {
            let loss = NtXentLossConfig::new().with_temperature(TEMPERATURE).with_normalize(false).init();
            over_views(sizes, move |x, y| loss.forward(x, y))
        },
    },
    Family {
        name: "matrix-products",
        summary: "the three products of an in-batch loss alone, by Burn in both forms, in strips: what there is to reach",
        sizes: &["pairs", "dim"],
        measured: IN_BATCH,
        textbook: |sizes| sizes[0] * sizes[0],
        prepare: products,
    },
    Family {
        name: "cross-entropy",
        summary: "cross-entropy over logits",
        sizes: &["batch", "classes"],
        measured: LOGITS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = CrossEntropyLossConfig::new().init();
            over_logits(sizes, move |h, y| loss.forward(h, y))
        },
    },
    Family {
        name: "ldr",
        summary: "LDR-KL with its defaults over logits",
        sizes: &["batch", "classes"],
        measured: LOGITS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = LdrKlLossConfig::new().init();
            over_logits(sizes, move |h, y| loss.forward(h, y))
        },
    },
    Family {
        name: "comp-sum",
        summary: "comp-sum with tau 1.5 over logits",
        sizes: &["batch", "classes"],
        measured: LOGITS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = CompSumLossConfig::new().with_tau(1.5).init();
            over_logits(sizes, move |h, y| loss.forward(h, y))
        },
    },
    Family {
        name: "focal",
        summary: "focal with gamma 2 over logits",
        sizes: &["batch", "classes"],
        measured: LOGITS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = FocalLossConfig::new().init();
            over_logits(sizes, move |h, y| loss.forward(h, y))
        },
    },
    Family {
        name: "linear-cross-entropy",
        summary: "a linear layer with bias and the cross-entropy of its softmax",
        sizes: &["batch", "dim", "classes"],
        measured: &[&[2048, 512, 50_000]],
        textbook: |sizes| sizes[0] * sizes[2],
        prepare: |sizes| {
            let &[batch, dim, classes] = sizes else { unreachable!("a case has its family's sizes") };
            let loss = LinearCrossEntropyLossConfig::new().init();
            let (hidden, weight) = (matrix(0, batch, dim, 1.0), matrix(1, classes, dim, 0.1));
            let (bias, labels) = (vector(2, classes, 0.1), labels(3, batch, classes));
            Box::new(move || {
                let (hidden, weight, bias) = (leaf(&hidden), leaf(&weight), leaf(&bias));
                let value = loss.forward(hidden.clone(), weight.clone(), Some(bias.clone()), labels.clone());
                backward(value, &[&hidden, &weight, &bias])
            })
        },
    },
    Family {
        name: "mann-whitney",
        summary: "Mann-Whitney over all pairs of scores, temperature 0.01 (its default): most pairs are far apart",
        sizes: &["positives", "negatives"],
        measured: POOLS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| over_pools(sizes, 0.01),
    },
    Family {
        name: "mann-whitney-near",
        summary: "Mann-Whitney, temperature 1: every pair needs its exponential",
        sizes: &["positives", "negatives"],
        measured: POOLS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| over_pools(sizes, 1.0),
    },
    Family {
        name: "plackett-luce",
        summary: "Plackett-Luce distillation: the label first, then the teacher's order",
        sizes: &["batch", "classes"],
        measured: &[&[4096, 1000]],
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = PlackettLuceLossConfig::new().init();
            let teacher = matrix(2, sizes[0], sizes[1], 4.0);
            over_logits(sizes, move |student, labels| loss.forward(student, teacher.clone(), labels))
        },
    },
];

fn over_views(sizes: &[usize], loss: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1> + 'static) -> Step {
    let [first, second] = views(sizes[0], sizes[1]);
    Box::new(move || {
        let (first, second) = (leaf(&first), leaf(&second));
        backward(loss(first.clone(), second.clone()), &[&first, &second])
    })
}

fn over_logits(sizes: &[usize], loss: impl Fn(Tensor<2>, Tensor<1, Int>) -> Tensor<1> + 'static) -> Step {
    let (batch, classes) = (sizes[0], sizes[1]);
    let (logits, labels) = (matrix(0, batch, classes, 4.0), labels(1, batch, classes));
    Box::new(move || {
        let logits = leaf(&logits);
        backward(loss(logits.clone(), labels.clone()), &[&logits])
    })
}

fn over_pools(sizes: &[usize], temperature: f64) -> Step {
    let (positives, negatives) = (vector(0, sizes[0], 1.0), vector(1, sizes[1], 1.0));
    let loss = MwLossConfig::new().with_temperature(temperature).init();
    Box::new(move || {
        let (positives, negatives) = (leaf(&positives), leaf(&negatives));
        backward(loss.pools(positives.clone(), negatives.clone()), &[&positives, &negatives])
    })
}

/// Scores, and the two products of their gradient with the vectors; the scores stand in for that gradient. In strips of
/// rows, so that no scores travel to memory and back: the least that an in-batch loss can take.
fn products(sizes: &[usize]) -> Step {
    const STRIP: usize = 256;
    let rows = sizes[0];
    let [first, second] = views(rows, sizes[1]).map(Tensor::without_autodiff);
    Box::new(move || {
        let mut by_second = second.zeros_like();
        let mut by_first = Vec::new();
        let mut corner = None;
        for start in (0..rows).step_by(STRIP) {
            let strip = first.clone().narrow(0, start, STRIP.min(rows - start));
            let scores = strip.clone().matmul(second.clone().transpose());
            by_second = by_second + scores.clone().transpose().matmul(strip);
            by_first.push(scores.clone().matmul(second.clone()));
            corner.get_or_insert_with(|| scores.slice([0..1, 0..1]));
        }
        let by_first = Tensor::cat(by_first, 0);
        let gradient_bytes = (by_first.shape().num_elements() + by_second.shape().num_elements()) as u64 * 4;
        Outcome { loss: corner.map_or(f64::NAN, |corner| corner.into_scalar::<f64>()), gradient_bytes }
    })
}
