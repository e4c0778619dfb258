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

    /// The loss of row `index`. `scratch` has room for two rows.
    #[inline(always)]
    pub(crate) fn value<const FMA: bool>(&self, index: usize, logits: &[T], label: usize, scratch: &mut [T]) -> T {
        let f = &mut scratch[..logits.len()];
        let row = self.scores::<FMA, false>(index, logits, label, f, &mut []);
        let classes = T::of(logits.len() as f64);
        // The label's own d is 0 and not in the sums.
        if row.top < T::of(0.5) && row.z::<FMA>(smallest(f)) > T::of(-0.5) {
            // For a large temperature the plain form subtracts two nearly equal logarithms; around the mean nothing cancels.
            let center = others_sum(f, label, |f| row.z::<FMA>(f)) / classes;
            let rest = others_sum(f, label, |f| (row.z::<FMA>(f) - center).exp_m1::<FMA>());
            let rest = rest + (-center).exp_m1::<FMA>();
            return row.lambda * (center + T::of((rest / classes).f64().ln_1p()));
        }
        let others = others_sum(f, label, |f| (row.z::<FMA>(f) - row.top).exp::<FMA>());
        let total = others + (-row.top).exp::<FMA>();
        row.lambda * (row.top + (total / classes).ln::<FMA>())
    }

    /// `upstream` times the gradient of row `index`, into `out`. `scratch` has room for two rows.
    #[inline(always)]
    pub(crate) fn gradient<const FMA: bool>(
        &self,
        index: usize,
        logits: &[T],
        label: usize,
        upstream: T,
        scratch: &mut [T],
        out: &mut [T],
    ) {
        let (f, e) = scratch.split_at_mut(logits.len());
        let row = self.scores::<FMA, true>(index, logits, label, f, out);
        // e_k = exp(z_k - top), 0 for the label.
        for (f, e) in f.chunks(LANES).zip(e.chunks_mut(LANES)) {
            for (&f, e) in f.iter().zip(e) {
                *e = (row.z::<FMA>(f) - row.top).exp::<FMA>();
            }
        }
        e[label] = T::ZERO;
        let (mut others, mut along) = ([T::ZERO; LANES], [T::ZERO; LANES]);
        for (f, e) in f.chunks(LANES).zip(e.chunks(LANES)) {
            for (((&f, &e), sum), along) in f.iter().zip(e).zip(&mut others).zip(&mut along) {
                *sum += e;
                *along += e * (f - row.own);
            }
        }
        let (others, along): (T, T) = (others.into_iter().sum(), along.into_iter().sum());
        // a = p - e_y is the gradient by the normalised scores; what of it lies along them, the normalisation takes away.
        let scale = row.by * upstream / (others + (-row.top).exp::<FMA>());
        e[label] = -others;
        if self.normalization == Normalization::None {
            for (out, &e) in out.iter_mut().zip(&*e) {
                *out = scale * e;
            }
            return;
        }
        let mean = along * row.by / T::of(logits.len() as f64);
        let slopes_are_signs = self.normalization == Normalization::L1Mean;
        for (out, &e) in out.iter_mut().zip(&*e) {
            let slope = *out;
            *out = scale * if slopes_are_signs { e - slope * mean } else { slope * (e - mean) };
        }
    }

    /// The positive multiple of the scores that is cheapest, into `f`; its slope by the logit into `slopes`, where
    /// `SLOPES`.
    #[inline(always)]
    fn scores<const FMA: bool, const SLOPES: bool>(
        &self,
        index: usize,
        logits: &[T],
        label: usize,
        f: &mut [T],
        slopes: &mut [T],
    ) -> Row<T> {
        let total = match self.normalization {
            Normalization::None => map_row::<T, false>(logits, f, &mut [], |g| (g, T::ONE)),
            Normalization::L1Mean => map_row::<T, SLOPES>(logits, f, slopes, |g| {
                let sign = if g > T::ZERO { T::ONE } else { -T::ONE };
                (g, if g == T::ZERO { T::ZERO } else { sign })
            }),
            Normalization::SoftplusMean => {
                let total = map_row::<T, SLOPES>(logits, f, slopes, softplus::<T, FMA>);
                if total > T::of(1e-17) {
                    total
                } else {
                    // So low that softplus underflows: it is e^g to every digit, and a common factor changes nothing.
                    let top = largest(logits);
                    map_row::<T, SLOPES>(logits, f, slopes, |g| {
                        let e = (g - top).exp::<FMA>();
                        (e, e)
                    })
                }
            }
        };
        let by = match self.normalization {
            Normalization::None => T::ONE,
            _ if total > T::ZERO => T::of(logits.len() as f64) / total,
            _ => T::ZERO,
        };
        let lambda = if self.lambda.len() == 1 { self.lambda[0] } else { self.lambda[index] };
        let row = Row { lambda, by, own: f[label], steep: by / lambda, margin: self.margin / lambda, top: T::ZERO };
        let largest = largest(&f[..label]).larger(largest(&f[label + 1..]));
        Row { top: row.z::<FMA>(largest).larger(T::ZERO), ..row }
    }
}

