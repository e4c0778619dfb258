//! Intervals, paired tests, corrections and ranks.

mod equivalence;

pub use equivalence::{PairedTest, PairedTestError, paired_test};

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Alternative of a t-test of mean 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// The mean is not 0.
    Two,
    /// The mean is above 0.
    Greater,
}

/// A t-test of mean 0, with the 95% interval of the mean (two-sided, whatever the test).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The mean.
    pub mean: f64,
    /// Lower end of its 95% interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// p-value.
    pub p: f64,
}

/// Student's t-test that the values' mean is 0 (of paired differences: the paired t-test). `None` for fewer than two.
///
/// Values that are all the same have no spread: p is then 1 for a mean of 0 and 0 for any other (one-sided: 1 below 0).
pub fn one_sample_t(values: &[f64], sides: Sides) -> Option<TTest> {
    t_test(values, 1.0 / values.len() as f64, sides)
}

/// The corrected resampled t-test (two-sided) for differences over repeated train/test splits, whose training sets
/// overlap: the variance of the mean is `(1/n + test/train) s^2` instead of `s^2 / n`. `None` for fewer than two values.
///
/// Source: Nadeau, Bengio 2003, "Inference for the Generalization Error", section 3.
pub fn corrected_resampled_t(values: &[f64], train_rows: usize, test_rows: usize) -> Option<TTest> {
    t_test(values, 1.0 / values.len() as f64 + test_rows as f64 / train_rows as f64, Sides::Two)
}

/// A t-test where the variance of the mean is `factor` times the variance of the values.
fn t_test(values: &[f64], factor: f64, sides: Sides) -> Option<TTest> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let error = (factor * variance).sqrt();
    // Differences of equal values leave rounding behind; anything below it is no spread.
    if error <= f64::EPSILON * values.iter().fold(0.0f64, |m, v| m.max(v.abs())) {
        let p = match sides {
            Sides::Two => f64::from(u8::from(mean == 0.0)),
            Sides::Greater => f64::from(u8::from(mean <= 0.0)),
        };
        return Some(TTest { mean, low: mean, high: mean, p });
    }
    let student = StudentsT::new(0.0, 1.0, (n - 1) as f64).ok()?;
    let t = mean / error;
    let p = match sides {
        Sides::Two => 2.0 * student.cdf(-t.abs()),
        Sides::Greater => student.cdf(-t),
    };
    let half = student.inverse_cdf(0.975) * error;
    Some(TTest { mean, low: mean - half, high: mean + half, p })
}

