/// Normalised discounted cumulative gain of a ranking's first `k` places; `None` where nothing has a gain.
///
/// ```text
/// DCG@k = sum_{i < k} gain of the i-th in the ranking / log2(i + 2),        nDCG@k = DCG@k / (the largest DCG@k there is)
/// ```
///
/// `ranking` names items of `gains`, best first, and may be cut at `k`.
///
/// # Panics
/// When the ranking names an item that has no gain.
///
/// Source: Järvelin, Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", section 2, with the discount that is
/// usual today.
pub fn ndcg(ranking: &[usize], gains: &[f64], k: usize) -> Option<f64> {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(k).enumerate().map(|(at, gain)| gain / (at as f64 + 2.0).log2()).sum()
    };
    let mut best = gains.to_vec();
    best.sort_by(|a, b| b.total_cmp(a));
    let most = discounted(&mut best.into_iter());
    (most > 0.0).then(|| discounted(&mut ranking.iter().map(|&item| gains[item])) / most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        let gains = [0.0, 1.0, 3.0];
        assert_eq!(ndcg(&[2, 1, 0], &gains, 3), Some(1.0));
        // (0 + 3 / log2 3) / (3 + 1 / log2 3)
        let log = 3f64.log2();
        let found = ndcg(&[0, 2, 1], &gains, 2).unwrap();
        assert!((found - (3.0 / log) / (3.0 + 1.0 / log)).abs() < 1e-15, "{found}");
        assert_eq!(ndcg(&[0, 1], &[0.0, 0.0], 2), None);
        assert_eq!(ndcg(&[0], &[1.0], 0), None);
    }
}
