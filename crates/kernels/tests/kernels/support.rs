//! Plain loops and comparisons for the tests of kernels.

use proptest::test_runner::TestCaseError;

/// Numbers in (-1, 1) from a seed, `rows x dim`.
pub fn vectors(rows: usize, dim: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
    (0..rows * dim)
        .map(|_| {
            // A step of splitmix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// Vectors of length 1.
pub fn unit_rows(rows: usize, dim: usize, seed: u64) -> Vec<f64> {
    let mut x = vectors(rows, dim, seed);
    for row in x.chunks_mut(dim) {
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-9);
        for x in row {
            *x /= length;
        }
    }
    x
}

pub fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&x| x as f32).collect()
}

/// `x y^T`.
pub fn products(x: &[f64], y: &[f64], dim: usize) -> Vec<f64> {
    x.chunks(dim).flat_map(|x| y.chunks(dim).map(move |y| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>())).collect()
}

pub fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

pub fn log_sum_exp(x: &[f64]) -> f64 {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        largest
    } else {
        largest + x.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
    }
}

fn fail(message: String) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(message))
}

/// Whether an error is within its bound; NaN is not.
fn within(error: f64, bound: f64) -> bool {
    error.abs() <= bound
}

/// Every number to `bound`, relative to the larger of 1 and the number.
pub fn close(found: &[f64], expected: &[f64], bound: f64) -> Result<(), TestCaseError> {
    if found.len() != expected.len() {
        return fail(format!("{} numbers, expected {}", found.len(), expected.len()));
    }
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        if !within(found - expected, bound * expected.abs().max(1.0)) {
            return fail(format!("{found} at {at}, expected {expected}"));
        }
    }
    Ok(())
}

/// Every number to `bound`, relative to the largest expected number or `floor`, the size of the terms that cancel in it.
pub fn close_f32(found: &[f32], expected: &[f64], bound: f64, floor: f64) -> Result<(), TestCaseError> {
    let size = expected.iter().fold(floor, |size, x| size.max(x.abs()));
    for (at, (&found, expected)) in found.iter().zip(expected).enumerate() {
        if !within(f64::from(found) - expected, bound * size) {
            return fail(format!("{found} at {at}, expected {expected} (largest {size})"));
        }
    }
    Ok(())
}

/// The derivative of `value` along a random direction, by central differences at `step` and from the gradients.
pub fn directional(
    inputs: &[&[f64]],
    gradients: &[&[f64]],
    step: f64,
    seed: u64,
    value: impl Fn(&[Vec<f64>]) -> f64,
) -> Result<(), TestCaseError> {
    let count: usize = inputs.iter().map(|x| x.len()).sum();
    // A direction of length about 1, so that scores move by about the step.
    let size = 1.0 / (count as f64).sqrt();
    let direction: Vec<Vec<f64>> = inputs
        .iter()
        .enumerate()
        .map(|(k, x)| vectors(x.len(), 1, seed ^ (100 + k as u64)).into_iter().map(|v| v * size).collect())
        .collect();
    let h = 1e-4 * step;
    let at = |h: f64| {
        let moved: Vec<Vec<f64>> =
            inputs.iter().zip(&direction).map(|(x, d)| x.iter().zip(d).map(|(x, d)| x + h * d).collect()).collect();
        value(&moved)
    };
    // Fourth order in h: the third derivative of a loss at a small temperature is large.
    let numeric = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
    let exact: f64 = gradients.iter().zip(&direction).flat_map(|(g, d)| g.iter().zip(d)).map(|(g, d)| g * d).sum();
    if !within(numeric - exact, 1e-6 * (1.0 + exact.abs() / step.min(1.0))) {
        return fail(format!("derivative {exact}, by differences {numeric}"));
    }
    Ok(())
}
