use super::{CleanPlan, majority};
use crate::data::Matrix;
use crate::metrics::{Distance, nearest_neighbours};
use burn::config::Config;
use contrarian::InvalidParameter;
use std::collections::BTreeMap;

/// Finds negatives that are likely mislabelled from the noisy data alone.
///
/// Where positives were mistaken for the negative class, a model learns to take positives of that kind for negatives. Its false
/// negatives therefore point at them: of each, the `k` nearest negatives by the cosine of the embeddings are flagged, and a
/// flagged row gets the label of most of the false negatives that point at it (of equals, the nearest one's).
///
/// Predictions should be made out of fold ([`cross_fit`](super::cross_fit)): a flexible model fits its own noise and has almost
/// no false negatives. The strategy takes positives as clean.
///
/// Source: Parekh, Anand, Awekar 2023, "Noise in Relation Classification Dataset TACRED: Characterization and Reduction",
/// <https://arxiv.org/abs/2311.12298>, whose intrinsic strategy this reconstructs from the abstract.
#[derive(Config, Debug)]
pub struct IntrinsicCleaner {
    /// Neighbours of each false negative, at least 1.
    #[config(default = 5)]
    pub k: usize,
    /// The class "none of the others".
    #[config(default = 0)]
    pub negative_class: usize,
}

impl IntrinsicCleaner {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        match self.k {
            0 => Err(InvalidParameter::new("k", 0, "at least 1")),
            _ => Ok(()),
        }
    }

    /// What to do about the labels. Without false negatives, or without negatives, nothing is flagged.
    ///
    /// # Shapes
    /// - embeddings: `[rows, dim]`
    /// - labels, predictions: `[rows]`
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, or the three do not have the same rows.
    pub fn plan(&self, embeddings: &Matrix, labels: &[usize], predictions: &[usize]) -> CleanPlan {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        assert!(embeddings.rows == labels.len() && labels.len() == predictions.len(), "rows must agree");
        let (negatives, positives): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&row| labels[row] == self.negative_class);
        let missed = |row: &usize| predictions[*row] == self.negative_class;
        let false_negatives: Vec<usize> = positives.into_iter().filter(missed).collect();
        if negatives.is_empty() || false_negatives.is_empty() {
            return CleanPlan { false_negatives, ..CleanPlan::new(labels, &[]) };
        }
        let (queries, reference) = (embeddings.gather(&false_negatives), embeddings.gather(&negatives));
        let found = nearest_neighbours(&queries.data, &reference.data, embeddings.cols, self.k, Distance::Cosine)
            .expect("there are negatives");
        let mut pointed: BTreeMap<usize, Vec<(f64, usize)>> = BTreeMap::new();
        for (&row, found) in false_negatives.iter().zip(&found) {
            for neighbour in found {
                pointed.entry(negatives[neighbour.row]).or_default().push((neighbour.distance, row));
            }
        }
        let changes: Vec<(usize, usize)> = pointed
            .into_iter()
            .map(|(row, mut votes)| {
                votes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let (label, _) =
                    majority(votes.iter().map(|&(_, voter)| labels[voter])).expect("a vote made the entry");
                (row, label)
            })
            .collect();
        CleanPlan { false_negatives, ..CleanPlan::new(labels, &changes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(angles: &[f32]) -> Matrix {
        let data = angles.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        Matrix { rows: angles.len(), cols: 2, data }
    }

    #[test]
    fn negatives_beside_a_missed_positive_are_flagged() {
        // Two positives (classes 1 and 2) are missed; the negatives at .1 and .9 are beside them, that at 3 beside nothing.
        let x = points(&[0.0, 1.0, 0.1, 0.9, 3.0, 0.05]);
        let plan = IntrinsicCleaner::new().with_k(1).plan(&x, &[1, 2, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 1]);
        assert_eq!(plan.false_negatives, [0, 1]);
        assert_eq!(plan.flagged, [2, 3]);
        assert_eq!(plan.relabelled, [1, 2, 1, 2, 0, 1]);
    }

    #[test]
    fn a_tied_vote_goes_to_the_nearest() {
        let x = points(&[0.0, 1.0, 0.9]);
        assert_eq!(IntrinsicCleaner::new().plan(&x, &[1, 2, 0], &[0, 0, 0]).relabelled, [1, 2, 2]);
        // Two far voters of one class outvote it.
        let x = points(&[0.0, 1.0, 0.9, 0.1]);
        assert_eq!(IntrinsicCleaner::new().plan(&x, &[1, 2, 0, 1], &[0; 4]).relabelled, [1, 2, 1, 1]);
    }

    #[test]
    fn where_nothing_points_nothing_is_flagged() {
        let x = points(&[0.0, 1.0]);
        for (labels, predictions) in [([0, 1], [1, 1]), ([1, 2], [0, 0]), ([0, 0], [0, 1])] {
            let plan = IntrinsicCleaner::new().plan(&x, &labels, &predictions);
            assert!(plan.flagged.is_empty() && plan.keep == [0, 1] && plan.relabelled == labels);
        }
        assert!(IntrinsicCleaner::new().plan(&points(&[]), &[], &[]).keep.is_empty());
    }
}
