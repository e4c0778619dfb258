use crate::metrics::pools::{self, PoolError};

/// The `k` items with the highest scores that are in none of the lists, best first; equal scores by the lower item.
pub fn top_items(scores: &[f32], exclude: &[&Vec<u32>], k: usize) -> Vec<u32> {
    let mut left_out = vec![false; scores.len()];
    exclude.iter().flat_map(|list| list.iter()).for_each(|item| left_out[*item as usize] = true);
    let mut items: Vec<u32> = (0..scores.len() as u32).filter(|item| !left_out[*item as usize]).collect();
    // Adding 0 makes -0 a 0, which a total order tells apart.
    let score = |item: &u32| scores[*item as usize] + 0.0;
    let order = |a: &u32, b: &u32| score(b).total_cmp(&score(a)).then(a.cmp(b));
    if k < items.len() {
        items.select_nth_unstable_by(k, order);
        items.truncate(k);
        // One short list a user is kept, not the place of the whole catalogue.
        items.shrink_to_fit();
    }
    items.sort_unstable_by(order);
    items
}

/// Part of the held-out items among the first ones; 0 without held-out items.
pub fn recall_at_k(top: &[u32], test: &[u32]) -> f64 {
    let hits = top.iter().filter(|item| test.contains(item)).count();
    hits as f64 / test.len().max(1) as f64
}

/// Discounted cumulative gain of the first items, divided by the largest there is: over the first `k` places where `truncate_ideal`,
/// and otherwise over all held-out items, as in some code, which is too low for users with more than `k`.
pub fn ndcg_at_k(top: &[u32], test: &[u32], k: usize, truncate_ideal: bool) -> f64 {
    let discount = |at: usize| 1.0 / (at as f64 + 2.0).log2();
    let gained: f64 =
        top.iter().take(k).enumerate().filter(|(_, item)| test.contains(item)).map(|(at, _)| discount(at)).sum();
    let ideal = if truncate_ideal { test.len().min(k) } else { test.len() };
    let most: f64 = (0..ideal).map(discount).sum();
    if most > 0.0 { gained / most } else { 0.0 }
}

/// How well losses tell noisy interactions from others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossOverlap {
    /// The AUC of all users' losses in one pool.
    pub pooled: f64,
    /// The mean over users of each one's own.
    pub per_user: f64,
}

/// Overlap of the losses of noisy and other interactions, by user; users with one kind only are left out.
///
/// # Errors
/// When no user has both kinds, or a loss is NaN.
///
/// Source: Zhang et al. 2025, <https://arxiv.org/abs/2502.00348>, section 3: the observation that a user's noisy interactions stand out
/// among the user's own.
pub fn loss_overlap(users: &[(Vec<f64>, Vec<bool>)]) -> Result<LossOverlap, PoolError> {
    let kinds = |(losses, noisy): &(Vec<f64>, Vec<bool>)| -> (Vec<f64>, Vec<f64>) {
        let of = |wanted: bool| {
            losses.iter().zip(noisy).filter(|(_, noisy)| **noisy == wanted).map(|(loss, _)| *loss).collect()
        };
        (of(true), of(false))
    };
    let both: Vec<(Vec<f64>, Vec<f64>)> =
        users.iter().map(kinds).filter(|(noisy, normal)| !noisy.is_empty() && !normal.is_empty()).collect();
    let found = pools::pooled_auc(&both)?;
    Ok(LossOverlap { pooled: found.pooled, per_user: found.per_query })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_by_hand() {
        assert_eq!(top_items(&[1.0, 3.0, 3.0, 0.0, -0.0], &[&vec![1]], 3), [2, 0, 3]);
        assert_eq!(recall_at_k(&[1, 2], &[2, 5]), 0.5);
        assert_eq!(recall_at_k(&[1], &[]), 0.0);
        let log3 = 3f64.log2();
        assert!((ndcg_at_k(&[1, 2], &[2, 5, 6], 2, true) - (1.0 / log3) / (1.0 + 1.0 / log3)).abs() < 1e-12);
        assert!((ndcg_at_k(&[1, 2], &[2, 5, 6], 2, false) - (1.0 / log3) / (1.5 + 1.0 / log3)).abs() < 1e-12);
        assert_eq!(ndcg_at_k(&[1], &[], 2, true), 0.0);
        let users =
            [(vec![1.0, 0.0], vec![true, false]), (vec![11.0, 10.0], vec![true, false]), (vec![5.0], vec![true])];
        assert_eq!(loss_overlap(&users).unwrap(), LossOverlap { pooled: 0.75, per_user: 1.0 });
        assert!(loss_overlap(&[]).is_err());
    }
}
