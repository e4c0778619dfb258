use crate::Real;
use crate::simd::{self, LANES, Level, Work};

/// Largest difference of scores within a row for which sums of their exponentials are taken beside the largest one. The
/// smallest exponential, and its inverse times the sum over any row, are then far from the ends of f32.
const RANGE: f64 = 64.0;
/// Largest weight for which the same holds.
const LARGEST_WEIGHT: f64 = 1e6;
/// Numbers whose sum is taken in the precision of the scores, before f64.
const BLOCK: usize = 64 * LANES;

/// The loss of one row, with the memory it needs.
pub(super) struct Row<T> {
    /// `exp(s - max)` by rank.
    e: Vec<T>,
    /// The sum of `e` over the ranks after each.
    after: Vec<T>,
    /// Weights by rank, then `a_k / sum_{l >= k} e_l`.
    share: Vec<T>,
    /// `a_k sum_{l > k} e_l / sum_{l >= k} e_l` by rank.
    pull: Vec<T>,
    /// `S_k` by rank, where the range of the scores is large.
    log_sums: Vec<f64>,
}

impl<T: Real> Row<T> {
    pub fn new(items: usize) -> Self {
        // Where the buffers are filled up, weights are 0: nothing is added there.
        let padded = items.next_multiple_of(LANES);
        Self {
            e: vec![T::ONE; padded],
            after: vec![T::ZERO; padded],
            share: vec![T::ZERO; padded],
            pull: vec![T::ZERO; padded],
            log_sums: Vec::new(),
        }
    }

    /// The loss; writes the gradient.
    pub fn evaluate(&mut self, level: Level, scores: &[T], order: &[u32], weights: &[T], gradient: &mut [T]) -> T {
        let (smallest, largest) = simd::run_at(level, Ends(scores));
        let (_, weight) = simd::run_at(level, Ends(weights));
        // Not so for NaN either.
        let near = (largest - smallest).f64() <= RANGE && weight.f64() <= LARGEST_WEIGHT;
        if near {
            self.share[..weights.len()].copy_from_slice(weights);
            simd::run_at(level, Exp { numbers: scores, shift: largest, by: T::ONE, out: gradient });
            let loss = simd::run_at(level, Near { row: self, order, gradient });
            T::of(loss)
        } else if smallest.is_finite() && largest.is_finite() {
            T::of(self.far(scores, order, weights, gradient))
        } else {
            gradient.fill(T::of(f64::NAN));
            T::of(f64::NAN)
        }
    }

    /// Any range: running log-sum-exps, in f64.
    fn far(&mut self, scores: &[T], order: &[u32], weights: &[T], gradient: &mut [T]) -> f64 {
        let score = |rank: usize| scores[order[rank] as usize].f64();
        self.log_sums.resize(order.len() + 1, f64::NEG_INFINITY);
        self.log_sums[order.len()] = f64::NEG_INFINITY;
        let mut loss = 0.0;
        for rank in (0..order.len()).rev() {
            // S_k - s_k = softplus(S_{k+1} - s_k)
            let step = softplus(self.log_sums[rank + 1] - score(rank));
            self.log_sums[rank] = score(rank) + step;
            loss += weights[rank].f64() * step;
        }
        // ln sum_k a_k / exp(S_k) over the ranks before.
        let mut before = f64::NEG_INFINITY;
        for rank in 0..order.len() {
            let weight = weights[rank].f64();
            let later = weight * (self.log_sums[rank + 1] - self.log_sums[rank]).exp();
            gradient[order[rank] as usize] = T::of((score(rank) + before).exp() - later);
            if weight > 0.0 {
                let next = weight.ln() - self.log_sums[rank];
                before = next + softplus(before - next);
            }
        }
        loss
    }
}

/// `ln(1 + e^x)`; 0 for minus infinity.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// A range of scores that exponentials can hold: `gradient` comes with `exp(s - max)` of every item.
struct Near<'a, T> {
    row: &'a mut Row<T>,
    order: &'a [u32],
    gradient: &'a mut [T],
}

