use crate::Real;
use crate::contrastive::check_positive;
use crate::error::{KernelError, check_vector};
use crate::similarity::{Pass, RowFunction, Scores, Sums, Wanted, add_scaled, exponentials, merge};
use std::sync::Mutex;

/// What [`pair_log_sum_exp`] gives.
#[derive(Debug, Clone)]
pub struct PairSoftmax<T> {
    /// `log sum exp(s b)` over the kept pairs; minus infinity where none is left.
    pub value: T,
    /// How many pairs were kept.
    pub kept: usize,
    /// Gradient by the vectors, `[n, dim]`; empty where only the value was asked for.
    pub gradient: Vec<T>,
}

/// Log-sum-exp over a batch's negative pairs: the part that unified negative pair generation (UNPG) adds to every row of a
/// margin softmax.
///
/// ```text
/// B     = { b_ij = x_i . x_j : i < j, y_i != y_j }                     one value a pair
/// B'    = { b in B : q1 - r (q3 - q1) <= b <= q3 + r (q3 - q1) }       q1, q3: sorted B at floor(|B|/4), floor(3|B|/4)
/// value = log sum_{b in B'} exp(scale b)
/// ```
///
/// with `whisker` `r`, or all of `B` without one. The quartiles carry no gradient. Time `O(n^2 dim)`; with a whisker the
/// pairs' similarities are held once, to find the quartiles.
///
/// Source: Jung et al. 2022, <https://arxiv.org/abs/2203.11593>, section 3; quartiles by floor index as in its code.
///
/// # Errors
/// When there are not as many labels as vectors, sizes do not fit memory, the scale is not above 0, or the whisker is
/// negative.
pub fn pair_log_sum_exp<T: Real>(
    vectors: &[T],
    labels: &[i64],
    dim: usize,
    scale: T,
    whisker: Option<T>,
    gradient: bool,
) -> Result<PairSoftmax<T>, KernelError> {
    check_positive("scale", scale)?;
    let scores = Scores::new(vectors, vectors, dim, scale)?;
    check_vector("labels", labels, scores.n(), "vector")?;
    let everything = (T::NEG_INFINITY, -T::NEG_INFINITY);
    // Bounds are on scale times similarity, from the very scores they are compared with.
    let range = match whisker {
        None => everything,
        Some(r) if r >= T::ZERO && r.is_finite() => {
            let collect = Collect { labels, found: Mutex::new(Vec::new()) };
            Pass { scores, function: &collect, wanted: Wanted::Values, sums: false }.run()?;
            let mut found = collect.found.into_inner().unwrap_or_default();
            let mut at = |numerator: usize| {
                let index = found.len() * numerator / 4;
                let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
                *found.select_nth_unstable_by(index, order).1
            };
            if at_least_one(labels) {
                let (q1, q3) = (at(1), at(3));
                let reach = r * (q3 - q1);
                (q1 - reach, q3 + reach)
            } else {
                everything
            }
        }
        Some(r) => return Err(KernelError::value("whisker", r, "finite and at least 0")),
    };
    let first = Pairs { labels, range, all: None };
    let (rows, counts, _) = Pass { scores, function: &first, wanted: Wanted::Values, sums: false }.run()?;
    let value = merge(rows.into_iter().map(|row| (row, T::ONE)));
    let kept = counts.into_iter().sum();
    if !gradient {
        return Ok(PairSoftmax { value, kept, gradient: Vec::new() });
    }
    let all = if kept == 0 { T::ZERO } else { value };
    let second = Pairs { all: Some(all), ..first };
    let (_, _, mut gradients) = Pass { scores, function: &second, wanted: Wanted::Both, sums: false }.run()?;
    add_scaled(&mut gradients.rows, T::ONE, &gradients.columns);
    Ok(PairSoftmax { value, kept, gradient: gradients.rows })
}

/// Whether there is a pair with different labels.
fn at_least_one(labels: &[i64]) -> bool {
    labels.iter().any(|label| *label != labels[0])
}

/// Gathers the scores of all negative pairs, in no particular order.
struct Collect<'a, T> {
    labels: &'a [i64],
    found: Mutex<Vec<T>>,
}

impl<T: Real> RowFunction<T> for Collect<'_, T> {
    type Piece = ();
    type Whole = ();

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, row: usize, first: usize, scores: &mut [T]) {
        let pairs = (first..).zip(scores.iter()).filter(|&(j, _)| j > row && self.labels[j] != self.labels[row]);
        // A poisoned lock means that another thread has panicked; the panic goes on from there.
        if let Ok(mut found) = self.found.lock() {
            found.extend(pairs.map(|(_, &score)| score));
        }
    }

    fn finish(&self, _row: usize, _pieces: &[()]) -> (T, ()) {
        (T::ZERO, ())
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(&self, _row: usize, _first: usize, _scores: &mut [T], _piece: (), _whole: ()) {}
}

/// First the log-sum-exp of a row's kept pairs; then, with that of all rows known, the softmax.
#[derive(Clone, Copy)]
struct Pairs<'a, T> {
    labels: &'a [i64],
    range: (T, T),
    all: Option<T>,
}

impl<T: Real> RowFunction<T> for Pairs<'_, T> {
    type Piece = (Sums<T>, usize);
    /// How many pairs were kept.
    type Whole = usize;

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, row: usize, first: usize, scores: &mut [T]) -> (Sums<T>, usize) {
        let mut kept = 0;
        for ((j, score), &label) in (first..).zip(scores.iter_mut()).zip(&self.labels[first..]) {
            let inside = *score >= self.range.0 && *score <= self.range.1;
            if j > row && label != self.labels[row] && inside {
                kept += 1;
            } else {
                *score = T::NEG_INFINITY;
            }
        }
        match self.all {
            None => (exponentials::<T, FMA>(scores), kept),
            Some(_) => (Sums::default(), kept),
        }
    }

    fn finish(&self, _row: usize, pieces: &[(Sums<T>, usize)]) -> (T, usize) {
        (merge(pieces.iter().map(|piece| piece.0)), pieces.iter().map(|piece| piece.1).sum())
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(
        &self,
        _row: usize,
        _first: usize,
        scores: &mut [T],
        _piece: (Sums<T>, usize),
        _whole: usize,
    ) {
        let all = self.all.unwrap_or_default();
        for score in scores {
            *score = (*score - all).exp::<FMA>();
        }
    }
}
