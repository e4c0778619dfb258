use super::{CleanPlan, majority};
use crate::data::Matrix;
use crate::metrics::{Distance, Neighbour, nearest_neighbours};
use burn::config::Config;
use contrarian::InvalidParameter;

/// Which rows may be flagged.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum CleanMode {
    /// Negatives whose clean neighbours are positive.
    NegativesOnly,
    /// Every row whose label is not that of its clean neighbours. Where negatives dominate the clean rows, this flags true
    /// positives.
    Both,
}

/// What a row's clean neighbours say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourVote {
    /// The label of most of them, of equals the nearest one's.
    pub majority: usize,
    /// How many have it.
    pub votes: usize,
}

/// Finds labels that are likely wrong by comparing with a small clean subset: of each row the `k` nearest clean rows, by the
/// cosine of the embeddings, vote for its label.
///
/// Source: Parekh, Anand, Awekar 2023, <https://arxiv.org/abs/2311.12298>, whose extrinsic strategy this reconstructs from the
/// abstract.
#[derive(Config, Debug)]
pub struct ExtrinsicCleaner {
    /// Clean neighbours that vote, at least 1.
    #[config(default = 5)]
    pub k: usize,
    /// Which rows may be flagged.
    #[config(default = "CleanMode::NegativesOnly")]
    pub mode: CleanMode,
    /// The class "none of the others".
    #[config(default = 0)]
    pub negative_class: usize,
    /// Votes that the majority must have, in `1..=k`.
    #[config(default = 1)]
    pub min_votes: usize,
}

impl ExtrinsicCleaner {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first field outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        if self.k == 0 {
            return Err(InvalidParameter::new("k", 0, "at least 1"));
        }
        match (1..=self.k).contains(&self.min_votes) {
            true => Ok(()),
            false => Err(InvalidParameter::new("min_votes", self.min_votes, format!("in 1..={}", self.k))),
        }
    }

    /// What each row's clean neighbours say.
    ///
    /// # Errors
    /// When there is no clean row.
    ///
    /// # Panics
    /// When [`validate`](Self::validate) fails, or embeddings and labels do not fit.
    pub fn votes(
        &self,
        embeddings: &Matrix,
        clean_embeddings: &Matrix,
        clean_labels: &[usize],
    ) -> Result<Vec<NeighbourVote>, InvalidParameter> {
        self.validate().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(embeddings.cols, clean_embeddings.cols, "embeddings must be of one space");
        assert_eq!(clean_embeddings.rows, clean_labels.len(), "a label for each clean row");
        let clean = &clean_embeddings.data;
        let found = nearest_neighbours(&embeddings.data, clean, embeddings.cols, self.k, Distance::Cosine)?;
        let vote = |found: &Vec<Neighbour>| {
            let labels = found.iter().map(|neighbour| clean_labels[neighbour.row]);
            let (majority, votes) = majority(labels).expect("there are clean rows");
            NeighbourVote { majority, votes }
        };
        Ok(found.iter().map(vote).collect())
    }

    /// What to do about the labels.
    ///
    /// # Shapes
    /// - embeddings: `[rows, dim]`, labels: `[rows]`
    /// - `clean_embeddings`: `[clean, dim]`, `clean_labels`: `[clean]`
    ///
    /// # Errors
    /// When there is no clean row.
    ///
    /// # Panics
    /// As [`votes`](Self::votes).
    pub fn plan(
        &self,
        embeddings: &Matrix,
        labels: &[usize],
        clean_embeddings: &Matrix,
        clean_labels: &[usize],
    ) -> Result<CleanPlan, InvalidParameter> {
        assert_eq!(embeddings.rows, labels.len(), "a label for each row");
        let votes = self.votes(embeddings, clean_embeddings, clean_labels)?;
        Ok(self.plan_from(labels, &votes))
    }

    /// The plan that votes give.
    ///
    /// # Panics
    /// When there are not as many votes as labels.
    pub fn plan_from(&self, labels: &[usize], votes: &[NeighbourVote]) -> CleanPlan {
        assert_eq!(labels.len(), votes.len(), "a vote for each row");
        let open = |label: usize| self.mode == CleanMode::Both || label == self.negative_class;
        let rows = votes
            .iter()
            .enumerate()
            .filter(|(row, vote)| vote.majority != labels[*row] && vote.votes >= self.min_votes && open(labels[*row]));
        let changes: Vec<(usize, usize)> = rows.map(|(row, vote)| (row, vote.majority)).collect();
        CleanPlan::new(labels, &changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_and_the_votes_limit_what_is_flagged() {
        let clean = Matrix { rows: 3, cols: 2, data: vec![1.0, 0.0, 1.0, 0.1, 0.0, 1.0] };
        let x = Matrix { rows: 3, cols: 2, data: vec![1.0, 0.0, 0.1, 1.0, 0.0, 0.0] };
        let cleaner = ExtrinsicCleaner::new().with_k(2);
        let votes = cleaner.votes(&x, &clean, &[1, 1, 0]).unwrap();
        let both = NeighbourVote { majority: 1, votes: 2 };
        // Of one vote each, the nearest one's; the zero vector is as far from all, and takes the lowest indices.
        assert_eq!(votes, [both, NeighbourVote { majority: 0, votes: 1 }, both]);
        let flagged = |mode, min_votes, labels: &[usize]| {
            cleaner.clone().with_mode(mode).with_min_votes(min_votes).plan_from(labels, &votes).flagged
        };
        assert_eq!(flagged(CleanMode::NegativesOnly, 1, &[0, 2, 1]), [0]);
        assert_eq!(flagged(CleanMode::Both, 1, &[0, 2, 1]), [0, 1]);
        assert_eq!(flagged(CleanMode::Both, 2, &[0, 2, 1]), [0]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let empty = Matrix { rows: 0, cols: 2, data: Vec::new() };
        let x = Matrix { rows: 1, cols: 2, data: vec![1.0, 0.0] };
        assert_eq!(ExtrinsicCleaner::new().plan(&x, &[0], &empty, &[]).unwrap_err().field, "reference");
        assert_eq!(ExtrinsicCleaner::new().with_k(0).validate().unwrap_err().field, "k");
        assert_eq!(ExtrinsicCleaner::new().with_min_votes(6).validate().unwrap_err().field, "min_votes");
    }
}
