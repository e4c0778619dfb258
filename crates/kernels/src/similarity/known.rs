use super::row::RowFunction;
use crate::Real;

/// A second pass, when everything the derivative needs is known: `g_ij = u_i exp(s_ij - a_i) + v_j exp(s_ij - b_j)`.
///
/// Where a normaliser is minus infinity, nothing is in its sum and its scores are minus infinity; 0 stands for it.
pub(crate) struct Joint<'a, T> {
    /// Normaliser and slope of every row, `(a_i, u_i)`.
    pub rows: &'a [(T, T)],
    /// Normaliser and slope of every column, `(b_j, v_j)`; empty without the second term.
    pub columns: &'a [(T, T)],
    /// Whether a row's own column (`j = i`) is left out.
    pub without_own: bool,
}

impl<T: Real> RowFunction<T> for Joint<'_, T> {
    type Piece = ();
    type Whole = ();

    fn excluded(&self, row: usize) -> [usize; 2] {
        [if self.without_own { row } else { usize::MAX }, usize::MAX]
    }

    #[inline(always)]
    fn summarise<const FMA: bool>(&self, _row: usize, _first: usize, _scores: &mut [T]) {}

    fn finish(&self, _row: usize, _pieces: &[()]) -> (T, ()) {
        (T::ZERO, ())
    }

    #[inline(always)]
    fn gradient<const FMA: bool>(&self, row: usize, first: usize, scores: &mut [T], _piece: (), _whole: ()) {
        let (a, u) = self.rows[row];
        if self.columns.is_empty() {
            for score in scores {
                *score = u * (*score - a).exp::<FMA>();
            }
            return;
        }
        for (score, &(b, v)) in scores.iter_mut().zip(&self.columns[first..]) {
            *score = u * (*score - a).exp::<FMA>() + v * (*score - b).exp::<FMA>();
        }
    }
}

/// 0 for minus infinity, see [`Joint`].
pub(crate) fn finite<T: Real>(normaliser: T) -> T {
    if normaliser == T::NEG_INFINITY { T::ZERO } else { normaliser }
}
