//! Every kernel at small sizes, value and gradients: to see within a minute what a change did.
//!
//! `cargo bench -p contrarian-kernels`, or one kernel by name: `cargo bench -p contrarian-kernels -- info_nce`. The sizes
//! that matter, memory and the comparison with PyTorch are those of `contrarian bench` and `bench/kernels`.

use contrarian_kernels::pairwise::{PairReduction, mann_whitney, pairwise_squared_hinge};
use contrarian_kernels::plackett_luce::{RankWeights, plackett_luce_distillation};
use contrarian_kernels::simd::{self, LANES, Work};
use contrarian_kernels::{
    Contrast, Ldr, LinearSoftmax, Normalization, Real, RepulsionCost, SoftmaxLoss, SoftmaxRows, pair_log_sum_exp,
    repulsion, supervised_contrastive, two_way_info_nce, uniformity,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const DIM: usize = 128;
const BATCHES: [usize; 2] = [256, 1024];

fn main() {
    divan::main();
}

/// Numbers in (-1, 1), the same every time; another `step` gives others.
fn numbers(count: usize, step: f64) -> Vec<f32> {
    // Multiples of an irrational number, modulo 1, cover the interval evenly.
    (1..=count).map(|i| ((i as f64 * step).fract() * 2.0 - 1.0) as f32).collect()
}

/// Vectors of length 1.
fn unit_rows(rows: usize, step: f64) -> Vec<f32> {
    let mut values = numbers(rows * DIM, step);
    for row in values.chunks_mut(DIM) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        for x in row {
            *x /= length;
        }
    }
    values
}

fn views(rows: usize) -> [Vec<f32>; 2] {
    [std::f64::consts::SQRT_2, std::f64::consts::E].map(|step| unit_rows(rows, step))
}

/// The exponential under all of them, over numbers that stay in the first cache.
#[divan::bench]
fn exponential(bencher: Bencher) {
    struct Exponentials<'a>(&'a mut [f32]);

    impl Work for Exponentials<'_> {
        type Output = ();

        #[inline(always)]
        fn run<const FMA: bool>(self) {
            for x in self.0 {
                *x = Real::exp::<FMA>(-x.abs());
            }
        }
    }

    let mut values = numbers(256 * LANES, std::f64::consts::SQRT_2);
    let count = ItemsCount::new(values.len());
    bencher.counter(count).bench_local(|| simd::run(Exponentials(black_box(&mut values))));
}

fn contrast(bencher: Bencher, batch: usize, change: impl Fn(&mut Contrast<f32>)) {
    let [anchors, candidates] = views(batch);
    let positives: Vec<usize> = (0..batch).collect();
    let mut contrast = Contrast::new(&anchors, &candidates, DIM, 0.1, &positives);
    change(&mut contrast);
    bencher.bench_local(|| black_box(&contrast).value_and_gradient());
}

#[divan::bench(args = BATCHES)]
fn info_nce(bencher: Bencher, batch: usize) {
    contrast(bencher, batch, |_| ());
}

#[divan::bench(args = BATCHES)]
fn decoupled(bencher: Bencher, batch: usize) {
    contrast(bencher, batch, |contrast| contrast.coupled = false);
}

#[divan::bench(args = BATCHES)]
fn hardest_half(bencher: Bencher, batch: usize) {
    contrast(bencher, batch, |contrast| contrast.hardest = Some(0.5));
}

#[divan::bench(args = BATCHES)]
fn two_way(bencher: Bencher, batch: usize) {
    let [first, second] = views(batch);
    bencher.bench_local(|| two_way_info_nce(black_box(&first), &second, DIM, 0.1, None, true));
}

/// Ten vectors a class.
fn classes(batch: usize) -> Vec<i64> {
    (0..batch as i64).map(|i| i / 10).collect()
}

#[divan::bench(args = BATCHES)]
fn supervised(bencher: Bencher, batch: usize) {
    let ([vectors, _], labels) = (views(batch), classes(batch));
    bencher.bench_local(|| supervised_contrastive(black_box(&vectors), &labels, DIM, 0.1, None, true));
}

#[divan::bench(args = BATCHES)]
fn uniform_on_the_sphere(bencher: Bencher, batch: usize) {
    let [vectors, _] = views(batch);
    bencher.bench_local(|| uniformity(black_box(&vectors), DIM, 2.0, true));
}