/// Holm's step-down adjustment of p-values for testing all of them at once, in the order given.
///
/// Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut largest: f64 = 0.0;
    for (position, &index) in order.iter().enumerate() {
        largest = largest.max((p.len() - position) as f64 * p[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// Ranks from 1 (best); equal values share the mean of their ranks.
pub fn ranks(values: &[f64], higher_is_better: bool) -> Vec<f64> {
    let better = |a: f64, b: f64| if higher_is_better { a > b } else { a < b };
    let rank = |value: f64| {
        let above = values.iter().filter(|&&other| better(other, value)).count();
        let equal = values.iter().filter(|&&other| other == value).count();
        above as f64 + f64::midpoint(equal as f64, 1.0)
    };
    values.iter().map(|&value| rank(value)).collect()
}

/// Spearman's rank correlation of paired values, in `[-1, 1]`: the correlation of their [`ranks`]. `None` for fewer than two
/// pairs, or where all values of one side are equal.
///
/// # Panics
/// When there are not as many values on both sides.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "{} values for {}", x.len(), y.len());
    // Ranks have the mean (n + 1)/2, ties or not.
    let center = f64::midpoint(x.len() as f64, 1.0);
    let centered = |values: &[f64]| -> Vec<f64> { ranks(values, false).into_iter().map(|r| r - center).collect() };
    let (x, y) = (centered(x), centered(y));
    let product = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let spread = product(&x, &x) * product(&y, &y);
    (spread > 0.0).then(|| product(&x, &y) / spread.sqrt())
}

/// Ranks within each block (a split, a data set), averaged over the blocks. Every block lists the same methods in the
/// same order.
pub fn average_ranks(blocks: &[Vec<f64>], higher_is_better: bool) -> Vec<f64> {
    let mut sums = vec![0.0; blocks.first().map_or(0, Vec::len)];
    for block in blocks {
        for (sum, rank) in sums.iter_mut().zip(ranks(block, higher_is_better)) {
            *sum += rank;
        }
    }
    sums.into_iter().map(|sum| sum / blocks.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIFFERENCES: [f64; 6] = [0.02, -0.01, 0.035, 0.04, 0.01, 0.015];

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9 * expected.abs().max(1e-3), "{value} against {expected}");
    }

    /// Expected values: scipy, `crates/lab/tests/reference/statistics.py`.
    #[test]
    fn t_tests_agree_with_scipy() {
        let two = one_sample_t(&DIFFERENCES, Sides::Two).unwrap();
        let one = one_sample_t(&DIFFERENCES, Sides::Greater).unwrap();
        let corrected = corrected_resampled_t(&DIFFERENCES, 960, 320).unwrap();
        for (value, expected) in
            [two.p, two.low, two.high, one.p, corrected.p, corrected.low, corrected.high].into_iter().zip(SCIPY)
        {
            close(value, expected);
        }
    }

    #[test]
    fn holm_agrees_with_statsmodels() {
        for (value, expected) in holm(&[0.01, 0.04, 0.03, 0.005, 0.5]).into_iter().zip(HOLM) {
            close(value, expected);
        }
    }

    include!("../../tests/reference/statistics.in");

    #[test]
    fn values_without_spread_are_defined() {
        let p = |values: &[f64], sides| one_sample_t(values, sides).unwrap().p;
        assert_eq!(p(&[0.0; 4], Sides::Two), 1.0);
        assert_eq!(p(&[0.1; 4], Sides::Two), 0.0);
        assert_eq!((p(&[0.1; 4], Sides::Greater), p(&[-0.1; 4], Sides::Greater)), (0.0, 1.0));
        assert!(one_sample_t(&[0.1], Sides::Two).is_none());
        assert!(corrected_resampled_t(&[], 2, 1).is_none());
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[0.9, 0.5, 0.9, 0.1], true), [1.5, 3.0, 1.5, 4.0]);
        assert_eq!(ranks(&[0.9, 0.5, 0.9, 0.1], false), [3.5, 2.0, 3.5, 1.0]);
        assert_eq!(average_ranks(&[vec![1.0, 2.0], vec![2.0, 1.0], vec![3.0, 1.0]], true), [4.0 / 3.0, 5.0 / 3.0]);
    }

    #[test]
    fn rank_correlation_sees_order_only() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(spearman(&x, &x.map(f64::exp)), Some(1.0));
        assert_eq!(spearman(&x, &x.map(|v| -v * v)), Some(-1.0));
        // By hand: ranks 1 2 3 4 5 against 2 1 4 3 5, squared differences 4: 1 - 6 x 4 / (5 x 24) = .8.
        assert!((spearman(&x, &[20.0, 10.0, 40.0, 30.0, 50.0]).unwrap() - 0.8).abs() < 1e-15);
        // Ties share ranks: 1 2.5 2.5 4 against 1 2 3 4 is 4.5 / sqrt(4.5 x 5).
        let tied = spearman(&[1.0, 2.0, 2.0, 3.0], &x[..4]).unwrap();
        assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-15, "{tied}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn holm_keeps_the_order_and_never_lowers(p in prop::collection::vec(0.0f64..=1.0, 0..8)) {
            let adjusted = holm(&p);
            for i in 0..p.len() {
                prop_assert!(adjusted[i] >= p[i] && adjusted[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
