use super::Form::{self, Composed, Fused};
use super::case::Family;
use super::inputs::{labels, matrix};
use super::measure::{Step, backward, leaf};
use burn::tensor::{Int, Tensor};
use contrarian::classification::{CompSumLossConfig, CrossEntropyLossConfig, FocalLossConfig, LdrKlLossConfig};

/// Logits of a batch of a thousand classes, and of a vocabulary.
const LOGITS: &[&[usize]] = &[&[4096, 1000], &[512, 50_000]];

/// What is measured. `bench/kernels/pytorch.py` has the same work in PyTorch under the same names.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "cross-entropy",
        summary: "cross-entropy over logits",
        sizes: &["batch", "classes"],
        measured: LOGITS,
        textbook: |sizes| sizes[0] * sizes[1],
        prepare: |sizes| {
            let loss = CrossEntropyLossConfig::new().init();
            over_logits(sizes, move |form, h, y| match form {
                Fused => loss.forward(h, y),
                Composed => loss.forward(h, y),
            })
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
            over_logits(sizes, move |form, h, y| match form {
                Fused => loss.forward(h, y),
                Composed => loss.forward(h, y),
            })
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
            over_logits(sizes, move |form, h, y| match form {
                Fused => loss.forward(h, y),
                Composed => loss.forward(h, y),
            })
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
            over_logits(sizes, move |form, h, y| match form {
                Fused => loss.forward(h, y),
                Composed => loss.forward(h, y),
            })
        },
    },
];

fn over_logits(sizes: &[usize], loss: impl Fn(Form, Tensor<2>, Tensor<1, Int>) -> Tensor<1> + 'static) -> Step {
    let (batch, classes) = (sizes[0], sizes[1]);
    let (logits, labels) = (matrix(0, batch, classes, 4.0), labels(1, batch, classes));
    Box::new(move |form| {
        let logits = leaf(&logits);
        backward(loss(form, logits.clone(), labels.clone()), &[&logits])
    })
}
