use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// `f32` or `f64`, with elementary functions that vectorise.
///
/// The functions have no branches: called in a loop inside a [`Work`](crate::simd::Work), they become vector code.
pub trait Real:
    Copy
    + Debug
    + Display
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Minus infinity: the logit of what is left out.
    const NEG_INFINITY: Self;

    /// The nearest number to `x`.
    fn of(x: f64) -> Self;

    /// As f64.
    fn f64(self) -> f64;

    /// `self * a + b`, in one rounding where `FMA` and in two where not (the one rounding is slow without the
    /// instruction).
    fn mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self;

    /// The larger of two numbers; `other` where `self` is NaN.
    fn larger(self, other: Self) -> Self;

    /// The smaller of two numbers; `other` where `self` is NaN.
    fn smaller(self, other: Self) -> Self;

    /// The absolute value.
    fn abs(self) -> Self;

    /// The square root.
    fn sqrt(self) -> Self;

    /// Whether the number is neither infinite nor NaN.
    fn is_finite(self) -> bool;

    /// `e^self`, to 2 units in the last place.
    fn exp<const FMA: bool>(self) -> Self;

    /// The natural logarithm, to 2 units in the last place; of numbers below the normal ones, minus infinity in f32.
    fn ln<const FMA: bool>(self) -> Self;

    /// `ln(1 + self)` for `self >= 0`, without cancellation near 0.
    fn ln_1p<const FMA: bool>(self) -> Self;

    /// `ln(1 + self)` for `0 <= self <= 1`, to 2 units in the last place: [`ln_1p`](Self::ln_1p) without its divisions.
    fn ln_1p_of_share<const FMA: bool>(self) -> Self;

    /// `e^self - 1` without cancellation, for `|self| <= 1`.
    fn exp_m1<const FMA: bool>(self) -> Self;

    /// An integer that is the smaller the larger the number: keys for sorting in descending order. 0 and -0 have the same;
    /// the key of plus infinity is above 0, and those of f32 are below `2^32`.
    fn descending_key(self) -> u64;
}

