use super::FederatedError;
use serde::{Deserialize, Serialize};

/// What becomes of a row whose most frequent class is not the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// The lowest of the classes. It favours class 0: training on such labels can collapse onto it.
    Lowest,
    /// No label.
    Abstain,
}

/// The class that most clients vote for, row by row; `None` without a label.
///
/// ```text
/// label_i = argmax_c #{ k : vote_ki = c },   none where the largest count is below `minimum_votes`, or on a tie (by `tie`)
/// ```
///
/// # Shapes
/// - votes: for each client a class for each row
///
/// # Errors
/// When there is no client, clients voted on different numbers of rows, or a vote is for no class.
///
/// Source: Sun et al. 2022, <https://arxiv.org/abs/2203.11635>, section 4.3.
pub fn federated_vote(
    votes: &[Vec<usize>],
    classes: usize,
    tie: Tie,
    minimum_votes: usize,
) -> Result<Vec<Option<usize>>, FederatedError> {
    let rows = votes.first().ok_or(FederatedError::NoClients)?.len();
    for (client, votes) in votes.iter().enumerate() {
        if votes.len() != rows {
            return Err(FederatedError::Votes { client, found: votes.len(), expected: rows });
        }
        if let Some((row, &class)) = votes.iter().enumerate().find(|(_, class)| **class >= classes) {
            return Err(FederatedError::Class { client, row, class, classes });
        }
    }
    let label = |row: usize| {
        let mut counts = vec![0usize; classes];
        for votes in votes {
            counts[votes[row]] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0);
        let mut winners = (0..classes).filter(|&class| counts[class] == most);
        let first = winners.next();
        let tied = tie == Tie::Abstain && winners.next().is_some();
        first.filter(|_| most >= minimum_votes && !tied)
    };
    Ok((0..rows).map(label).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_too_few_votes_have_no_label() {
        let votes = [vec![0, 1, 2], vec![0, 1, 1], vec![0, 2, 0]];
        assert_eq!(federated_vote(&votes, 3, Tie::Abstain, 0).unwrap(), [Some(0), Some(1), None]);
        assert_eq!(federated_vote(&votes, 3, Tie::Lowest, 0).unwrap(), [Some(0), Some(1), Some(0)]);
        assert_eq!(federated_vote(&votes, 3, Tie::Lowest, 2).unwrap(), [Some(0), Some(1), None]);
        assert_eq!(federated_vote(&votes, 3, Tie::Abstain, 4).unwrap(), [None; 3]);
        assert_eq!(federated_vote(&votes[..1], 3, Tie::Abstain, 1).unwrap(), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn votes_that_are_none_are_named() {
        let error = federated_vote(&[vec![0], vec![3]], 3, Tie::Abstain, 0).unwrap_err();
        assert_eq!(error, FederatedError::Class { client: 1, row: 0, class: 3, classes: 3 });
        let error = federated_vote(&[vec![0], vec![]], 3, Tie::Abstain, 0).unwrap_err();
        assert_eq!(error, FederatedError::Votes { client: 1, found: 0, expected: 1 });
        assert_eq!(federated_vote(&[], 3, Tie::Abstain, 0).unwrap_err(), FederatedError::NoClients);
    }
}
