use super::search::Work;
use super::{CleanMode, CleanPlan, ExtrinsicCleaner, IntrinsicCleaner, NeighbourVote, majority};
use crate::data::{Dataset, Matrix, Preprocessor};
use crate::fit::{FitError, predict};
use crate::metrics::{Decision, Distance, Predictions, nearest_neighbours};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::index::sample;

/// What a model that has not seen a row, and the row's neighbours, say about its label.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// Row of the problem.
    pub row: usize,
    /// Its label.
    pub given: usize,
    /// The label it should rather have; its own where nothing speaks against it.
    pub suggested: usize,
    /// Out-of-fold probability of its own label.
    pub probability: f64,
    /// Part of its neighbours that has its label.
    pub agreeing: f64,
    /// Whether it is a suspect.
    pub suspect: bool,
}

impl Evidence {
    /// How much speaks against the label, in `[0, 1]`: one minus the mean of probability and agreeing neighbours.
    pub fn against(&self) -> f64 {
        1.0 - f64::midpoint(self.probability, self.agreeing)
    }
}

/// Most training rows among which neighbours are sought: of more, as many are drawn at random.
const MOST_NEIGHBOURS: usize = 10_000;

/// Evidence on the held-out rows of a fold, from a model trained on the others, and their embeddings. The model, its inputs'
/// scales and the neighbours know nothing of the held-out labels.
pub(super) fn of_fold(
    work: &Work,
    train: &[usize],
    held_out: &[usize],
    seed: u64,
) -> Result<(Vec<Evidence>, Matrix), FitError> {
    let Work { problem, trusted, config, .. } = work;
    let encoder = Preprocessor::fit(&problem.features, train);
    let labels_of = |rows: &[usize]| rows.iter().map(|&row| problem.labels[row]).collect::<Vec<_>>();
    let data =
        Dataset { x: encoder.transform(&problem.features, train), y: labels_of(train), classes: problem.classes.len() };
    let model = work.train(&data, seed)?;
    let x = encoder.transform(&problem.features, held_out);
    let embeddings = model.embeddings(&x);
    let predictions =
        Predictions { probabilities: predict(&model, &x), classes: data.classes, labels: labels_of(held_out) };
    let (labels, decided) = (&predictions.labels, predictions.decide(Decision::Argmax));

    let (reference, reference_labels) = if let Some(trusted) = trusted {
        let rows: Vec<usize> = (0..trusted.labels.len()).collect();
        (model.embeddings(&encoder.transform(&trusted.features, &rows)), trusted.labels.clone())
    } else {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        let drawn = match train.len() > MOST_NEIGHBOURS {
            true => sample(rng, train.len(), MOST_NEIGHBOURS).into_vec(),
            false => (0..train.len()).collect(),
        };
        (model.embeddings(&data.x.gather(&drawn)), drawn.iter().map(|&row| data.y[row]).collect())
    };
    let found = nearest_neighbours(&embeddings.data, &reference.data, embeddings.cols, config.k, Distance::Cosine)
        .expect("a fold has training rows, and trusted rows are not none");
    let votes: Vec<Vec<usize>> =
        found.iter().map(|found| found.iter().map(|near| reference_labels[near.row]).collect()).collect();
    let plan = match (trusted, config.negative_class) {
        (Some(_), negative_class) => trusted_majority(config.k, negative_class, labels, &votes),
        (None, Some(negative_class)) => {
            let cleaner = IntrinsicCleaner::new().with_k(config.k).with_negative_class(negative_class);
            cleaner.plan(&embeddings, labels, &decided)
        }
        (None, None) => agreement(labels, &decided, &votes),
    };
    let mut evidence: Vec<Evidence> = (0..held_out.len())
        .map(|at| Evidence {
            row: held_out[at],
            given: labels[at],
            suggested: plan.relabelled[at],
            probability: predictions.probabilities[at * data.classes + labels[at]],
            agreeing: votes[at].iter().filter(|&&vote| vote == labels[at]).count() as f64 / votes[at].len() as f64,
            suspect: false,
        })
        .collect();
    for &at in &plan.flagged {
        evidence[at].suspect = true;
    }
    Ok((evidence, embeddings))
}

/// Suspects are rows whose label neither the model nor most of the neighbours would give; the model's label is suggested.
fn agreement(labels: &[usize], decided: &[usize], votes: &[Vec<usize>]) -> CleanPlan {
    let against = |row: &usize| {
        let own = labels[*row];
        decided[*row] != own && majority(votes[*row].iter().copied()).is_some_and(|(most, _)| most != own)
    };
    let changes: Vec<(usize, usize)> = (0..labels.len()).filter(against).map(|row| (row, decided[row])).collect();
    CleanPlan::new(labels, &changes)
}

/// Suspects by the votes of trusted rows. More than half of them must agree: a person is asked to look at what is flagged.
fn trusted_majority(k: usize, negative_class: Option<usize>, labels: &[usize], votes: &[Vec<usize>]) -> CleanPlan {
    let mode = if negative_class.is_some() { CleanMode::NegativesOnly } else { CleanMode::Both };
    let cleaner = ExtrinsicCleaner::new().with_k(k).with_mode(mode).with_min_votes(k / 2 + 1);
    let votes: Vec<NeighbourVote> = votes
        .iter()
        .filter_map(|votes| majority(votes.iter().copied()))
        .map(|(majority, votes)| NeighbourVote { majority, votes })
        .collect();
    cleaner.with_negative_class(negative_class.unwrap_or_default()).plan_from(labels, &votes)
}
