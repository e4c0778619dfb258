//! Federated training simulated in one process: clients with data of their own exchange nothing but parameters and votes.
//!
//! [`FederatedTraining`] runs rounds of local steps and averaging over any [`DomainModel`]; its pieces serve on their own:
//! [`federated_average`] of any Burn modules, [`federated_vote`], [`group_effect`].

mod average;
#[cfg(test)]
mod tests;
mod training;
mod update;
mod vote;

pub use average::federated_average;
pub use training::{Federated, FederatedTraining, FederatedTrainingConfig, MmdTarget, Round, Voting, group_effect};
pub use update::DomainModel;
pub use vote::{Tie, federated_vote};

use contrarian::InvalidParameter;

/// Why a federation cannot do what is asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FederatedError {
    /// There is nobody.
    #[error("a federation needs at least one client")]
    NoClients,
    /// Weights and clients do not match.
    #[error("{weights} weights for {clients} clients")]
    Weights {
        /// Weights given.
        weights: usize,
        /// Clients there are.
        clients: usize,
    },
    /// A weight that cannot be one.
    #[error("weight {weight} of client {client} is not finite and at least 0")]
    Weight {
        /// Which client.
        client: usize,
        /// Its weight.
        weight: f64,
    },
    /// No client counts.
    #[error("the weights of the clients sum to 0")]
    NoWeight,
    /// The clients' models are not alike.
    #[error("client {client} has other parameters than client 0: {reason}")]
    Parameters {
        /// Which client.
        client: usize,
        /// Where and how.
        reason: String,
    },
    /// Clients voted on different numbers of rows.
    #[error("client {client} voted on {found} rows, client 0 on {expected}")]
    Votes {
        /// Which client.
        client: usize,
        /// Rows it voted on.
        found: usize,
        /// Rows of client 0.
        expected: usize,
    },
    /// A vote for no class.
    #[error("client {client} voted class {class} on row {row}, but there are {classes} classes")]
    Class {
        /// Which client.
        client: usize,
        /// Which row.
        row: usize,
        /// The vote.
        class: usize,
        /// Classes there are.
        classes: usize,
    },
    /// A set without rows, or of another shape.
    #[error("{what}: {reason}")]
    Data {
        /// Which set.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting out of range.
    #[error(transparent)]
    Parameter(#[from] InvalidParameter),
    /// The loss of a client was no number any more.
    #[error("the loss of client {client} became {value} in round {round}; a smaller learning rate may help")]
    Diverged {
        /// Which client.
        client: usize,
        /// Round, from 1.
        round: usize,
        /// The value.
        value: f64,
    },
}
