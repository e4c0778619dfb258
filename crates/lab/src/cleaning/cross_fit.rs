use contrarian::InvalidParameter;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// Rows of each fold, ascending: each class shuffled and dealt out in turn, so that every fold has about the same shares.
///
/// # Errors
/// When there are fewer than two folds, or more than rows.
pub fn folds(labels: &[usize], count: usize, seed: u64) -> Result<Vec<Vec<usize>>, InvalidParameter> {
    if count < 2 || count > labels.len() {
        return Err(InvalidParameter::new("folds", count, format!("in 2..={}, the number of rows", labels.len())));
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    // Stable, so rows keep their shuffled order within a class; dealing goes on from class to class.
    order.sort_by_key(|&row| labels[row]);
    let fold = |first: usize| {
        let mut rows: Vec<usize> = order.iter().copied().skip(first).step_by(count).collect();
        rows.sort_unstable();
        rows
    };
    Ok((0..count).map(fold).collect())
}

/// Out-of-fold results: `fit(fold, training rows, held-out rows)` trains on all rows but a fold's and gives one result for each
/// held-out row, in their order. The results come back in the order of the rows. Folds run side by side.
///
/// # Errors
/// What `fit` gives, or [`InvalidParameter`] where [`folds`] fails.
///
/// # Panics
/// When `fit` does not give a result for each held-out row.
pub fn cross_fit<R: Send, E: Send + From<InvalidParameter>>(
    labels: &[usize],
    count: usize,
    seed: u64,
    fit: impl Fn(usize, &[usize], &[usize]) -> Result<Vec<R>, E> + Sync,
) -> Result<Vec<R>, E> {
    let folds = folds(labels, count, seed)?;
    let one = |(fold, held_out): (usize, &Vec<usize>)| {
        let train: Vec<usize> = (0..labels.len()).filter(|row| held_out.binary_search(row).is_err()).collect();
        let results = fit(fold, &train, held_out)?;
        assert_eq!(results.len(), held_out.len(), "a result for each held-out row");
        Ok(results)
    };
    let results: Vec<Vec<R>> = folds.par_iter().enumerate().map(one).collect::<Result<_, E>>()?;
    let mut placed: Vec<(usize, R)> = folds.into_iter().flatten().zip(results.into_iter().flatten()).collect();
    placed.sort_by_key(|(row, _)| *row);
    Ok(placed.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_held_out_once_and_never_trained_on_there() {
        let labels: Vec<usize> = (0..31).map(|row| usize::from(row % 5 == 0)).collect();
        let out: Vec<(usize, usize)> = cross_fit(&labels, 3, 7, |fold, train, held_out| {
            assert_eq!(train.len() + held_out.len(), 31);
            assert!(held_out.iter().all(|row| !train.contains(row)));
            Ok::<_, InvalidParameter>(held_out.iter().map(|&row| (row, fold)).collect())
        })
        .unwrap();
        assert_eq!(out.iter().map(|(row, _)| *row).collect::<Vec<_>>(), (0..31).collect::<Vec<_>>());
        for fold in 0..3 {
            let of_fold = out.iter().filter(|(_, f)| *f == fold);
            let rare = of_fold.clone().filter(|(row, _)| labels[*row] == 1).count();
            assert!((10..=11).contains(&of_fold.count()) && (2..=3).contains(&rare));
        }
        assert_eq!(folds(&labels, 3, 7).unwrap(), folds(&labels, 3, 7).unwrap());
        assert_ne!(folds(&labels, 3, 7).unwrap(), folds(&labels, 3, 8).unwrap());
    }

    #[test]
    fn impossible_folds_are_named() {
        assert_eq!(folds(&[0, 1], 1, 0).unwrap_err().field, "folds");
        assert_eq!(folds(&[0, 1], 3, 0).unwrap_err().field, "folds");
        assert!(folds(&[], 2, 0).is_err());
    }
}
