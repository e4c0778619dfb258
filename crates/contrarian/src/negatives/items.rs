use crate::InvalidParameter;
use crate::error::require;
use rand::{Rng, RngExt};

/// Draws items that a user has no part in, every one as likely.
///
/// One number a draw: the `r`-th unobserved item is found by bisection of the user's sorted items, so a user of nearly all items
/// costs no more than another.
#[derive(Debug, Clone)]
pub struct NegativeItemSampler {
    items: usize,
    observed: Vec<Vec<u32>>,
}

impl NegativeItemSampler {
    /// A sampler over `items` items; `observed` lists those of each user, in any order.
    ///
    /// # Errors
    /// When an item is not below `items`, or a user has observed all of them; the user is named.
    pub fn new(items: usize, observed: &[Vec<u32>]) -> Result<Self, InvalidParameter> {
        let mut observed = observed.to_vec();
        for (user, list) in observed.iter_mut().enumerate() {
            list.sort_unstable();
            list.dedup();
            let field = || format!("observed[{user}]");
            let last = list.last().copied();
            let inside = last.is_none_or(|item| (item as usize) < items);
            require(inside, &field(), last.unwrap_or(0), &format!("of items below {items}"))?;
            require(list.len() < items, &field(), format!("all {items} items"), "short of at least one item")?;
        }
        Ok(Self { items, observed })
    }

    /// An item that the user has not observed.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn draw(&self, user: usize, rng: &mut impl Rng) -> u32 {
        let observed = &self.observed[user];
        let rank = rng.random_range(0..self.items - observed.len()) as u32;
        // Before the k-th observed item there are `item - k` unobserved ones; bisection over k.
        let (mut low, mut high) = (0, observed.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if observed[middle] - middle as u32 <= rank { low = middle + 1 } else { high = middle }
        }
        rank + low as u32
    }

    /// Whether the user has observed the item.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn has_observed(&self, user: usize, item: u32) -> bool {
        self.observed[user].binary_search(&item).is_ok()
    }
}