/// A row of scores `by f`.
struct Row<T> {
    lambda: T,
    by: T,
    /// The label's `f`.
    own: T,
    /// `by / lambda`.
    steep: T,
    /// `margin / lambda`.
    margin: T,
    /// The largest `z`, the label's 0 among them.
    top: T,
}

impl<T: Real> Row<T> {
    /// `d_k / lambda` of another class than the label.
    #[inline(always)]
    fn z<const FMA: bool>(&self, f: T) -> T {
        (f - self.own).mul_add::<FMA>(self.steep, self.margin)
    }
}

/// `(f, slope) = of(logit)` for every class, the slopes only where `SLOPES`; gives the sum of `|f|`.
#[inline(always)]
fn map_row<T: Real, const SLOPES: bool>(
    logits: &[T],
    f: &mut [T],
    slopes: &mut [T],
    of: impl Fn(T) -> (T, T) + Copy,
) -> T {
    let mut sums = [T::ZERO; LANES];
    let (blocks, rest) = logits.as_chunks::<LANES>();
    let (f_blocks, f_rest) = f.as_chunks_mut::<LANES>();
    if SLOPES {
        let (slope_blocks, slope_rest) = slopes.as_chunks_mut::<LANES>();
        for ((logits, f), slopes) in blocks.iter().zip(f_blocks).zip(slope_blocks) {
            for (((&g, f), slope), sum) in logits.iter().zip(f).zip(slopes).zip(&mut sums) {
                (*f, *slope) = of(g);
                *sum += f.abs();
            }
        }
        for (((&g, f), slope), sum) in rest.iter().zip(f_rest).zip(slope_rest).zip(&mut sums) {
            (*f, *slope) = of(g);
            *sum += f.abs();
        }
    } else {
        for (logits, f) in blocks.iter().zip(f_blocks) {
            for ((&g, f), sum) in logits.iter().zip(f).zip(&mut sums) {
                *f = of(g).0;
                *sum += f.abs();
            }
        }
        for ((&g, f), sum) in rest.iter().zip(f_rest).zip(&mut sums) {
            *f = of(g).0;
            *sum += f.abs();
        }
    }
    sums.into_iter().sum()
}

/// `sum f(x)` over the other classes than the label.
#[inline(always)]
fn others_sum<T: Real>(x: &[T], label: usize, f: impl Fn(T) -> T) -> T {
    let mut sums = [T::ZERO; LANES];
    for part in [&x[..label], &x[label + 1..]] {
        for block in part.chunks(LANES) {
            for (&x, sum) in block.iter().zip(&mut sums) {
                *sum += f(x);
            }
        }
    }
    sums.into_iter().sum()
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