/// `ln(1 + e^x)` and its derivative, the logistic function of `x`.
#[inline(always)]
pub fn softplus<T: Real, const FMA: bool>(x: T) -> (T, T) {
    let e = (-x.abs()).exp::<FMA>();
    let small = e / (T::ONE + e);
    let value = x.larger(T::ZERO) + e.ln_1p_of_share::<FMA>();
    (value, if x < T::ZERO { small } else { T::ONE - small })
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f32::NEG_INFINITY;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self {
        if FMA { f32::mul_add(self, a, b) } else { self * a + b }
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline(always)]
    fn exp<const FMA: bool>(self) -> Self {
        // e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln(2)/2; e^r from its Taylor polynomial of degree 7, whose
        // remainder there is below 1e-8. Adding and subtracting 1.5 * 2^23 rounds to an integer, whose bits then stand at
        // the end of the sum's.
        const ROUND: f32 = 12582912.0;
        // ln 2 in two parts; products of the first with n are exact.
        const LN2_HIGH: f32 = 0.693359375;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // Outside, the result is 0 or infinite anyway. Both comparisons are false for NaN, which goes through.
        let x = if self < -104.0 { -104.0 } else { self };
        let x = if x > 89.0 { 89.0 } else { x };
        let shifted = Real::mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
        let n = shifted - ROUND;
        let r = Real::mul_add::<FMA>(n, -LN2_HIGH, x);
        let r = Real::mul_add::<FMA>(n, -LN2_LOW, r);
        let mut p = 1.0 / 5040.0;
        for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
            p = Real::mul_add::<FMA>(p, r, c);
        }
        let p = Real::mul_add::<FMA>(p * r, r, r) + 1.0;
        // 2^n in two factors, so that results next to 0 and infinity are right too.
        let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        let half = n >> 1;
        let power = |n: i32| f32::from_bits((n.wrapping_add(127) as u32) << 23);
        p * power(half) * power(n - half)
    }

    #[inline(always)]
    fn ln<const FMA: bool>(self) -> Self {
        // x = 2^k m with m in [sqrt(1/2), sqrt(2)); with s = (m - 1)/(m + 1), ln m = 2 (s + s^3/3 + s^5/5 + ...),
        // whose first term is rearranged so that m - 1, which is exact, comes in whole.
        const LN2_HIGH: f32 = 0.693359375;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        let bits = self.to_bits();
        let k = (bits.wrapping_sub(0x3f3504f3) as i32) >> 23;
        let m = f32::from_bits(bits.wrapping_sub((k as u32) << 23));
        let k = k as f32;
        let f = m - 1.0;
        let s = f / (2.0 + f);
        let z = s * s;
        let mut p = 2.0 / 9.0;
        for c in [2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0] {
            p = Real::mul_add::<FMA>(p, z, c);
        }
        let half_square = 0.5 * f * f;
        let tail = Real::mul_add::<FMA>(s, Real::mul_add::<FMA>(p, z, half_square), k * LN2_LOW);
        let value = Real::mul_add::<FMA>(k, LN2_HIGH, f - (half_square - tail));
        let value = if self < f32::MIN_POSITIVE { f32::NEG_INFINITY } else { value };
        let value = if self < f32::INFINITY { value } else { self };
        if self < 0.0 { f32::NAN } else { value }
    }

    #[inline(always)]
    fn ln_1p<const FMA: bool>(self) -> Self {
        let u = 1.0 + self;
        // What the sum lost is put back to first order.
        let lost = self - (u - 1.0);
        Real::ln::<FMA>(u) + lost / u
    }

    #[inline(always)]
    fn ln_1p_of_share<const FMA: bool>(self) -> Self {
        // x + x^2 q(x) with q from the polynomial of degree 10 that interpolates ln(1 + x)/x at Chebyshev's points of
        // [0, 1]; it is off by 8e-10 of the value.
        let mut q = 0.002_037_690_4;
        for c in [
            -0.013_444_831,
            0.041_557_62,
            -0.082_535_334,
            0.124_251_03,
            -0.161_086_32,
            0.198_915_38,
            -0.249_873_92,
            0.333_325_7,
            -0.499_999_82,
        ] {
            q = Real::mul_add::<FMA>(q, self, c);
        }
        Real::mul_add::<FMA>(self * self, q, self)
    }

    #[inline(always)]
    fn exp_m1<const FMA: bool>(self) -> Self {
        // The Taylor polynomial of degree 11; its remainder is below 1e-8 of the value.
        let mut p = 1.0 / 39916800.0;
        for c in [3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0, 2.0f32] {
            p = Real::mul_add::<FMA>(p, self, 1.0 / c);
        }
        Real::mul_add::<FMA>(p * self, self, self)
    }

    #[inline(always)]
    fn descending_key(self) -> u64 {
        // Adding 0 makes -0 a 0. The bits of positive numbers ascend with them, those of negative ones descend.
        let bits = (self + 0.0).to_bits();
        let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        u64::from(!ascending)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const NEG_INFINITY: Self = f64::NEG_INFINITY;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn mul_add<const FMA: bool>(self, a: Self, b: Self) -> Self {
        if FMA { f64::mul_add(self, a, b) } else { self * a + b }
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    #[inline(always)]
    fn exp<const FMA: bool>(self) -> Self {
        f64::exp(self)
    }

    #[inline(always)]
    fn ln<const FMA: bool>(self) -> Self {
        f64::ln(self)
    }

    #[inline(always)]
    fn ln_1p<const FMA: bool>(self) -> Self {
        f64::ln_1p(self)
    }

    #[inline(always)]
    fn ln_1p_of_share<const FMA: bool>(self) -> Self {
        f64::ln_1p(self)
    }

    #[inline(always)]
    fn exp_m1<const FMA: bool>(self) -> Self {
        f64::exp_m1(self)
    }

    #[inline(always)]
    fn descending_key(self) -> u64 {
        // Adding 0 makes -0 a 0. The bits of positive numbers ascend with them, those of negative ones descend.
        let bits = (self + 0.0).to_bits();
        let ascending = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        !ascending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, Work, run_at};

    struct Map<'a, F>(&'a [f32], F);

    impl<F: Fn(f32, bool) -> f32> Work for Map<'_, F> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<const FMA: bool>(self) -> Vec<f32> {
            self.0.iter().map(|&x| (self.1)(x, FMA)).collect()
        }
    }

    /// The largest error in units in the last place of the true value.
    fn worst(xs: &[f32], found: impl Fn(f32, bool) -> f32, truth: impl Fn(f64) -> f64) -> f64 {
        let mut worst = 0.0f64;
        for level in [Level::Scalar, Level::Avx2, Level::Avx512] {
            for (x, y) in xs.iter().zip(run_at(level, Map(xs, &found))) {
                let exact = truth(f64::from(*x));
                let power_of_two = f32::from_bits((exact as f32).abs().max(f32::MIN_POSITIVE).to_bits() & 0x7f80_0000);
                let unit = f64::from(power_of_two) * f64::from(f32::EPSILON);
                worst = worst.max((f64::from(y) - exact).abs() / unit);
            }
        }
        worst
    }

    #[inline(always)]
    fn pick(x: f32, fma: bool, with: fn(f32) -> f32, without: fn(f32) -> f32) -> f32 {
        if fma { with(x) } else { without(x) }
    }

    #[test]
    fn exp_and_ln_are_right_to_two_units() {
        let line: Vec<f32> = (0..2_000_000).map(|i| -103.0 + 191.7 * i as f32 / 2e6).collect();
        let exp = worst(&line, |x, fma| pick(x, fma, Real::exp::<true>, Real::exp::<false>), f64::exp);
        assert!(exp < 2.0, "exp: {exp} units");
        let positive: Vec<f32> = (0x0080_0000..0x7f80_0000u32).step_by(997).map(f32::from_bits).collect();
        let ln = worst(&positive, |x, fma| pick(x, fma, Real::ln::<true>, Real::ln::<false>), f64::ln);
        assert!(ln < 2.0, "ln: {ln} units");
        let ln_1p = worst(&positive, |x, fma| pick(x, fma, Real::ln_1p::<true>, Real::ln_1p::<false>), f64::ln_1p);
        assert!(ln_1p < 2.0, "ln_1p: {ln_1p} units");
        let shares: Vec<f32> = (0..=1_000_000).map(|i| i as f32 / 1e6).chain([1e-30, 1e-10]).collect();
        let of_share = |x, fma| pick(x, fma, Real::ln_1p_of_share::<true>, Real::ln_1p_of_share::<false>);
        let ln_1p_of_share = worst(&shares, of_share, f64::ln_1p);
        assert!(ln_1p_of_share < 2.0, "ln_1p_of_share: {ln_1p_of_share} units");
        let near: Vec<f32> = (-1000..=1000).map(|i| i as f32 / 1000.0).collect();
        let exp_m1 = worst(&near, |x, fma| pick(x, fma, Real::exp_m1::<true>, Real::exp_m1::<false>), f64::exp_m1);
        assert!(exp_m1 < 2.0, "exp_m1: {exp_m1} units");
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(Real::exp::<false>(0.0f32), 1.0);
        assert_eq!(Real::exp::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(Real::exp::<false>(f32::INFINITY), f32::INFINITY);
        assert!(Real::exp::<false>(f32::NAN).is_nan());
        assert_eq!(Real::ln::<false>(1.0f32), 0.0);
        assert_eq!(Real::ln::<false>(0.0f32), f32::NEG_INFINITY);
        assert_eq!(Real::ln::<false>(f32::INFINITY), f32::INFINITY);
        assert!(Real::ln::<false>(f32::NAN).is_nan() && Real::ln::<false>(-1.0f32).is_nan());
        for x in [-1e4f32, -20.0, -0.0, 0.0, 20.0, 1e4] {
            let (value, slope) = softplus::<f32, false>(x);
            let exact = f64::from(x).max(0.0) + (-f64::from(x).abs()).exp().ln_1p();
            assert!((f64::from(value) - exact).abs() <= 1e-6 * exact.abs(), "{x}: {value} {exact}");
            assert!((0.0..=1.0).contains(&slope));
        }
    }
}
