//! Inputs from a formula, so that `bench/kernels/pytorch.py` makes the same ones and the two losses can be compared.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// The device of the inputs: the CPU, with autodiff.
pub(super) fn device() -> Device {
    Device::flex().autodiff()
}

/// Number `index` of stream `stream`: the output function of SplitMix64 (Steele, Lea, Flood 2014) over a counter.
fn word(stream: u64, index: usize) -> u64 {
    let z = ((stream << 40) + index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `count` numbers, uniform in `[-scale, scale)`.
pub(super) fn uniform(stream: u64, count: usize, scale: f32) -> Vec<f32> {
    // 24 bits fit f32 exactly.
    let number = |index| ((word(stream, index) >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * scale;
    (0..count).map(number).collect()
}

/// A matrix of uniform numbers.
pub(super) fn matrix(stream: u64, rows: usize, columns: usize, scale: f32) -> Tensor<2> {
    Tensor::from_data(TensorData::new(uniform(stream, rows * columns, scale), [rows, columns]), &device())
}

/// A vector of uniform numbers.
pub(super) fn vector(stream: u64, count: usize, scale: f32) -> Tensor<1> {
    Tensor::from_data(TensorData::new(uniform(stream, count, scale), [count]), &device())
}

/// A pair of matrices of unit rows, the second near the first: embeddings of two views.
pub(super) fn views(pairs: usize, dim: usize) -> [Tensor<2>; 2] {
    let first = matrix(0, pairs, dim, 1.0);
    let second = first.clone() + matrix(1, pairs, dim, 1.0);
    [first, second].map(|rows| {
        let length = rows.clone().square().sum_dim(1).sqrt();
        rows / length
    })
}

/// A label below `classes` for each of `count` examples.
pub(super) fn labels(stream: u64, count: usize, classes: usize) -> Tensor<1, Int> {
    let labels: Vec<i64> = (0..count).map(|index| (word(stream, index) % classes as u64) as i64).collect();
    Tensor::from_data(TensorData::new(labels, [count]), &device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_are_those_of_splitmix64() {
        // Seed 0 of the reference implementation, https://prng.di.unimi.it/splitmix64.c.
        let words = [0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f];
        assert_eq!([0, 1, 2].map(|index| word(0, index)), words);
    }

    #[test]
    fn numbers_are_in_range_and_centred() {
        let numbers = uniform(3, 10_000, 2.0);
        assert!(numbers.iter().all(|x| (-2.0..2.0).contains(x)));
        // Five standard errors of the mean of 10,000 numbers uniform over 4.
        assert!((numbers.iter().sum::<f32>() / 1e4).abs() < 5.0 * 2.0 / 3.0f32.sqrt() / 100.0);
    }
}
