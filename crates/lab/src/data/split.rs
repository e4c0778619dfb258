use super::DataError;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use std::collections::BTreeSet;

/// Row indices of one train/validation/test split; disjoint, together all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// For fitting.
    pub train: Vec<usize>,
    /// For early stopping and thresholds.
    pub validation: Vec<usize>,
    /// For the figures that are reported.
    pub test: Vec<usize>,
}

/// Fewest rows of a class: one for validation, one for test, and a few to learn from.
pub const MIN_CLASS_ROWS: usize = 5;

/// Repeated stratified hold-out: each repeat shuffles every class and cuts it by the same fractions.
///
/// The splits depend on `seed` alone, and the first ones do not change when more are asked for.
///
/// # Errors
/// When a class has fewer than [`MIN_CLASS_ROWS`] rows, or a fraction is not above 0.
pub fn stratified_splits(
    labels: &[usize],
    repeats: usize,
    (train, validation, test): (f64, f64, f64),
    seed: u64,
) -> Result<Vec<Split>, DataError> {
    check_parts([train, validation, test])?;
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); labels.iter().max().map_or(0, |max| max + 1)];
    for (row, &label) in labels.iter().enumerate() {
        classes[label].push(row);
    }
    if let Some((class, rows)) = classes.iter().enumerate().find(|(_, rows)| rows.len() < MIN_CLASS_ROWS) {
        let reason = format!("class {class} has {} rows, but {MIN_CLASS_ROWS} are needed in each", rows.len());
        return Err(DataError::Split { reason });
    }
    let total = train + validation + test;
    let split = |repeat: usize| {
        let mut rng = generator(seed, repeat);
        let mut split = Split { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for class in &classes {
            let mut rows = class.clone();
            rows.shuffle(&mut rng);
            let count = |part: f64| ((rows.len() as f64 * part / total).round() as usize).max(1);
            let (for_test, for_validation) = (count(test), count(validation));
            split.test.extend(&rows[..for_test]);
            split.validation.extend(&rows[for_test..for_test + for_validation]);
            split.train.extend(&rows[for_test + for_validation..]);
        }
        split
    };
    Ok((0..repeats).map(split).collect())
}

/// Fewest classes of a part: rows of one class alone cannot be told apart.
const MIN_PART_CLASSES: usize = 2;

/// Repeated hold-out of whole classes: each repeat shuffles the classes and cuts them by the same fractions, at least two to
/// a part. Embeddings are then judged on classes that training has never seen; a class may have any number of rows.
///
/// The splits depend on `seed` alone, and the first ones do not change when more are asked for.
///
/// # Errors
/// When there are fewer than six classes, or a fraction is not above 0.
pub fn class_splits(
    labels: &[usize],
    repeats: usize,
    (train, validation, test): (f64, f64, f64),
    seed: u64,
) -> Result<Vec<Split>, DataError> {
    check_parts([train, validation, test])?;
    let mut classes = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let needed = 3 * MIN_PART_CLASSES;
    if classes.len() < needed {
        let reason = format!(
            "there are {} classes, but {needed} are needed to hold classes out ({MIN_PART_CLASSES} each to train, validate and \
             test); hold rows out instead",
            classes.len()
        );
        return Err(DataError::Split { reason });
    }
    let total = train + validation + test;
    let count = |part: f64| ((classes.len() as f64 * part / total).round() as usize).max(MIN_PART_CLASSES);
    // Training keeps its two classes, and no part of a small number is rounded up at its cost.
    let for_test = count(test).min(classes.len() - 2 * MIN_PART_CLASSES);
    let for_validation = count(validation).min(classes.len() - for_test - MIN_PART_CLASSES);
    let split = |repeat: usize| {
        let mut order = classes.clone();
        order.shuffle(&mut generator(seed, repeat));
        let rows_of = |part: &[usize]| {
            let part: BTreeSet<usize> = part.iter().copied().collect();
            (0..labels.len()).filter(|row| part.contains(&labels[*row])).collect()
        };
        let (test, rest) = order.split_at(for_test);
        let (validation, train) = rest.split_at(for_validation);
        Split { train: rows_of(train), validation: rows_of(validation), test: rows_of(test) }
    };
    Ok((0..repeats).map(split).collect())
}

fn check_parts([train, validation, test]: [f64; 3]) -> Result<(), DataError> {
    if train > 0.0 && validation > 0.0 && test > 0.0 {
        return Ok(());
    }
    let reason = format!("the parts are {train}, {validation} and {test}, but each must be above 0");
    Err(DataError::Split { reason })
}

fn generator(seed: u64, repeat: usize) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(repeat as u64))
}