#[divan::bench(args = BATCHES)]
fn repelled(bencher: Bencher, batch: usize) {
    let [queries, keys] = views(batch);
    bencher.bench_local(|| repulsion(black_box(&queries), &keys, DIM, 1.0, RepulsionCost::Euclidean, false, true));
}

#[divan::bench(args = BATCHES)]
fn negative_pairs(bencher: Bencher, batch: usize) {
    let ([vectors, _], labels) = (views(batch), classes(batch));
    bencher.bench_local(|| pair_log_sum_exp(black_box(&vectors), &labels, DIM, 16.0, Some(1.5), true));
}

#[divan::bench(args = [1000, 5000])]
fn linear_softmax(bencher: Bencher, classes: usize) {
    let (hidden, weight) = (unit_rows(256, std::f64::consts::SQRT_2), unit_rows(classes, std::f64::consts::E));
    let labels: Vec<usize> = (0..256).map(|row| row * 7 % classes).collect();
    let layer = LinearSoftmax::new(&hidden, &weight, DIM, &labels);
    bencher.bench_local(|| black_box(&layer).value_and_gradient());
}

/// 256 rows of 1000 logits: values and gradients.
fn rows(bencher: Bencher, loss: &SoftmaxLoss<f32>) {
    let (n, classes) = (256, 1000);
    let (logits, upstream) = (numbers(n * classes, std::f64::consts::SQRT_2), vec![1.0 / n as f32; n]);
    let labels: Vec<usize> = (0..n).map(|row| row * 7 % classes).collect();
    let rows = SoftmaxRows { logits: &logits, labels: &labels, classes };
    bencher
        .counter(ItemsCount::new(n * classes))
        .bench_local(|| (black_box(&rows).values(loss), black_box(&rows).gradient(loss, &upstream)));
}

#[divan::bench]
fn rows_likelihood(bencher: Bencher) {
    rows(bencher, &SoftmaxLoss::NegativeLogLikelihood);
}

#[divan::bench]
fn rows_smoothed_cross_entropy(bencher: Bencher) {
    rows(bencher, &SoftmaxLoss::CrossEntropy { label_smoothing: 0.1, class_weights: None });
}

#[divan::bench]
fn rows_brier(bencher: Bencher) {
    rows(bencher, &SoftmaxLoss::Brier);
}

#[divan::bench]
fn rows_ldr(bencher: Bencher) {
    let ldr = Ldr { lambda: &[1.0], margin: 0.1, normalization: Normalization::SoftplusMean };
    rows(bencher, &SoftmaxLoss::Ldr(ldr));
}

/// 200 scores against 20,000; the temperature decides how many pairs need an exponential.
#[divan::bench(args = [0.01, 1.0])]
fn pairs_mann_whitney(bencher: Bencher, temperature: f64) {
    let (positives, negatives) = (numbers(200, std::f64::consts::SQRT_2), numbers(20_000, std::f64::consts::E));
    bencher
        .counter(ItemsCount::new(positives.len() * negatives.len()))
        .bench_local(|| mann_whitney(black_box(&positives), &negatives, temperature, PairReduction::MeanPairs));
}

#[divan::bench]
fn pairs_squared_hinge(bencher: Bencher) {
    let (positives, negatives) = (numbers(200, std::f64::consts::SQRT_2), numbers(20_000, std::f64::consts::E));
    bencher.bench_local(|| pairwise_squared_hinge(black_box(&positives), &negatives, 1.0, PairReduction::MeanPairs));
}

/// 256 lists of 1000, the order from the teacher.
#[divan::bench]
fn lists_plackett_luce(bencher: Bencher) {
    let (rows, items) = (256, 1000);
    let [student, teacher] = [std::f64::consts::SQRT_2, std::f64::consts::E].map(|step| numbers(rows * items, step));
    let labels: Vec<usize> = (0..rows).map(|row| row * 7 % items).collect();
    bencher.counter(ItemsCount::new(rows * items)).bench_local(|| {
        let weights = RankWeights::Teacher { temperature: 1.0 };
        plackett_luce_distillation(black_box(&student), &teacher, rows, items, &labels, weights)
    });
}
