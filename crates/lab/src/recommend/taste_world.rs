use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Users with tastes: a generated set of interactions.
///
/// Tastes of users and items are normal vectors of 8 numbers, an item's popularity is `.3` of a normal; the utility is
/// `1.5 <p_u, q_i> + b_i` and Gumbel noise. A user's 30 best items are chosen; 21 of them, at random, are for training.
///
/// Source: `TasteWorld` of this project, made for its study of recommendation.
#[derive(Debug, Clone, PartialEq)]
pub struct TasteWorld {
    /// Items there are.
    pub items: usize,
    /// Training items of each user.
    pub train: Vec<Vec<u32>>,
    /// Held-out items of each user.
    pub test: Vec<Vec<u32>>,
}

const DIM: usize = 8;
const CHOSEN: usize = 30;
const FOR_TRAINING: usize = 21;

impl TasteWorld {
    /// Draws users and items from `seed` alone.
    ///
    /// # Panics
    /// When there are fewer than 30 items.
    pub fn generate(users: usize, items: usize, seed: u64) -> Self {
        assert!(items >= CHOSEN, "a user chooses {CHOSEN} items, and there are {items}");
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut normals = |count: usize| -> Vec<f64> { (0..count).map(|_| StandardNormal.sample(&mut *rng)).collect() };
        let (p, q, b) = (normals(users * DIM), normals(items * DIM), normals(items));
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for p in p.chunks(DIM) {
            let utility: Vec<f64> = q
                .chunks(DIM)
                .zip(&b)
                .map(|(q, b)| {
                    let taste = p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>();
                    // Never 0, whose logarithm is none.
                    let uniform: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
                    1.5 * taste + 0.3 * b - (-uniform.ln()).ln()
                })
                .collect();
            let mut order: Vec<u32> = (0..items as u32).collect();
            order.sort_by(|x, y| utility[*y as usize].total_cmp(&utility[*x as usize]));
            order.truncate(CHOSEN);
            order.shuffle(rng);
            test.push(order.split_off(FOR_TRAINING));
            train.push(order);
        }
        Self { items, train, test }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_its_items_once() {
        let world = TasteWorld::generate(20, 50, 0);
        for (train, test) in world.train.iter().zip(&world.test) {
            let mut all: Vec<u32> = train.iter().chain(test).copied().collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!((train.len(), test.len(), all.len()), (21, 9, 30));
        }
        assert_eq!(world, TasteWorld::generate(20, 50, 0));
    }
}