/// Training and validation rows of one stratified split, the second about `fraction` of all.
///
/// # Errors
/// When a class has fewer than [`MIN_CLASS_ROWS`] rows, or a part is empty.
pub fn hold_out(labels: &[usize], fraction: f64, seed: u64) -> Result<[Vec<usize>; 2], DataError> {
    // The splitter makes three parts; the last two together are held out.
    let half = fraction / 2.0;
    let split = stratified_splits(labels, 1, (1.0 - fraction, half, half), seed)?.remove(0);
    Ok([split.train, [split.validation, split.test].concat()])
}

/// Two halves of the rows, each class shuffled and dealt out in turn: any class may be small, or missing.
pub fn halves(labels: &[usize], seed: u64) -> [Vec<usize>; 2] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut rng);
    // Stable, so rows keep their shuffled order within a class; dealing goes on from class to class.
    order.sort_by_key(|&row| labels[row]);
    let half = |first: usize| order.iter().copied().skip(first).step_by(2).collect();
    [half(0), half(1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_stratified(sizes in prop::collection::vec(5usize..60, 2..5), seed in 0u64..9) {
            let labels: Vec<usize> =
                sizes.iter().enumerate().flat_map(|(class, &n)| std::iter::repeat_n(class, n)).collect();
            for split in stratified_splits(&labels, 3, (0.6, 0.2, 0.2), seed).unwrap() {
                let mut all = [split.train.clone(), split.validation.clone(), split.test.clone()].concat();
                all.sort_unstable();
                prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
                for (class, &size) in sizes.iter().enumerate() {
                    for (part, fraction) in [(&split.train, 0.6), (&split.validation, 0.2), (&split.test, 0.2)] {
                        let n = part.iter().filter(|&&row| labels[row] == class).count() as f64;
                        prop_assert!(n >= 1.0 && (n - fraction * size as f64).abs() <= 1.0);
                    }
                }
            }
        }
    }

    #[test]
    fn splits_repeat_and_do_not_depend_on_how_many_are_asked_for() {
        let labels: Vec<usize> = (0..50).map(|row| row % 2).collect();
        let many = stratified_splits(&labels, 5, (0.6, 0.2, 0.2), 3).unwrap();
        assert_eq!(stratified_splits(&labels, 2, (0.6, 0.2, 0.2), 3).unwrap(), many[..2]);
        assert_ne!(many[0], many[1]);
        assert_ne!(stratified_splits(&labels, 1, (0.6, 0.2, 0.2), 4).unwrap()[0], many[0]);
    }

    #[test]
    fn halves_are_disjoint_complete_and_stratified() {
        let labels: Vec<usize> = (0..41).map(|row| usize::from(row % 4 == 0) * 2).collect();
        let [a, b] = halves(&labels, 1);
        let mut all = [a.clone(), b.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..41).collect::<Vec<_>>());
        let rare = |rows: &[usize]| rows.iter().filter(|&&row| labels[row] == 2).count();
        assert!(rare(&a).abs_diff(rare(&b)) <= 1);
        assert_ne!(halves(&labels, 2)[0], a);
    }

    #[test]
    fn held_out_classes_are_whole_and_disjoint() {
        for classes in [6, 7, 10, 40] {
            // Numbers of classes may have gaps.
            let labels: Vec<usize> = (0..classes * 5).map(|row| 3 * (row % classes)).collect();
            let splits = class_splits(&labels, 3, (0.6, 0.2, 0.2), 5).unwrap();
            assert_eq!(class_splits(&labels, 1, (0.6, 0.2, 0.2), 5).unwrap(), splits[..1]);
            for split in &splits {
                let mut all = [split.train.clone(), split.validation.clone(), split.test.clone()].concat();
                all.sort_unstable();
                assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
                let of = |part: &[usize]| part.iter().map(|row| labels[*row]).collect::<BTreeSet<_>>();
                let sizes = [&split.train, &split.validation, &split.test].map(|part| of(part).len());
                assert!(sizes.iter().all(|size| *size >= 2), "{sizes:?}");
                assert_eq!(sizes.iter().sum::<usize>(), classes);
            }
        }
        assert!(class_splits(&[0, 1, 2, 3, 4, 5], 1, (1.0, 0.0, 1.0), 0).is_err());
        let error = class_splits(&[0, 1, 2, 3, 4, 4], 1, (0.6, 0.2, 0.2), 0).unwrap_err().to_string();
        assert!(error.contains("5 classes, but 6") && error.contains("hold rows out instead"), "{error}");
        assert_eq!(class_splits(&[9, 8, 7, 6, 5, 4], 1, (0.9, 0.05, 0.05), 0).unwrap()[0].train.len(), 2);
    }

    #[test]
    fn a_class_that_is_too_small_is_named() {
        let error = stratified_splits(&[0, 0, 0, 0, 0, 1], 1, (0.6, 0.2, 0.2), 0).unwrap_err().to_string();
        assert!(error.contains("class 1 has 1 rows"), "{error}");
    }
}