impl<T: Real> Work for Near<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let Row { e, after, share, pull, .. } = self.row;
        let mut sum = 0.0;
        for (rank, &item) in self.order.iter().enumerate().rev() {
            let number = self.gradient[item as usize];
            e[rank] = number;
            after[rank] = T::of(sum);
            sum += number.f64();
        }
        let mut loss = 0.0;
        let blocks = e.chunks(BLOCK).zip(after.chunks(BLOCK));
        for ((e, after), (share, pull)) in blocks.zip(share.chunks_mut(BLOCK).zip(pull.chunks_mut(BLOCK))) {
            let mut sums = [T::ZERO; LANES];
            let numbers = e.chunks_exact(LANES).zip(after.chunks_exact(LANES));
            for ((e, after), (share, pull)) in
                numbers.zip(share.chunks_exact_mut(LANES).zip(pull.chunks_exact_mut(LANES)))
            {
                for l in 0..LANES {
                    // S_k - s_k = ln(1 + sum after / e): no difference of near numbers.
                    sums[l] += share[l] * (after[l] / e[l]).ln_1p::<FMA>();
                    share[l] = share[l] / (e[l] + after[l]);
                    pull[l] = share[l] * after[l];
                }
            }
            loss += sums.into_iter().map(T::f64).sum::<f64>();
        }
        let mut before = 0.0;
        for (rank, &item) in self.order.iter().enumerate() {
            self.gradient[item as usize] = T::of(e[rank].f64() * before) - pull[rank];
            before += share[rank].f64();
        }
        loss
    }
}

/// The weights `softmax(logits / temperature)` of the items of an order.
pub(super) fn softmax_in_order<T: Real>(
    level: Level,
    logits: &[T],
    temperature: f64,
    order: &[u32],
    weights: &mut [T],
) {
    let (_, largest) = simd::run_at(level, Ends(logits));
    let mut e = vec![T::ZERO; logits.len()];
    let total = simd::run_at(level, Exp { numbers: logits, shift: largest, by: T::of(1.0 / temperature), out: &mut e });
    let by = T::of(1.0 / total);
    weights.iter_mut().zip(order).for_each(|(weight, &item)| *weight = e[item as usize] * by);
}

/// The smallest and the largest number; NaN where one is NaN.
struct Ends<'a, T>(&'a [T]);

impl<T: Real> Work for Ends<'_, T> {
    type Output = (T, T);

    #[inline(always)]
    fn run<const FMA: bool>(self) -> (T, T) {
        let first = self.0[0];
        let (mut low, mut high) = ([first; LANES], [first; LANES]);
        // The sum is NaN where a number is; comparisons alone would pass over it.
        let mut sums = [T::ZERO; LANES];
        let chunks = self.0.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for l in 0..LANES {
                low[l] = chunk[l].smaller(low[l]);
                high[l] = chunk[l].larger(high[l]);
                sums[l] += chunk[l] * T::ZERO;
            }
        }
        for l in 0..rest.len() {
            low[l] = rest[l].smaller(low[l]);
            high[l] = rest[l].larger(high[l]);
            sums[l] += rest[l] * T::ZERO;
        }
        // 0, or NaN where a number is infinite or NaN.
        let taint = sums.into_iter().fold(T::ZERO, |a, b| a + b);
        let low = low.into_iter().fold(first, T::smaller);
        let high = high.into_iter().fold(first, T::larger);
        (low + taint, high)
    }
}

/// `exp((x - shift) by)`, and the sum of them.
struct Exp<'a, T> {
    numbers: &'a [T],
    shift: T,
    by: T,
    out: &'a mut [T],
}

impl<T: Real> Work for Exp<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut total = 0.0;
        for (numbers, out) in self.numbers.chunks(BLOCK).zip(self.out.chunks_mut(BLOCK)) {
            let mut sums = [T::ZERO; LANES];
            let chunks = numbers.chunks_exact(LANES);
            let rest = chunks.remainder();
            let mut outs = out.chunks_exact_mut(LANES);
            for (numbers, out) in chunks.zip(&mut outs) {
                for l in 0..LANES {
                    out[l] = ((numbers[l] - self.shift) * self.by).exp::<FMA>();
                    sums[l] += out[l];
                }
            }
            for (l, (&number, out)) in rest.iter().zip(outs.into_remainder()).enumerate() {
                *out = ((number - self.shift) * self.by).exp::<FMA>();
                sums[l] += *out;
            }
            total += sums.into_iter().map(T::f64).sum::<f64>();
        }
        total
    }
}
