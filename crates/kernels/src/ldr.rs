use crate::Real;
use crate::contrastive::check_positive;
use crate::error::{KernelError, check_vector};
use crate::real::softplus;
use crate::simd::LANES;
use crate::similarity::largest;

/// How raw logits `g` become bounded scores `f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// The logits themselves.
    None,
    /// `g / mean_k |g_k|`; a row of zeros stays 0, with gradient 0.
    L1Mean,
    /// `softplus(g) / mean_k softplus(g_k)`.
    SoftplusMean,
}

/// Label-distributionally robust loss with a KL term (LDR-KL).
///
/// ```text
/// d_k    = f_k - f_y + margin 1[k != y],        f = normalised logits
/// loss_i = lambda_i log( (1/K) sum_k exp(d_k / lambda_i) )
/// ```
///
/// Source: Zhu, Ying, Yang 2023, <https://arxiv.org/abs/2112.14869>, equation 4.
#[derive(Debug, Clone, Copy)]
pub struct Ldr<'a, T> {
    /// Temperature of every row, above 0, `[n]`, or one for all.
    pub lambda: &'a [T],
    /// Margin.
    pub margin: T,
    /// How logits become scores.
    pub normalization: Normalization,
}

impl<T: Real> Ldr<'_, T> {
    pub(crate) fn check(&self, rows: usize) -> Result<(), KernelError> {
        if self.lambda.len() != 1 {
            check_vector("lambda", self.lambda, rows, "row")?;
        }
        self.lambda.iter().try_for_each(|&lambda| check_positive("lambda", lambda))
    }

    /// The loss of row `index`; with `upstream` and a place for it, the gradient too. `scratch` has room for two rows.
    #[inline(always)]
    pub(crate) fn row<const FMA: bool>(
        &self,
        index: usize,
        logits: &[T],
        label: usize,
        scratch: &mut [T],
        gradient: Option<(T, &mut [T])>,
    ) -> T {
        let classes = T::of(logits.len() as f64);
        let lambda = if self.lambda.len() == 1 { self.lambda[0] } else { self.lambda[index] };
        let (f, e) = scratch.split_at_mut(logits.len());
        let size = self.normalise::<FMA>(logits, f);

        // z = d / lambda, into e.
        let by = T::ONE / lambda;
        let offset = (self.margin - f[label]) * by;
        for (&f, z) in f.iter().zip(&mut *e) {
            *z = f.mul_add::<FMA>(by, offset);
        }
        e[label] = T::ZERO;
        let top = largest(e);
        let reach = top.larger(-smallest(e));
        let value = if reach < T::of(0.5) {
            // For a large temperature the plain form subtracts two nearly equal logarithms; around the mean nothing cancels.
            let center = sum(e, |z| z) / classes;
            lambda * (center + ln_1p_small(sum(e, |z| (z - center).exp_m1::<FMA>()) / classes))
        } else {
            let total = sum(e, |z| (z - top).exp::<FMA>());
            lambda * (top + (total / classes).ln::<FMA>())
        };
        let Some((upstream, out)) = gradient else { return value };

        // a = p - e_y by the scores, and their mean with f, which is what the normalisation takes away again.
        e[label] = T::NEG_INFINITY;
        let mut others = [T::ZERO; LANES];
        for z in e.chunks_mut(LANES) {
            for (z, sum) in z.iter_mut().zip(&mut others) {
                *z = (*z - top).exp::<FMA>();
                *sum += *z;
            }
        }
        let others: T = others.into_iter().sum();
        let scale = upstream / (others + (-top).exp::<FMA>());
        for e in &mut *e {
            *e *= scale;
        }
        e[label] = -(scale * others);
        let mut along = [T::ZERO; LANES];
        for (a, f) in e.chunks(LANES).zip(f.chunks(LANES)) {
            for ((&a, &f), along) in a.iter().zip(f).zip(&mut along) {
                *along += a * f;
            }
        }
        let mean = along.into_iter().sum::<T>() / classes;
        match self.normalization {
            Normalization::None => out.copy_from_slice(e),
            Normalization::L1Mean => {
                let by = if size > T::ZERO { T::ONE / size } else { T::ZERO };
                for ((out, &a), &g) in out.iter_mut().zip(&*e).zip(logits) {
                    let sign = if g > T::ZERO { T::ONE } else { -T::ONE };
                    let sign = if g == T::ZERO { T::ZERO } else { sign };
                    *out = by * (a - sign * mean);
                }
            }
            Normalization::SoftplusMean => {
                let shift = far_below(logits);
                let by = T::ONE / size;
                for ((out, &a), &g) in out.iter_mut().zip(&*e).zip(logits) {
                    *out = by * softplus_shifted::<T, FMA>(g, shift).1 * (a - mean);
                }
            }
        }
        value
    }

    /// Scores into `f`; gives the mean they were divided by.
    #[inline(always)]
    fn normalise<const FMA: bool>(&self, logits: &[T], f: &mut [T]) -> T {
        let classes = T::of(logits.len() as f64);
        let size = match self.normalization {
            Normalization::None => {
                f.copy_from_slice(logits);
                return T::ONE;
            }
            Normalization::L1Mean => {
                f.copy_from_slice(logits);
                sum(f, T::abs) / classes
            }
            Normalization::SoftplusMean => {
                let shift = far_below(logits);
                for (f, &g) in f.iter_mut().zip(logits) {
                    *f = softplus_shifted::<T, FMA>(g, shift).0;
                }
                sum(f, |f| f) / classes
            }
        };
        let by = if size > T::ZERO { T::ONE / size } else { T::ZERO };
        for f in f {
            *f *= by;
        }
        size
    }
}

/// The largest logit where all are so low that softplus would underflow, else 0.
#[inline(always)]
fn far_below<T: Real>(logits: &[T]) -> T {
    let top = largest(logits);
    if top < T::of(-40.0) { top } else { T::ZERO }
}

/// `softplus(g) e^-shift` and its derivative. With a shift, which is below -40, softplus(g) is e^g to every digit.
#[inline(always)]
fn softplus_shifted<T: Real, const FMA: bool>(g: T, shift: T) -> (T, T) {
    if shift == T::ZERO {
        return softplus::<T, FMA>(g);
    }
    let e = (g - shift).exp::<FMA>();
    (e, e)
}

/// `ln(1 + x)` for one `x >= -1/2`.
#[inline(always)]
fn ln_1p_small<T: Real>(x: T) -> T {
    T::of(x.f64().ln_1p())
}

#[inline(always)]
fn smallest<T: Real>(x: &[T]) -> T {
    let mut lanes = [-T::NEG_INFINITY; LANES];
    for x in x.chunks(LANES) {
        for (&x, lane) in x.iter().zip(&mut lanes) {
            *lane = x.smaller(*lane);
        }
    }
    lanes.into_iter().fold(-T::NEG_INFINITY, Real::smaller)
}

/// `sum f(x)`.
#[inline(always)]
fn sum<T: Real>(x: &[T], f: impl Fn(T) -> T) -> T {
    let mut sums = [T::ZERO; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (&x, sum) in block.iter().zip(&mut sums) {
            *sum += f(x);
        }
    }
    for (&x, sum) in rest.iter().zip(&mut sums) {
        *sum += f(x);
    }
    sums.into_iter().sum()
}
