use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Bags of instances with a label each.
#[derive(Debug, Clone, PartialEq)]
pub struct BagSet {
    /// The instances of each bag, row by row.
    pub bags: Vec<Vec<f32>>,
    /// Class of each bag, 0 or 1.
    pub labels: Vec<usize>,
    /// Features of an instance.
    pub features: usize,
}

impl BagSet {
    /// Balanced bags with hidden prototypes: instances are `N(0, I)`; in a positive bag a share of them, uniform in `share`
    /// (at least one instance), has one of six random directions of the given length added. Every other bag is positive.
    pub fn prototypes(
        bags: usize,
        instances: usize,
        features: usize,
        length: f64,
        share: (f64, f64),
        seed: u64,
    ) -> Self {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let normals = |n: usize, rng: &mut Xoshiro256PlusPlus| -> Vec<f64> {
            (0..n).map(|_| StandardNormal.sample(rng)).collect()
        };
        let directions: Vec<Vec<f64>> = (0..6)
            .map(|_| {
                let direction = normals(features, rng);
                let norm = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
                direction.into_iter().map(|v| v / norm * length).collect()
            })
            .collect();
        let mut set = Self { bags: Vec::new(), labels: Vec::new(), features };
        for bag in 0..bags {
            let mut rows = normals(instances * features, rng);
            if bag % 2 == 1 {
                let part = share.0 + (share.1 - share.0) * rng.random::<f64>();
                let marked = ((part * instances as f64).round() as usize).clamp(1, instances);
                for row in rows.chunks_mut(features).take(marked) {
                    let direction = &directions[rng.random_range(0..directions.len())];
                    row.iter_mut().zip(direction).for_each(|(v, d)| *v += d);
                }
            }
            set.bags.push(rows.into_iter().map(|v| v as f32).collect());
            set.labels.push(bag % 2);
        }
        set
    }

    /// Cuts consecutive parts of the given sizes off the front.
    ///
    /// # Panics
    /// When the sizes add up to more than there is.
    pub fn parts<const N: usize>(&self, sizes: [usize; N]) -> [Self; N] {
        let mut start = 0;
        sizes.map(|size| {
            start += size;
            let range = start - size..start;
            Self {
                bags: self.bags[range.clone()].to_vec(),
                labels: self.labels[range].to_vec(),
                features: self.features,
            }
        })
    }

    /// The bags with these indices, as slices.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn slices(&self, bags: &[usize]) -> Vec<&[f32]> {
        bags.iter().map(|&bag| self.bags[bag].as_slice()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_bags_hold_prototypes_and_negative_ones_do_not() {
        let set = BagSet::prototypes(40, 30, 8, 10.0, (0.1, 0.1), 1);
        // A normal point of 8 features is longer than 7 once in 1e8.
        let far = |bag: &[f32]| bag.chunks(8).filter(|row| row.iter().map(|v| v * v).sum::<f32>() > 36.0).count();
        let counts: Vec<usize> = set.bags.iter().map(|bag| far(bag)).collect();
        assert!(counts.iter().zip(&set.labels).all(|(count, label)| *count == 3 * label), "{counts:?}");
        assert_eq!(set.parts([10, 30])[1].labels.len(), 30);
        assert_eq!(set, BagSet::prototypes(40, 30, 8, 10.0, (0.1, 0.1), 1));
    }
}
