use crate::data::Dataset;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;

/// What to do about a data set's labels. Lists of rows are ascending; `flagged` and `keep` are disjoint and together all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CleanPlan {
    /// Rows whose label is likely wrong.
    pub flagged: Vec<usize>,
    /// The labels of all rows, those of flagged ones replaced.
    pub relabelled: Vec<usize>,
    /// Rows that are not flagged.
    pub keep: Vec<usize>,
    /// Positives that the model took for negatives, by which the [intrinsic cleaner](super::IntrinsicCleaner) flags.
    pub false_negatives: Vec<usize>,
}

impl CleanPlan {
    /// A plan from flagged rows and the new label of each.
    ///
    /// # Panics
    /// When a row is out of range.
    pub fn new(labels: &[usize], changes: &[(usize, usize)]) -> Self {
        let (mut relabelled, mut kept) = (labels.to_vec(), vec![true; labels.len()]);
        for &(row, label) in changes {
            relabelled[row] = label;
            kept[row] = false;
        }
        let (keep, flagged) = (0..labels.len()).partition(|&row| kept[row]);
        Self { flagged, relabelled, keep, false_negatives: Vec::new() }
    }

    /// The data without the flagged rows.
    ///
    /// # Panics
    /// When the data has fewer rows than the plan is for.
    pub fn eliminate(&self, data: &Dataset) -> Dataset {
        data.select(&self.keep)
    }

    /// The data with the new labels.
    ///
    /// # Panics
    /// When the data does not have as many rows as the plan is for.
    pub fn reannotate(&self, data: &Dataset) -> Dataset {
        assert_eq!(data.y.len(), self.relabelled.len(), "a plan is for the data it was made from");
        Dataset { y: self.relabelled.clone(), ..data.clone() }
    }
}

/// How well the flagged rows are the mislabelled ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseReport {
    /// Rows flagged.
    pub flagged: usize,
    /// Rows mislabelled.
    pub mislabelled: usize,
    /// Rows that are both.
    pub hits: usize,
    /// Part of the flagged rows that is mislabelled; `None` where none is flagged.
    pub precision: Option<f64>,
    /// Part of the mislabelled rows that is flagged; `None` where none is mislabelled.
    pub recall: Option<f64>,
}

/// Compares a plan with the truth: which rows are mislabelled.
///
/// # Panics
/// When the truth has fewer rows than the plan.
pub fn noise_report(plan: &CleanPlan, mislabelled: &[bool]) -> NoiseReport {
    let hits = plan.flagged.iter().filter(|&&row| mislabelled[row]).count();
    let all = mislabelled.iter().filter(|&&wrong| wrong).count();
    let part = |whole: usize| (whole > 0).then(|| hits as f64 / whole as f64);
    NoiseReport {
        flagged: plan.flagged.len(),
        mislabelled: all,
        hits,
        precision: part(plan.flagged.len()),
        recall: part(all),
    }
}

/// The control of elimination: as many random rows of each label as `flagged` has, drawn from `seed`.
///
/// # Panics
/// When a flagged row is out of range.
pub fn random_elimination(labels: &[usize], flagged: &[usize], seed: u64) -> CleanPlan {
    let mut wanted = vec![0; labels.iter().max().map_or(0, |max| max + 1)];
    for &row in flagged {
        wanted[labels[row]] += 1;
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let mut drawn = Vec::with_capacity(flagged.len());
    for row in order {
        let left = &mut wanted[labels[row]];
        if *left > 0 {
            *left -= 1;
            drawn.push((row, labels[row]));
        }
    }
    CleanPlan::new(labels, &drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;

    #[test]
    fn the_control_takes_as_many_of_each_label() {
        let labels: Vec<usize> = (0..60).map(|row| row % 3).collect();
        let flagged = [0, 3, 6, 2];
        let plan = random_elimination(&labels, &flagged, 5);
        let of = |label: usize| plan.flagged.iter().filter(|&&row| labels[row] == label).count();
        assert_eq!([0, 1, 2].map(of), [3, 0, 1]);
        assert_eq!(plan.keep.len(), 56);
        assert_eq!(plan, random_elimination(&labels, &flagged, 5));
        assert_ne!(plan, random_elimination(&labels, &flagged, 6));
        assert!(random_elimination(&[], &[], 0).keep.is_empty());
        assert_eq!(random_elimination(&labels, &(0..60).collect::<Vec<_>>(), 0).flagged.len(), 60);
    }

    #[test]
    fn a_plan_is_carried_out_and_judged() {
        let plan = CleanPlan::new(&[0, 0, 1, 2], &[(1, 2)]);
        assert_eq!((plan.keep.clone(), plan.flagged.clone()), (vec![0, 2, 3], vec![1]));
        let x = Matrix { rows: 4, cols: 1, data: vec![0.0, 1.0, 2.0, 3.0] };
        let data = Dataset { x, y: vec![0, 0, 1, 2], classes: 3 };
        let without = plan.eliminate(&data);
        assert_eq!((without.x.data, without.y), (vec![0.0, 2.0, 3.0], vec![0, 1, 2]));
        assert_eq!(plan.reannotate(&data).y, [0, 2, 1, 2]);
        let report = noise_report(&plan, &[true, true, false, false]);
        assert_eq!((report.hits, report.precision, report.recall), (1, Some(1.0), Some(0.5)));
        let report = noise_report(&CleanPlan::new(&[0], &[]), &[false]);
        assert_eq!((report.precision, report.recall), (None, None));
    }
}
