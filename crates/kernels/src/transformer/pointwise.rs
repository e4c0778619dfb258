use super::LayerNorm;
use crate::Real;
use crate::simd::{LANES, Work};

/// `erf(x)` to 4e-7, a few units in the last place of 1: `x P(x^2) / Q(x^2)`, and 1 from where the function is that.
///
/// The coefficients are our own fit, weighted least squares driven towards the smallest largest error of `erf` on
/// `[0, 3.95]`, which is 1.8e-8; the rest is rounding.
#[inline(always)]
pub(super) fn erf<const FMA: bool>(x: f32) -> f32 {
    const END: f32 = 3.95;
    const ABOVE: [f32; 6] = [
        2.011750893871067e-6,
        2.8760035638697445e-4,
        3.917290363460779e-3,
        5.3206972777843475e-2,
        0.19403499364852905,
        1.128378987312317,
    ];
    const BELOW: [f32; 6] = [
        3.783978536375798e-5,
        1.1981949210166931e-3,
        1.527064573019743e-2,
        0.11559046804904938,
        0.5052905082702637,
        1.0,
    ];
    let square = x * x;
    let polynomial = |coefficients: [f32; 6]| {
        let mut sum = coefficients[0];
        for &coefficient in &coefficients[1..] {
            sum = Real::mul_add::<FMA>(sum, square, coefficient);
        }
        sum
    };
    let ratio = (x * polynomial(ABOVE) / polynomial(BELOW)).smaller(1.0).larger(-1.0);
    let outside = if x > 0.0 { 1.0 } else { -1.0 };
    if x.abs() < END { ratio } else { outside }
}

/// `gelu(x + bias)`, row by row in place.
pub(super) struct Gelu<'a> {
    pub x: &'a mut [f32],
    pub bias: &'a [f32],
}

impl Work for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for row in self.x.chunks_exact_mut(self.bias.len().max(1)) {
            for (x, bias) in row.iter_mut().zip(self.bias) {
                let z = *x + bias;
                *x = 0.5 * z * (1.0 + erf::<FMA>(z * std::f32::consts::FRAC_1_SQRT_2));
            }
        }
    }
}

/// A layer normalisation of rows, in place.
pub(super) struct Normed<'a> {
    pub rows: &'a mut [f32],
    pub norm: &'a LayerNorm,
    pub epsilon: f32,
}

impl Work for Normed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for row in self.rows.chunks_exact_mut(self.norm.scale.len().max(1)) {
            normalise::<FMA>(row, self.norm, self.epsilon);
        }
    }
}

/// `x = LN(x + added + bias)`, row by row in place.
pub(super) struct AddNormed<'a> {
    pub x: &'a mut [f32],
    pub added: &'a [f32],
    pub bias: &'a [f32],
    pub norm: &'a LayerNorm,
    pub epsilon: f32,
}

impl Work for AddNormed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let size = self.bias.len();
        for (row, added) in self.x.chunks_exact_mut(size).zip(self.added.chunks_exact(size)) {
            for ((x, added), bias) in row.iter_mut().zip(added).zip(self.bias) {
                *x += added + bias;
            }
            normalise::<FMA>(row, self.norm, self.epsilon);
        }
    }
}

#[inline(always)]
fn normalise<const FMA: bool>(row: &mut [f32], norm: &LayerNorm, epsilon: f32) {
    let size = row.len() as f32;
    let mean = sum(row, |x| x) / size;
    let variance = sum(row, |x| (x - mean) * (x - mean)) / size;
    let factor = 1.0 / (variance + epsilon).sqrt();
    for ((x, &scale), &shift) in row.iter_mut().zip(&norm.scale).zip(&norm.shift) {
        *x = Real::mul_add::<FMA>((*x - mean) * factor, scale, shift);
    }
}

/// The sum of `f` over a row, in [`LANES`] parts.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f(x);
        }
    }
    sums.into_iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
}
