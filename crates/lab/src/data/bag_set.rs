use super::{DataError, Table, Values};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::collections::HashMap;

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

    /// Bags from a table with an instance a row: a column says which bag it is in, one the bag's label (0 or 1), the others
    /// are the features. Rows of a bag need not stand together; bags are in the order of their first rows.
    ///
    /// # Errors
    /// When a column is missing, a feature is no number or missing, a label is not 0 or 1, or the rows of a bag differ in it.
    pub fn from_table(table: &Table, bag: &str, label: &str) -> Result<Self, DataError> {
        let (bag, label) = (table.position(bag)?, table.position(label)?);
        let error = |reason: String| DataError::Bags { reason };
        let mut features = Vec::new();
        for (_, column) in table.columns.iter().enumerate().filter(|(at, _)| ![bag, label].contains(at)) {
            match &column.values {
                Values::Numeric(values) => features.push((&column.name, values)),
                Values::Text(_) => return Err(error(format!("column `{}` is no column of numbers", column.name))),
            }
        }
        let mut set = Self { bags: Vec::new(), labels: Vec::new(), features: features.len() };
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in 0..table.rows() {
            let cell = |column: usize| {
                let column = &table.columns[column];
                let missing = || error(format!("row {} has nothing in column `{}`", row + 1, column.name));
                column.values.text(row).ok_or_else(missing)
            };
            let class = match cell(label)?.as_str() {
                "0" => 0,
                "1" => 1,
                other => return Err(error(format!("row {} has the label `{other}`; labels are 0 or 1", row + 1))),
            };
            let name = cell(bag)?;
            let place = *places.entry(name.clone()).or_insert_with(|| {
                set.bags.push(Vec::new());
                set.labels.push(class);
                set.labels.len() - 1
            });
            if set.labels[place] != class {
                return Err(error(format!("row {} has another label than its bag `{name}` before", row + 1)));
            }
            for (column, values) in &features {
                if values[row].is_nan() {
                    return Err(error(format!("row {} has nothing in column `{column}`", row + 1)));
                }
                set.bags[place].push(values[row] as f32);
            }
        }
        Ok(set)
    }

    /// The bags in a random order.
    pub fn shuffled(mut self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        self.labels = order.iter().map(|&bag| self.labels[bag]).collect();
        self.bags = order.into_iter().map(|bag| std::mem::take(&mut self.bags[bag])).collect();
        self
    }

    /// Makes every feature of these sets have mean 0 and deviation 1 over the instances of the first; one without spread
    /// becomes 0.
    pub fn standardise<const N: usize>(sets: &mut [Self; N]) {
        let width = sets[0].features;
        let instances = |set: &Self| set.bags.iter().map(Vec::len).sum::<usize>() as f64 / width as f64;
        let count = instances(&sets[0]);
        let sum = |at: usize, of: &dyn Fn(f64) -> f64| -> f64 {
            let rows = sets[0].bags.iter().flat_map(|bag| bag.chunks_exact(width));
            rows.map(|row| of(f64::from(row[at]))).sum::<f64>() / count
        };
        let scales: Vec<(f64, f64)> = (0..width)
            .map(|at| {
                let mean = sum(at, &|x| x);
                let deviation = sum(at, &|x| (x - mean) * (x - mean)).sqrt();
                (mean, if deviation > 0.0 { 1.0 / deviation } else { 0.0 })
            })
            .collect();
        for row in sets.iter_mut().flat_map(|set| &mut set.bags).flat_map(|bag| bag.chunks_exact_mut(width)) {
            row.iter_mut().zip(&scales).for_each(|(x, (mean, by))| *x = ((f64::from(*x) - mean) * by) as f32);
        }
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

    fn table(rows: &[[f64; 4]]) -> Table {
        let column = |at: usize| Values::Numeric(rows.iter().map(|row| row[at]).collect());
        let columns = ["bag", "label", "f1", "f2"].into_iter().enumerate();
        let columns = columns.map(|(at, name)| crate::data::Column { name: name.into(), values: column(at) }).collect();
        Table { name: "test".into(), columns }
    }

    #[test]
    fn a_table_of_instances_becomes_bags() {
        let rows = [[7.0, 1.0, 1.0, 2.0], [3.0, 0.0, 3.0, 4.0], [7.0, 1.0, 5.0, 2.0]];
        let set = BagSet::from_table(&table(&rows), "bag", "label").unwrap();
        assert_eq!(set.bags, [vec![1.0, 2.0, 5.0, 2.0], vec![3.0, 4.0]]);
        assert_eq!((set.labels.as_slice(), set.features), ([1, 0].as_slice(), 2));
        let mut parts = set.parts([1, 1]);
        BagSet::standardise(&mut parts);
        // Mean 3 and deviation 2 of the first feature of bag 7; no spread in the second.
        assert_eq!(parts[0].bags, [vec![-1.0, 0.0, 1.0, 0.0]]);
        assert_eq!(parts[1].bags, [vec![0.0, 0.0]]);
        let message = |rows: &[[f64; 4]], bag| BagSet::from_table(&table(rows), bag, "label").unwrap_err().to_string();
        assert!(message(&rows, "bags").contains("`bag`"));
        assert!(message(&[[1.0, 2.0, 0.0, 0.0]], "bag").contains("labels are 0 or 1"));
        assert!(message(&[[1.0, 1.0, f64::NAN, 0.0]], "bag").contains("`f1`"));
        assert!(message(&[[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]], "bag").contains("another label"));
    }

    #[test]
    fn shuffling_keeps_bags_and_labels_together() {
        let set = BagSet::prototypes(30, 2, 3, 1.0, (0.5, 0.5), 1);
        let mixed = set.clone().shuffled(4);
        assert_ne!(mixed, set);
        for (bag, label) in mixed.bags.iter().zip(&mixed.labels) {
            let at = set.bags.iter().position(|other| other == bag).unwrap();
            assert_eq!(set.labels[at], *label);
        }
    }
}
