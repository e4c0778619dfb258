use crate::Real;
use crate::simd::LANES;

/// What an objective does with the scores of one row.
///
/// Methods are called on pieces of a row, a piece for every column block, from [`Work::run`](crate::simd::Work::run):
/// they must be `#[inline(always)]`.
pub(crate) trait RowFunction<T: Real>: Sync {
    /// Summary of a piece.
    type Piece: Copy + Send + Sync + Default;
    /// What is known of a whole row once all pieces are summarised.
    type Whole: Copy + Send + Sync + Default;

    /// Columns that do not take part in row `i` (their scores become minus infinity); `usize::MAX` names none.
    fn excluded(&self, _row: usize) -> [usize; 2] {
        [usize::MAX; 2]
    }

    /// How many of the row's `candidates` columns stay, the largest scores (and all equal to the smallest of them).
    /// `None` keeps all.
    fn keep(&self, _candidates: usize) -> Option<usize> {
        None
    }

    /// Summarises a piece of row `row` that starts at column `first`; may overwrite the scores with what
    /// [`gradient`](Self::gradient) wants to find.
    fn summarise<const FMA: bool>(&self, row: usize, first: usize, scores: &mut [T]) -> Self::Piece;

    /// The row's value, and what its gradient needs.
    fn finish(&self, row: usize, pieces: &[Self::Piece]) -> (T, Self::Whole);

    /// Overwrites a piece with the derivative by its scores.
    fn gradient<const FMA: bool>(
        &self,
        row: usize,
        first: usize,
        scores: &mut [T],
        piece: Self::Piece,
        whole: Self::Whole,
    );
}

/// The largest number of a slice and `sum exp(x - largest)`, with the exponentials left in place of the numbers.
#[inline(always)]
pub(crate) fn exponentials<T: Real, const FMA: bool>(scores: &mut [T]) -> (T, T) {
    let largest = largest(scores);
    if largest == T::NEG_INFINITY {
        scores.fill(T::ZERO);
        return (largest, T::ZERO);
    }
    let mut sums = [T::ZERO; LANES];
    let (blocks, rest) = scores.as_chunks_mut::<LANES>();
    for block in blocks {
        for (score, sum) in block.iter_mut().zip(&mut sums) {
            *score = (*score - largest).exp::<FMA>();
            *sum += *score;
        }
    }
    for (score, sum) in rest.iter_mut().zip(&mut sums) {
        *score = (*score - largest).exp::<FMA>();
        *sum += *score;
    }
    (largest, sums.into_iter().sum())
}

#[inline(always)]
pub(crate) fn largest<T: Real>(scores: &[T]) -> T {
    let mut lanes = [T::NEG_INFINITY; LANES];
    let (blocks, rest) = scores.as_chunks::<LANES>();
    for block in blocks {
        for (&score, lane) in block.iter().zip(&mut lanes) {
            *lane = score.larger(*lane);
        }
    }
    for (&score, lane) in rest.iter().zip(&mut lanes) {
        *lane = score.larger(*lane);
    }
    lanes.into_iter().fold(T::NEG_INFINITY, Real::larger)
}

/// What a row's log-sum-exp becomes in the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms<T> {
    /// The row's value.
    pub value: T,
    /// Derivative of the weighted loss by the log-sum-exp.
    pub slope: T,
    /// Derivative of the weighted loss by the positive score, which is not among the columns.
    pub positive: T,
}

/// `value_i = f(i, log sum_j exp(s_ij))`: the whole softmax family. `f` also gives the slopes.
pub(crate) struct Softmax<E, F> {
    /// The columns left out of each row's sum.
    pub excluded: E,
    /// How many of a row's largest scores count; `None` for all.
    pub keep: Option<f64>,
    /// From row and log-sum-exp (minus infinity where nothing is left) to the terms.
    pub terms: F,
}

/// Largest score and sum of exponentials of a piece.
pub(crate) type Sums<T> = (T, T);

/// `log sum exp` over all pieces of a row.
pub(crate) fn merge<T: Real>(pieces: impl Iterator<Item = Sums<T>> + Clone) -> T {
    let largest = pieces.clone().map(|(largest, _)| largest).fold(T::NEG_INFINITY, Real::larger);
    if largest == T::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = pieces.map(|(own, sum)| (own - largest).exp::<false>().f64() * sum.f64()).sum();
    T::of(largest.f64() + sum.ln())
}

impl<T, E, F> RowFunction<T> for Softmax<E, F>
where
    T: Real,
    E: Fn(usize) -> [usize; 2] + Sync,
    F: Fn(usize, T) -> Terms<T> + Sync,
{
    type Piece = Sums<T>;
    /// Log-sum-exp, slope, derivative by the positive.
    type Whole = (T, T, T);

    fn excluded(&self, row: usize) -> [usize; 2] {
        (self.excluded)(row)
    }

    fn keep(&self, candidates: usize) -> Option<usize> {
        // A billionth off, so that 0.1 of 30 is 3 and not 4.
        self.keep.map(|share| ((share * candidates as f64 - 1e-9).ceil() as usize).max(1))
    }

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, _row: usize, _first: usize, scores: &mut [T]) -> Sums<T> {
        exponentials::<T, FMA>(scores)
    }

    fn finish(&self, row: usize, pieces: &[Sums<T>]) -> (T, Self::Whole) {
        let sum = merge(pieces.iter().copied());
        let terms = (self.terms)(row, sum);
        (terms.value, (sum, terms.slope, terms.positive))
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(
        &self,
        _row: usize,
        _first: usize,
        scores: &mut [T],
        (largest, _): Sums<T>,
        (sum, slope, _): Self::Whole,
    ) {
        let by = if largest == T::NEG_INFINITY { T::ZERO } else { (largest - sum).exp::<FMA>() * slope };
        for score in scores {
            *score *= by;
        }
    }
}
